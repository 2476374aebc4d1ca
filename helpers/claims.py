"""The claims of the two texts behind this course, and what the notebooks measured about each."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
from IPython.display import display

from helpers import config, dataset


def claims() -> list[dict]:
    """All claims, in the order of the notebooks: `id`, `text`, `notebook`, `claim` and, where the
    claim is out of date, `correction`."""
    return dataset.read_jsonl(config.DATA / "claims" / "claims.jsonl")


def record(claim: str, measured: str, holds: bool | None = None) -> str:
    """Keep what a run measured about a claim, in place of what an earlier run had kept.

    Args: `claim` its id; `measured` a few words with the numbers; `holds` whether the numbers bear
    it out (None for a claim that is corrected instead). Returns a sentence to print.
    Raises KeyError for an unknown id, ValueError for a claim without a verdict.
    """
    known = {row["id"]: row for row in claims()}
    if claim not in known:
        raise KeyError(f"No claim {claim!r}; data/claims/claims.jsonl has {sorted(known)}.")
    if holds is None and "correction" not in known[claim]:
        raise ValueError(f"Say whether the claim {claim!r} holds: it has no correction.")
    verdict = "corrected" if holds is None else "holds" if holds else "does not hold here"
    found = {**_recorded(), claim: {"verdict": verdict, "measured": measured}}
    _path().parent.mkdir(parents=True, exist_ok=True)
    _path().write_text(json.dumps(found, ensure_ascii=False, indent=1), encoding="utf-8")
    return f"{known[claim]['claim']} -> {verdict}: {measured}"


def table(notebook: str | None = None) -> pd.DataFrame:
    """The claims (of one notebook, such as "03", or of all) with verdict and measurement."""
    found = _recorded()
    rows = []
    for row in claims():
        if notebook in (None, row["notebook"]):
            kept = found.get(row["id"], {"verdict": "not run yet", "measured": ""})
            rows.append({"notebook": row["notebook"], "claim": row["claim"], **kept})
    return pd.DataFrame(rows).set_index("notebook")


def show(notebook: str | None = None) -> None:
    """Show the table of `table`; where a page shows text only, how many claims got each verdict."""
    rows = table(notebook)
    counts = rows["verdict"].value_counts()
    summary = ", ".join(f"{verdict}: {count}" for verdict, count in counts.items())
    page = rows.to_html(justify="left")
    display({"text/html": page, "text/plain": f"{len(rows)} claims. {summary}"}, raw=True)


def corrections() -> pd.DataFrame:
    """The claims that no longer hold as they were written, and what holds today."""
    rows = [row for row in claims() if "correction" in row]
    return pd.DataFrame(rows)[["notebook", "claim", "correction"]].set_index("notebook")


def _path() -> Path:
    return config.OUTPUT / "claims.json"


def _recorded() -> dict:
    return json.loads(_path().read_text(encoding="utf-8")) if _path().is_file() else {}
