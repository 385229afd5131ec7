"""The sampling error of test sets and components of variance: against simulations with known truth."""

import numpy as np
import pytest
import xarray as xr

from flylab.results.claims import Claim
from flylab.results.effects import Effect, n_test_of
from flylab.results.judging import judge
from flylab.results.sampling import components, with_test_set
from flylab.results.statistics import Interval, interval


@pytest.mark.parametrize(("agreement", "most"), [(1.0, 0.3), (0.5, 0.85)])
def test_the_interval_of_a_level_covers_the_accuracy_on_all_examples(agreement, most):
    """Seeds share a test set: their interval alone often misses the truth, if they err on the same examples."""
    rng, n_test, truth, alone, both = np.random.default_rng(0), 500, 70.0, 0, 0
    for _ in range(400):
        shared = rng.random(n_test) < truth / 100
        own = rng.random((8, n_test)) < truth / 100
        correct = np.where(rng.random((8, n_test)) < agreement, shared, own)
        measured = interval(100 * correct.mean(1) + rng.normal(0, 0.3, 8))
        wide = with_test_set(measured, n_test)
        alone += measured.low <= truth <= measured.high
        both += wide.low <= truth <= wide.high
    assert alone / 400 < most
    assert both / 400 >= 0.93


def test_bounds_stay_within_0_and_100_and_one_seed_has_none():
    assert with_test_set(Interval(99.5, 99.4, 99.6, 5), 100).high == 100
    assert with_test_set(Interval(0.5, 0.4, 0.6, 5), 100).low == 0
    assert np.isnan(with_test_set(Interval(50.0, np.nan, np.nan, 1), 100).low)


def test_a_level_says_what_it_is_on_other_test_sets():
    results = xr.Dataset({"x": ("seed", [64.0, 65, 66])}, {"seed": range(3)}, {"preset": "quick"})
    level = Effect(lambda r: r.x, n_test=n_test_of)
    asked = Claim("id", "s", "paper", "–", "%", level, within=(60, 70))
    for protocol, notes in (("{}", ["exploratory"]), ('{"data": {"n_test": 100}}', ["exploratory", "55.3 … 74.7"])):
        (verdict,) = judge([asked], results.assign_attrs(protocol=protocol), {})
        assert verdict.verdict == "supported"
        assert len(verdict.notes) == len(notes)
        assert all(text in note for text, note in zip(notes, verdict.notes, strict=True))


def test_components_of_variance():
    """Their estimates are right on average, and the share's interval covers."""
    rng, covered, variances = np.random.default_rng(0), 0, []
    for _ in range(1000):
        found = components(rng.normal(0, 1, 30), rng.normal(0, 1, 30) + rng.normal(0, 2, 30))
        variances.append((found.initialisation**2, found.data**2))
        covered += found.low <= 80 <= found.high
    assert np.mean(variances, axis=0) == pytest.approx([1, 4], rel=0.05)
    assert 0.93 <= covered / 1000 <= 0.97


def test_components_without_data_and_without_values():
    assert components([1.0, 2.0, 3.0], [2.0, 2.5, 3.0])[1:3] == (0, 0)
    assert components([1.0, 1.0], [1.0, 1.0]).share == 0
    with pytest.raises(ValueError, match="two values"):
        components([1.0], [1.0, 2.0])
