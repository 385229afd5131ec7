"""The power of a verdict: how many more seeds settle a claim."""

import bisect
import math
from collections.abc import Callable

import numpy as np
from scipy import stats

from flylab.results.sequences import critical, log_ratio
from flylab.results.statistics import count_of

POWER = 0.9
_MOST_SEEDS, _MOST_OF_SHARES = 1_000_000, 10_000


def seeds_needed(values, low: float, high: float, level: float = 0.95, is_share: bool = False) -> int | None:
    """Return how many more seeds would settle a claim with a power of 90 %, if the present effect and spread are true.

    Seeds that are added after a look are judged by an interval that is valid then, which is wider
    (`flylab.results.sequences`): this interval must lie inside the region, or outside. The mean's distance from a bound
    in standard errors has a noncentral t distribution (Cohen 1988, chapter 2). The chance to clear two bounds is at
    least the sum of the chances less one.

    Args:
        values: the effect of each seed.
        low: the lower bound of the region.
        high: its upper bound.
        level: of the interval.
        is_share: whether the values are 0 or 100, a share of seeds.

    Returns:
        The number, 2 at least, since so few seeds know their own spread badly; None if it is more than a million (of
        shares, 10 000), or with fewer than two values.

    >>> seeds_needed([0.0, 1.0, 2.0, 3.0], 1.0, float("inf"))
    142
    """
    values = np.asarray(values, float)
    n, mean = len(values), float(values.mean())
    bounds = _to_clear(mean, low, high, is_share)
    if n < 2 or mean in bounds:
        return None
    if is_share:
        share = count_of(values) / n
        return _more(n, _MOST_OF_SHARES, lambda n: share_power(share, [b / 100 for b in bounds], n, level))
    spread = float(values.std(ddof=1)) or 1e-300
    return _more(n, _MOST_SEEDS, lambda n: mean_power([abs(mean - b) / spread for b in bounds], n, level))


def _to_clear(mean: float, low: float, high: float, is_share: bool) -> list[float]:
    """Return the bounds that the interval must not contain: all of the region around it, or the nearest one."""
    bounds = [bound for bound in (low, high) if math.isfinite(bound)]
    if not low <= mean <= high:
        return [min(bounds, key=lambda bound: abs(mean - bound))]
    return [bound for bound in bounds if not is_share or 0 < bound < 100]  # no share lies beyond 0 and 100


def mean_power(distances: list[float], n: int, level: float) -> float:
    """Return the chance that the always-valid interval of n seeds clears bounds at distances in standard deviations."""
    quantile = critical(n, level)
    if not math.isfinite(quantile):
        return 0.0
    # at 30 standard errors the chance is 1 in any case
    ratios = [min(distance * math.sqrt(n), 30.0) for distance in distances]
    return 1 - sum(float(stats.nct.cdf(quantile, n - 1, ratio)) for ratio in ratios)


def share_power(share: float, bounds: list[float], n: int, level: float) -> float:
    """Return the chance that the always-valid interval of a share of n seeds clears bounds, on the share's side."""
    counts = np.arange(n + 1)
    is_clear = np.ones(n + 1, bool)
    for bound in bounds:
        is_beyond = counts > n * bound if share > bound else counts < n * bound
        is_clear &= is_beyond & (log_ratio(counts, n, bound) >= -math.log1p(-level))
    return float(stats.binom.pmf(counts, n, share) @ is_clear)


def _more(n: int, most: int, power: Callable[[int], float]) -> int | None:
    enough = bisect.bisect_left(range(most + 1), True, lo=n, key=lambda n: power(n) >= POWER)
    return max(enough - n, 2) if enough <= most else None
