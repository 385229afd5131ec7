"""Error against width, steps and examples, and thresholds."""

import functools
import itertools
from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flylab.results.plots import COLOURS, band, bar_lengths, plain_ticks, style
from flylab.results.statistics import (
    Interval,
    interval,
)
from flylab.studies.double_descent.measures import (
    curve,
    networks,
    power,
    present,
    sizes,
    text,
    threshold,
    zero_width,
)
from flylab.studies.double_descent.method import (
    CNN,
    CURVES,
    THRESHOLDS,
    TREATMENTS,
)


@style()
def figure(results: xr.Dataset) -> Figure:
    """Plot error against width, steps and examples, and the thresholds, as far as the results have them."""
    mlps, cnns = (present(results, CURVES[:3]), present(results, CURVES[3:]))
    parts = [functools.partial(_against_width, treatments=treatments) for treatments in (mlps, cnns) if treatments]
    if "mlp-noise" in mlps:
        parts.append(functools.partial(_against_steps, treatments=present(results, CURVES[:2])))
        parts += [_against_examples] if len(sizes(results, "mlp-noise")) > 1 else []
    parts += [functools.partial(_thresholds, treatment=treatment) for treatment in present(results, THRESHOLDS)]
    n_columns = 2 if len(parts) <= 4 else 3
    n_rows = -(-len(parts) // n_columns)
    drawn = Figure(figsize=(5.2 * n_columns, 4.1 * n_rows))
    axes = drawn.subplots(n_rows, n_columns, squeeze=False).ravel()
    for part, ax in itertools.zip_longest(parts, axes):
        ax.set_axis_off() if part is None else part(ax, results)
    return drawn


def _against_width(ax: Axes, results: xr.Dataset, treatments: Sequence[str]) -> None:
    for treatment, colour in zip(treatments, COLOURS, strict=False):
        band(ax, curve(results, treatment), label=TREATMENTS[treatment].title, color=colour, linewidth=1.6)
        band(ax, curve(results, treatment, "train_error"), color=colour, linestyle="--", linewidth=1.1)
        zero = zero_width(results, treatment)
        if zero.notnull().all():
            ax.axvline(float(np.exp(np.log(zero).mean())), color=colour, linestyle=":", linewidth=1.2)
    ax.plot([], [], color="0.4", linestyle="--", linewidth=1.1, label="training error")
    ax.axvline(np.nan, color="0.4", linestyle=":", label="training error < 1 %")
    unit = "channels" if TREATMENTS[treatments[0]].network is CNN else "hidden units"
    name = TREATMENTS[treatments[0]].title.partition(",")[0]
    ax.set(xscale="log", ylim=(0, None), xlabel=f"width ({unit})", ylabel="error (%)")
    ax.set_title(f"{name}: error against width")
    plain_ticks(ax)
    ax.legend(fontsize=8)


def _against_steps(ax: Axes, results: xr.Dataset, treatments: Sequence[str]) -> None:
    """Plot errors at the least width whose mean training error with label noise is below 1 %, or else the greatest."""
    errors = curve(results, treatments[0], "train_error").mean("seed")
    fits = errors.width.values[errors.values < 1]
    width = fits[0] if fits.size else errors.width.values[-1]
    for treatment, colour in zip(treatments, COLOURS, strict=False):
        history = networks(results, treatment).isel(step=slice(1, None))
        if width in history.width:
            history = history.sel(width=width)
            band(ax, history.test_error, label=TREATMENTS[treatment].title, color=colour, linewidth=1.6)
            band(ax, history.train_error, color=colour, linestyle="--", linewidth=1.1)
    ax.plot([], [], color="0.4", linestyle="--", linewidth=1.1, label="training error")
    ax.set(xscale="log", ylim=(0, None), ylabel="error (%)", title=f"MLP of {width} hidden units: error against steps")
    ax.legend(fontsize=8)


def _against_examples(ax: Axes, results: xr.Dataset) -> None:
    n_trains = sizes(results, "mlp-noise")
    curves = xr.concat([curve(results, "mlp-noise", n_train=n) for n in n_trains], "n_train", join="inner")
    curves = curves.assign_coords(n_train=("n_train", n_trains, results.n_train.attrs))
    for width, colour in zip(curves.width.values, itertools.cycle(COLOURS)):
        band(ax, curves.sel(width=width), label=str(width), color=colour, linewidth=1.6)
    ax.set(xscale="log", title="MLP, label noise: error against examples")
    plain_ticks(ax, n_trains)
    ax.legend(fontsize=8, title="hidden units", title_fontsize=8, ncols=2)


def _thresholds(ax: Axes, results: xr.Dataset, treatment: str) -> None:
    """Plot geometric means of the thresholds by the peak, where each seed has one, and the essay's law (dashed)."""
    places, law = threshold(results, treatment, "peak"), "n·K" if treatment.endswith("mse") else "n"
    for n_outputs, colour in zip(places.n_outputs.values, COLOURS, strict=False):
        reached = places.sel(n_outputs=n_outputs).transpose("n_train", "seed").dropna("n_train")
        logs = [interval(np.log(row)) for row in reached.values]
        means = [Interval(np.exp(log.mean), np.exp(log.low), np.exp(log.high), log.n) for log in logs]
        ax.errorbar(reached.n_train, [value.mean for value in means], bar_lengths(means), fmt="o-", color=colour,
                    capsize=3, label=f"{n_outputs} outputs")  # fmt: skip
        expected = places.n_train * (n_outputs if law == "n·K" else 1)
        ax.plot(places.n_train, expected, color=colour if law == "n·K" else "0.4", linestyle="--", linewidth=1)
    ax.plot([], [], color="0.4", linestyle="--", linewidth=1, label=f"{law} parameters")
    powers = [text(power(results, treatment, "peak", of), 2) for of in ("n_train", "n_outputs")]
    title = TREATMENTS[treatment].title[0].upper() + TREATMENTS[treatment].title[1:]
    ax.set(xscale="log", yscale="log", title=f"{title}\npower of n {powers[0]}, of K {powers[1]}")
    ax.set(xlabel="training examples n", ylabel="threshold (parameters)")
    plain_ticks(ax, places.n_train.values.tolist())
    ax.legend(fontsize=8)
