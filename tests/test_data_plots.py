"""data_plots.py and guess.py: figures that say what they show, sentences that are true."""

import pandas as pd
import pytest
from matplotlib.figure import Figure

from helpers import data_plots, evaluation, guess, plots, tokens


def found(*of_ten: int) -> list[evaluation.Share]:
    """Recalls of kinds with ten planted pieces each."""
    return [evaluation.share(piece < hits for piece in range(10)) for hits in of_ten]


RECALLS = pd.DataFrame(
    {"shapes alone": found(1, 10), "by record": found(10, 10)}, index=["User", "Link"]
)
BY_SIZE = pd.DataFrame({"words": [10, 50, 200], "invented": [90, 60, 0]}, index=["a", "b", "c"])


@pytest.mark.parametrize(
    ("figure", "says"),
    [
        (data_plots.recall_bars(RECALLS), "With shapes alone, User is mostly missed"),
        (
            data_plots.recall_bars(pd.DataFrame({"x": found(0, 1, 4)}, index=["a", "b", "c"])),
            "With x, a, b and c are mostly missed",
        ),
        (
            data_plots.recall_bars(pd.DataFrame({"x": found(5, 10)}, index=["a", "b"])),
            "With x, at least half of every kind is found",
        ),
        (data_plots.invented_curve(BY_SIZE), "falls with the size of the draft: 90 to 0"),
        (data_plots.invented_curve(BY_SIZE[::-1]), "does not fall"),
        (data_plots.encoding_ratios({"x": 1.1, "y": 1.5}, "old", "new"), "50 per cent too many"),
        (data_plots.encoding_ratios({"x": 1.5, "y": 1.5}, "old", "new"), "too many for x and y"),
        (data_plots.encoding_ratios({"x": 0.8, "y": 1.0}, "old", "new"), "20 per cent fewer for x"),
        (data_plots.encoding_ratios({"x": 1.001}, "old", "new"), "Both lists count the same"),
        (data_plots.length_histogram([300, 400, 2000], 1024), "3 examples: 1 is too long"),
        (data_plots.length_histogram([300, 2000, 2000], 1024), "3 examples: 2 are too long"),
        (data_plots.length_histogram([300, 400], 1024), "2 examples: all fit"),
        (data_plots.bill_bars(pd.Series({"a": 0.0, "b": 3.5}), 120), "from 0.00 to 3.50 USD"),
    ],
)
def test_a_figure_states_its_finding(figure, says, tmp_path):
    assert isinstance(figure, Figure)
    axes = figure.axes[0]
    assert says in axes.get_title(loc="left")
    assert axes.get_xlabel()
    figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 5000


def test_bars_of_recall_say_how_many_pieces_and_how_sure():
    axes = data_plots.recall_bars(RECALLS).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "User (n = 10)",
        "Link (n = 10)",
    ]
    assert "95 % interval" in axes.get_xlabel()
    assert len(axes.collections) == 2  # the intervals, one set a way of searching


@pytest.mark.parametrize(
    ("guessed", "says"),
    [
        (None, "no guess"),
        (50, "was close"),
        (90, "too high, by 38"),
        (1.5, "too low"),
        ("many", "should be a number"),
    ],
)
def test_a_guess_is_held_against_the_measurement(guessed, says):
    sentence = guess.compare(guessed, 52.0, "per cent")
    assert sentence.startswith("Measured: 52 per cent.") and says in sentence


@pytest.mark.parametrize(
    ("values", "best", "worst"),
    [
        ({"a": 0.5, "b": 0.75, "c": 0.5}, "b", "a and c"),
        ({"a": 0.1 + 0.2, "b": 0.3, "c": 0.3}, "a, b and c", "a, b and c"),
        ({"a": float("nan"), "b": 1}, "b", "b"),
        ({}, "", ""),
    ],
)
def test_all_that_tie_are_named(values, best, worst):
    assert plots.leaders(pd.Series(values, dtype=float)) == plots.leaders(values) == best
    assert plots.leaders(values, lowest=True) == worst


