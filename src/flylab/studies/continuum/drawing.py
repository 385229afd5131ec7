"""Rows as figures."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.optimize import linear_sum_assignment

from flylab.results.plots import COLOURS, bar_lengths, panels, plain_ticks, style
from flylab.studies.continuum.measures import Row


@style()
def figure_of(rows: Sequence[Row], highlighted: str | None = None) -> Figure:
    """Plot some rows; one may be highlighted."""
    sizes = sorted({n for row in rows for n in row.by_size})
    special = {highlighted: COLOURS[2], "mlp": COLOURS[0], "cnn": COLOURS[1]}
    colour = {row.model: special.get(row.model, "0.45") for row in rows}
    more = ["Sample efficiency"] if sizes else []
    titles = ("What shuffling costs (dashed: nothing)", "The continuum of spatial priors", *more)
    widths = (1.15, 1, 0.8)[: len(titles)]
    size = (12 + 5 * bool(sizes), 1.8 + 0.26 * len(rows))
    drawn, (plane, scores, *rest) = panels(*titles, size=size, width_ratios=widths)
    _draw_plane(plane, rows, colour)
    _draw_scores(scores, rows, colour)
    for ax in rest:
        _draw_sizes(ax, rows, colour, sizes)
    return drawn


def _draw_plane(ax: Axes, rows: Sequence[Row], colour: Mapping[str, str]) -> None:
    for row in rows:
        ax.errorbar(row.shuffled.mean, row.plain.mean, bar_lengths([row.plain]), bar_lengths([row.shuffled]), fmt="o",
                    color=colour[row.model], markersize=4.5, linewidth=1, zorder=3)  # fmt: skip
    values = [value for row in rows for value in (row.plain.mean, row.shuffled.mean)]
    ends, right = (min(values) - 3, max(values) + 3), max(row.shuffled.mean for row in rows) + 3
    ax.plot((ends[0], right), (ends[0], right), color="0.6", linestyle="--", linewidth=1)
    ax.set(xlim=(ends[0], right + 0.42 * (right - ends[0])), ylim=ends)
    ax.set(xlabel="test accuracy, positions shuffled (%)", ylabel="test accuracy, plain (%)")
    ax.set_xticks([tick for tick in range(0, 101, 20) if ends[0] <= tick <= right])
    _draw_names(ax, rows, colour, right + 0.03 * (right - ends[0]))


def _draw_names(ax: Axes, rows: Sequence[Row], colour: Mapping[str, str], x: float) -> None:
    """Write the names to the right of all dots, without overlap, each joined to its dot by a line."""
    ordered = sorted(rows, key=lambda row: row.plain.mean)
    low, high = ax.get_ylim()
    step = (high - low) * min(0.05, 0.9 / len(rows))
    heights = np.array([row.plain.mean for row in ordered])
    for _ in range(500):  # neighbours push each other apart
        overlap = np.maximum(step - np.diff(heights), 0) / 2
        heights[:-1] -= overlap
        heights[1:] += overlap
        heights = heights.clip(low + step / 2, high - step / 2)
    dots = np.array([(row.shuffled.mean, row.plain.mean) for row in ordered])
    for row, y in zip(ordered, heights[uncrossed(dots, x, heights)], strict=True):
        ax.annotate(row.title, (row.shuffled.mean, row.plain.mean), (x, y), color=colour[row.model], fontsize=8,
                    va="center", arrowprops={"arrowstyle": "-", "color": "0.85", "linewidth": 0.7, "shrinkB": 3,
                                             "relpos": (0, 0.5)})  # fmt: skip


def uncrossed(dots: np.ndarray, x: float, heights: np.ndarray) -> np.ndarray:
    """Return for each of the `dots (n, 2)` which height to join it to, at `x`, so that no two lines cross.

    The lines of least total length cross nowhere: exchanging the ends of two that cross would shorten them.

    >>> uncrossed(np.array([[0.0, 1.0], [9.0, 2.0]]), 10.0, np.array([5.0, 6.0])).tolist()
    [1, 0]
    """
    lengths = np.hypot(x - dots[:, :1], heights - dots[:, 1:])
    return linear_sum_assignment(lengths)[1]


def _draw_scores(ax: Axes, rows: Sequence[Row], colour: Mapping[str, str]) -> None:
    scored = [(row, row.score) for row in rows if row.score is not None][::-1]
    for i, (row, value) in enumerate(scored):
        ax.barh(i, value.mean, color=colour[row.model], alpha=0.75, height=0.7)
        ax.errorbar(value.mean, i, xerr=bar_lengths([value]), color="black", capsize=2, linewidth=1)
    for end in (0, 1):
        ax.axvline(end, color="0.6", linestyle=":", linewidth=1)
    if not scored:
        ax.text(0.5, 0.5, "no score: the costs of shuffling\nof MLP and CNN hardly differ", ha="center", va="center",
                transform=ax.transAxes)  # fmt: skip
    ax.set_yticks(range(len(scored)), [row.title for row, _ in scored], fontsize=9)
    ax.set(xlabel="spatial-prior score (MLP 0, CNN 1; 95 % interval)")
    ax.grid(visible=False, axis="y")


def _draw_sizes(ax: Axes, rows: Sequence[Row], colour: Mapping[str, str], sizes: Sequence[int]) -> None:
    for row in rows:
        if row.by_size:
            is_special = colour[row.model] != "0.45"
            accuracies = [value.mean for value in row.by_size.values()]
            ax.plot([*row.by_size, row.n_train], [*accuracies, row.plain.mean], "o-", color=colour[row.model],
                    markersize=3, linewidth=2 if is_special else 0.8, zorder=3 if is_special else 2,
                    label=row.title if is_special else None)  # fmt: skip
    ax.set_xscale("log")
    plain_ticks(ax, sorted({*sizes, *(row.n_train for row in rows)}))
    ax.set(xlabel="training examples", ylabel="test accuracy (%)")
    ax.legend(fontsize=8, loc="lower right")
