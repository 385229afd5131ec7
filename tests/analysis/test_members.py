"""Measures over populations: the value of each member alone, labelled by the population's axes."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flylab
from flylab.analysis import (
    barrier,
    calibration,
    cka,
    classes,
    hessian_eigenvalues,
    mean_loss,
    memorisation,
    outputs_of,
    per_member,
    per_pair,
    subset,
    subset_masks,
)
from flylab.analysis.networks import flat_weights
from flylab.data import MNIST1D, Dataset, fresh
from flylab.models.model import Stateful

MODEL, PLAN = flylab.get_model("logistic"), flylab.Plan(30, 50)
GRID = {"learning_rate": [1e-2, 1e-1], "seed": [3, 5, 8]}


@pytest.fixture(scope="module")
def population(tiny):
    return flylab.train_members(MODEL, tiny, PLAN, GRID)


def member(population, i, j):
    return jax.tree.map(lambda leaf: leaf[i, j], population.params)


def test_each_value_is_the_members(population, tiny):
    losses = per_member(partial(mean_loss, MODEL), population, tiny.test)
    np.testing.assert_allclose(losses, population.results.test_loss.isel(step=-1), rtol=1e-5)
    assert {name: values.values.tolist() for name, values in losses.coords.items()} == GRID
    predicted = per_member(lambda params: classes(MODEL, params, tiny.test.x), population)
    np.testing.assert_array_equal(predicted, population.results.prediction)
    assert predicted.dims == ("learning_rate", "seed", "dim_0")


@pytest.mark.slow
def test_company_changes_nothing(population, tiny):
    found = per_member(partial(hessian_eigenvalues, MODEL, k=2, n_iterations=10), population, tiny.train)
    assert {name: values.dims for name, values in found.items()} == dict.fromkeys(
        ("eigenvalue", "residual"), ("learning_rate", "seed", "rank")
    )
    alone = hessian_eigenvalues(MODEL, member(population, 1, 2), tiny.train, 2, n_iterations=10)
    np.testing.assert_allclose(found.eigenvalue[1, 2], alone.eigenvalue, rtol=1e-4)
    curves = per_member(partial(calibration, MODEL, n_bins=5), population, tiny.test)
    assert (curves.ece.dims, curves.accuracy.dims) == (("learning_rate", "seed"), ("learning_rate", "seed", "bin"))


@pytest.mark.slow
def test_data_of_each_seed():
    data = fresh(MNIST1D(n_train=100, n_valid=50, n_test=50))
    population = flylab.train_members(MODEL, data, PLAN, GRID)
    losses = per_member(partial(mean_loss, MODEL), population, lambda seed: data(seed).test)
    np.testing.assert_allclose(losses, population.results.test_loss.isel(step=-1), rtol=1e-5)
    with pytest.raises(TypeError, match="must be one set"):
        per_member(partial(mean_loss, MODEL), population, data)


def test_a_measure_returns_numbers_or_a_named_tuple(population):
    with pytest.raises(TypeError, match="a NamedTuple of them, not a dict"):
        per_member(lambda params: {"norm": 1.0}, population)


def test_data_are_checked_before_any_member(population, tiny):
    with pytest.raises(ValueError, match="label 12 must be from 0 to 9"):
        per_member(partial(mean_loss, MODEL), population, Dataset(tiny.test.x, tiny.test.y + 3))
    with pytest.raises(TypeError, match=r"data must be a flylab.Dataset, e\.g\. splits.train, not Splits"):
        per_member(partial(mean_loss, MODEL), population, tiny)


def test_pairs_of_members(population, tiny):
    def similarity(a, b):
        return cka(*(outputs_of(MODEL, params, tiny.test.x) for params in (a, b)))

    found = per_pair(similarity, population)
    assert (found.dims, found.shape) == (("learning_rate", "seed", "other_seed"), (2, 3, 3))
    assert found.other_seed.values.tolist() == [3, 5, 8]
    np.testing.assert_allclose(found, found.transpose("learning_rate", "other_seed", "seed"))
    np.testing.assert_allclose([np.diag(rate) for rate in found], 1, rtol=1e-5)
    expected = similarity(member(population, 1, 0), member(population, 1, 2))
    np.testing.assert_allclose(found[1, 0, 2], expected, rtol=1e-5)
    rates = per_pair(lambda a, b: barrier(MODEL, a, b, tiny.train, n_points=3), population, "learning_rate")
    assert rates.dims == ("seed", "learning_rate", "other_learning_rate")
    assert (abs(rates) < 1e-5).all()
    with pytest.raises(ValueError, match="axis='width' must be one of the population's axes: learning_rate, seed"):
        per_pair(similarity, population, "width")


@pytest.mark.slow
def test_memorisation_by_a_population():
    """Of two groups far apart, the network has to memorise the labels that are wrong, and no others."""
    rng = np.random.default_rng(0)
    group, wrong = np.arange(100) % 2, rng.random(100) < 0.15
    train = Dataset(rng.normal(size=(100, 8)) + 4 * group[:, None], np.where(wrong, 1 - group, group))
    splits, masks = flylab.Splits(train, None, train, None, None, None), subset_masks(100, 20)
    model, plan = flylab.get_model("mlp", length=8, n_outputs=2, width=50), flylab.Plan(300, 70, eval_every=300)
    grid = {"learning_rate": [1e-2], "seed": range(20)}
    population = flylab.train_members(model, lambda seed: subset(splits, masks[seed]), plan, grid)
    found = memorisation(model, population, train, masks)
    assert found.score.dims == ("learning_rate", "example")
    assert found.score[0, wrong].mean() > 0.6
    assert found.score[0, ~wrong].mean() < 0.2
    for broken in (masks[:10], masks[:, 1:]):
        with pytest.raises(
            ValueError, match="masks must have a row for each seed up to 19, and a column for each of 100"
        ):
            memorisation(model, population, train, broken)


@pytest.mark.slow
def test_a_single_member_and_the_weights_of_a_model_with_a_state():
    """One chosen member gives one number; a state, such as running statistics, is no weight."""
    splits, grid = (
        flylab.published(MNIST1D(n_train=60, n_valid=0, n_test=40)),
        {"learning_rate": [1e-2], "seed": [0, 1]},
    )
    population = flylab.train_members(MODEL, splits, flylab.Plan(5, 20), grid)
    one = per_member(lambda params: mean_loss(MODEL, params, splits.test), population.sel(learning_rate=1e-2, seed=1))
    assert one.dims == ()
    np.testing.assert_allclose(one, population.results.test_loss.isel(step=-1, seed=1, learning_rate=0), rtol=1e-5)

    params = {"w": jnp.ones((3, 2)), "b": jnp.zeros(3)}
    flat, unravel = flat_weights(Stateful(params, {"mean": jnp.arange(2.0)}))
    assert flat.size == 9
    assert unravel(flat).state["mean"].tolist() == [0, 1]
