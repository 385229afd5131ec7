"""Plot lines and heat maps of any results, by the names of their dimensions."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from flylab.base.units import axis
from flylab.reporting.figures import bands_of, chosen_style, finish
from flylab.results.digits import numbers, rounded
from flylab.results.plots import band, hues, style
from flylab.results.styles import COLOURS, readable_on

MOST_NAMES, MOST_NUMBERS = len(COLOURS), 12  # lines that can be told apart
ROOM = 0.9  # of a cell's width that its number may take


def chart(
    results: xr.Dataset,
    value: str,
    x: str,
    *,
    y: str | None = None,
    lines: str | None = None,
    panels: str | None = None,
    at: Mapping[str, Any] | None = None,
    width: str | float | None = None,
) -> Figure:
    """Plot `value` against `x`: lines with bands over seeds, or with `y` a heat map of means over seeds.

    Lines of numbers are coloured from light to dark, those of names by distinct colours. A heat map has its numbers in
    its cells, where they fit.

    Args:
        results: results of a sweep or a study.
        value: the variable to plot.
        x: the dimension of the horizontal axis.
        y: the dimension of the vertical axis, for a heat map.
        lines: a dimension with a line for each of its values.
        panels: a dimension with a panel for each of its values.
        at: values of the other dimensions; by default the last `step`.
        width: "full", "column" or inches, for paper, as in `flylab.figure`; by default the figure is for a screen.

    Raises:
        ValueError: for an unknown name, or if the value of a dimension is missing.
    """
    if value not in results.data_vars:
        raise ValueError(f"there is no {value!r} in the results; there are {', '.join(map(str, results.data_vars))}")
    array = results[value]
    if array.dtype.kind not in "iufb" or not array.size:
        raise ValueError(
            f"{value} is {array.dtype} of shape {array.shape} and cannot be plotted; choose another variable"
        )
    for name, role in ((x, "x"), (y, "y"), (lines, "lines"), (panels, "panels")):
        if name is not None and name not in array.dims:
            raise ValueError(f"{role}={name!r} must be a dimension of {value}: {', '.join(map(str, array.dims))}")
    used = [name for name in (x, y, lines, panels) if name is not None]
    if len(set(used)) < len(used):
        raise ValueError(f"x, y, lines and panels must be different dimensions, not {', '.join(used)}")
    array = _cut(array, dict(at or {}), used)
    is_sequence = lines is not None and array[lines].dtype.kind in "iuf"
    most = MOST_NUMBERS if is_sequence else MOST_NAMES
    if lines is not None and array.sizes[lines] > most:
        raise ValueError(
            f"lines={lines} has {array.sizes[lines]} values, but only {most} can be told apart; choose one by at"
        )
    chosen, inches = chosen_style("web", "full") if width is None else chosen_style("paper", width)
    shown = array[panels].values.tolist() if panels is not None else [None]
    with style(chosen):
        n_columns = min(3, len(shown))
        n_rows = math.ceil(len(shown) / n_columns)
        figure = Figure(figsize=(1.5 + 4.5 * n_columns, 0.6 + 3.4 * n_rows))
        axes = figure.subplots(n_rows, n_columns, squeeze=False, sharex=True, sharey=True).ravel()
        scale = float(array.mean("seed").min()), float(array.mean("seed").max())
        for ax, panel, text in zip(axes, shown, numbers(shown), strict=False):
            part = array if panel is None else array.sel({panels: panel}, drop=True)
            (_lines if y is None else _heat)(ax, part, x, lines if y is None else y, scale)
            if panel is not None:
                ax.set_title(f"{axis(array[panels])} {text}")
        for ax in axes[len(shown) :]:
            ax.remove()
        if y is not None:
            figure.colorbar(axes[0].collections[0], ax=list(axes[: len(shown)]), label=axis(array))
        elif lines is not None:
            axes[0].legend(title=axis(array[lines]))
    n_seeds = array.sizes["seed"]
    below = bands_of(n_seeds) if y is None else f"mean over n = {n_seeds} seeds"
    finish(figure, chosen, below, inches or figure.get_figwidth())
    if y is not None:
        _write_cells(figure, list(axes[: len(shown)]))
    return figure


def _cut(array: xr.DataArray, at: dict[str, Any], used: list[str]) -> xr.DataArray:
    for name, text in at.items():
        if name not in array.dims or name in used:
            known_dims = ", ".join(str(dim) for dim in array.dims if dim not in used)
            raise ValueError(f"at {name}={text}: there is no dimension {name} to choose from; there are {known_dims}")
        values = array[name].values.tolist()
        written = dict(zip(numbers(values), values, strict=True))  # as figures show them
        known = written | {str(value): value for value in values}
        if str(text) not in known:
            raise ValueError(f"{name}={text} must be one of {', '.join(written)}")
        array = array.sel({name: known[str(text)]}, drop=True)
    if "step" in array.dims and "step" not in used:
        attrs, array = array.attrs, array.isel(step=-1, drop=True)
        array.attrs = attrs
    for name in array.dims:
        if name != "seed" and name not in used:
            if array.sizes[name] > 1:
                values = ", ".join(numbers(array[name].values.tolist()[:8]))
                raise ValueError(
                    f"{name} needs a value: give at {name}=VALUE ({values}), or use it as x, lines or panels"
                )
            array = array.isel({name: 0}, drop=True)
    return array if "seed" in array.dims else array.expand_dims("seed")


def _lines(ax: Any, array: xr.DataArray, x: str, lines: str | None, _: Any) -> None:
    values = array[lines].values.tolist() if lines is not None else [None]
    colours = hues(values) if lines is not None else {None: COLOURS[0]}
    for value, text in zip(values, numbers(values), strict=True):
        curve = array if value is None else array.sel({lines: value}, drop=True)
        curve = curve.dropna(x, how="all")
        if curve.sizes[x]:
            band(ax, curve, label="" if value is None else text, color=colours[value], marker="o", markersize=3)
    if _is_log(array[x].values):
        ax.set_xscale("log")


def _heat(ax: Any, array: xr.DataArray, x: str, y: str | None, scale: tuple[float, float]) -> None:
    means = array.mean("seed").transpose(y, x)
    ax.pcolormesh(
        np.arange(means.sizes[x] + 1), np.arange(means.sizes[y] + 1), means.values, vmin=scale[0], vmax=scale[1]
    )
    for set_, set_label, name in ((ax.set_xticks, ax.set_xlabel, x), (ax.set_yticks, ax.set_ylabel, y)):
        texts = numbers(means[name].values.tolist())
        every = math.ceil(len(texts) / 10)
        set_(np.arange(len(texts))[::every] + 0.5, texts[::every])
        set_label(axis(means[name]))
    ax.grid(False)


def _write_cells(figure: Figure, axes: list[Any]) -> None:
    """Write the numbers of heat maps into their cells, with as many digits as fit; turn labels that are too wide."""
    figure.draw_without_rendering()
    meshes = [ax.collections[0] for ax in axes]
    for ax in axes:
        ticks = ax.xaxis.get_ticklabels()
        room = ax.get_window_extent().width / len(ticks)
        if any(text.get_window_extent().width > ROOM * room for text in ticks):
            ax.tick_params("x", labelrotation=90)
    figure.draw_without_rendering()
    for digits in (3, 2):
        written = [text for ax, mesh in zip(axes, meshes, strict=True) for text in _cells(ax, mesh, digits)]
        room = axes[0].transData.transform([[0, 0], [1, 1]])
        width, height = room[1] - room[0]
        boxes = [text.get_window_extent() for text in written]
        if all(box.width <= ROOM * width and box.height <= ROOM * height for box in boxes):
            return
        for text in written:
            text.remove()


def _cells(ax: Any, mesh: Any, digits: int) -> list[Any]:
    size = ax.xaxis.get_ticklabels()[0].get_fontsize()
    values = np.ma.masked_invalid(mesh.get_array()).reshape(mesh.get_array().shape)
    return [
        ax.text(j + 0.5, i + 0.5, rounded(float(value), digits), ha="center", va="center", fontsize=size,
                color=readable_on(mesh.to_rgba(value)))
        for (i, j), value in np.ma.ndenumerate(values)
    ]  # fmt: skip


def _is_log(values: np.ndarray) -> bool:
    """Return whether positive numbers span so wide a range that a linear axis would hide most of them."""
    return values.dtype.kind in "if" and len(values) > 2 and values.min() > 0 and values.max() / values.min() > 20
