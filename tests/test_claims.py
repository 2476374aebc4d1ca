"""claims.py: what is recorded is shown, and every claim is put to the test somewhere."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from helpers import claims, config

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


@pytest.fixture(autouse=True)
def empty(monkeypatch, tmp_path):
    monkeypatch.setattr(config, "OUTPUT", tmp_path)


def test_a_claim_is_not_run_yet_until_it_is_recorded():
    assert set(claims.table()["verdict"]) == {"not run yet"}
    said = claims.record("overfits", "2.9 at its lowest, 3.4 at the end", holds=True)
    assert said.endswith("holds: 2.9 at its lowest, 3.4 at the end")
    row = claims.table("04").set_index("claim").filter(like="too long", axis=0).iloc[0]
    assert row["verdict"] == "holds"
    assert row["measured"] == "2.9 at its lowest, 3.4 at the end"


def test_a_second_run_replaces_the_first():
    claims.record("overfits", "one", holds=True)
    claims.record("loss_falls", "stays", holds=True)
    claims.record("overfits", "two", holds=False)
    found = claims.table().query("verdict != 'not run yet'")
    assert sorted(found["measured"]) == ["stays", "two"]
    assert "does not hold here" in set(found["verdict"])


def test_a_corrected_claim_needs_no_verdict_and_any_other_does():
    assert "corrected" in claims.record("sparse", "0 zeros in 1,000 numbers")
    with pytest.raises(ValueError, match="Say whether"):
        claims.record("overfits", "3.4")
    with pytest.raises(KeyError, match="No claim 'overfit'"):
        claims.record("overfit", "3.4", holds=True)


def test_each_claim_is_measured_in_the_notebook_that_it_names():
    for row in claims.claims():
        path = next(NOTEBOOKS.glob(f"{row['notebook']}_*.ipynb"))
        code = "\n".join(c.source for c in nbformat.read(path, 4).cells if c.cell_type == "code")
        assert f'"{row["id"]}"' in code and "claims.record(" in code, row["id"]


def test_every_correction_is_listed():
    listed = claims.corrections()
    assert len(listed) == sum("correction" in row for row in claims.claims())
    assert listed["correction"].str.len().min() > 30
