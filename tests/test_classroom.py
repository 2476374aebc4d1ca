"""A class's results: one row a learner, and a clear word where a file is none of ours."""

from __future__ import annotations

import csv
import json

import pytest

from helpers import __main__ as command
from helpers import classroom, config, exercises


def hand_in(folder, name, outcomes):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(outcomes), encoding="utf-8")
    return path


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_each_learner_is_a_row_named_after_file_or_folder(tmp_path):
    files = [
        hand_in(tmp_path, "ada/progress.json", {"01.1": "right", "01.2": "wrong"}),
        hand_in(tmp_path, "bö.json", {"01.1": "right", "02.1": "right"}),
    ]
    assert command.main(["results", *map(str, files), "--out", str(tmp_path / "class.csv")]) == 0
    assert read(tmp_path / "class.csv") == [
        {"learner": "ada", "right": "1", "01.1": "right", "01.2": "wrong", "02.1": "untouched"},
        {"learner": "bö", "right": "2", "01.1": "right", "01.2": "untouched", "02.1": "right"},
    ]


@pytest.mark.parametrize("content", ["", "[]", '{"01.1": "brilliant"}', "\x00"])
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


def test_the_board_counts_what_is_right_and_says_it_without_colour():
    exercises.check("01.1", "retrieval")
    exercises.check("01.2", 42)
    board = exercises.board()
    right, total = board.green
    assert right == list(exercises.progress().values()).count("right")
    assert total == sum(len(exercises.load(number)) for number in board.rows)
    assert "01.1 +" in repr(board)
    assert "01.2 x" in repr(board)
    assert "01.1 <b>+</b> right" in board._repr_html_()
    assert (config.OUTPUT / "progress.json").exists()
