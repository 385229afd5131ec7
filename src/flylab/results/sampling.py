"""What seeds alone do not show: a test set's sampling error, and the parts of data and initialisation in a spread."""

import math
from typing import NamedTuple

import numpy as np
from scipy import stats

from flylab.results.statistics import Interval


def of_test_set(accuracy: float, n_test: int) -> float:
    """Return the standard error, in points, that a test set shared by all seeds gives to an accuracy in percent.

    It is binomial, which is the most that it can be: networks that err on other examples average some of it out
    (Bouthillier et al. 2021, "Accounting for variance in machine learning benchmarks", section 3).

    >>> round(of_test_set(65.0, 1000), 2)
    1.51
    """
    share = accuracy / 100
    return 100 * math.sqrt(share * (1 - share) / n_test)


def with_test_set(measured: Interval, n_test: int, level: float = 0.95) -> Interval:
    """Return the interval of an accuracy in percent on any test set, from that over seeds on one of `n_test` examples.

    The two errors are independent, so that their reaches add up like sides of a right triangle.

    >>> [round(bound, 1) for bound in with_test_set(Interval(65.0, 64.0, 66.0, 10), 1000)[1:3]]
    [61.9, 68.1]
    """
    reach = float(stats.norm.ppf(0.5 + level / 2)) * of_test_set(measured.mean, n_test)
    low = measured.mean - math.hypot(measured.mean - measured.low, reach)
    high = measured.mean + math.hypot(measured.high - measured.mean, reach)
    return measured._replace(low=max(low, 0.0), high=min(high, 100.0))


class Components(NamedTuple):
    """Standard deviations of an effect.

    Attributes:
        initialisation: over initial weights, and orders of examples where they vary, on one data set.
        data: over data sets; 0 if they seem to add nothing.
        share: the share of the variance that is the data's, in percent.
        low, high: its 95 % interval.
    """

    initialisation: float
    data: float
    share: float
    low: float
    high: float


def components(fixed, fresh, level: float = 0.95) -> Components:
    """Return how much of the spread over seeds comes from the initialisation and how much from the data.

    Args:
        fixed: the effect of each seed, on one data set.
        fresh: the effect of each seed, with a data set of its own.
        level: of the interval, which is that of a ratio of variances (Fisher's F) and assumes normal values.

    Raises:
        ValueError: with fewer than two values of either.

    >>> components([1.0, 2.0, 3.0], [0.0, 2.0, 4.0])[:3]
    (1.0, 1.7320508075688772, 75.0)
    """
    fixed, fresh = (np.asarray(values, float) for values in (fixed, fresh))
    if min(len(fixed), len(fresh)) < 2:
        raise ValueError("components of variance need two values at least")
    within, total = float(fixed.var(ddof=1)), float(fresh.var(ddof=1))
    ratio = within / total if total else 1.0
    quantiles = stats.f.ppf([0.5 + level / 2, 0.5 - level / 2], len(fixed) - 1, len(fresh) - 1)
    parts = (ratio, *(ratio / quantiles[::-1]).tolist())
    share, low, high = (100 * min(max(1 - part, 0.0), 1.0) for part in parts)
    return Components(math.sqrt(within), math.sqrt(max(total - within, 0.0)), share, low, high)
