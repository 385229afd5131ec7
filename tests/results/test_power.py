"""Seeds that settle a claim: the announced power is the power, and one seed less has less."""

import math

import numpy as np
import pytest
from scipy import stats

from flylab.results.power import mean_power, seeds_needed, share_power
from flylab.results.sequences import mean_sequence, share_sequence
from flylab.results.verdicts import decide


def values_of(n, mean, spread=1.0):
    """Return values with just this mean and standard deviation."""
    values = np.arange(n, dtype=float)
    return mean + spread * (values - values.mean()) / values.std(ddof=1)


@pytest.mark.parametrize(
    ("mean", "low", "high"), [(0.4, 0, math.inf), (-0.6, 0, math.inf), (0.1, -0.6, 0.7), (1.5, -1, 1)]
)
def test_the_announced_seeds_have_the_announced_power(mean, low, high):
    first = values_of(6, mean)
    n = 6 + seeds_needed(first, low, high)
    drawn = np.random.default_rng(0).normal(mean, 1, (2000, n))
    words = [decide(*mean_sequence(values)[1:3], (low, high)) for values in drawn]
    settled = np.mean([word != "undecided" for word in words])
    assert 0.87 < settled < 0.95


@pytest.mark.parametrize(("n_with", "n", "above"), [(4, 4, 50), (5, 6, 50), (3, 10, 60)])
def test_the_announced_seeds_settle_a_share(n_with, n, above):
    values = [100.0] * n_with + [0.0] * (n - n_with)
    enough = n + seeds_needed(values, above, math.inf, is_share=True)
    counts = np.random.default_rng(0).binomial(enough, n_with / n, 1000)
    chances = {
        k: decide(*share_sequence([100.0] * k + [0.0] * (enough - k))[1:3], (above, math.inf)) for k in set(counts)
    }
    assert np.mean([chances[k] != "undecided" for k in counts]) > 0.87


def test_one_seed_less_has_less_power():
    n = 6 + seeds_needed(values_of(6, 0.4), 0, math.inf)
    assert mean_power([0.4], n, 0.95) >= 0.9 > mean_power([0.4], n - 1, 0.95)
    assert share_power(0.8, [0.5], 200, 0.95) > share_power(0.8, [0.5], 20, 0.95)


def test_seeds_of_nothing_and_on_the_border():
    assert seeds_needed([1.0], 0, math.inf) is None
    assert seeds_needed([0.0, 1.0, 2.0, 3.0], 1.5, math.inf) is None
    assert seeds_needed([0.0, 2.0], 1.000001, math.inf) is None
    assert seeds_needed([100.0, 0.0], 50, math.inf, is_share=True) is None
    assert seeds_needed([5.0, 5.0], 1, math.inf) == 3  # fewer than five seeds say nothing


def test_no_number_is_one():
    """Student's t interval of two seeds is so wide that a third one alone would seem to settle much."""
    assert stats.t.ppf(0.975, 1) / stats.t.ppf(0.975, 2) > 2.9
    for distance in (5.0, 8.0, 20.0):
        assert seeds_needed(values_of(2, distance), 0, math.inf) >= 2
