"""Locality: what is counted, and that both nulls are what they say."""

import itertools

import numpy as np
import pytest

from flylab.models import locality as module
from flylab.models.locality import NULLS, RUN_LENGTHS, expected_runs, locality, n_runs, rewired, traded


@pytest.mark.parametrize("n", [2, 3, 4, 7])
def test_the_null_of_units_is_the_mean_over_permutations(n):
    """Compare with all permutations of small units, by brute force."""
    mask = np.array([[1, 1, 0, 1, 0, 1], [0, 0, 1, 1, 1, 0], [0, 0, 0, 0, 0, 1]], bool)

    def runs(row):
        return sum(all(row[i : i + n]) for i in range(len(row) - n + 1))

    expected = sum(np.mean([runs(p) for p in itertools.permutations(row)]) for row in mask.tolist())
    assert expected_runs(mask, n) == pytest.approx(expected)
    assert n_runs(mask, n) == sum(runs(row) for row in mask.tolist())


def margins(mask):
    return mask.sum(1).tolist(), mask.sum(0).tolist()


@pytest.mark.parametrize("shape", [(1, 5), (2, 6), (7, 4), (60, 40)])
@pytest.mark.parametrize("density", [0.0, 0.1, 0.6, 1.0])
def test_trades_keep_rows_and_columns(shape, density, rng):
    mask = rng.random(shape) < density
    before = mask.copy()
    other = traded(mask, rng)
    assert margins(other) == margins(mask)
    np.testing.assert_array_equal(mask, before)  # which stays as it was
    assert (other != mask).any() == (shape[0] == 60 and 0 < density < 1) or shape[0] < 60


def test_trades_reach_all_masks_equally(rng):
    """Compare with all masks of 3 × 4 that have these margins."""
    mask = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1]], bool)
    every = [np.array(rows).reshape(3, 4) for rows in itertools.product([0, 1], repeat=12)]
    alike = [other.tobytes() for other in (one.astype(bool) for one in every) if margins(other) == margins(mask)]
    n = 100 * len(alike)
    drawn = [traded(mask, rng).tobytes() for _ in range(n)]
    counts = np.array([drawn.count(one) for one in alike])
    assert counts.sum() == n
    assert ((counts - 100) ** 2 / 100).sum() < 2.5 * len(alike)  # χ² of as many degrees of freedom


def test_survivors_that_crowd_the_middle_are_local_by_one_null_only(rng):
    """Independent survivors, of which the edges have few."""
    mask = rng.random((500, 40)) < 0.5 * np.sin(np.linspace(0.05, np.pi - 0.05, 40)) ** 2
    found = dict(zip(NULLS, locality(mask, rng).runs, strict=True))
    assert found["unit"][0] > 1.2
    assert abs(found["unit-input"][0] - 1) < 0.1


def test_locality_is_found_at_its_distance(rng):
    mask = np.zeros((500, 40), bool)
    at = rng.integers(36, size=500)
    mask[np.arange(500), at] = mask[np.arange(500), at + 3] = True
    found = locality(mask, rng)
    assert found.co_survival[2] > 5
    assert found.co_survival[:2].max() == 0
    assert (found.runs == 0).sum() == found.runs.size - np.isnan(found.runs).sum()
    in_runs = np.array([np.roll(np.arange(40) < rng.integers(3, 8), rng.integers(40)) for _ in range(500)])
    assert locality(in_runs, rng).runs.min() > 2


@pytest.mark.parametrize("keep", NULLS)
def test_chance_is_one(keep, rng):
    mask = rewired(rng.random((500, 40)) < 0.3, rng, keep)
    found = locality(mask, rng)
    assert abs(found.runs[:, 0] - 1).max() < 0.1
    assert abs(found.co_survival.mean() - 1) < 0.05


def test_where_chance_has_no_runs_there_is_no_ratio(rng, monkeypatch):
    monkeypatch.setattr(module, "N_SAMPLES", 3)
    assert np.isnan(locality(np.zeros((3, 40), bool), rng).runs).all()
    few = locality(np.ones((3, 3), bool), rng)
    assert np.isnan(few.runs[:, RUN_LENGTHS.index(4)]).all()
    np.testing.assert_allclose(locality(np.ones((3, 40), bool), rng).runs, 1)
