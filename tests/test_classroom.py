"""A class's results: one row a learner, and a clear word where a file is none of ours."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys

import pytest

from helpers import __main__ as command
from helpers import classroom, config, exercises


@pytest.fixture
def learner(monkeypatch, tmp_path):
    """A learner at a notebook, with an empty output folder of their own."""
    monkeypatch.setenv("WORKBOOK_HEADLESS", "0")
    monkeypatch.setattr(config, "OUTPUT", tmp_path / "output")
    return tmp_path / "output" / "progress.json"


def hand_in(folder, name, outcomes):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(outcomes), encoding="utf-8")
    return path


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_each_learner_is_a_row_named_after_file_or_folder(tmp_path):
    ada = {"01.1": {"outcome": "right", "wrong": 2}, "01.2": {"outcome": "wrong", "wrong": 3}}
    files = [
        hand_in(tmp_path, "ada/progress.json", ada),
        hand_in(tmp_path, "bö.json", {"02.1": {"outcome": "right", "wrong": 0}}),
    ]
    assert command.main(["results", *map(str, files), "--out", str(tmp_path / "class.csv")]) == 0
    assert read(tmp_path / "class.csv") == [
        {"learner": "ada", "right": "1", "wrong tries": "5",
         "01.1": "right", "01.2": "wrong", "02.1": "untouched"},
        {"learner": "bö", "right": "1", "wrong tries": "0",
         "01.1": "untouched", "01.2": "untouched", "02.1": "right"},
    ]  # fmt: skip


def test_a_file_of_the_first_form_is_read_too(tmp_path):
    old = hand_in(tmp_path, "ada.json", {"01.1": "right", "01.2": "wrong", "01.3": "untouched"})
    assert classroom.export([old], tmp_path / "class.csv") == [
        {"learner": "ada", "right": "1", "wrong tries": "1",
         "01.1": "right", "01.2": "wrong", "01.3": "untouched"},
    ]  # fmt: skip


def test_what_check_wrote_is_what_the_table_shows(learner, tmp_path):
    for answer in ("fine-tuning", "prompting", "retrieval", None):
        exercises.check("01.1", answer)
    exercises.check("01.2", 42)
    row = classroom.export([learner], tmp_path / "class.csv")[0]
    assert (row["right"], row["wrong tries"]) == ("1", "3")
    assert (row["01.1"], row["01.2"]) == ("right", "wrong")


def test_results_need_nothing_that_has_to_be_installed(tmp_path):
    hand_in(tmp_path, "ada.json", {"01.1": "right"})
    bare = [sys.executable, "-S", "-m", "helpers", "results", str(tmp_path / "ada.json")]
    done = subprocess.run(
        [*bare, "--out", str(tmp_path / "class.csv")], cwd=config.ROOT, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert read(tmp_path / "class.csv")[0]["right"] == "1"


@pytest.mark.parametrize(
    "content",
    ["", "[]", "7", '{"01.1": "brilliant"}', "\x00", '{"01.1": {"outcome": "right"}}',
     '{"01.1": {"outcome": "right", "wrong": -1}}', '{"01.1": {"outcome": [], "wrong": 0}}',
     '{"01.1": null}'],
)  # fmt: skip
def test_a_file_that_is_none_is_named_and_nothing_is_written(tmp_path, content, capsys):
    path = tmp_path / "eve.json"
    path.write_text(content, encoding="utf-8")
    assert command.main(["results", str(path), "--out", str(tmp_path / "class.csv")]) == 1
    assert "eve.json" in capsys.readouterr().err
    assert not (tmp_path / "class.csv").exists()


def test_two_files_of_one_name_are_refused(tmp_path):
    files = [hand_in(tmp_path, f"{group}/ada.json", {"01.1": "right"}) for group in "ab"]
    with pytest.raises(ValueError, match="second file for 'ada'"):
        classroom.export(files, tmp_path / "class.csv")


def test_the_board_counts_what_is_right_and_says_it_without_colour(learner):
    exercises.check("01.1", "retrieval")
    exercises.check("01.2", 42)
    board = exercises.board()
    assert board.green == (1, sum(len(exercises.load(number)) for number in board.rows))
    first = next(line for line in repr(board).splitlines() if line.startswith("01"))
    assert re.split(r"\s{2,}", first) == ["01", "+ right", "x not yet", ". untouched",
                                          ". untouched", "1 of 4"]  # fmt: skip
    page = board._repr_html_()
    row = re.search(r"<tr><th scope='row'[^>]*>01</th>(.*?)</tr>", page)[1]
    words = [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<td.*?</td>", row)]
    assert words[:3] + words[-1:] == ["+ right", "x not yet", ". untouched", "1 of 4"]


def test_the_board_is_a_table_whose_rows_are_as_long_as_its_head(learner):
    page = exercises.board()._repr_html_()
    head, *rows = re.findall(r"<tr>.*?</tr>", page)
    columns = head.count("<th scope='col'")
    assert columns == head.count("<th")
    assert len(rows) == 6
    for row in rows:
        assert (row.count("<th scope='row'"), row.count("<td")) == (1, columns - 1)


def test_a_run_without_a_learner_keeps_nothing_and_shows_an_untouched_board(learner, monkeypatch):
    exercises.check("01.1", "retrieval")
    before = learner.read_bytes()
    monkeypatch.setenv("WORKBOOK_HEADLESS", "1")
    exercises.check("01.2", 42)
    assert learner.read_bytes() == before
    outcomes = {outcome for row in exercises.board().rows.values() for outcome in row.values()}
    assert outcomes == {"untouched"}


def brightness(colour):
    """Relative luminance (WCAG 2.2) of a colour such as #1a1a1a."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    parts = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), parts, strict=True))


def test_text_is_readable_on_a_ground_of_its_own_whatever_the_theme(learner):
    exercises.check("01.1", "retrieval")
    exercises.check("01.2", 42)
    kinds = ("right", "wrong", "untouched", "hint", "solution")
    pages = [exercises.Feedback(kind, "text")._repr_html_() for kind in kinds]
    for page in [*pages, exercises.board()._repr_html_()]:
        ground = ""
        for style in re.findall(r"style='([^']*)'", page):
            declared = dict(item.split(":", 1) for item in style.split(";") if item)
            ground = declared.get("background", ground)
            if "color" in declared:
                dark, light = sorted([brightness(ground), brightness(declared["color"])])
                assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_a_pattern_that_the_shell_did_not_expand_names_the_files_it_fits(tmp_path):
    for name in ("ada", "bo"):
        hand_in(tmp_path, f"{name}.json", {"01.1": {"outcome": "right", "wrong": 0}})
    target, pattern = tmp_path / "class.csv", str(tmp_path / "*.json")
    assert command.main(["results", pattern, "--out", str(target)]) == 0
    assert [row["learner"] for row in read(target)] == ["ada", "bo"]
