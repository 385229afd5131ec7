"""Confidence sequences: intervals that stay valid however often one looks and whenever one stops adding seeds.

They are wider than an interval for a number of seeds that was fixed beforehand. Both come from a mixture of likelihood
ratios, which by Ville's inequality exceeds 1/α at any number of seeds with probability α at most.
"""

import math
from typing import Any

import numpy as np
from scipy import optimize, special

from flylab.results.statistics import Interval, count_of


def critical(n: int, level: float = 0.95) -> float:
    """Return what t of n seeds exceeds, on either side, ever as n grows, with probability 1 − `level` at most.

    The mixture is over the effect's size in standard deviations, with a standard normal density (Lai 1976; Wang &
    Ramdas 2024, "Anytime-valid t-tests and confidence sequences for Gaussian means with unknown variance"). It is exact
    where values are normal, like Student's t, from the second seed on.

    Returns:
        The value; infinity for so few seeds that nothing can be said.

    >>> [round(critical(n), 2) for n in (2, 5, 10, 30)]
    [inf, 8.45, 3.87, 3.35]
    """
    if n < 2:
        return math.inf
    factor = math.exp((math.log1p(n) - 2 * math.log1p(-level)) / n)
    rest = 1 - factor / (1 + n)
    return math.sqrt((n - 1) * (factor - 1) / rest) if rest > 0 else math.inf


def mean_sequence(values, level: float = 0.95) -> Interval:
    """Return the always-valid interval of the mean of `values (n_seeds,)`; without bounds if seeds are too few.

    Constant values give a point, as in `flylab.results.statistics.interval`.

    Raises:
        ValueError: if there are no values.

    >>> mean_sequence([1.0, 2.0, 3.0, 2.0, 1.0, 3.0, 2.0]).high > 3
    True
    """
    values = np.asarray(values, float)
    n = len(values)
    if n == 0:
        raise ValueError("no values: an interval needs at least one seed")
    mean = float(values.mean())
    if n > 1 and np.ptp(values) == 0:
        return Interval(mean, mean, mean, n)
    if not math.isfinite(quantile := critical(n, level)):
        return Interval(mean, math.nan, math.nan, n)
    reach = quantile * float(values.std(ddof=1)) / math.sqrt(n)
    return Interval(mean, mean - reach, mean + reach, n)


def share_sequence(values, level: float = 0.95) -> Interval:
    """Return a share of seeds in percent with its always-valid interval.

    The mixture is over the share, with Jeffreys' density (Robbins 1970; Krichevsky & Trofimov 1981).

    Args:
        values: 100 for each seed that has what is asked for, 0 for each other one.
        level: of confidence.

    Raises:
        ValueError: if there are no values, or others than 0 and 100.

    >>> [round(value, 1) for value in share_sequence([100.0] * 8)]
    [100.0, 56.1, 100.0, 8]
    """
    n, k = len(values), count_of(values)
    share, most = k / n, -math.log1p(-level)

    def excess(candidate: float) -> float:
        return float(log_ratio(k, n, candidate)) - most

    low = 0.0 if k == 0 else optimize.brentq(excess, 1e-300, share)
    high = 1.0 if k == n else optimize.brentq(excess, share, 1 - 2**-53)
    return Interval(100 * share, 100 * low, 100 * high, n)  # pyright: ignore[reportArgumentType, reportOperatorIssue]


def log_ratio(k: Any, n: int, share: float) -> Any:
    """Return the logarithm of the mixture's likelihood ratio against a share, for counts `k` of n seeds."""
    mixture = special.betaln(k + 0.5, n - k + 0.5) - special.betaln(0.5, 0.5)
    return mixture - special.xlogy(k, share) - special.xlog1py(n - k, -share)
