"""Keep the legends of a figure that was fitted to a width off what the panels show."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.transforms import Bbox, offset_copy

from flylab.results.styles import Style


class Taken(NamedTuple):
    """A legend that was taken out of its panel."""

    ax: Axes
    handles: list[Any]
    names: list[str]
    title: str


def prepare(panels: list[Axes], chosen: Style) -> list[tuple[Axes, Legend]]:
    """Return the legends that are inside of their panels, made small; they take no room from their panels any more.

    Args:
        panels: the panels of a figure.
        chosen: its style.
    """
    inside = _inside(panels)
    for _, legend in inside:
        legend.set_in_layout(False)
        for text in (*legend.get_texts(), legend.get_title()):
            text.set_fontsize(chosen.least)
    return inside


def take(inside: list[tuple[Axes, Legend]]) -> list[Taken]:
    """Take out the legends that hide data, wherever in the panel they are; the figure must have been drawn.

    Args:
        inside: legends inside of their panels.
    """
    taken = []
    for ax, legend in inside:
        _move(ax, legend)
        if _hides(ax, legend):
            names = [text.get_text() for text in legend.get_texts()]
            by_name = dict(zip(*ax.get_legend_handles_labels()[::-1], strict=True))
            handles = [by_name.get(name, handle) for name, handle in zip(names, legend.legend_handles, strict=True)]
            taken.append(Taken(ax, handles, names, legend.get_title().get_text()))
            legend.remove()
    return taken


def keep_off(drawn: Figure, panels: list[Axes]) -> None:
    """Move the legends that were put where they hide data to where they do not; the figure keeps its size.

    Args:
        drawn: the figure.
        panels: its panels.
    """
    fixed = [(ax, one) for ax, one in _inside(panels) if one._loc]  # pyright: ignore[reportAttributeAccessIssue]
    if not fixed:
        return
    drawn.draw_without_rendering()
    for ax, legend in fixed:
        _move(ax, legend)


def put_below(drawn: Figure, taken: list[Taken], chosen: Style) -> None:
    """Put legends below their panels, in as many columns as fit; the figure grows by them and must have been drawn.

    Args:
        drawn: the figure.
        taken: the legends.
        chosen: its style.
    """
    grown: dict[int, float] = {}
    for ax, handles, names, title in taken:
        panel = ax.get_window_extent()
        tight = ax.get_tightbbox() or panel
        n_columns = _n_columns(names, panel.x1 - tight.x0, chosen, drawn)
        beside = (np.array(tight.p0) - panel.p0) / drawn.dpi  # in inches, since panels change their size
        ax.legend(handles, names, title=title or None, fontsize=chosen.least, title_fontsize=chosen.least,
                  loc="upper left", bbox_to_anchor=(0, 0), bbox_transform=offset_copy(ax.transAxes, drawn, *beside),
                  ncols=n_columns, borderaxespad=0.3, columnspacing=1, handlelength=1.8)  # fmt: skip
        height = (-(-len(names) // n_columns) + bool(title)) * 1.5 * chosen.least / 72 + 0.1
        bottom = round(panel.y0)
        grown[bottom] = max(grown.get(bottom, 0), height)
    drawn.set_figheight(drawn.get_figheight() + sum(grown.values()))


def _move(ax: Axes, legend: Legend) -> None:
    """Move a legend that hides data to the first place where it does not; where there is none, it stays."""
    chosen: Any = legend._loc  # pyright: ignore[reportAttributeAccessIssue]
    places: list[Any] = [chosen, *Legend.codes.values()]
    for place in places:
        legend.set_loc(place)
        if not _hides(ax, legend):
            return
    legend.set_loc(chosen)


def _inside(panels: list[Axes]) -> list[tuple[Axes, Legend]]:
    return [(ax, one) for ax in panels if (one := ax.get_legend()) and one.get_bbox_to_anchor() is ax.bbox]


def _n_columns(names: list[str], room: float, chosen: Style, drawn: Figure) -> int:
    """Return how many columns fit into some room, filled one after another."""
    dot = drawn.dpi / 72
    widths = [(0.53 * len(name) + 3.8) * chosen.least * dot for name in names]  # of letters on average, and a handle
    for n_rows in range(1, len(names)):
        columns = [max(widths[i : i + n_rows]) for i in range(0, len(widths), n_rows)]
        if sum(columns) <= room:
            return len(columns)
    return 1


def _hides(ax: Axes, legend: Legend) -> bool:
    """Return whether what a legend says lies over a line, or beyond its panel."""
    panel, size = ax.get_window_extent(), legend.prop.get_size_in_points()
    rim = 0 if legend.get_frame_on() else legend.borderpad * size * ax.figure.dpi / 72  # nothing is seen there
    box = legend.get_window_extent().padded(-rim)
    if box.x0 < panel.x0 or box.x1 > panel.x1 or box.y0 < panel.y0 or box.y1 > panel.y1:
        return True
    paths = [(line.get_xydata(), line.get_transform(), line.get_linestyle() != "None") for line in ax.get_lines()]
    for bars in ax.collections:
        if isinstance(bars, LineCollection):
            paths += [(segment, bars.get_transform(), True) for segment in bars.get_segments()]
    return any(_crosses(*path, box) for path in paths)


def _crosses(data: Any, transform: Any, is_joined: bool, box: Bbox) -> bool:
    """Return whether a line has a point in a box, of 50 between each two of its own."""
    points = transform.transform(np.asarray(data, float).reshape(-1, 2))
    points = points[np.isfinite(points).all(1)]
    if len(points) > 1 and is_joined:
        steps = np.linspace(0, 1, 50, endpoint=False)[:, None, None]
        points = np.concatenate([(points[:-1] + steps * np.diff(points, axis=0)).reshape(-1, 2), points[-1:]])
    x, y = points.T if len(points) else np.empty((2, 0))
    return bool(((box.x0 <= x) & (x <= box.x1) & (box.y0 <= y) & (y <= box.y1)).any())
