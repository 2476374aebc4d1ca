"""The course's prose and its exercises: readable, spelled right, with links well formed."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import harper
import nbformat
import pyphen
import pytest

from helpers import exercises

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")), *sorted(ROOT.glob("*.md")),
         *sorted((ROOT / "data").rglob("README.md"))]  # fmt: skip
KNOWN_WORDS = Path(__file__).with_name("known_words.txt")
PYTHON_SAID = re.compile(r"Called with .*|\(\w+\)")  # a check's report of what Python raised
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")

each_page = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name + path.parent.name)


def markdown(path: Path) -> str:
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def prose(path: Path) -> str:
    """The sentences of a page: no code, tables, headings, links or marks."""
    text = re.sub(r"```.*?```", "", markdown(path), flags=re.S)
    text = re.sub(r"<[^>]+>|!\[[^\]]*\]\([^)]*\)", "", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    lines = [line for line in text.splitlines() if not line.lstrip().startswith(("#", "|"))]
    text = "\n".join(re.sub(r"^\s*(-|\d+\.)\s+", "", line) for line in lines)
    return re.sub(r"[*_]", "", re.sub(r"`[^`]*`", "this", text))


def grade(text: str) -> float:
    """Flesch-Kincaid grade (Kincaid and others 1975): 0.39 words a sentence + 11.8 syllables a
    word - 15.59. Syllables are those of the hyphenation dictionary, which is a little low."""
    hyphens = pyphen.Pyphen(lang="en_GB", left=1, right=1)
    sentences = [s for s in re.split(r"[.!?:]\s|\n\n", text) if len(s.split()) > 2]
    words = re.findall(r"[A-Za-z']+", text)
    syllables = sum(hyphens.inserted(word).count("-") + 1 for word in words)
    return 0.39 * len(words) / len(sentences) + 11.8 * syllables / len(words) - 15.59


def test_the_grade_of_a_hard_sentence_is_higher_than_that_of_an_easy_one():
    easy = "The cat sat on the mat. It was red. We saw it run."
    hard = (
        "Notwithstanding considerable methodological heterogeneity, investigators recommended it."
    )
    assert grade(easy) < 3 < 12 < grade(hard)


@each_page
def test_a_page_reads_at_grade_ten_or_lower(path):
    assert grade(prose(path)) <= 10


def misspelled(text: str) -> set[str]:
    """The words, in small letters, that neither the dictionary nor the list of known ones has."""
    known = KNOWN_WORDS.read_text(encoding="utf-8").lower().splitlines()
    linter = harper.Linter(dialect=harper.Dialect.BRITISH)
    lints = [lint for lint in linter.lint(text) if lint.lint_kind == "Spelling"]
    return {lint.problem_text.lower().rstrip(".") for lint in lints} - set(known)


def test_a_slip_is_found_and_a_known_word_is_not():
    assert misspelled("We recieved the loss in nats.") == {"recieved"}


@each_page
def test_every_word_is_spelled_right_or_known(path):
    assert misspelled(prose(path)) == set()


@pytest.mark.parametrize("number", [page.name[:2] for page in PAGES if page.suffix == ".ipynb"])
def test_questions_hints_and_feedback_are_spelled_right_too(number):
    for exercise in exercises.load(number).values():
        told = [exercises.judge(exercise, answer).message for answer, _ in exercise.wrongs]
        texts = [exercise.question, *exercise.hints, exercise.why, *told]
        said = PYTHON_SAID.sub("", "\n\n".join(texts))
        assert misspelled(re.sub(r"`[^`]*`", "this", said)) == set(), exercise.id


@each_page
def test_links_are_well_formed_and_those_inside_lead_somewhere(path):
    for target in LINK.findall(markdown(path)):
        parts = urlsplit(target)
        if parts.scheme:
            assert parts.scheme == "https" and "." in parts.netloc, target
        elif parts.path:
            assert (path.parent / parts.path).exists(), target
