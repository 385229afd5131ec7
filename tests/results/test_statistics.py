import numpy as np
import pytest
from scipy import stats as scipy_stats

from flylab.results.statistics import interval, seeds_needed


def test_student_t_below_thirty():
    values = np.array([1.0, 2.0, 4.0, 8.0])
    low, high = scipy_stats.t.interval(0.95, 3, values.mean(), scipy_stats.sem(values))
    np.testing.assert_allclose(interval(values)[1:3], (low, high))


def test_few_values():
    assert np.isnan(interval([3.0]).low)
    assert interval([3.0, 3.0, 3.0]) == (3, 3, 3, 3)
    with pytest.raises(ValueError, match="at least one"):
        interval([])


@pytest.mark.parametrize(("n", "draw"), [(8, "normal"), (40, "normal"), (60, "exponential")])
def test_coverage(n, draw):
    """A 95 % interval holds the true mean about 95 times in a hundred, also of a skewed distribution."""
    rng = np.random.default_rng(1)
    truth = 1.0 if draw == "exponential" else 0.0
    intervals = [interval(getattr(rng, draw)(size=n)) for _ in range(200)]
    covered = np.mean([one.low <= truth <= one.high for one in intervals])
    assert 0.9 <= covered <= 0.99


def test_wider_at_a_higher_level():
    values = np.random.default_rng(0).normal(size=35)
    narrow, wide = interval(values), interval(values, 0.999)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_seeds_needed_is_enough_and_not_one_less():
    values = np.array([0.0, 1.0, 2.0, 3.0])  # mean 1.5, spread 1.29
    more = seeds_needed(values, 1.0, np.inf)

    def reach(n):
        return scipy_stats.t.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n)

    assert reach(4 + more) < 0.5 <= reach(4 + more - 1)
    assert seeds_needed(values, 1.5, np.inf) is None
    assert seeds_needed([1.0], 0, np.inf) is None
