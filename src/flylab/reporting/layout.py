"""Fit a figure to a width: break rows of panels that do not fit, wrap long titles, keep legends off the data."""

import itertools
import math
import textwrap
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.text import Annotation, Text

from flylab.reporting import legends
from flylab.results.styles import Style

LOW, HIGH = 0.22, 0.43  # inches of a row of panels for each point of text
SHARED = 0.7  # panels that share their y axis may be narrower by this


def panels_of(drawn: Any) -> list[Axes]:
    """Return the panels of a figure or a part of it: axes in a grid, but for empty ones."""
    return [ax for ax in drawn.axes if ax.get_subplotspec() and (ax.axison or ax.has_data())]


def title_of(ax: Axes) -> Text | None:
    """Return the title of a panel, if it has one."""
    written = ax.get_title(loc="left")
    found = (text for text in ax.get_children() if isinstance(text, Text) and text.get_text() == written)
    return next(found) if written else None


def lay_out(drawn: Figure, chosen: Style, width: float, n_lines: int = 0) -> None:
    """Give a figure a width, with panels that are at least as wide as the style wants.

    Args:
        drawn: the figure.
        chosen: its style.
        width: in inches.
        n_lines: lines of text below the panels.
    """
    parts: list[Any] = list(drawn.subfigs) or [drawn]
    rows = [_rows(part, chosen, width) for part in parts]
    heights = [[_height(row, part, chosen, width) for row in rows] for rows, part in zip(rows, parts, strict=True)]
    least = [[_least(row, chosen) for row in part] for part in rows]
    needed = sum(map(sum, least))
    share = min(1.0, max(chosen.tallest - needed, 0) / max(sum(map(sum, heights)) - needed, 1e-9))
    heights = [[low + share * (height - low) for low, height in zip(*part, strict=True)]
               for part in zip(least, heights, strict=True)]  # fmt: skip
    drawn.set_size_inches(width, sum(map(sum, heights)) + 1.4 * n_lines * chosen.least / 72)
    for part, part_rows, part_heights in zip(parts, rows, heights, strict=True):
        _arrange(part, part_rows, part_heights)
    if drawn.subfigs:
        grid = drawn.subfigs[0]._subplotspec.get_gridspec()  # type: ignore[attr-defined]
        if grid.nrows == len(parts):
            grid.set_height_ratios([sum(part) for part in heights])
    panels = panels_of(drawn)
    inside = legends.prepare(panels, chosen)
    drawn.draw_without_rendering()
    if sum(map(_wrap, panels)):
        drawn.draw_without_rendering()
    legends.put_below(drawn, legends.take(inside), chosen)


def _rows(part: Any, chosen: Style, width: float) -> list[list[Axes]]:
    """Return the panels of a part in rows that fit."""
    for ax in [ax for ax in part.axes if ax.get_subplotspec() and not (ax.axison or ax.has_data())]:
        ax.remove()
    placed = sorted(panels_of(part), key=lambda ax: (_spec(ax).rowspan.start, _spec(ax).colspan.start))
    rows, given = [], [list(group) for _, group in itertools.groupby(placed, lambda ax: _spec(ax).rowspan.start)]
    fitting = max(1, int(width // chosen.panel))
    is_grid = len({len(row) for row in given[:-1]}) == 1 and not any(map(_is_shared, given))
    if is_grid and fitting < len(given[0]):  # is broken as a whole, not row by row
        return [placed[i : i + fitting] for i in range(0, len(placed), fitting)]
    for row in given:
        fitting = max(1, int(width // (chosen.panel * (SHARED if _is_shared(row) else 1))))
        n_parts = math.ceil(len(row) / fitting)
        rows += [row[i * len(row) // n_parts : (i + 1) * len(row) // n_parts] for i in range(n_parts)]
        if n_parts > 1:
            _label_again(row)
    return rows


def _height(row: list[Axes], part: Any, chosen: Style, width: float) -> float:
    """Return a row's height in inches: its panels keep their shape, and what they need to be read."""
    before, grid = part.bbox.size, _spec(row[0]).get_gridspec()
    aspect = (before[1] / grid.nrows) / (before[0] / grid.ncols)
    shaped = aspect * min(width / len(row), 1.2 * chosen.panel)
    return max(_least(row, chosen), min(shaped, HIGH * chosen.font))


def _least(row: list[Axes], chosen: Style) -> float:
    """Return the height in inches below which a row cannot be read: names stand one above the other."""
    return max(LOW * chosen.font, 1.5 * chosen.font / 72 * max(map(_n_names, row)) + 0.7)


def _arrange(part: Any, rows: list[list[Axes]], heights: list[float]) -> None:
    """Put panels into rows, unless they are in such rows already."""
    if not rows or len(rows) == _spec(rows[0][0]).get_gridspec().nrows:
        return
    n_columns = math.lcm(*map(len, rows))
    grid = GridSpec(len(rows), n_columns, figure=part, height_ratios=heights)
    for i, row in enumerate(rows):
        each = n_columns // len(row)
        for j, ax in enumerate(row):
            place = grid[i, j * each : (j + 1) * each]
            # beside names that take much room, a panel has margins of its own
            ax.set_subplotspec(place.subgridspec(1, 1)[0, 0] if _n_joined(ax) else place)


def _spec(ax: Axes) -> Any:
    return ax.get_subplotspec()


def _is_shared(row: list[Axes]) -> bool:
    return len(row) > 1 and all(ax.get_shared_y_axes().joined(ax, row[0]) for ax in row)


def _n_names(ax: Axes) -> int:
    """Return how many names stand one above the other: on the y axis, or joined to points by lines."""
    ticks = (label.get_text() for label in ax.get_yticklabels())
    n_words = sum(text[:1] != "$" and any(map(str.isalpha, text)) for text in ticks)  # numbers may be mathematics
    return max(n_words, _n_joined(ax))


def _n_joined(ax: Axes) -> int:
    """Return how many names are joined to points by lines."""
    return sum(isinstance(text, Annotation) and text.arrow_patch is not None for text in ax.texts)


def _label_again(row: list[Axes]) -> None:
    """Label axes that shared the labels of their neighbours, which are elsewhere now."""
    for ax in row[1:]:
        ax.tick_params(labelleft=True)
        if not ax.get_ylabel() and ax.get_shared_y_axes().joined(ax, row[0]):
            ax.set_ylabel(row[0].get_ylabel())


def _wrap(ax: Axes) -> bool:
    """Break a title and labels that are longer than the panel, and return whether there were any."""
    box, is_broken = ax.get_window_extent(), False
    for text, room in ((title_of(ax), box.width), (ax.xaxis.label, box.width), (ax.yaxis.label, box.height)):
        if text is None or not text.get_text():
            continue
        extent = text.get_window_extent()
        needed = extent.height if text is ax.yaxis.label else extent.width
        if needed > room:
            longest = max(map(len, text.get_text().splitlines()))
            fitting = max(int(0.97 * longest * room / needed), 8)
            text.set_text("\n".join(textwrap.fill(line, fitting) for line in text.get_text().splitlines()))
            is_broken = True
    return is_broken
