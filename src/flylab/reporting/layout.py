"""Fit a figure to a width: break rows of panels that do not fit, and wrap their titles."""

import itertools
import math
import textwrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.ticker import FixedFormatter

from flylab.results.styles import Style

LOW, HIGH = 1.6, 3.4  # inches of a panel


def panels_of(drawn: Any) -> list[Axes]:
    """Return the panels of a figure or a part of it: axes in a grid, but for empty ones."""
    return [ax for ax in drawn.axes if ax.get_subplotspec() and (ax.axison or ax.has_data())]


def lay_out(drawn: Figure, chosen: Style, width: float, n_lines: int = 0) -> None:
    """Give a figure a width, with panels that are at least as wide as the style wants.

    Args:
        drawn: the figure.
        chosen: its style.
        width: in inches.
        n_lines: lines of text below the panels.
    """
    parts: list[Any] = list(drawn.subfigs) or [drawn]
    heights = [_reflow(part, chosen, width) for part in parts]
    low = sum(LOW for row in heights for _ in row)
    wanted = sum(map(sum, heights))
    height = max(low, min(wanted, chosen.tallest)) + 1.4 * n_lines * chosen.least / 72
    drawn.set_size_inches(width, height)
    if drawn.subfigs:
        grid = drawn.subfigs[0]._subplotspec.get_gridspec()  # type: ignore[attr-defined]
        if grid.nrows == len(parts):
            grid.set_height_ratios([sum(row) for row in heights])


def _reflow(part: Any, chosen: Style, width: float) -> list[float]:
    """Put the panels of a part into a new grid, and return the heights of its rows in inches."""
    fitting = max(1, int(width // chosen.panel))
    for ax in [ax for ax in part.axes if ax.get_subplotspec() and not (ax.axison or ax.has_data())]:
        ax.remove()
    before = part.bbox.size / part.get_figure(root=True).dpi
    placed = sorted(panels_of(part), key=lambda ax: (_spec(ax).rowspan.start, _spec(ax).colspan.start))
    if not placed:
        return []
    n_rows = _spec(placed[0]).get_gridspec().nrows
    rows: list[list[Axes]] = []
    heights = []
    for _, group in itertools.groupby(placed, key=lambda ax: _spec(ax).rowspan.start):
        row = list(group)
        aspect = (before[1] / n_rows) / (before[0] / len(row))
        n_parts = math.ceil(len(row) / fitting)
        for i in range(n_parts):  # as equal as can be
            chunk = row[i * len(row) // n_parts : (i + 1) * len(row) // n_parts]
            rows.append(chunk)
            needed = max(1.5 * chosen.font / 72 * _n_names(ax) + 0.7 for ax in chunk)
            heights.append(max(needed, float(np.clip(aspect * width / max(len(chunk), fitting), LOW, HIGH))))
        if n_parts > 1:
            _label_again(row)
    n_columns = math.lcm(*map(len, rows))
    is_same = len(rows) == n_rows
    if not is_same:
        grid = GridSpec(len(rows), n_columns, figure=part, height_ratios=heights)
        for i, row in enumerate(rows):
            each = n_columns // len(row)
            for j, ax in enumerate(row):
                ax.set_subplotspec(grid[i, j * each : (j + 1) * each])
    for row in rows:
        for ax in row:
            _wrap(ax, chosen, width / len(row))
    return heights


def _spec(ax: Axes) -> Any:
    return ax.get_subplotspec()


def _n_names(ax: Axes) -> int:
    """Return how many names are on the y axis, which need their height."""
    return len(ax.get_yticks()) if isinstance(ax.yaxis.get_major_formatter(), FixedFormatter) else 0


def _label_again(row: list[Axes]) -> None:
    """Label axes that shared the labels of their neighbours, which are elsewhere now."""
    for ax in row[1:]:
        ax.tick_params(labelleft=True)
        if not ax.get_ylabel() and ax.get_shared_y_axes().joined(ax, row[0]):
            ax.set_ylabel(row[0].get_ylabel())


def _wrap(ax: Axes, chosen: Style, width: float) -> None:
    """Break titles and labels that are longer than the panel."""
    title = ax.get_title(loc="left")
    if title:
        fitting = int(72 * (width - 0.5) / (0.6 * chosen.font))
        ax.set_title("\n".join(textwrap.fill(line, fitting) for line in title.splitlines()), loc="left")
    label = ax.xaxis.label
    label.set_text(textwrap.fill(label.get_text(), int(72 * (width - 0.6) / (0.52 * chosen.font))))
