"""Exercises of notebook 04."""

from __future__ import annotations

from helpers.exercises import Exercise, Wrong, returned


def _steps(answer: object) -> None:
    known = {
        20: "That is one epoch. The model goes through the file three times.",
        300: "Those are the examples it sees. One step looks at a whole batch.",
        100: "Those are the examples of the file. How many batches are in it, and how often?",
        1500: "You multiplied by the batch size. A larger batch means fewer steps.",
        500: "You multiplied by the batch size. A larger batch means fewer steps.",
    }
    if isinstance(answer, bool) or not isinstance(answer, int | float):
        raise Wrong("A number is asked for.")
    if answer in known:
        raise Wrong(known[answer])
    if answer != 60:
        raise Wrong("Count the batches in the file, then the epochs.")


def _best(answer: object) -> None:
    rows = [(10, 3.0), (20, 2.5), (30, 2.8)]
    found = returned(answer, rows)
    if found == 30:
        raise Wrong("You took the last one. Its validation loss is above that of an earlier one.")
    if found == 2.5:
        raise Wrong("That is the loss. The step of the checkpoint is asked for.")
    if found == 10:
        raise Wrong("You took the highest loss. Low is good.")
    if found != 20:
        raise Wrong("For (10, 3.0), (20, 2.5), (30, 2.8) another step is right.")
    if returned(answer, [(5, 1.0), (10, 1.0)]) != 5:
        raise Wrong("Where two losses are equal, keep the earlier one: it was trained for less.")


def _overfits(answer: object) -> None:
    both_fall = returned(answer, [3.0, 2.0], [3.0, 2.5])
    if not isinstance(both_fall, bool):
        raise Wrong("True or False is asked for.")
    if both_fall:
        raise Wrong("Both losses fall there: that is learning, not overfitting.")
    if not returned(answer, [3.0, 2.0, 1.5], [3.0, 2.5, 2.7]):
        raise Wrong("Training falls and validation rises in the last epoch: that is the sign.")
    if returned(answer, [3.0, 2.0, 2.1], [3.0, 2.5, 2.7]):
        raise Wrong("Both rise there. That is a job gone wrong, but not overfitting.")
    if returned(answer, [3.0, 2.0, 1.5], [3.0, 2.5, 2.4]):
        raise Wrong("In the last epoch the validation loss fell: that is learning.")
    if returned(answer, [3.0, 2.0, 1.5], [2.6, 3.4, 2.7]):
        raise Wrong("Only the last epoch counts: there the validation loss fell again.")
    if returned(answer, [3.0], [3.0]):
        raise Wrong("One epoch cannot rise or fall: return False.")


def _stop(answer: object) -> None:
    losses = [3.0, 2.4, 2.2, 2.5, 2.6, 1.9]
    found = returned(answer, losses, 2)
    if found == 5:
        raise Wrong("By then the training had been stopped: two rounds in a row were no better.")
    if found == 4:
        raise Wrong("That is where the training stops. Which checkpoint is kept?")
    if found in losses:
        raise Wrong("That is a loss. The position of the checkpoint is asked for, from 0.")
    if found != 2:
        raise Wrong("For [3.0, 2.4, 2.2, 2.5, 2.6, 1.9] and a patience of 2 it is another one.")
    if returned(answer, [3.0, 2.4, 2.6, 2.2, 2.5], 2) != 3:
        raise Wrong("One bad round is no reason to stop when the patience is 2.")
    if returned(answer, [3.0, 2.0, 1.0], 2) != 2:
        raise Wrong("Where the loss falls to the end, the last checkpoint is the best.")
    if returned(answer, [3.0, 2.0, 2.0, 2.0, 1.0], 2) != 1:
        raise Wrong("A loss that only equals the lowest is not lower: that round brought nothing.")


def _right_stop(losses, patience):
    best = 0
    for position, loss in enumerate(losses):
        if loss < losses[best]:
            best = position
        elif position - best >= patience:
            break
    return best


def _stop_if_equal_counts(losses, patience):
    best = 0
    for position, loss in enumerate(losses):
        if loss <= losses[best]:
            best = position
        elif position - best >= patience:
            break
    return best


