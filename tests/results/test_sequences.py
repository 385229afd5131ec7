"""Confidence sequences: valid at every number of seeds at once, against formulae and by simulation."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from flylab.results.sequences import critical, log_ratio, mean_sequence, share_sequence


@pytest.mark.parametrize(("n", "level"), [(6, 0.95), (20, 0.95), (20, 0.999), (200, 0.95)])
def test_the_critical_value_is_where_the_mixture_reaches_its_bound(n, level):
    """The ratio of the densities of t, under a normal mixture of effects and under none, by numerical integration."""
    t = critical(n, level)

    effects = np.linspace(-8, 8, 40_001)
    density = np.nan_to_num(stats.nct.pdf(t, n - 1, effects * math.sqrt(n)))  # SciPy has none far out, where it is 0
    mixture = integrate.trapezoid(density * stats.norm.pdf(effects), effects)
    assert mixture / stats.t.pdf(t, n - 1) == pytest.approx(1 / (1 - level), rel=1e-4)


def test_wider_than_an_interval_for_one_look():
    for n in (5, 10, 30, 1000):
        assert critical(n) > 1.3 * stats.t.ppf(0.975, n - 1)
    assert critical(20, 0.99) > critical(20)


def test_few_values():
    assert math.isnan(mean_sequence([1.0]).low)
    assert math.isnan(mean_sequence([1.0, 2.0]).high)
    assert mean_sequence([3.0, 3.0]) == (3, 3, 3, 2)
    with pytest.raises(ValueError, match="at least one"):
        mean_sequence([])
    assert share_sequence([0.0])[:2] == (0, 0)


def test_bounds_of_a_share_are_where_the_mixture_reaches_its_bound():
    for k, n in ((0, 3), (3, 10), (9, 10), (10, 10), (180, 400)):
        share, low, high, _ = share_sequence([100.0] * k + [0.0] * (n - k))
        assert share == pytest.approx(100 * k / n)
        assert low == 0 if k == 0 else log_ratio(k, n, low / 100) == pytest.approx(math.log(20))
        assert high == 100 if k == n else log_ratio(k, n, high / 100) == pytest.approx(math.log(20))


def test_the_mean_is_missed_at_any_of_many_looks_in_five_of_a_hundred():
    """With Student's t it is missed in more than 25 of them."""
    n_most, n_runs = 100, 2000
    values = np.random.default_rng(0).normal(size=(n_runs, n_most))
    n = np.arange(1, n_most + 1)
    mean = values.cumsum(1) / n
    variance = ((values**2).cumsum(1) - n * mean**2)[:, 3:] / (n[3:] - 1)
    t = abs(mean)[:, 3:] / np.sqrt(variance / n[3:])
    missed = {
        "t": (t > stats.t.ppf(0.975, n[3:] - 1)).any(1).mean(),
        "always valid": (t > [critical(size) for size in n[3:]]).any(1).mean(),
    }
    assert missed["t"] > 0.25
    assert missed["always valid"] < 0.05


def test_a_share_is_missed_at_any_of_many_looks_in_five_of_a_hundred():
    rng, most = np.random.default_rng(0), math.log(20)
    for share in (0.1, 0.5, 0.9):
        counts = (rng.random((2000, 100)) < share).cumsum(1)
        ever = np.any([log_ratio(counts[:, n - 1], n, share) > most for n in range(1, 101)], axis=0)
        assert ever.mean() < 0.05
