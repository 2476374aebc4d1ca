"""Every figure about models: losses, accuracies, costs, maps; and `show`, which says it in words.

A figure is drawn without pyplot's global state, carries axis labels with units and a title that
states the finding, and tells its lines apart by dash and marker as well as by colour.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from IPython.display import Image, display
from matplotlib.figure import Figure

from helpers import evaluation

# Okabe and Ito's palette, its light colours darkened: each has a contrast of 3:1 or more with
# white, and any two stay apart for colour-blind readers (simulated after Machado et al. 2009).
PALETTE = ["#0072B2", "#BD8400", "#009E73", "#A0407A", "#222222", "#B03A00"]
PALE = "#4095C5"  # for the unsmoothed line: as pale as 3:1 on white allows
HATCHES = ["", "//", "..", "xx", "--", "++"]
MARKERS = ["o", "s", "^", "D", "v", "P"]
DASHES = ["-", "--", "-.", ":"]
SMOOTHING = 0.85  # weight of the past in the smoothed training loss


def show(figure: Figure, alt: str) -> None:
    """Display a figure as PNG with a text that says what it shows, for those who cannot see it.

    The text is stored with the picture and printed below it.
    """
    display(Image(png(figure)), metadata={"image/png": {"alt": alt}})
    print(alt)


def png(figure: Figure, dpi: int = 100) -> bytes:
    """The figure as PNG bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def loss_curves(
    history: pd.DataFrame, title: str | None = None, total_steps: int | None = None
) -> Figure:
    """A job's losses over its steps, from `jobs.loss_history`: raw and smoothed training loss,
    validation loss on a sample at each step, and on the whole file at the end of an epoch.

    Args: `total_steps` fixes the axis, so that a live curve does not jump.
    """
    return _curves_of(history, "loss", title or describe_losses(history), total_steps)


def accuracy_curves(
    history: pd.DataFrame, title: str | None = None, total_steps: int | None = None
) -> Figure:
    """A job's token accuracy over its steps (how often the likeliest token was the right one), with
    the same four lines and the same arguments as `loss_curves`."""
    return _curves_of(history, "accuracy", title or describe_accuracy(history), total_steps)


def _curves_of(history: pd.DataFrame, kind: str, title: str, total_steps: int | None) -> Figure:
    figure, axes = _new()
    scale, blue = _scale(kind), PALETTE[0]
    train = history.dropna(subset=[f"train_{kind}"])
    values = train[f"train_{kind}"]
    axes.plot(train["step"], scale * values, color=PALE, linewidth=0.7)
    axes.plot(train["step"], scale * smooth(values), color=blue, linewidth=2.4,
              label="training (smoothed)")  # fmt: skip
    for column, style, colour, label in (
        (f"valid_{kind}", "--", PALETTE[1], "validation sample"),
        (f"full_valid_{kind}", "s", PALETTE[5], "validation, whole"),
    ):
        rows = history.dropna(subset=[column])
        if len(rows):
            axes.plot(rows["step"], scale * rows[column], style, color=colour, label=label)
    axes.legend()
    return _titled(figure, _over_steps(axes, kind, total_steps), title)


def _scale(column: str) -> int:
    return 100 if column.endswith("accuracy") else 1  # accuracies are drawn in per cent


def _over_steps(axes, column: str, total_steps: int | None):
    """The axes of a loss or an accuracy over steps; a known end fixes them."""
    if total_steps:
        axes.set_xlim(0, total_steps)
    axes.set_xlabel("step")
    if column.endswith("accuracy"):
        axes.set_ylim(0, 105)
        axes.set_ylabel("right tokens, per cent")
    else:
        axes.set_ylabel("loss, nats per token")
    return axes


def describe_losses(history: pd.DataFrame) -> str:
    """One sentence on a job's losses: where they began and where they are."""
    if not len(history):
        return "No step has been reported yet"
    first, last = history["train_loss"].iloc[0], smooth(history["train_loss"]).iloc[-1]
    steps = int(history["step"].iloc[-1])
    said = f"Training loss {_went(first, last)} from {first:.2f} to {last:.2f} in {steps} steps"
    valid = history["valid_loss"].dropna()
    if not len(valid):
        return said
    said += f"; on the validation sample it {_went(valid.iloc[0], valid.iloc[-1])} to "
    said += f"{valid.iloc[-1]:.2f}"
    full = history["full_valid_loss"].dropna()
    if len(full) > 1 and full.iloc[-1] > full.min() * 1.01:
        said += f"; on all validation examples it ended at {full.iloc[-1]:.2f}, above its lowest, "
        said += f"{full.min():.2f}: the model began to overfit"
    return said


