"""Exercises of notebook 06."""

from __future__ import annotations

import math

from helpers.exercises import Exercise, Wrong, one_of, returned


def _answerer(answer: object) -> None:
    chosen = one_of(answer, ("prompt only", "fine-tuned", "retrieval"))
    if chosen == "fine-tuned":
        raise Wrong("Then every Monday needs a new training; until it ends, the old price is out.")
    if chosen == "prompt only":
        raise Wrong("Without a source the model cannot know a single price.")


def _recall(answer: object) -> None:
    ranks = [1, 3, None, 2]
    at_two = returned(answer, ranks, 2)
    if at_two in (2, 200.0, 50, 50.0):
        raise Wrong("A share from 0 to 1 is asked for: divide by the number of questions.")
    if math.isclose(at_two, 2 / 3):
        raise Wrong("You left out the question without a hit. It was asked, so it counts.")
    if math.isclose(at_two, 1 / 4):
        raise Wrong("The k-th place still counts as found: compare with <=, not with <.")
    if math.isclose(at_two, 3 / 4):
        raise Wrong("You counted a passage that is below the k-th place, or not found at all.")
    if not math.isclose(at_two, 0.5):
        raise Wrong("For ranks [1, 3, None, 2] and k = 2 the share is another one.")
    if not math.isclose(returned(answer, ranks, 3), 0.75):
        raise Wrong("It works for k = 2 but not for k = 3. Is k written into your function?")


def _cosine(answer: object) -> None:
    if math.isclose(returned(answer, [3.0, 4.0], [3.0, 4.0]), 25.0):
        raise Wrong("That is the dot product. Divide it by the lengths of both vectors.")
    if not math.isclose(returned(answer, [3.0, 4.0], [6.0, 8.0]), 1.0, rel_tol=1e-6):
        raise Wrong("Two vectors of one direction must give 1, whatever their lengths.")
    if not math.isclose(returned(answer, [1.0, 0.0], [0.0, 2.0]), 0.0, abs_tol=1e-9):
        raise Wrong("Vectors at a right angle have nothing in common: the result must be 0.")
    if not math.isclose(returned(answer, [1.0, 0.0], [-2.0, 0.0]), -1.0, rel_tol=1e-6):
        raise Wrong("Opposite vectors must give -1: do not take the absolute value.")
    zero = returned(answer, [0.0, 0.0], [1.0, 1.0])
    if math.isnan(zero) or zero != 0:
        raise Wrong("A vector of zeros has no direction: return 0.0 for it.")


def _cosine_solution(a, b):
    lengths = math.hypot(*a) * math.hypot(*b)
    return sum(x * y for x, y in zip(a, b, strict=True)) / lengths if lengths else 0.0


def _dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def _fusion(answer: object) -> None:
    words, meaning = ["a", "b", "c"], ["c", "a", "d"]
    found = returned(answer, [words, meaning], 60)
    if isinstance(found, dict):
        raise Wrong("The ids in order are asked for, not their scores.")
    found = list(found)
    if found and isinstance(found[0], tuple | list):
        raise Wrong("The ids alone are asked for, without their scores.")
    if set(found) != {"a", "b", "c", "d"}:
        raise Wrong("Each id of any ranking must be there once, also those of one ranking only.")
    if len(found) != 4:
        raise Wrong("An id stands twice in your list.")
    if found[::-1] == ["a", "c", "b", "d"]:
        raise Wrong("The best must come first.")
    if found != ["a", "c", "b", "d"]:
        raise Wrong("For [a, b, c] and [c, a, d] the order is another one. Do you add the scores?")
    if list(returned(answer, [["x", "y", "z"], ["z", "y", "x"], ["y"]], 0)) != ["y", "x", "z"]:
        raise Wrong("With k = 0 the order is wrong: ranks begin at 1, and ties keep their order.")


def _right_fusion(rankings, k=60):
    scores = {}
    for ranking in rankings:
        for rank, name in enumerate(ranking, 1):
            scores[name] = scores.get(name, 0) + 1 / (k + rank)
    return sorted(scores, key=scores.get, reverse=True)


def _fusion_from_zero(rankings, k=60):
    scores = {}
    for ranking in rankings:
        for rank, name in enumerate(ranking):
            scores[name] = scores.get(name, 0) + 1 / (k + rank)
    return sorted(scores, key=scores.get, reverse=True)


