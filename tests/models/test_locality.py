"""Locality: what is counted, and that both nulls are what they say."""

import itertools

import numpy as np
import pytest

from flylab.models import locality as module
from flylab.models.locality import (
    NULLS,
    RUN_LENGTHS,
    clustering,
    expected_runs,
    locality,
    n_runs,
    pairs_by_displacement,
    rewired,
    traded,
)


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


@pytest.mark.slow
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


def grid_pairs(mask, shape):
    """The pairs of a unit's survivors by the distance between their pixels, by brute force."""
    places = [(i // shape[2] // shape[1], i // shape[2] % shape[1]) for i in range(mask.shape[1])]
    return [
        np.hypot(places[i][0] - places[j][0], places[i][1] - places[j][1])
        for row in mask
        for i, j in itertools.combinations(np.flatnonzero(row), 2)
    ]


@pytest.mark.parametrize("shape", [(1, 12, 1), (5, 4, 1), (4, 6, 3), (1, 3, 2)])
def test_pairs_in_a_grid_are_those_of_a_count_by_hand(shape, rng):
    mask = rng.random((7, np.prod(shape))) < 0.4
    distances = np.array(grid_pairs(mask, shape))
    counted = module._by_distance(mask, shape, 4)
    assert counted[0] == (distances == 1).sum()
    assert counted[1:].tolist() == [(np.rint(distances) == d).sum() for d in range(1, 5)]
    if shape[0] == shape[2] == 1:
        assert counted[0] == n_runs(mask, 2)
    middle = pairs_by_displacement(mask, shape, 4)
    assert middle.sum() == 2 * sum(np.abs(np.subtract(*places)).max() <= 4 for places in all_pairs(mask, shape))


def all_pairs(mask, shape):
    places = np.stack(np.unravel_index(np.arange(mask.shape[1]), shape), 1)[:, :2]
    return [(places[i], places[j]) for row in mask for i, j in itertools.combinations(np.flatnonzero(row), 2)]


def test_planted_squares_cluster_and_scattered_survivors_do_not(rng):
    squares = np.zeros((300, 12, 12, 1), bool)
    for image, (row, column) in zip(squares, rng.integers(11, size=(300, 2)), strict=True):
        image[row : row + 2, column : column + 2] = True
    planted = clustering(squares.reshape(300, -1), (12, 12, 1), rng, n_samples=5)
    assert planted.neighbours > 10
    assert planted.association > 0.3
    assert planted.co_survival[0] > 10 * planted.co_survival[5]
    order = rng.permutation(144)  # the same survivors where neighbours are others
    scattered = clustering(squares.reshape(300, -1)[:, order], (12, 12, 1), rng, n_samples=5)
    assert scattered.neighbours < 0.3 * planted.neighbours
    assert scattered.association < 0.1


def test_survivors_that_crowd_the_middle_of_an_image_do_not_cluster(rng):
    """Independent survivors, of which the edges have few, in units of very different numbers.

    Their odds are products, so that given the margins all masks are equally probable.
    """
    edge = np.sin(np.linspace(0.1, np.pi - 0.1, 12)) ** 2
    odds = np.exp(rng.uniform(-3, 1, (400, 1))) * np.repeat(np.outer(edge, edge).ravel(), 3)
    found = clustering(rng.random((400, 432)) < odds / (1 + odds), (12, 12, 3), rng, n_samples=10)
    assert abs(found.neighbours - 1) < 0.02
    assert abs(found.association) < 0.02
    assert abs(found.co_survival - 1).max() < 0.05


def test_the_association_is_one_where_no_mask_of_these_inputs_has_more_neighbours(rng):
    mask = np.repeat(np.eye(2, dtype=bool), 8, axis=1).repeat(
        50, axis=0
    )  # units see one half of the signal, or another
    found = clustering(mask, (1, 16, 1), rng, n_samples=20)
    assert 0.8 < found.association <= 1  # but for the border between the halves
    assert np.isnan(clustering(np.zeros((3, 16), bool), (4, 4, 1), rng, n_samples=2)[:2]).all()