def _gap_grows(train, valid):
    gaps = [v - t for t, v in zip(train, valid, strict=True)]
    return len(gaps) > 2 and train[-1] < train[-2] and gaps[-1] > gaps[-2]


EXERCISES = [
    Exercise(
        "04.1",
        "How many steps does the job take?",
        _steps,
        ("One step looks at one batch.", "Batches in the file, times epochs."),
        "ex_steps = 100 // 5 * 3",
        "Twenty batches are in the file, and the model goes through them three times.",
        right=(60, 60.0),
        wrongs=((20, "one epoch"), (300, "batch"), (100, "of the file"), (1500, "multiplied"),
                (500, "multiplied"), (7, "Count"),
                ("sixty", "number"), (True, "number")),
    ),
    Exercise(
        "04.2",
        "The step of the checkpoint with the lowest validation loss.",
        _best,
        ("Look for the smallest second number, and return the first number of that pair.",
         "`min` with a `key` keeps the first of equal ones."),
        "def ex_best(rows):\n    return min(rows, key=lambda row: row[1])[0]",
        "It is measured on what the model did not learn from. But a small lead may be luck.",
        right=(lambda rows: min(rows, key=lambda row: row[1])[0],),
        wrongs=(
            (lambda rows: rows[-1][0], "last"),
            (lambda rows: min(loss for _, loss in rows), "step"),
            (lambda rows: max(rows, key=lambda row: row[1])[0], "Low"),
            (lambda rows: min(rows, key=lambda row: (row[1], -row[0]))[0], "earlier"),
            (lambda rows: 15, "another step"),
            (lambda rows: None, "return"),
        ),
    ),
    Exercise(
        "04.3",
        "Does a job overfit in its last epoch?",
        _overfits,
        ("Compare the last number of each list with the one before it.",
         "Test the length first: with one number there is nothing to compare."),
        "def ex_overfits(train, valid):\n"
        "    if len(train) < 2:\n"
        "        return False\n"
        "    return train[-1] < train[-2] and valid[-1] > valid[-2]",
        "Falling on the examples and rising on others: the model memorises instead of learning.",
        right=(lambda t, v: len(t) > 1 and t[-1] < t[-2] and v[-1] > v[-2],),
        wrongs=(
            (lambda t, v: len(t) > 1 and v[-1] > v[-2], "Both rise"),
            (lambda t, v: len(t) > 1 and t[-1] < t[-2], "learning"),
            (lambda t, v: len(t) > 1 and v[-1] > min(v) and t[-1] < t[-2], "last"),
            (lambda t, v: t[-1] < t[-2] and v[-1] > v[-2], "IndexError"),
            (_gap_grows, "In the last epoch"),
            (lambda t, v: len(t) < 2 or (t[-1] < t[-2] and v[-1] > v[-2]), "One epoch"),
            (lambda t, v: False, "sign"),
            (lambda t, v: 1, "True or False"),
        ),
    ),
    Exercise(
        "04.4",
        "Early stopping.",
        _stop,
        ("Go through the losses and remember the position of the best one so far.",
         "Stop as soon as the best one lies `patience` rounds back; then return its position."),
        "def ex_early_stop(losses, patience):\n"
        "    best = 0\n"
        "    for position, loss in enumerate(losses):\n"
        "        if loss < losses[best]:\n"
        "            best = position\n"
        "        elif position - best >= patience:\n"
        "            break\n"
        "    return best",
        "Patience saves time, and may miss a later fall: a trade, as most things in training are.",
        right=(_right_stop,),
        wrongs=(
            (lambda losses, patience: losses.index(min(losses)), "had been stopped"),
            (lambda losses, patience: _right_stop(losses, patience) + patience, "kept"),
            (lambda losses, patience: losses[_right_stop(losses, patience)], "is a loss"),
            (lambda losses, patience: _right_stop(losses, 1), "no reason"),
            (lambda losses, patience: 0, "another one"),
            (lambda losses, patience: 2, "no reason"),
            (_stop_if_equal_counts, "only equals"),
            (lambda losses, patience: min(_right_stop(losses, patience), len(losses) - 2),
             "falls to the end"),
            (lambda losses, patience: None, "return"),
        ),
    ),
]  # fmt: skip
