"""Every measure that the notebooks quote. Each says its formula; none needs a model."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

EMOJI = re.compile("[\U0001f300-\U0001faff\u2600-\u27bf\u2b50\u25b6]")
WORD = re.compile(r"[a-z0-9]+(?:[.,][0-9]+)*(?:'[a-z]+)?")
STOP_WORDS = frozenset(
    word
    for line in (
        "a about above after again all also am an and any are as at back be been before being",
        "below  between both but by can could did do does doing down each even every few for",
        "from get had has  have having he her here hers him his how i if in into is it its just",
        "let like many may me  more most much my no nor not now of off on once one only or",
        "other our out over own per so  some such than that the their them then there these",
        "they this those through to too under  until up us very was we were what when where",
        "which while who whom why will with would yet  you your",
    )
    for word in line.split()
)


def content_words(text: str) -> set[str]:
    """The distinct words that carry meaning: lower case, without stop words and lone letters."""
    words = WORD.findall(text.lower().replace("\u2019", "'"))
    return {word for word in words if word not in STOP_WORDS and (len(word) > 1 or word.isdigit())}


def coverage(draft: str | Sequence[str], mail: str) -> float:
    """Share (0 to 1) of the draft's content words that stand in the mail.

    |words(draft) & words(mail)| / |words(draft)|; an empty draft is covered (1.0).
    """
    wanted = content_words(_text(draft))
    return len(wanted & content_words(mail)) / len(wanted) if wanted else 1.0


def invented_share(draft: str | Sequence[str], mail: str) -> float:
    """Share (0 to 1) of the mail's content words that the draft lacks.

    |words(mail) - words(draft)| / |words(mail)|; an empty mail invents nothing (0.0).
    """
    written = content_words(mail)
    return len(written - content_words(_text(draft))) / len(written) if written else 0.0


def style_markers(mail: str) -> dict[str, bool]:
    """Whether a mail carries Chris's three marks: greeting, sign-off and emoji.

    The greeting is the opening `Hey {User}`; the sign-off a line that starts with `Chris`, after
    the first third of the mail (a PS may follow it).
    """
    lines = mail.strip().splitlines()
    late = lines[len(lines) // 3 :]
    return {
        "greeting": mail.lstrip().startswith("Hey {User}"),
        "sign_off": any(re.match(r"Chris\b", line.strip()) for line in late),
        "emoji": bool(EMOJI.search(mail)),
    }


def repeated_ngrams(text: str, n: int = 4) -> float:
    """Share (0 to 1) of a text's word n-grams that stood in it before: 1 - distinct / all."""
    words = text.lower().split()
    grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def contains_answer(answer: str | None, key: str) -> bool:
    """Whether the key stands in the answer as whole words, whatever the case and spacing."""

    def plain(text: str) -> str:
        return " ".join(re.findall(r"\w+(?:[.,]\w+)*|[^\w\s]", text.lower()))

    return f" {plain(key)} " in f" {plain(answer or '')} "


def bootstrap_interval(
    values: Iterable[float], seed: int = 0, level: float = 0.95, draws: int = 2000
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean (Efron 1979): resample, average, take quantiles.

    Args: `values` one number per case, such as 0 or 1 for wrong or right; `level` its coverage.
    Returns (low, high). Raises ValueError where there are no values.
    """
    data = np.asarray(list(values), dtype=float)
    if not data.size:
        raise ValueError("An interval needs at least one value.")
    random = np.random.default_rng(seed)
    means = random.choice(data, size=(draws, data.size)).mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


@dataclass(frozen=True)
class Share:
    """A share of cases (0 to 1) with its interval and the number of cases; prints as a sentence's
    part: "42 % (28 % to 58 %, n = 36)"."""

    value: float
    low: float
    high: float
    n: int

    @property
    def reach(self) -> tuple[float, float]:
        """How far the interval reaches below and above the value, as a figure's whisker wants it:
        never below 0, where rounding may put it if the interval ends at the value."""
        return max(0.0, self.value - self.low), max(0.0, self.high - self.value)

    def __str__(self) -> str:
        return f"{self.value:.0%} ({self.low:.0%} to {self.high:.0%}, n = {self.n})".replace(
            "%", " %"
        )


def share(right: Iterable[bool], z: float = 1.96) -> Share:
    """How many of the cases are right, with the Wilson score interval (Wilson 1927).

    (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n), which stays honest at 0 and at 1,
    where a bootstrap has nothing to resample: 8 of 8 is 68 % to 100 %.

    Args: `right` a truth value a case; `z` the quantile, 1.96 for 95 %.
    Raises: ValueError where there are no cases.
    """
    cases = [bool(case) for case in right]
    if not cases:
        raise ValueError("A share needs at least one case.")
    n, p = len(cases), sum(cases) / len(cases)
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z * (p * (1 - p) / n + z**2 / (4 * n**2)) ** 0.5 / (1 + z**2 / n)
    return Share(p, max(0.0, centre - reach), min(1.0, centre + reach), n)


def average(values: Iterable[float]) -> Share:
    """The mean of numbers (coverages, say, or milliseconds), with its bootstrap interval."""
    data = [float(value) for value in values]
    low, high = bootstrap_interval(data)
    return Share(sum(data) / len(data), low, high, len(data))


def exceeds(one: Share, other: Share) -> bool | None:
    """Whether `one` is larger: True or False where the intervals lie apart, None (not decided)
    where they overlap. Cautious: overlapping intervals may still differ."""
    if one.low > other.high:
        return True
    return False if one.high < other.low else None


def gap(one: Iterable[float], other: Iterable[float]) -> Share:
    """The mean of `one` minus `other` on the same cases, with its bootstrap interval.

    Case by case, for then a case that is hard for both makes no difference.
    """
    return average(float(a) - float(b) for a, b in zip(one, other, strict=True))


def above_zero(difference: Share) -> bool | None:
    """Whether a `gap` is above 0: True or False where its interval leaves 0 out, None (not decided)
    where it holds it."""
    return None if difference.low <= 0 <= difference.high else difference.value > 0


@dataclass(frozen=True)
class Variety:
    """How varied a collection is: its number of words, and the shares (0 to 1) of `variety`."""

    words: int
    type_token_ratio: float
    distinct_2: float
    near_duplicates: float


def variety(texts: Sequence[str], first: int = 5000, alike: float = 0.5) -> Variety:
    """How varied texts are. Both ratios fall with length, so they look at the `first` words only.

    Type-token ratio: distinct words / words. distinct-2: distinct pairs of neighbouring words /
    pairs (Li et al. 2016). A text is a near-duplicate if it shares `alike` of its runs of three
    words with an earlier text (Jaccard: |A & B| / |A | B|).
    """
    split = [re.findall(r"\w+", text.lower()) for text in texts]
    words = [word for text in split for word in text]
    start = words[:first]
    pairs = list(zip(start, start[1:], strict=False))
    runs = [set(zip(text, text[1:], text[2:], strict=False)) for text in split]
    double = sum(
        any(len(one & other) >= alike * max(1, len(one | other)) for other in runs[:number])
        for number, one in enumerate(runs)
    )
    return Variety(
        len(words),
        len(set(start)) / max(1, len(start)),
        len(set(pairs)) / max(1, len(pairs)),
        double / max(1, len(runs)),
    )


def word_counts(texts: Iterable[str]) -> Counter:
    """How often each content word stands in the texts, once counted per text."""
    return Counter(word for text in texts for word in content_words(text))


def _text(draft: str | Sequence[str]) -> str:
    return draft if isinstance(draft, str) else "\n".join(draft)
