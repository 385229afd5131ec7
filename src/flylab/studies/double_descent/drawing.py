"""Error against width as the paper draws it, then noise, losses, examples, steps, and thresholds."""

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from flylab.results.plots import COLOURS, band, bar_lengths, panels, plain_ticks, published_values, style
from flylab.results.statistics import Interval, interval
from flylab.results.styles import shades
from flylab.studies.double_descent import published
from flylab.studies.double_descent.measures import by_examples, curve, networks, peak_width, present, sizes
from flylab.studies.double_descent.method import CHANNELS, CNN, DOSES, THRESHOLDS, TREATMENTS, WIDTHS
from flylab.studies.double_descent.thresholds import LAWS, threshold

PUBLISHED = ("mlp-clean", "mlp-noise", "cnn-noise")
_NOTE: Any = {"fontsize": 8}
_WIDTH_TICKS = (5, 10, 20, 50, 100, 200)


@style()
def figure(results: xr.Dataset) -> Figure:
    """Plot the paper's panels and those of the other arms, as far as the results have them."""
    parts: dict[str, Callable[[Axes, xr.Dataset], None]] = {}
    for treatment in present(results, PUBLISHED):
        parts[TREATMENTS[treatment].title] = functools.partial(_as_published, treatment=treatment)
    if len(present(results, [*DOSES.values()])) > 2:
        parts["More noise"] = _against_dose
    if len(present(results, ("mlp-noise", "mlp-mse"))) == 2:
        parts["Two losses, label noise"] = _two_losses
    if _sampled(results):
        parts["More data, label noise"] = _against_examples
    if "mlp-noise" in results.treatment:
        parts["More steps, label noise"] = _against_steps
    if present(results, THRESHOLDS):
        parts |= {"Threshold and classes": _against_classes, "Threshold and examples": _threshold_against_examples}
    n_rows = -(-len(parts) // 3)
    drawn, axes = panels(*parts, size=(8.6, 2.9 * n_rows), n_rows=n_rows)
    for ax, part in zip(axes, parts.values(), strict=True):
        part(ax, results)
    return drawn


def _as_published(ax: Axes, results: xr.Dataset, treatment: str) -> None:
    """Plot errors on the paper's linear axes, over the values that the notebook prints, and its line of label noise."""
    is_cnn = TREATMENTS[treatment].network is CNN
    for part, colour, errors in (
        ("test", COLOURS[0], published.TEST_ERRORS),
        ("train", COLOURS[1], published.TRAIN_ERRORS),
    ):
        band(ax, curve(results, treatment, f"{part}_error"), label=f"{part} set", color=colour, linewidth=1.4)
        published_values(ax, errors[treatment], CHANNELS if is_cnn else WIDTHS, source="nb", color=colour, label="")
    published_values(ax, [], [], source="nb")
    if treatment != "mlp-clean":
        ax.axhline(15, color="0.4", linestyle=":", linewidth=1.2, label="15 % label noise")
    unit, most = ("channels", 100) if is_cnn else ("hidden units", 300)
    ax.set(xlim=(0, most), ylim=(0, 70), xlabel=f"width ({unit})", ylabel="error (%)")
    ax.legend(**_NOTE)


def _test_errors(ax: Axes, curves: dict[str, xr.DataArray], colours: Sequence[str] = COLOURS) -> None:
    for (name, errors), colour in zip(curves.items(), itertools.cycle(colours), strict=False):
        band(ax, errors, label=name, color=colour, linewidth=1.4)
    ax.set(xscale="log", ylabel="test error (%)")
    plain_ticks(ax, _WIDTH_TICKS)
    ax.legend(ncols=1 + (len(curves) > 3), **_NOTE)


def _against_dose(ax: Axes, results: xr.Dataset) -> None:
    doses = {dose: treatment for dose, treatment in DOSES.items() if treatment in results.treatment}
    _test_errors(ax, {f"{dose} %": curve(results, treatment) for dose, treatment in doses.items()}, shades(len(doses)))
    low, high = ax.get_ylim()
    ax.set(xlabel="width (hidden units)", ylim=(low, high + 0.3 * (high - low)))  # room for the legend


def _two_losses(ax: Axes, results: xr.Dataset) -> None:
    names = {"cross-entropy": "mlp-noise", "squared error": "mlp-mse"}
    _test_errors(ax, {name: curve(results, treatment) for name, treatment in names.items()})
    ax.set(xlabel="width (hidden units)")


def _sampled(results: xr.Dataset) -> list[str]:
    return [name for name in present(results, ("mlp-noise", "mlp-noise-30")) if len(sizes(results, name)) > 1]


def _against_examples(ax: Axes, results: xr.Dataset) -> None:
    n_trains: list[int] = []
    for treatment, dashes in zip(_sampled(results), ("-", "--"), strict=False):
        errors = by_examples(results, treatment)
        n_trains = errors.n_train.values.tolist()
        for width, colour in zip(errors.width.values, shades(errors.sizes["width"]), strict=True):
            label = f"{width} hidden units" if dashes == "-" else ""
            band(ax, errors.sel(width=width, drop=True), label=label, color=colour, linestyle=dashes, linewidth=1.4)
    if len(_sampled(results)) > 1:
        ax.plot([], [], color="0.4", linestyle="--", label="30 % label noise")
    ax.set(xscale="log", ylabel="test error (%)")
    plain_ticks(ax, n_trains)
    ax.legend(**_NOTE)


def _against_steps(ax: Axes, results: xr.Dataset) -> None:
    """Plot test errors at the width of the peak, and at the least and the greatest one."""
    history = networks(results, "mlp-noise").test_error.isel(step=slice(1, None))
    peak = float(peak_width(results, "mlp-noise").median()) if history.sizes["width"] > 1 else 0
    places = (0, int(abs(history.width - peak).argmin("width")), -1)
    widths = sorted({int(history.width[place]) for place in places})
    errors = {f"{width} hidden units": history.sel(width=width, drop=True) for width in widths}
    _test_errors(ax, errors, shades(len(widths)))
    plain_ticks(ax, [10**power for power in range(1, 6) if history.step[0] <= 10**power <= history.step[-1]])


def _arms(results: xr.Dataset) -> list[tuple[str, str, dict]]:
    """Return treatment, title and look of the arms whose thresholds are measured: colour by loss, marker by labels."""
    looks = {"nll": {"color": COLOURS[0]}, "mse": {"color": COLOURS[1]}}
    ways = {
        "random": {"marker": "o", "linestyle": "-"},
        "merged": {"marker": "s", "linestyle": "--", "markerfacecolor": "white"},
    }
    arms = [(treatment, *treatment.split("-")) for treatment in present(results, THRESHOLDS)]
    return [(treatment, TREATMENTS[treatment].title, looks[loss] | ways[way]) for treatment, way, loss in arms]


def _geometric(ax: Axes, x: Sequence[float], values: np.ndarray, **look) -> None:
    """Plot geometric means over the first axis with their intervals, where each seed has a value."""
    kept = ~np.isnan(values).any(0)
    logs = [interval(np.log(column)) for column in values[:, kept].T]
    means = [Interval(np.exp(log.mean), np.exp(log.low), np.exp(log.high), log.n) for log in logs]
    ax.errorbar(
        np.asarray(x)[kept], [value.mean for value in means], bar_lengths(means), capsize=3, markersize=4, **look
    )


def _thresholds(ax: Axes, x: Sequence[float], xlabel: str, ylabel: str) -> None:
    ax.set(xscale="log", yscale="log", xlabel=xlabel, ylabel=ylabel)
    plain_ticks(ax, x)
    ax.yaxis.set(major_locator=LogLocator(10, (1, 2, 5)), major_formatter="{x:g}", minor_locator=NullLocator())


def _law(ax: Axes, x: Sequence[float], y: Sequence[float], name: str) -> None:
    ax.plot(x, y, color="0.5", linestyle=":", linewidth=1.2)
    ax.annotate(name, (x[-1], y[-1]), xytext=(2, 0), textcoords="offset points", color="0.35", va="center", **_NOTE)


def _against_classes(ax: Axes, results: xr.Dataset) -> None:
    n_outputs: list[int] = []
    for treatment, title, look in _arms(results):
        places = threshold(results, treatment)
        n_train = places.n_train.to_series().mode().iloc[0]  # where the number of classes varies
        places = places.isel(setting=(places.n_train == n_train).values).sortby("n_outputs")
        n_outputs = places.n_outputs.values.tolist()
        _geometric(ax, n_outputs, places.values / n_train, label=title, **look)
    for name, law in LAWS.items():
        _law(ax, n_outputs, [float(law(1, n)) for n in n_outputs], name)
    _thresholds(ax, n_outputs, "classes K", "threshold (parameters / n)")
    ax.set_ylim(top=8 * ax.get_ylim()[1])  # room for the legend
    ax.legend(fontsize=7, loc="upper left")


def _threshold_against_examples(ax: Axes, results: xr.Dataset) -> None:
    n_trains, most = [], 1
    for treatment, title, look in _arms(results):
        places = threshold(results, treatment)
        most = int(places.n_outputs.max())
        places = places.isel(setting=(places.n_outputs == most).values).sortby("n_train")
        n_trains = places.n_train.values.tolist()
        _geometric(ax, n_trains, places.values, label=title, **look)
    for name, law in LAWS.items():
        _law(ax, n_trains, [float(law(n, most)) for n in n_trains], name)
    _thresholds(ax, n_trains, f"training examples n, of K = {most} classes", "threshold (parameters)")
