"""The measures: their formulas on small cases, and what must hold for any text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import evaluation

MAIL = "Hey {User},\n\nThe lamp has 3 modes. 💡\n\nStay bright,\nChris 🧵\n\nPS: Mind the cable."


def test_content_words_leave_out_the_small_ones():
    found = evaluation.content_words("The lamp is on at 7.5 hours, and it hums.")
    assert found == {"lamp", "7.5", "hours", "hums"}


def test_coverage_and_invention_are_shares_of_two_different_texts():
    assert evaluation.coverage(["red lamp", "two modes"], "A red lamp.") == 0.5
    assert evaluation.invented_share("red lamp", "red lamp hums nicely") == 0.5


def test_the_three_marks():
    assert evaluation.style_markers(MAIL) == {"greeting": True, "sign_off": True, "emoji": True}
    plain = "Hello,\n\nAsk Chris about the lamp.\n\nKind regards,\nThe team"
    assert not any(evaluation.style_markers(plain).values())


@pytest.mark.parametrize(
    ("answer", "key", "right"),
    [
        ("It costs 139 euros.", "139 euros", True),
        ("It costs 1390 euros.", "139 euros", False),
        ("It costs  139\nEuros", "139 euros", True),
        ("I don't know.", "139 euros", False),
        (None, "139 euros", False),
    ],
)
def test_an_answer_is_right_if_it_holds_the_key_as_whole_words(answer, key, right):
    assert evaluation.contains_answer(answer, key) is right


def test_repetition_counts_runs_that_stood_there_before():
    assert evaluation.repeated_ngrams("a b c d e f g h") == 0
    assert evaluation.repeated_ngrams("a b c d a b c d") == pytest.approx(1 / 5)


@given(draft=st.text(max_size=80), mail=st.text(max_size=80))
def test_every_share_is_between_nought_and_one(draft, mail):
    assert 0 <= evaluation.coverage(draft, mail) <= 1
    assert 0 <= evaluation.invented_share(draft, mail) <= 1
    assert 0 <= evaluation.repeated_ngrams(mail) <= 1
    assert evaluation.coverage(draft, draft) == 1
    assert evaluation.invented_share(mail, mail) == 0


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_an_interval_lies_in_range_and_is_the_same_each_time(values):
    low, high = evaluation.bootstrap_interval(values)
    assert 0 <= low <= high <= 1
    assert (low, high) == evaluation.bootstrap_interval(values)


def test_an_interval_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        evaluation.bootstrap_interval([])


def test_variety_counts_words_pairs_and_repetitions():
    one, other = "the cat sat on the mat today", "a dog ran in my red house"
    found = evaluation.variety([one, other, one + " again"])
    assert found.words == 22
    assert found.near_duplicates == pytest.approx(1 / 3)
    assert found.type_token_ratio == pytest.approx(14 / 22)
    assert evaluation.variety([]) == evaluation.Variety(0, 0, 0, 0)


@given(st.lists(st.text(), max_size=5))
def test_variety_is_made_of_shares(texts):
    found = evaluation.variety(texts)
    for share in (found.type_token_ratio, found.distinct_2, found.near_duplicates):
        assert 0 <= share <= 1


def test_a_share_has_an_interval_even_when_all_are_right():
    eight = evaluation.share([True] * 8)
    assert (eight.value, eight.high, eight.n) == (1.0, 1.0, 8)
    assert eight.low == pytest.approx(0.6756, abs=1e-3)  # statsmodels' proportion_confint, wilson
    assert str(evaluation.share([True, False] * 18)) == "50 % (34 % to 66 %, n = 36)"
    with pytest.raises(ValueError, match="at least one case"):
        evaluation.share([])


def test_a_gap_is_paired_and_says_whether_it_is_decided():
    hard, easy = [0.1, 0.9, 0.5, 0.3], [0.3, 1.1, 0.7, 0.5]
    gap = evaluation.gap(easy, hard)  # 0.2 in each case, however far apart the cases are
    assert (gap.value, gap.low, gap.high, gap.n) == pytest.approx((0.2, 0.2, 0.2, 4))
    assert evaluation.above_zero(gap) is True
    assert evaluation.above_zero(evaluation.gap(hard, easy)) is False
    assert evaluation.above_zero(evaluation.gap(hard, hard[::-1])) is None
    with pytest.raises(ValueError, match="zip"):
        evaluation.gap(easy, hard[:3])


def test_one_share_exceeds_another_only_where_the_intervals_lie_apart():
    few, many = evaluation.share([True] * 2 + [False] * 38), evaluation.share([True] * 38 + [False])
    between = evaluation.share([True, False])
    assert evaluation.exceeds(many, few) is True
    assert evaluation.exceeds(few, many) is False
    assert evaluation.exceeds(many, between) is None
