"""data_plots.py and guess.py: figures that say what they show, sentences that are true."""

import pandas as pd
import pytest
from matplotlib.figure import Figure

from helpers import data_plots, guess

RECALLS = pd.DataFrame(
    {"shapes alone": [0.1, 1.0], "by record": [1.0, 1.0]}, index=["User", "Link"]
)
BY_SIZE = pd.DataFrame({"words": [10, 50, 200], "invented": [90, 60, 0]}, index=["a", "b", "c"])


@pytest.mark.parametrize(
    ("figure", "says"),
    [
        (data_plots.recall_bars(RECALLS), "With shapes alone, User would be missed"),
        (data_plots.invented_curve(BY_SIZE), "falls with the size of the draft: 90 to 0"),
        (data_plots.invented_curve(BY_SIZE[::-1]), "does not fall"),
        (data_plots.encoding_ratios({"x": 1.1, "y": 1.5}, "old", "new"), "50 per cent too many"),
        (data_plots.length_histogram([300, 400, 2000], 1024), "3 examples: 1 are too long"),
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
