import numpy as np
import pytest
from scipy import stats as scipy_stats

from flylab.results.statistics import interval, share_interval


def test_student_t_below_thirty():
    values = np.array([1.0, 2.0, 4.0, 8.0])
    low, high = scipy_stats.t.interval(0.95, 3, values.mean(), scipy_stats.sem(values))
    np.testing.assert_allclose(interval(values)[1:3], (low, high))


def test_few_values():
    assert np.isnan(interval([3.0]).low)
    assert interval([3.0, 3.0, 3.0]) == (3, 3, 3, 3)
    with pytest.raises(ValueError, match="at least one"):
        interval([])


@pytest.mark.slow
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


@pytest.mark.parametrize(
    ("n_with", "n", "low", "high"),  # table of Clopper & Pearson's formula by the beta distribution
    [(0, 5, 0, 52.182), (5, 5, 47.818, 100), (3, 10, 6.674, 65.245), (1, 1, 2.5, 100)],
)
def test_a_share_has_an_exact_interval_and_is_never_a_point(n_with, n, low, high):
    measured = share_interval([100.0] * n_with + [0.0] * (n - n_with))
    assert measured == pytest.approx((100 * n_with / n, low, high, n), abs=2e-3)


@pytest.mark.parametrize("values", [[], [0.0, 50.0], [np.nan], [0.0, 1.0]])
def test_a_share_is_of_nothing_but_0_and_100(values):
    with pytest.raises(ValueError, match="0 or 100"):
        share_interval(values)


def test_an_exact_interval_covers_every_share():
    """No simulation: the chance of each count is known."""
    for n in (4, 10, 25):
        intervals = [share_interval([100.0] * k + [0.0] * (n - k)) for k in range(n + 1)]
        for share in np.linspace(0.5, 99.5, 100):
            is_in = [one.low <= share <= one.high for one in intervals]
            assert scipy_stats.binom.pmf(range(n + 1), n, share / 100) @ is_in >= 0.95
