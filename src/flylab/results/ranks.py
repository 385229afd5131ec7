"""Ranks of contestants that were measured on the same seeds, with intervals."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.stats import rankdata

from flylab.results.statistics import Interval

N_RESAMPLED = 2000


def rank_intervals(values: Float[ndarray, "n_contestants n_seeds"], level: float = 0.95) -> list[Interval]:
    """Rank the means over seeds, the highest first, with the interval of each rank.

    Intervals are percentiles over seeds drawn with replacement, the same for all contestants, since they are paired
    (the bootstrap of ranks of Goldstein & Spiegelhalter 1996). Equal means share the mean of their ranks. With one seed
    intervals are NaN.

    Args:
        values: higher is better.
        level: confidence level.

    >>> rank_intervals(np.array([[1.0, 2, 1, 2], [5, 6, 5, 6]]))[1]
    Interval(mean=1.0, low=1.0, high=1.0, n=4)
    """
    values = np.asarray(values, float)
    n = values.shape[1]
    ranks = rankdata(-values.mean(1))
    if n < 2:
        return [Interval(float(rank), np.nan, np.nan, n) for rank in ranks]
    drawn = np.random.default_rng(0).integers(n, size=(N_RESAMPLED, n))
    resampled = rankdata(-values[:, drawn].mean(-1), axis=0)  # (n_contestants, N_RESAMPLED)
    tail = (1 - level) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail], axis=1)
    columns = zip(ranks.tolist(), low.tolist(), high.tolist(), strict=True)
    return [Interval(rank, least, most, n) for rank, least, most in columns]
