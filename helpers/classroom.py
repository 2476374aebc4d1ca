"""Progress files: one learner's `output/progress.json`, and a class's results as one table.

Standard library only: `python -m helpers results` works before anything is installed.
"""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, dataclass
from pathlib import Path

OUTCOMES = ("untouched", "wrong", "right")  # from the least to the best


@dataclass(frozen=True)
class Attempts:
    """What is kept of one exercise: the best outcome so far, and how many tries were wrong."""

    outcome: str = "untouched"
    wrong: int = 0

    def and_then(self, outcome: str) -> Attempts:
        """These attempts and one more. What was right stays right, whatever is run later."""
        best = max(self.outcome, outcome, key=OUTCOMES.index)
        return Attempts(best, self.wrong + (outcome == "wrong"))


def read_progress(path: Path) -> dict[str, Attempts]:
    """The attempts in one learner's file, by exercise.

    Files of the first form held the last outcome alone; a wrong one counts as one wrong try there.

    Raises: ValueError naming the file, where it is not what `check` writes.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read as a progress file ({error}).") from None
    try:
        return {exercise: _attempts(kept) for exercise, kept in found.items()}
    except (AttributeError, TypeError, ValueError, KeyError):
        raise ValueError(
            f"{path}: not a progress file; it should map exercises to outcomes."
        ) from None


def _attempts(kept: object) -> Attempts:
    """One entry of a file, of the first form or today's. Raises if it is neither."""
    if isinstance(kept, str):
        kept = {"outcome": kept, "wrong": int(kept == "wrong")}
    outcome, wrong = kept["outcome"], kept["wrong"]
    if outcome not in OUTCOMES or not isinstance(wrong, int) or wrong < 0:
        raise ValueError(kept)
    return Attempts(outcome, wrong)


def write_progress(path: Path, attempts: dict[str, Attempts]) -> None:
    """Write a learner's file, whole or not at all: a run that is stopped must not cut it short."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({name: asdict(attempts[name]) for name in sorted(attempts)}, indent=1)
    fresh = path.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8", newline="\n")
    fresh.replace(path)


def export(files: list[Path], target: Path) -> list[dict[str, str]]:
    """Write one row a learner: name, number right, wrong tries, and each exercise's best outcome.

    Args:
        files: progress files. A file called `progress.json` is named after its folder, any other
            after itself: `ada/progress.json` and `ada.json` both belong to ada.
        target: the CSV file.

    Returns:
        The rows. Raises ValueError where a file is no progress file or two have one name.
    """
    learners: dict[str, dict[str, Attempts]] = {}
    for path in files:
        name = path.resolve().parent.name if path.name == "progress.json" else path.stem
        if name in learners:
            raise ValueError(f"{path}: there is a second file for {name!r}; rename one of them.")
        learners[name] = read_progress(path)
    exercises = sorted({exercise for attempts in learners.values() for exercise in attempts})
    rows = [_row(name, attempts, exercises) for name, attempts in sorted(learners.items())]
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["learner", "right", "wrong tries", *exercises])
        writer.writeheader()
        writer.writerows(rows)
    return rows


def _row(name: str, attempts: dict[str, Attempts], exercises: list[str]) -> dict[str, str]:
    kept = attempts.values()
    return {
        "learner": name,
        "right": str(sum(each.outcome == "right" for each in kept)),
        "wrong tries": str(sum(each.wrong for each in kept)),
        **{exercise: attempts.get(exercise, Attempts()).outcome for exercise in exercises},
    }