def _fusion_with_ties_turned(rankings, k=60):
    scores = {name: 0 for ranking in rankings for name in ranking}
    for ranking in rankings:
        for rank, name in enumerate(ranking, 1):
            scores[name] += 1 / (k + rank)
    return sorted(scores, key=scores.get)[::-1]


SOLUTION_FUSION = """\
def ex_fuse(rankings, k=60):
    scores = {}
    for ranking in rankings:
        for rank, name in enumerate(ranking, 1):
            scores[name] = scores.get(name, 0) + 1 / (k + rank)
    return sorted(scores, key=scores.get, reverse=True)"""


EXERCISES = [
    Exercise(
        "06.1",
        "Which answerer for prices that change every Monday?",
        _answerer,
        ("Look at the column of changed facts in the table above.",
         "Which of the three follows a change without any training?"),
        'ex_answerer = "retrieval"',
        "Changing a passage changes the answer; the model stays as it is.",
        right=("retrieval", "Retrieval"),
        wrongs=(("fine-tuned", "every Monday"), ("prompt only", "source"), ("both", "none of")),
    ),
    Exercise(
        "06.2",
        "Recall at k from a list of ranks.",
        _recall,
        ("Count the ranks that are a number and at most k.",
         "Divide that count by the number of all questions, those without a hit too."),
        "def ex_recall_at_k(ranks, k):\n"
        "    return sum(rank is not None and rank <= k for rank in ranks) / len(ranks)",
        "Every question counts, found or not: that is what makes recall honest.",
        right=(lambda ranks, k: sum(r is not None and r <= k for r in ranks) / len(ranks),),
        wrongs=(
            (lambda ranks, k: sum(r is not None and r <= k for r in ranks), "share"),
            (lambda ranks, k: sum(r <= k for r in ranks if r) / sum(bool(r) for r in ranks),
             "left out"),
            (lambda ranks, k: sum(r is not None and r < k for r in ranks) / len(ranks), "<="),
            (lambda ranks, k: sum(r is not None for r in ranks) / len(ranks), "below"),
            (lambda ranks, k: 0.5, "written into"),
            (lambda ranks, k: 1.0, "another one"),
            (lambda ranks, k: sum(r <= k for r in ranks) / len(ranks), "TypeError"),
        ),
    ),
    Exercise(
        "06.3",
        "The cosine similarity of two vectors.",
        _cosine,
        ("The dot product over the product of the two lengths.",
         "A length is the square root of the sum of squares; test for zero before you divide."),
        "import math\n\n"
        "def ex_cosine(a, b):\n"
        "    lengths = math.hypot(*a) * math.hypot(*b)\n"
        "    return sum(x * y for x, y in zip(a, b)) / lengths if lengths else 0.0",
        "Dividing by the lengths leaves the angle alone: that is what meaning is compared by.",
        right=(_cosine_solution,),
        wrongs=(
            (_dot, "dot product"),
            (lambda a, b: abs(_cosine_solution(a, b)), "-1"),
            (lambda a, b: _dot(a, b) / (math.hypot(*a) * math.hypot(*b)), "ZeroDivisionError"),
            (lambda a, b: 1.0, "right angle"),
            (lambda a, b: _dot(a, b) / sum(x * x for x in a), "of one direction"),
            (lambda a, b: _cosine_solution(a, b) if any(a) else 1.0, "no direction"),
        ),
    ),
    Exercise(
        "06.4",
        "One ranking from several.",
        _fusion,
        ("Each ranking gives an id 1 / (k + rank) points, the first rank being 1.",
         "Add the points in a dictionary, then sort its keys by them, the largest first."),
        SOLUTION_FUSION,
        "Reciprocal rank fusion (Cormack et al. 2009) needs no common scale: only places count.",
        right=(_right_fusion,),
        wrongs=(
            (lambda rankings, k: sorted(_right_fusion(rankings, k)), "another one"),
            (lambda rankings, k: _right_fusion(rankings, k)[::-1], "best must come"),
            (lambda rankings, k: rankings[0], "one ranking only"),
            (lambda rankings, k: {"a": 1}, "not their scores"),
            (lambda rankings, k: [(name, 1) for name in rankings[0]], "without"),
            (lambda rankings, k: [name for r in rankings for name in r], "twice"),
            (_fusion_from_zero, "ZeroDivisionError"),
            (_fusion_with_ties_turned, "ties"),
            (lambda rankings, k: None, "return"),
        ),
    ),
]  # fmt: skip
