"""search_plots.py: what a panel shows is what it was given."""

from __future__ import annotations

import pytest

from helpers import plots, search_plots
from helpers.evaluation import Share, share


def test_each_panel_has_its_rows_its_unit_and_its_lengths():
    half = share([True, False] * 5)
    figure = search_plots.interval_panels(
        {
            "typing": {"before": half, "after": share([True] * 10)},
            "time": {"one": Share(7, 6, 9, 3)},
        },
        "A title",
        units=["per cent found", "ms"],
    )
    first, second = figure.axes
    assert [text.get_text() for text in first.get_yticklabels()] == ["before", "after"]
    assert [bar.get_width() for bar in first.patches] == [50, 100]
    assert (first.get_xlabel(), second.get_xlabel()) == ("per cent found", "ms")
    assert second.patches[0].get_width() == 7
    assert figure.get_suptitle() == "A title"
    low, high = second.containers[0].lines[2][0].get_segments()[0][:, 0]
    assert (low, high) == pytest.approx((6, 9))
    assert plots.png(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_no_empty_panel_is_left(count):
    panel = {"a": share([True, False])}
    figure = search_plots.interval_panels({str(n): panel for n in range(count)}, "t")
    assert len(figure.axes) == count