def describe_accuracy(history: pd.DataFrame) -> str:
    """One sentence on a job's token accuracy: where it began and where it is."""
    known = history["train_accuracy"].dropna()
    if not len(known):
        return "No token accuracy has been reported yet"
    first, last, steps = known.iloc[0], smooth(known).iloc[-1], int(history["step"].iloc[-1])
    said = f"Token accuracy {_went(first, last)} from {first:.0%} to {last:.0%} in {steps} steps"
    valid = history["valid_accuracy"].dropna()
    if not len(valid):
        return said
    return f"{said}; on the validation sample it {_went(valid.iloc[0], valid.iloc[-1])} to " + (
        f"{valid.iloc[-1]:.0%}"
    )


def _went(before: float, after: float) -> str:
    if after == before:
        return "went"
    return "fell" if after < before else "rose"


def listed(names: Iterable[object]) -> str:
    """Names as a sentence lists them: "a", "a and b", "a, b and c"; nothing for none."""
    *most, last = [str(name) for name in names] or [""]
    return f"{', '.join(most)} and {last}" if most else last


def leaders(values: Mapping[str, float] | pd.Series, lowest: bool = False) -> str:
    """The names of all that share the largest value (or the lowest), as a sentence lists them.

    `idxmax` names one of several that tie, and so states a winner where there is none.
    """
    known = pd.Series(values, dtype=float).dropna()
    if not len(known):
        return ""
    best = known.min() if lowest else known.max()
    return listed(known.index[np.isclose(known, best)])


def smooth(values: pd.Series) -> pd.Series:
    """Exponential moving average, corrected for its start (as in Adam: Kingma and Ba 2015)."""
    return values.ewm(alpha=1 - SMOOTHING, adjust=True).mean()


