"""Places on curves over seeds: peaks, dips, crossings, powers, without the bias of choosing and measuring at once."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import xarray as xr


def cross_fitted(curve: xr.DataArray, along: str, better: str = "max") -> xr.DataArray:
    """Return a curve's peak for each seed, without the bias of choosing and measuring on the same seeds.

    The place is chosen by the mean over one half of the seeds and read from the other half, both ways.

    Args:
        curve: has the dimensions `seed` and `along`.
        along: the dimension with the peak.
        better: "max" or "min".

    Raises:
        ValueError: with fewer than two seeds.
    """

    def measure(chosen_on: xr.DataArray, read_on: xr.DataArray) -> xr.DataArray:
        place = chosen_on.argmax(along) if better == "max" else chosen_on.argmin(along)
        return read_on.isel({along: place}).drop_vars(along, errors="ignore")

    return cross_fit(curve, measure)


def cross_fit(curve: xr.DataArray, measure: Callable) -> Any:
    """Return `measure(mean over one half of the seeds, the other half)`, both ways.

    Args:
        curve: has the dimension `seed`.
        measure: (means to choose by, values to read) → values over `seed`.

    Raises:
        ValueError: with fewer than two seeds.
    """
    if curve.sizes["seed"] < 2:
        raise ValueError("a cross-fitted peak needs at least two seeds")
    halves = [curve.isel(seed=slice(start, None, 2)) for start in (0, 1)]
    parts = [measure(chosen_on.mean("seed"), read_on) for chosen_on, read_on in (halves, halves[::-1])]
    return xr.concat(parts, "seed").sortby("seed")


class Rise(NamedTuple):
    """The places of the dip and of the peak after it, on a curve that falls, rises and falls again."""

    dip: int
    peak: int


def greatest_rise(values) -> Rise:
    """Return the two places between which `values (n,)` rise most (or, if they only fall, fall least).

    Raises:
        ValueError: with fewer than two values.

    >>> greatest_rise([9, 4, 5, 7, 1, 2])
    Rise(dip=1, peak=3)
    """
    values = np.asarray(values, float)
    if len(values) < 2:
        raise ValueError(f"{len(values)} value(s): a rise needs at least two")
    peak = 1 + int((values[1:] - np.minimum.accumulate(values)[:-1]).argmax())
    return Rise(int(values[:peak].argmin()), peak)


def cross_fitted_rise(curve: xr.DataArray, along: str) -> xr.Dataset:
    """Return the heights of a curve's `dip`, of the `peak` after it and of its `end`, for each seed.

    Dip and peak are the greatest rise of the mean over one half of the seeds, read from the other half, both ways: on
    a curve that does not rise, peak − dip has no upward bias.

    Args:
        curve: has the dimensions `seed` and `along`, and no missing values.
        along: the dimension with dip and peak.

    Raises:
        ValueError: with fewer than two seeds.
    """

    def measure(chosen_on: xr.DataArray, read_on: xr.DataArray) -> xr.Dataset:
        rise = greatest_rise(chosen_on)
        places = {"dip": rise.dip, "peak": rise.peak, "end": -1}
        return xr.Dataset({name: read_on.isel({along: i}, drop=True) for name, i in places.items()})

    return cross_fit(curve, measure)


def peak_place(x, values, least: float = 0.0) -> float:
    """Return the place of an interior peak of `values (n,)` on the positive axis `x (n,)`; NaN if there is none.

    It is the vertex of the parabola in log x through the upper end of the greatest rise and its two neighbours. The
    rise before an interior peak and the fall after it must exceed the share `least` of the value at the dip.

    >>> round(peak_place([1, 2, 4, 8, 16], [5, 3, 9, 3, 2]), 2)
    4.0
    """
    values = np.asarray(values, float)
    if len(values) < 3 or not np.isfinite(values).all():
        return math.nan
    dip, peak = greatest_rise(values)
    needed = least * abs(values[dip])
    if peak == len(values) - 1 or min(values[peak] - values[dip], values[peak] - values[peak:].min()) <= needed:
        return math.nan
    t = np.log(np.asarray(x, float)[peak - 1 : peak + 2])
    curvature, slope, _ = np.polyfit(t - t[1], values[peak - 1 : peak + 2], 2)
    vertex = t[1] - slope / (2 * curvature) if curvature < 0 else t[1]
    return float(np.exp(np.clip(vertex, t[0], t[2])))


def lowest_place(x, values) -> float:
    """Return where `values (n,)` are lowest on the ascending positive axis `x (n,)`.

    It is the vertex of the parabola in log x through the lowest point and its neighbours, or that point at an end.

    >>> round(lowest_place([1, 2, 4, 8], [3, 1, 1, 3]), 3)
    2.828
    """
    values, t = np.asarray(values, float), np.log(np.asarray(x, float))
    lowest = int(np.nanargmin(values))
    around = slice(max(lowest - 1, 0), lowest + 2)
    if len(values[around]) < 3:
        return float(np.exp(t[lowest]))
    curvature, slope, _ = np.polyfit(t[around] - t[lowest], values[around], 2)
    return float(np.exp(t[lowest] - slope / (2 * curvature) if curvature > 0 else t[lowest]))


def crossing(x, values, level: float) -> float:
    """Return where `values (n,)` first fall below `level` on the positive axis `x (n,)`, interpolated in log x.

    Returns NaN if they never do, or if they are below from the start, since the place then lies outside `x`.

    >>> round(crossing([1, 2, 4], [3.0, 2.0, 0.0], 1.0), 3)
    2.828
    """
    values = np.asarray(values, float)
    below = np.flatnonzero(values < level)
    if not below.size or below[0] == 0:
        return math.nan
    t, i = np.log(np.asarray(x, float)), int(below[0])
    share = (values[i - 1] - level) / (values[i - 1] - values[i])
    return float(np.exp(t[i - 1] + share * (t[i] - t[i - 1])))


def exponents(y, **factors) -> dict[str, float]:
    """Return the powers of the `factors` by which the positive `y (n,)` grow: least squares of log y on their logs.

    Returns NaN if a value of `y` is missing, since the rest would describe a narrower design.

    >>> {name: round(power, 3) for name, power in exponents([2, 4, 6, 12], n=[1, 2, 1, 2], k=[1, 1, 3, 3]).items()}
    {'n': 1.0, 'k': 1.0}
    """
    logs = [np.log(np.asarray(factor, float)) for factor in factors.values()]
    design = np.column_stack([np.ones(len(y)), *logs])
    if not np.isfinite(np.asarray(y, float)).all():
        return dict.fromkeys(factors, math.nan)
    solution = np.linalg.lstsq(design, np.log(np.asarray(y, float)), rcond=None)[0]
    return dict(zip(factors, map(float, solution[1:]), strict=True))
