"""The claims of the two texts behind this course, and what the notebooks measured about each."""

from __future__ import annotations

import html
import json
import re
from itertools import groupby
from pathlib import Path

import pandas as pd
from IPython.display import display

from helpers import config, dataset

# Where a claim is from, as the table says it; other values of `text` speak for themselves.
TEXTS = {
    "comparison": "the comparison (2023)",
    "ChrisGPT": "the ChrisGPT series (2024)",
    "ChrisGPT's code": "the code of the ChrisGPT series (2024)",
}
URL = re.compile(r"https://[^\s,)]+")
EVERY_CELL = "text-align:left;vertical-align:top"


def claims() -> list[dict]:
    """All claims, in the order of the notebooks: `id`, `text`, `notebook`, `claim` and, where the
    claim is out of date, `correction` and its dated `source`."""
    found = dataset.read_jsonl(config.DATA / "claims" / "claims.jsonl")
    return sorted(found, key=lambda row: row["notebook"])  # stable: within one, as in the file


def record(claim: str, measured: str, holds: bool | None = None) -> str:
    """Keep what a run measured about a claim, in place of what an earlier run had kept.

    Args: `claim` its id; `measured` a few words with the numbers; `holds` whether the numbers bear
    it out, None where they do not decide it (or where the claim is corrected instead).
    Returns a sentence to print. Raises KeyError for an unknown id.
    """
    known = {row["id"]: row for row in claims()}
    if claim not in known:
        raise KeyError(f"No claim {claim!r}; data/claims/claims.jsonl has {sorted(known)}.")
    verdict = {True: "holds", False: "does not hold here", None: "not decided"}[holds]
    if "correction" in known[claim]:
        verdict = "corrected"
    found = {**_recorded(), claim: {"verdict": verdict, "measured": measured}}
    _path().parent.mkdir(parents=True, exist_ok=True)
    _path().write_text(json.dumps(found, ensure_ascii=False, indent=1), encoding="utf-8")
    return f"{known[claim]['claim']} -> {verdict}: {measured}"


def table(notebook: str | None = None) -> pd.DataFrame:
    """The claims (of one notebook, such as "03", or of all) with their text, verdict and
    measurement."""
    rows = [
        {key: row[key] for key in ("notebook", "claim", "from", "verdict", "measured")}
        for row in _rows(notebook)
    ]
    return pd.DataFrame(rows).set_index("notebook")


def show(notebook: str | None = None) -> None:
    """Show the table of `table`, with what holds today and its source under each corrected claim;
    where a page shows text only, how many claims got each verdict."""
    rows = _rows(notebook)
    counts = pd.Series([row["verdict"] for row in rows]).value_counts()
    summary = ", ".join(f"{verdict}: {count}" for verdict, count in counts.items())
    said = f"{len(rows)} claims. {summary}"
    page = _page(rows, said, numbered=notebook is None)
    display({"text/html": page, "text/plain": said}, raw=True)


def corrections() -> pd.DataFrame:
    """The claims that no longer hold as they were written, what holds today, and who says so."""
    rows = [row for row in claims() if "correction" in row]
    columns = ["notebook", "claim", "correction", "source"]
    return pd.DataFrame(rows)[columns].set_index("notebook")


def _rows(notebook: str | None) -> list[dict]:
    """The claims with `from`, `verdict` and `measured` beside what the file says of them."""
    found = _recorded()
    untried = {"verdict": "not run yet", "measured": ""}
    return [
        {**row, "from": TEXTS.get(row["text"], row["text"]), **found.get(row["id"], untried)}
        for row in claims()
        if notebook in (None, row["notebook"])
    ]


def _page(rows: list[dict], caption: str, numbered: bool) -> str:
    """The claims as an HTML table: a caption, headed columns, and a head for each row.

    Where it is `numbered`, a notebook's number stands once, beside all its claims.
    """
    titles = ["notebook"] * numbered + ["claim", "from", "verdict", "measured"]
    heads = "".join(f"<th scope='col' style='{EVERY_CELL}'>{title}</th>" for title in titles)
    bodies = ""
    for number, group in groupby(rows, key=lambda row: row["notebook"]):
        lines = [_line(row) for row in group]
        if numbered:
            head = f"<th scope='rowgroup' rowspan='{len(lines)}' style='{EVERY_CELL}'>{number}</th>"
            lines[0] = head + lines[0]
        bodies += "<tbody>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</tbody>"
    title = f"<caption style='{EVERY_CELL}'>{html.escape(caption)}</caption>"
    return f"<table>{title}<thead><tr>{heads}</tr></thead>{bodies}</table>"


def _line(row: dict) -> str:
    measured = html.escape(row["measured"])
    if "correction" in row:
        parts = [measured, f"<b>Today:</b> {html.escape(row['correction'])}"]
        if "source" in row:
            parts.append(f"<b>Source:</b> {_linked(row['source'])}")
        measured = "<br>".join(part for part in parts if part)
    cells = [html.escape(row["from"]), html.escape(row["verdict"]), measured]
    head = f"<th scope='row' style='{EVERY_CELL};font-weight:normal'>{html.escape(row['claim'])}"
    return f"{head}</th>" + "".join(f"<td style='{EVERY_CELL}'>{cell}</td>" for cell in cells)


def _linked(text: str) -> str:
    """The text with its addresses as links, fit for HTML."""
    return URL.sub(lambda found: f"<a href='{found[0]}'>{found[0]}</a>", html.escape(text))


def _path() -> Path:
    return config.OUTPUT / "claims.json"


def _recorded() -> dict:
    return json.loads(_path().read_text(encoding="utf-8")) if _path().is_file() else {}
