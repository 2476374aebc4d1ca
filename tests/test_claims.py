"""claims.py: what is recorded is shown, and every claim is put to the test somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import bs4
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


def test_a_claim_is_corrected_or_borne_out_or_not_or_not_decided():
    assert "corrected" in claims.record("sparse", "0 zeros in 1,000 numbers")
    assert "-> not decided: 3.4" in claims.record("overfits", "3.4", holds=None)
    with pytest.raises(KeyError, match="No claim 'overfit'"):
        claims.record("overfit", "3.4", holds=True)


def test_each_claim_is_measured_in_the_notebook_that_it_names():
    for row in claims.claims():
        path = next(NOTEBOOKS.glob(f"{row['notebook']}_*.ipynb"))
        code = "\n".join(c.source for c in nbformat.read(path, 4).cells if c.cell_type == "code")
        assert f'"{row["id"]}"' in code and "claims.record(" in code, row["id"]


def test_every_correction_is_listed_with_a_dated_source():
    listed = claims.corrections()
    assert len(listed) == sum("correction" in row for row in claims.claims())
    assert listed["correction"].str.len().min() > 30
    for source in listed["source"]:
        assert re.search(r"https://[\w.-]+\.\w+/", source), source
        assert re.search(r"\b20\d\d-\d\d-\d\d\b", source), source


def test_each_claim_names_a_text_that_the_data_card_names():
    card = (config.DATA / "claims" / "README.md").read_text(encoding="utf-8")
    for row in claims.claims():
        assert f'"{row["text"]}"' in card, row["id"]


def shown(capture, notebook: str | None = None) -> tuple[bs4.BeautifulSoup, str]:
    """The page and the plain text that `claims.show` displays."""
    capture.clear()
    claims.show(notebook)
    (data,) = capture
    return bs4.BeautifulSoup(data["text/html"], "html.parser"), data["text/plain"]


@pytest.fixture
def capture(monkeypatch):
    seen = []
    monkeypatch.setattr(claims, "display", lambda data, raw: seen.append(data))
    return seen


def test_the_page_says_which_text_a_claim_is_from_and_what_came_out(capture):
    claims.record("overfits", "3.4 & <rising>", holds=True)
    page, text = shown(capture, "04")
    (row,) = [line for line in page.find_all("tr") if "too long" in line.get_text()]
    cells = [cell.get_text() for cell in row.find_all("td")]
    assert cells == ["the comparison (2023)", "holds", "3.4 & <rising>"]
    assert "holds: 1" in text


def test_the_page_shows_a_correction_with_its_source_beside_what_was_measured(capture):
    claims.record("sparse", "0 zeros in 1,000 numbers")
    page, _ = shown(capture, "01")
    (row,) = [line for line in page.find_all("tr") if "are sparse" in line.get_text()]
    said = row.find_all("td")[-1]
    known = next(row for row in claims.claims() if row["id"] == "sparse")
    assert said.get_text().startswith("0 zeros in 1,000 numbers")
    assert known["correction"] in said.get_text()
    assert said.find("a")["href"] in known["source"]


def test_the_page_can_be_read_by_a_screen_reader_and_repeats_no_number(capture):
    page, text = shown(capture)
    assert page.caption.get_text() == text
    columns = [head.get_text() for head in page.find_all("th", scope="col")]
    assert columns == ["notebook", "claim", "from", "verdict", "measured"]
    numbers = [head.get_text() for head in page.find_all("th", scope="rowgroup")]
    assert numbers == sorted({row["notebook"] for row in claims.claims()})
    assert [head.get_text() for head in page.find_all("th", scope="row")] == [
        row["claim"] for row in claims.claims()
    ]
    one, _ = shown(capture, "03")
    assert one.find_all("th", scope="rowgroup") == []
