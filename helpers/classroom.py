"""A class's results as one table. Learners hand in their `output/progress.json`."""

from __future__ import annotations

import csv
import json
from pathlib import Path

OUTCOMES = ("right", "wrong", "untouched")


def read_progress(path: Path) -> dict[str, str]:
    """The outcomes in one learner's file, by exercise.

    Raises: ValueError naming the file, where it is not what `check` writes.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: cannot be read as a progress file ({error}).") from None
    if not isinstance(found, dict) or not set(map(str, found.values())) <= set(OUTCOMES):
        raise ValueError(f"{path}: not a progress file; it should map exercises to outcomes.")
    return found


def export(files: list[Path], target: Path) -> list[dict[str, str]]:
    """Write one row a learner: name, number right, and the outcome of each exercise.

    Args:
        files: progress files. A file called `progress.json` is named after its folder, any other
            after itself: `ada/progress.json` and `ada.json` both belong to ada.
        target: the CSV file.

    Returns:
        The rows. Raises ValueError where a file is no progress file or two have one name.
    """
    learners: dict[str, dict[str, str]] = {}
    for path in files:
        name = path.resolve().parent.name if path.name == "progress.json" else path.stem
        if name in learners:
            raise ValueError(f"{path}: there is a second file for {name!r}; rename one of them.")
        learners[name] = read_progress(path)
    exercises = sorted({exercise for outcomes in learners.values() for exercise in outcomes})
    rows = [
        {"learner": name, "right": str(list(outcomes.values()).count("right"))}
        | {exercise: outcomes.get(exercise, "untouched") for exercise in exercises}
        for name, outcomes in sorted(learners.items())
    ]
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["learner", "right", *exercises])
        writer.writeheader()
        writer.writerows(rows)
    return rows
