"""Means over seeds with their intervals, published values, and figures of the data."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, LogLocator, NullLocator

from flylab.base.units import axis
from flylab.data.mnist1d import MNIST1D
from flylab.data.published import published, stages
from flylab.results.digits import numbers
from flylab.results.statistics import Interval, interval
from flylab.results.styles import COLOURS, MARKERS, shades, style

SOURCES = {"paper": ("D", "-."), "blog": ("s", (0, (6, 2, 1, 2, 1, 2))), "nb": ("x", (0, (1, 1))),
           "nb-old": ("+", (0, (1, 3)))}  # marks and lines of published values  # fmt: skip


def band(ax: Axes, curve: xr.DataArray, *, dim: str = "seed", label: str = "", **line: Any) -> None:
    """Plot the mean over `dim` as a line and its 95 % interval as a band, against the other dimension.

    Args:
        ax: the axes.
        curve: has `dim` and one more dimension; its attributes give the axis labels.
        dim: the dimension to average over.
        label: the line's label in the legend.
        line: further arguments of `Axes.plot`.
    """
    (along,) = (name for name in curve.dims if name != dim)
    columns = curve.transpose(dim, along).values
    has_values = ~np.isnan(columns).all(1)
    columns = columns[has_values if has_values.any() else slice(1)]  # without any values nothing is seen
    intervals = [interval(column) for column in columns.T]
    x = curve[along].values
    (drawn,) = ax.plot(x, [value.mean for value in intervals], label=label, **_marked(line, len(x)))
    low, high = ([getattr(value, side) for value in intervals] for side in ("low", "high"))
    ax.fill_between(x, low, high, color=drawn.get_color(), alpha=0.2, linewidth=0)
    ax.set_xlabel(axis(curve[along]))
    ax.set_ylabel(axis(curve))


def _marked(line: dict[str, Any], n: int) -> dict[str, Any]:
    """Return a line's look with the marker of its colour at about six of its `n` points, if it has no marker."""
    if line.get("color") not in MARKERS:
        return line
    every = max(1, n // 6)
    start = list(MARKERS).index(line["color"]) * every // len(MARKERS)  # lines that meet do not hide others' markers
    look = {"marker": MARKERS[line["color"]], "markersize": 0.8 * mpl.rcParams["lines.markersize"]}
    return look | {"markevery": (start, every)} | line


def dots(ax: Axes, values: Any, at: Any, *, horizontal: bool = False, **line: Any) -> list[Interval]:
    """Plot means over seeds as dots with their 95 % intervals, and return the intervals.

    Args:
        ax: the axes.
        values: `(n_seeds,)` for one dot, or `(n_dots, n_seeds)`.
        at: each dot's position on the other axis.
        horizontal: whether values lie along the x axis.
        line: further arguments of `Axes.errorbar`.
    """
    intervals = [interval(row) for row in np.atleast_2d(values)]
    means, positions = [value.mean for value in intervals], np.atleast_1d(at)
    x, y = (means, positions) if horizontal else (positions, means)
    lengths = {"xerr" if horizontal else "yerr": bar_lengths(intervals)}
    ax.errorbar(x, y, **lengths, **{"fmt": MARKERS.get(line.get("color"), "o"), "capsize": 3} | line)
    return intervals


def bar_lengths(intervals: Sequence[Interval]) -> np.ndarray | None:
    """Return the lengths of error bars below and above each mean, `(2, n)`; None if there is a single seed."""
    lengths = np.array([(value.mean - value.low, value.high - value.mean) for value in intervals]).reshape(-1, 2).T
    return None if np.isnan(lengths).any() else lengths


def published_values(ax: Axes, values: Any, at: Any = None, *, source: str = "paper", spread: Any = None,
                     horizontal: bool = False, joined: bool = False, color: str = "black",
                     label: str | None = None) -> None:  # fmt: skip
    """Plot published values the same way in every figure: marks of their source, or lines across the panel.

    Args:
        ax: the axes.
        values: the values, in the unit of the axis.
        at: each value's position on the other axis; None for lines across the panel.
        source: "paper", "blog", "nb" or "nb-old"; each has its mark.
        spread: what the source prints after ±; it becomes a bar, or a band around a line.
        horizontal: whether values lie along the x axis.
        joined: whether a line joins the marks.
        color: black, unless colours tell published series apart.
        label: text in the legend, which has it once; by default it names the source.

    >>> _, (ax,) = panels("", size=(3, 2))
    >>> published_values(ax, [94, 68], [0, 1], spread=[2, 2], horizontal=True)
    >>> published_values(ax, 0.62, source="nb")
    >>> sorted(ax.get_legend_handles_labels()[1])
    ['published (nb)', 'published (paper)']
    """
    label = f"published ({source})" if label is None else label
    if label in ax.get_legend_handles_labels()[1]:
        label = ""
    values = np.atleast_1d(values)
    look: dict[str, Any] = {"color": color, "linewidth": 1, "zorder": 4}
    if at is None:
        across, around = (ax.axvline, ax.axvspan) if horizontal else (ax.axhline, ax.axhspan)
        for i, value in enumerate(values):
            across(value, linestyle=SOURCES[source][1], label="" if i else label, **look)
        for value, reach in zip(values, np.broadcast_to(0 if spread is None else spread, values.shape), strict=True):
            if reach:
                around(value - reach, value + reach, color=color, alpha=0.08, linewidth=0)
        return
    x, y = (values, np.atleast_1d(at)) if horizontal else (np.atleast_1d(at), values)
    bars = {"xerr" if horizontal else "yerr": spread}
    ax.errorbar(x, y, **bars, label=label, fmt=SOURCES[source][0] + ":" * joined, markersize=4.5, capsize=2,
                markerfacecolor="none", **look)  # fmt: skip


def plain_ticks(ax: Axes, at: Sequence[float] | None = None) -> None:
    """Label a logarithmic x axis with plain numbers: 1, 3, 10, 30, …, or those in `at`."""
    ax.xaxis.set_major_locator(LogLocator(10, (1, 3)) if at is None else FixedLocator(at))
    ax.xaxis.set_major_formatter("{x:g}" if at is None else FixedFormatter(numbers(list(map(float, at)))))
    ax.xaxis.set_minor_locator(NullLocator())


def panels(*titles: str, size: tuple[float, float], n_rows: int = 1, **grid: Any) -> tuple[Figure, list[Axes]]:
    """Return a figure and its axes, one for each title, row by row.

    Args:
        titles: the titles of the axes.
        size: width and height of the figure in inches.
        n_rows: number of rows.
        grid: further arguments of `Figure.subplots`, e.g. `width_ratios`.
    """
    figure = Figure(figsize=size)
    axes = figure.subplots(n_rows, -(-len(titles) // n_rows), squeeze=False, **grid).ravel().tolist()
    for ax, title in zip(axes, titles, strict=False):
        ax.set_title(title)
    for ax in axes[len(titles) :]:
        ax.set_axis_off()
    return figure, axes[: len(titles)]


def hues(labels: Sequence[Any]) -> dict[Any, str]:
    """Return a colour for each label: `COLOURS` for names, `shades` from the lowest to the highest for numbers.

    >>> hues(["mlp", "cnn"])["mlp"] == COLOURS[0], hues([100, 1, 10])[100] == shades(3)[-1]
    (True, True)
    """
    if all(isinstance(label, int | float) and not isinstance(label, bool) for label in labels):
        return dict(zip(sorted(labels), shades(len(labels)), strict=True))
    return dict(zip(labels, itertools.cycle(COLOURS), strict=False))


def curves(ax: Axes, values: xr.DataArray, hue: str, colours: Mapping[Any, Any] | None = None,
           name: Callable[[Any], str] | None = None, **line: Any) -> None:  # fmt: skip
    """Plot a curve with its band for each label of a dimension, see `band`.

    Args:
        ax: the axes.
        values: have `seed`, `hue` and one more dimension, the x axis.
        hue: the dimension whose labels are told apart by colour.
        colours: by label; by default those of `hues`.
        name: label → its text in the legend; by default as `numbers` writes it.
        line: further arguments of `Axes.plot`.
    """
    labels = values[hue].values.tolist()
    colours = hues(labels) if colours is None else colours
    for label, text in zip(labels, numbers(labels) if name is None else map(name, labels), strict=True):
        band(ax, values.sel({hue: label}, drop=True), label=text, **{"color": colours[label]} | line)


def points(ax: Axes, values: xr.DataArray, x: str, hue: str, colours: Mapping[Any, Any] | None = None,
           name: Callable[[Any], str] | None = None, **line: Any) -> None:  # fmt: skip
    """Plot means with intervals against a logarithmic axis, joined by lines, those of a place side by side.

    Args:
        ax: the axes.
        values: have `seed`, `hue` and `x`; places without values are left out.
        x: the dimension of the x axis.
        hue: the dimension whose labels are told apart by colour.
        colours: by label; by default those of `hues`.
        name: label → its text in the legend; by default as `numbers` writes it.
        line: further arguments of `Axes.errorbar`.
    """
    labels = values[hue].values.tolist()
    colours = hues(labels) if colours is None else colours
    texts = numbers(labels) if name is None else list(map(name, labels))
    for i, (label, text) in enumerate(zip(labels, texts, strict=True)):
        series = values.sel({hue: label}, drop=True).dropna(x, how="all").transpose(x, "seed").sortby(x)
        places = series[x].values * 1.03 ** (i - len(labels) / 2)
        look: dict[str, Any] = {"color": colours[label], "label": text, "capsize": 2, "markersize": 4} | line
        look = {"fmt": MARKERS.get(look["color"], "o") + "-"} | look
        dots(ax, series.values, places, **look)
    ax.set(xscale="log", xlabel=axis(values[x]), ylabel=axis(values))


def forest(ax: Axes, rows: Mapping[str, Any], *, colours: Sequence[Any] | None = None) -> None:
    """Plot a row for each name, from top to bottom: the mean over seeds and its interval.

    Args:
        ax: the axes.
        rows: values over seeds by the row's name.
        colours: of each row; by default all are grey.
    """
    for row, values in enumerate(rows.values()):
        dots(ax, values, row, horizontal=True, color="0.45" if colours is None else colours[row])
    ax.set(yticks=range(len(rows)), yticklabels=list(rows), ylim=(max(len(rows), 1) - 0.5, -0.5))


def data_figure(config: MNIST1D, n_each: int = 10) -> Figure:
    """Plot `n_each` examples of every class, and the six steps that make one example.

    Args:
        config: the data set.
        n_each: examples per class.
    """
    splits, templates = published(config), config.patterns
    steps = stages(config, config.seed)
    picked = min(3, config.n_classes - 1)
    with style():
        figure = Figure(figsize=(11, 2.4 + 1.0 * config.n_classes))
        halves: Any = figure.subfigures(2, 1, height_ratios=(2.4, config.n_classes))
        above, below = halves
        titles = ("template", "pad and stretch", "scale", "translate", "add noise", "shear", "resample")
        signals = (np.array(templates.x[picked]), *(stage[picked] for stage in steps))
        above.suptitle(
            f"Construction of an example of class {templates.y[picked]} (value against position)", fontsize=11
        )
        for ax, title, signal in zip(above.subplots(1, len(titles)), titles, signals, strict=True):
            ax.plot(signal, color=COLOURS[0], marker="." if len(signal) < 60 else "", markersize=3, linewidth=1.2)
            ax.set_title(title, fontsize=9)
            ax.tick_params(labelsize=7)
            ax.set_xlabel("position", fontsize=8)
        below.suptitle(f"{n_each} training examples of each class (standardised; one row for each class)", fontsize=11)
        x, y = splits.train
        for row, (axes, label) in enumerate(
            zip(below.subplots(config.n_classes, n_each, squeeze=False), templates.y, strict=True)
        ):
            for ax, signal in zip(axes, x[y == label][:n_each], strict=False):
                ax.plot(signal, color=COLOURS[row % len(COLOURS)], linewidth=1)
            for ax in axes:
                ax.set(xticks=[], yticks=[], ylim=(-4, 4))
                ax.grid(False)
            axes[0].set_ylabel(str(label), rotation=0, labelpad=10, va="center", fontsize=11)
    return figure
