"""The figure of the notebook about searching: shares and means with intervals, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from helpers.evaluation import Share
from helpers.plots import HATCHES, PALETTE


def interval_panels(
    panels: Mapping[str, Mapping[str, Share]], title: str, units: str | Sequence[str] = "per cent"
) -> Figure:
    """One small panel for each comparison: a bar a row, with its interval.

    Args: `panels` the name of each panel, and in it the name and the value of each row; `units`
    what all panels are measured in, or one unit a panel. A unit that begins with "per cent" shows
    shares of 0 to 1 on a common axis of 0 to 100.
    """
    units = [units] * len(panels) if isinstance(units, str) else list(units)
    across = 2 if len(panels) == 4 else min(3, len(panels))
    down = -(-len(panels) // across)
    rows = max(len(panel) for panel in panels.values())
    figure = Figure(
        figsize=(8, down * (1 + 0.35 * rows) + 0.3), layout="constrained", facecolor="white"
    )
    grid = figure.subplots(down, across, squeeze=False).ravel()
    for axes, (name, panel), unit in zip(grid, panels.items(), units, strict=False):
        share = unit.startswith("per cent")
        scale = 100 if share else 1
        for place, value in enumerate(panel.values()):
            axes.barh(
                place,
                scale * value.value,
                0.7,
                xerr=[[scale * side] for side in value.reach],
                capsize=3,
                color=PALETTE[place % len(PALETTE)],
                hatch=HATCHES[place % len(HATCHES)],
            )
        axes.set_yticks(range(len(panel)), list(panel))
        axes.invert_yaxis()
        if share:
            axes.set_xlim(0, 105)
        axes.set_xlabel(unit)
        axes.set_title(name, fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25, axis="x")
        axes.set_axisbelow(True)
    for axes in grid[len(panels) :]:
        axes.remove()
    figure.suptitle(title, fontsize=10, x=0.01, ha="left", wrap=True)
    return figure
