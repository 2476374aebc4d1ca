"""The figures of the notebooks about data: recall, invention, tokens and bills."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from IPython.display import HTML, display
from matplotlib.figure import Figure

from helpers import tokens
from helpers.plots import PALETTE, leaders, listed

BLUE, ORANGE = PALETTE[:2]


def recall_bars(recalls: pd.DataFrame) -> Figure:
    """Recall by kind of personal data: one row a kind, one column a way of searching.

    Each cell is an `evaluation.Share`: its value is the bar, its interval the thin line, and its
    `n` stands beside the kind, for a bar of 100 per cent from seven pieces says little.
    """
    figure, axes = _new(height=3.6)
    rows = range(len(recalls))
    height = 0.8 / recalls.shape[1]
    styles = ((ORANGE, "//"), (BLUE, ""))
    for place, (way, found) in enumerate(recalls.items()):
        colour, hatch = styles[place % 2]
        offsets = [row + (place - (recalls.shape[1] - 1) / 2) * height for row in rows]
        values = [100 * each.value for each in found]
        reach = 100 * np.array([each.reach for each in found]).T
        axes.barh(offsets, values, height, xerr=reach, color=colour, hatch=hatch, label=way)
    pieces = [each.n for each in recalls.iloc[:, 0]]
    names = [f"{kind} (n = {n})" for kind, n in zip(recalls.index, pieces, strict=True)]
    axes.set_yticks(list(rows), names)
    axes.invert_yaxis()
    axes.set_xlabel("found, per cent of the planted pieces, with 95 % interval")
    figure.legend(loc="outside lower center", ncols=recalls.shape[1], frameon=False)
    missed = [str(kind) for kind in recalls.index if recalls.iloc[:, 0][kind].value < 0.5]
    said = f"{listed(missed)} {'is' if len(missed) == 1 else 'are'} mostly missed"
    if not missed:
        said = "at least half of every kind is found"
    return _titled(figure, axes, f"With {recalls.columns[0]}, {said}")


def invented_curve(by_size: pd.DataFrame) -> Figure:
    """Invented content against the size of the draft: columns `words` and `invented` (per cent)."""
    figure, axes = _new()
    axes.plot(by_size["words"], by_size["invented"], "o-", color=BLUE)
    for name, row in by_size.iterrows():
        place = (row["words"], row["invented"])
        axes.annotate(name, place, xytext=(6, 6), textcoords="offset points", fontsize=8)
    axes.set_xscale("log")
    axes.set_xticks([10, 20, 50, 100, 200], ["10", "20", "50", "100", "200"])
    axes.minorticks_off()
    axes.set_ylim(-4, 104)
    axes.margins(x=0.15)
    axes.set_xlabel("words in the draft (logarithmic)")
    axes.set_ylabel("content words not in the draft, per cent")
    first, last = by_size["invented"].iloc[[0, -1]]
    fell = "falls" if last < first else "does not fall"
    title = f"Invention {fell} with the size of the draft: {first:.0f} to {last:.0f} per cent"
    return _titled(figure, axes, title)


def encoding_ratios(ratios: Mapping[str, float], older: str, newer: str) -> Figure:
    """How many times the tokens of the newer encoding the older one counts, by kind of text."""
    figure, axes = _new(height=2.8)
    more = [100 * (ratio - 1) for ratio in ratios.values()]
    bars = axes.barh(list(ratios), more, color=ORANGE)
    axes.bar_label(bars, fmt="%+.0f %%", padding=3)
    axes.axvline(0, color="black", linewidth=1)
    axes.invert_yaxis()
    axes.margins(x=0.18)
    axes.set_xlabel(f"tokens counted for {older} above those for {newer}, per cent")
    return _titled(figure, axes, _encoding_title(pd.Series(ratios)))


def _encoding_title(ratios: pd.Series) -> str:
    more = (100 * (ratios - 1)).round()
    if more.max() > 0:
        names = leaders(more)
        return f"The older list counts {more.max():.0f} per cent too many for {names}"
    if more.min() < 0:
        names = leaders(more, lowest=True)
        return f"The older list never counts too many: {-more.min():.0f} per cent fewer for {names}"
    return "Both lists count the same"


def length_histogram(lengths: Sequence[int], limit: int) -> Figure:
    """Tokens per example, with the model's limit as a dashed line."""
    figure, axes = _new()
    axes.hist(lengths, bins=24, color=BLUE, edgecolor="white")
    axes.axvline(limit, color=ORANGE, linestyle="--", label=f"the model takes {limit:,}")
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("tokens in the example")
    axes.set_ylabel("examples")
    axes.legend()
    too_long = sum(length > limit for length in lengths)
    said = f"{too_long} {'is' if too_long == 1 else 'are'} too long" if too_long else "all fit"
    return _titled(figure, axes, f"{len(lengths)} examples: {said}")


def bill_bars(bills: pd.Series, examples: int) -> Figure:
    """The price of one training job by model, in USD."""
    figure, axes = _new(height=2.8)
    bars = axes.barh(list(bills.index), bills, color=BLUE)
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel("USD for one job")
    title = f"{examples} examples cost from {bills.min():.2f} to {bills.max():.2f} USD to train on"
    return _titled(figure, axes, title)


def show_mask(example: dict, enc: tokens.LocalEncoding) -> None:
    """Display an example token by token with what is trained on marked (`tokens.mask_html`)."""
    display(HTML(tokens.mask_html(example, enc)))


def _new(height: float = 3.4) -> tuple:
    """A figure and its axes. Made without pyplot, so that no notebook shows it twice."""
    figure = Figure(figsize=(7, height), layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _titled(figure: Figure, axes, title: str) -> Figure:
    axes.set_title(title, fontsize=11, loc="left")
    return figure
