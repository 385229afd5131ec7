"""Plot lines and heat maps of any results, by the names of their dimensions."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from flylab.base.units import axis
from flylab.reporting.figures import bands_of, finish
from flylab.results.plots import COLOURS, band, style
from flylab.results.styles import STYLES

MOST_LINES = len(COLOURS)


def chart(
    results: xr.Dataset,
    value: str,
    x: str,
    *,
    y: str | None = None,
    lines: str | None = None,
    panels: str | None = None,
    at: Mapping[str, Any] | None = None,
) -> Figure:
    """Plot `value` against `x`: lines with bands over seeds, or with `y` a heat map of means over seeds.

    Args:
        results: results of a sweep or a study.
        value: the variable to plot.
        x: the dimension of the horizontal axis.
        y: the dimension of the vertical axis, for a heat map.
        lines: a dimension with a line for each of its values.
        panels: a dimension with a panel for each of its values.
        at: values of the other dimensions; by default the last `step`.

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
    if lines is not None and array.sizes[lines] > MOST_LINES:
        raise ValueError(
            f"lines={lines} has {array.sizes[lines]} values, but there are {MOST_LINES} colours; choose one by at"
        )
    shown = array[panels].values.tolist() if panels is not None else [None]
    with style():
        n_columns = min(3, len(shown))
        n_rows = math.ceil(len(shown) / n_columns)
        figure = Figure(figsize=(1.5 + 4.5 * n_columns, 0.6 + 3.4 * n_rows))
        axes = figure.subplots(n_rows, n_columns, squeeze=False, sharex=True, sharey=True).ravel()
        scale = float(array.mean("seed").min()), float(array.mean("seed").max())
        for ax, panel in zip(axes, shown, strict=False):
            part = array if panel is None else array.sel({panels: panel}, drop=True)
            (_lines if y is None else _heat)(ax, part, x, lines if y is None else y, scale)
            if panel is not None:
                ax.set_title(f"{axis(array[panels])} {panel}")
        for ax in axes[len(shown) :]:
            ax.remove()
        if y is not None:
            label = f"{axis(array)}, mean over seeds"
            figure.colorbar(axes[0].collections[0], ax=list(axes[: len(shown)]), label=label)
        elif lines is not None:
            axes[0].legend(title=axis(array[lines]))
    n_seeds = array.sizes["seed"]
    finish(figure, STYLES["web"], bands_of(n_seeds) if y is None else f"mean over n = {n_seeds} seeds")
    return figure


def _cut(array: xr.DataArray, at: dict[str, Any], used: list[str]) -> xr.DataArray:
    for name, text in at.items():
        if name not in array.dims or name in used:
            known_dims = ", ".join(str(dim) for dim in array.dims if dim not in used)
            raise ValueError(f"at {name}={text}: there is no dimension {name} to choose from; there are {known_dims}")
        known = {str(value): value for value in array[name].values.tolist()}
        if str(text) not in known:
            raise ValueError(f"{name}={text} must be one of {', '.join(known)}")
        array = array.sel({name: known[str(text)]}, drop=True)
    if "step" in array.dims and "step" not in used:
        attrs, array = array.attrs, array.isel(step=-1, drop=True)
        array.attrs = attrs
    for name in array.dims:
        if name != "seed" and name not in used:
            if array.sizes[name] > 1:
                values = ", ".join(map(str, array[name].values.tolist()[:8]))
                raise ValueError(
                    f"{name} needs a value: give at {name}=VALUE ({values}), or use it as x, lines or panels"
                )
            array = array.isel({name: 0}, drop=True)
    return array if "seed" in array.dims else array.expand_dims("seed")


def _lines(ax: Any, array: xr.DataArray, x: str, lines: str | None, _: Any) -> None:
    for value in array[lines].values.tolist() if lines is not None else [None]:
        curve = array if value is None else array.sel({lines: value}, drop=True)
        curve = curve.dropna(x, how="all")
        if curve.sizes[x]:
            band(ax, curve, label="" if value is None else f"{value}", marker="o", markersize=3)
    if _is_log(array[x].values):
        ax.set_xscale("log")


def _heat(ax: Any, array: xr.DataArray, x: str, y: str | None, scale: tuple[float, float]) -> None:
    means = array.mean("seed").transpose(y, x)
    ax.pcolormesh(
        np.arange(means.sizes[x] + 1), np.arange(means.sizes[y] + 1), means.values, vmin=scale[0], vmax=scale[1]
    )
    for set_, set_label, name in ((ax.set_xticks, ax.set_xlabel, x), (ax.set_yticks, ax.set_ylabel, y)):
        values = means[name].values.tolist()
        every = math.ceil(len(values) / 10)
        texts = [f"{value:.3g}" if isinstance(value, float) else str(value) for value in values]
        set_(np.arange(len(values))[::every] + 0.5, texts[::every])
        set_label(axis(means[name]))
    ax.grid(False)


def _is_log(values: np.ndarray) -> bool:
    """Return whether positive numbers span so wide a range that a linear axis would hide most of them."""
    return values.dtype.kind in "if" and len(values) > 2 and values.min() > 0 and values.max() / values.min() > 20