def test_the_intervals_of_bars_are_those_of_a_share():
    right = {"a": [1] * 8, "b": [0] * 8, "c": [1, 0, 0, 1]}
    rows = [{"answerer": name, "group": "g", "right": hit}
            for name, hits in right.items() for hit in hits]  # fmt: skip
    axes = plots.accuracy_bars(pd.DataFrame(rows), "t").axes[0]
    whiskers = axes.containers[-1]
    drawn = whiskers[2][0].get_segments()
    for segment, hits in zip(drawn, right.values(), strict=True):
        told = evaluation.share(hits)
        assert [point[1] for point in segment] == pytest.approx([100 * told.low, 100 * told.high])


HISTORY = pd.DataFrame(
    {"step": [1, 2, 3], "train_loss": [3.0, 2, 1], "train_accuracy": [0.1, 0.2, 0.4],
     "valid_loss": [3.0, None, 2], "valid_accuracy": [0.1, None, 0.3],
     "full_valid_loss": [None, None, 2.1], "full_valid_accuracy": [None, None, 0.25]}
)  # fmt: skip


def test_accuracy_is_drawn_like_loss_in_per_cent_over_the_whole_job():
    axes = plots.accuracy_curves(HISTORY, total_steps=30).axes[0]
    assert axes.get_xlim() == (0, 30)
    assert "Token accuracy rose from 10% to" in axes.get_title(loc="left")
    assert "to 30%" in axes.get_title(loc="left")
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["training (smoothed)", "validation sample", "validation, whole"]
    assert max(axes.lines[0].get_ydata()) == pytest.approx(40)
    silent = HISTORY.assign(train_accuracy=float("nan"))
    assert "No token accuracy" in plots.accuracy_curves(silent).axes[0].get_title(loc="left")


def test_jobs_are_compared_on_one_axis_that_stays():
    axes = plots.compare_losses({"a": HISTORY}, "t", "valid_accuracy", total_steps=50).axes[0]
    assert axes.get_xlim() == (0, 50) and axes.get_ylabel() == "right tokens, per cent"
    assert list(axes.lines[0].get_ydata()) == [10, 30]
    axes = plots.compare_losses({"a": HISTORY}, "t").axes[0]
    assert axes.get_ylabel() == "loss, nats per token"


def test_each_share_has_a_bar_and_its_interval_as_a_whisker():
    axes = plots.share_bars(RECALLS, "t").axes[0]
    bars, whiskers = axes.containers[:2], axes.containers[2:]
    for (_, shares), drawn, whisker in zip(RECALLS.items(), bars, whiskers, strict=True):
        segments = whisker.lines[2][0].get_segments()
        for share, bar, segment in zip(shares, drawn, segments, strict=True):
            assert bar.get_height() == pytest.approx(100 * share.value)
            ends = [end for _, end in segment]
            assert ends == pytest.approx([100 * share.low, 100 * share.high])


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, 1 to 21 (WCAG 2.2)."""

    def luminance(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colour", [*plots.PALETTE, plots.PALE])
def test_each_colour_of_a_figure_is_seen_on_white(colour):
    assert contrast(colour, "#ffffff") >= 3
    assert len(set(plots.PALETTE)) == 6


def test_the_mask_gives_every_letter_a_ground_with_contrast():
    class Words:
        def encode_ordinary(self, text):
            return [text]

        def decode(self, ids):
            return "".join(ids)

    messages = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]
    html = tokens.mask_html({"messages": messages}, Words())
    spans = html.split("<span ")[1:]
    assert len(spans) > 4
    for span in spans:
        style = dict(part.split(":", 1) for part in span.split('"')[1].split(";") if part)
        colours = [("#" + "".join(2 * c for c in value[1:]) if len(value) == 4 else value)
                   for value in (style["color"], style["background"])]  # fmt: skip
        assert contrast(*colours) >= 4.5