def compare_losses(
    curves: Mapping[str, pd.DataFrame],
    title: str,
    column: str = "train_loss",
    total_steps: int | None = None,
) -> Figure:
    """One loss of several jobs over their steps, each in its own colour, dash and marker.

    Args: `column` of `jobs.loss_history`, an accuracy among them; those of the training are
    smoothed. `total_steps` fixes the axis, so that a live curve does not jump.
    """
    figure, axes = _new()
    for number, (name, history) in enumerate(curves.items()):
        rows = history.dropna(subset=[column])
        values = smooth(rows[column]) if column.startswith("train_") else rows[column]
        axes.plot(
            rows["step"],
            _scale(column) * values,
            DASHES[number % len(DASHES)],
            marker=MARKERS[number % len(MARKERS)],
            markevery=max(1, len(rows) // 8),
            color=PALETTE[number % len(PALETTE)],
            label=name,
        )
    _over_steps(axes, column, total_steps).set_ylim(bottom=0)
    axes.legend()
    return _titled(figure, axes, title)


def accuracy_bars(results: pd.DataFrame, title: str) -> Figure:
    """Share of right answers with 95 % intervals, those of `evaluation.share` (Wilson).

    Args: `results` one row an answer, with `answerer`, `group` and `right` (0 or 1).
    """
    shares = {
        group: {who: evaluation.share(own) for who, own in rows.groupby("answerer")["right"]}
        for group, rows in results.groupby("group", sort=False)
    }
    shown = pd.DataFrame(shares).loc[results["answerer"].unique()]
    return share_bars(shown, title, "right answers, per cent")


def marker_bars(shares: pd.DataFrame, title: str, unit: str = "per cent") -> Figure:
    """Grouped bars: a row of `shares` a group on the axis, a column a model (numbers 0 to 1)."""
    figure, axes = _new(width=7.5)
    width = 0.8 / shares.shape[1]
    for place, (name, values) in enumerate(shares.items()):
        offsets = np.arange(len(shares)) + (place - (shares.shape[1] - 1) / 2) * width
        colour, hatch = PALETTE[place % len(PALETTE)], HATCHES[place % len(HATCHES)]
        axes.bar(offsets, 100 * values, width, color=colour, hatch=hatch, label=name)
    axes.set_xticks(range(len(shares)), shares.index)
    axes.set_ylim(0, 105)
    axes.set_ylabel(unit)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return _titled(figure, axes, title)


def share_bars(shares: pd.DataFrame, title: str, unit: str = "per cent") -> Figure:
    """As `marker_bars`, but of shares with their intervals (`evaluation.Share`): a whisker each."""
    figure = marker_bars(shares.map(lambda share: share.value).astype(float), title, unit)
    axes = figure.axes[0]
    for (_, column), drawn in zip(shares.items(), list(axes.containers), strict=True):
        middle = [bar.get_x() + bar.get_width() / 2 for bar in drawn]
        height = [100 * share.value for share in column]
        reach = 100 * np.array([share.reach for share in column]).T
        axes.errorbar(middle, height, reach, fmt="none", ecolor="#222222", capsize=3)
    return figure


def cost_curves(
    volume: np.ndarray, costs: Mapping[str, np.ndarray], title: str, unit: str = "calls"
) -> Figure:
    """Total cost in USD over a volume (how many of what: `unit`), a line a way of working."""
    figure, axes = _new()
    for number, (name, values) in enumerate(costs.items()):
        dash, colour = DASHES[number % len(DASHES)], PALETTE[number % len(PALETTE)]
        axes.plot(volume, values, dash, color=colour, label=name)
    axes.set_xlabel(unit)
    axes.set_ylabel("total cost, USD")
    axes.legend()
    return _titled(figure, axes, title)


def size_curve(shares: Mapping[int, float], title: str) -> Figure:
    """Share of passages found first (0 to 1) over the numbers kept of each vector, which double."""
    figure, axes = _new()
    sizes = list(shares)
    axes.plot(sizes, [100 * shares[size] for size in sizes], marker="o", color=PALETTE[0])
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.set_ylim(0, 105)
    axes.set_xlabel("numbers kept of each vector")
    axes.set_ylabel("right passage first, per cent")
    return _titled(figure, axes, title)


def cost_scatter(results: pd.DataFrame, title: str) -> Figure:
    """Tokens per answer against the share of right answers, a point an answerer.

    Args: `results` one row an answer, with `answerer`, `right` (0 or 1) and `tokens`.
    """
    means = results.groupby("answerer", sort=False)[["tokens", "right"]].mean()
    figure, axes = _new()
    for number, (name, row) in enumerate(means.iterrows()):
        colour, marker = PALETTE[number % len(PALETTE)], MARKERS[number % len(MARKERS)]
        axes.plot(row["tokens"], 100 * row["right"], marker, color=colour, markersize=9, label=name)
    axes.set_xlabel("tokens per answer, prompt and completion")
    axes.set_ylabel("right answers, per cent")
    axes.set_ylim(0, 105)
    axes.set_xlim(left=0)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return _titled(figure, axes, title)


def embedding_map(
    vectors: np.ndarray, labels: Sequence[str], title: str, lit: Sequence[int] = ()
) -> Figure:
    """Vectors (n, d) in the two directions in which they differ most (PCA), marked by label.

    Args: `lit` positions that get a ring, and their rank beside it.
    """
    centred = vectors - vectors.mean(axis=0)
    _, spread, directions = np.linalg.svd(centred, full_matrices=False)
    points = centred @ directions[:2].T
    share = spread[:2] ** 2 / (spread**2).sum()
    figure, axes = _new(height=4)
    for number, label in enumerate(dict.fromkeys(labels)):
        chosen = np.array([name == label for name in labels])
        colour, marker = PALETTE[number % len(PALETTE)], MARKERS[number % len(MARKERS)]
        # A pale face shows what lies below; the edge keeps its contrast.
        axes.plot(*points[chosen].T, marker, color=colour, markerfacecolor=(colour, 0.6),
                  label=label)  # fmt: skip
    for rank, place in enumerate(lit, start=1):
        axes.plot(*points[place], "o", markersize=13, fillstyle="none", color="black")
        axes.annotate(str(rank), points[place], xytext=(7, 7), textcoords="offset points")
    axes.set_xlabel(f"first direction ({share[0]:.0%} of the variance)")
    axes.set_ylabel(f"second direction ({share[1]:.0%})")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return _titled(figure, axes, title)


def _new(width: float = 6.5, height: float = 3.5) -> tuple:
    # White on every page: the colours have their contrast with white.
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    return figure, axes


def _titled(figure: Figure, axes, title: str) -> Figure:
    axes.set_title(title, loc="left", fontsize=10, wrap=True)
    return figure
