"""Intervals over seeds, and how many seeds would settle a question. NumPy and SciPy only."""

import math
from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy import stats

MANY = 30  # seeds from which the bootstrap is trusted
N_RESAMPLES = 9999


class Interval(NamedTuple):
    """A mean over seeds with its confidence interval; the bounds are NaN where one seed allows none."""

    mean: float
    low: float
    high: float
    n: int


def interval(values, level: float = 0.95) -> Interval:
    """Confidence interval of the mean of `values (n_seeds,)`.

    Student's t below 30 values; from 30 on the studentised bootstrap (Efron & Tibshirani 1993, §12.5), which needs no
    normality; BCa undercovers at few seeds. Constant values give a point, one value no bounds.

    Raises:
        ValueError: if there are no values.

    >>> interval([1.0, 2.0, 3.0]).mean
    2.0
    """
    values = np.asarray(values, float)
    n = len(values)
    if n == 0:
        raise ValueError("no values: an interval needs at least one seed")
    mean = float(values.mean())
    if n == 1:
        return Interval(mean, math.nan, math.nan, 1)
    if np.ptp(values) == 0:
        return Interval(mean, mean, mean, n)
    error = float(values.std(ddof=1)) / math.sqrt(n)
    if n < MANY:
        reach = float(stats.t.ppf(0.5 + level / 2, n - 1)) * error
        return Interval(mean, mean - reach, mean + reach, n)
    lower, upper = np.quantile(_studentised(values), [0.5 - level / 2, 0.5 + level / 2])
    return Interval(mean, mean - float(upper) * error, mean - float(lower) * error, n)


def _studentised(values: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(0)  # the same results give the same interval
    n = len(values)
    resampled = values[rng.integers(n, size=(N_RESAMPLES, n))]
    errors = resampled.std(1, ddof=1) / math.sqrt(n)
    kept = errors > 0
    return (resampled.mean(1)[kept] - values.mean()) / errors[kept]


def seeds_needed(values, low: float, high: float, level: float = 0.95, at_most: int = 1_000_000) -> int | None:
    """How many more seeds would put the interval wholly inside or outside `low … high`, if mean and spread stay.

    None if more than `at_most` would be needed, or with fewer than two values.
    """
    values = np.asarray(values, float)
    if len(values) < 2:
        return None
    spread = float(values.std(ddof=1))
    distance = min(abs(float(values.mean()) - edge) for edge in (low, high) if math.isfinite(edge))

    def settled(n: int) -> bool:
        return float(stats.t.ppf(0.5 + level / 2, n - 1)) * spread / math.sqrt(n) < distance

    if not settled(at_most):
        return None
    below, enough = 1, at_most
    while enough - below > 1:
        middle = (below + enough) // 2
        below, enough = (below, middle) if settled(middle) else (middle, enough)
    return max(enough - len(values), 0)


def cross_fitted(curve: xr.DataArray, along: str, better: str = "max") -> xr.DataArray:
    """A curve's peak per seed, without the bias of choosing and measuring on the same seeds.

    The place is chosen by the mean over one half of the seeds and read from the other half, both ways.

    Args:
        curve: with dimensions `seed` and `along`.
        along: the dimension to choose a place on.
        better: "max" or "min".

    Raises:
        ValueError: with fewer than two seeds.
    """
    n = curve.sizes["seed"]
    if n < 2:
        raise ValueError("a cross-fitted peak needs at least two seeds")
    halves = [curve.isel(seed=slice(start, None, 2)) for start in (0, 1)]
    parts = []
    for chosen_on, read_on in (halves, halves[::-1]):
        mean = chosen_on.mean("seed")
        place = mean.argmax(along) if better == "max" else mean.argmin(along)
        parts.append(read_on.isel({along: place}).drop_vars(along, errors="ignore"))
    return xr.concat(parts, "seed").sortby("seed")
