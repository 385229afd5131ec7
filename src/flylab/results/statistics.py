"""Intervals over seeds: of means, and of shares of seeds."""

import math
from typing import NamedTuple

import numpy as np
from scipy import stats

MANY = 30  # seeds from which on the bootstrap is used
N_RESAMPLES = 9999


class Interval(NamedTuple):
    """A mean over seeds with its confidence interval; the bounds are NaN for a single seed."""

    mean: float
    low: float
    high: float
    n: int


def interval(values, level: float = 0.95) -> Interval:
    """Return the confidence interval of the mean of `values (n_seeds,)`.

    Below 30 values it is Student's t; from 30 on the studentised bootstrap (Efron & Tibshirani 1993, §12.5), which
    needs no normality (BCa undercovers for few seeds). A single value has no bounds. Constant values give a point, as
    what does not depend on the seed should; of what is 0 or 1 for each seed, take `share_interval`.

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


def share_interval(values, level: float = 0.95) -> Interval:
    """Return a share of seeds in percent with its exact interval (Clopper & Pearson 1934).

    Args:
        values: 100 for each seed that has what is asked for, 0 for each other one.
        level: of confidence; an exact interval covers at least as often.

    Raises:
        ValueError: if there are no values, or others than 0 and 100.

    >>> [round(value, 1) for value in share_interval([100.0, 100.0, 100.0, 100.0])]
    [100.0, 39.8, 100.0, 4]
    """
    n, n_with = len(values), count_of(values)
    low, high = stats.binomtest(n_with, n).proportion_ci(level, method="exact")
    return Interval(100 * n_with / n, 100 * float(low), 100 * float(high), n)


def count_of(shares) -> int:
    """Return how many seeds have what is asked for, of values that are 0 or 100.

    Raises:
        ValueError: if there are no values, or others.
    """
    shares = np.asarray(shares, float)
    if not len(shares) or not np.isin(shares, (0, 100)).all():
        raise ValueError("a share of seeds needs 0 or 100 for each seed")
    return int((shares == 100).sum())


def interval_text(value: Interval | None, digits: int = 1) -> str:
    """Return an interval as "mean ± half of its width"; a dash if there is none.

    >>> interval_text(Interval(2.0, 1.5, 2.5, 9)), interval_text(interval([1.0])), interval_text(None)
    ('2.0 ± 0.5', '1.0', '–')
    """
    if value is None or math.isnan(value.mean):
        return "–"
    half = "" if math.isnan(value.low) else f" ± {(value.high - value.low) / 2:.{digits}f}"
    return f"{value.mean:.{digits}f}{half}"


def plus_minus(values, digits: int = 1, skipna: bool = True) -> str:
    """Return the mean of `values (n_seeds,)` ± half of its 95 % interval as text; a dash if there are no values.

    Args:
        values: one for each seed.
        digits: after the decimal point.
        skipna: leave out seeds without a value; else one such seed makes the text a dash, since the seeds left would be
            no random choice.

    >>> plus_minus([1.0, 2.0, 3.0]), plus_minus([1.0, np.nan]), plus_minus([1.0, np.nan], skipna=False)
    ('2.0 ± 2.5', '1.0', '–')
    """
    values = np.asarray(values, float)
    kept = values[~np.isnan(values)]
    is_missing = kept.size == 0 or (not skipna and kept.size < values.size)
    return "–" if is_missing else interval_text(interval(kept), digits)


def _studentised(values: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(0)  # the same results give the same interval
    n = len(values)
    resampled = values[rng.integers(n, size=(N_RESAMPLES, n))]
    errors = resampled.std(1, ddof=1) / math.sqrt(n)
    kept = errors > 0
    return (resampled.mean(1)[kept] - values.mean()) / errors[kept]
