"""A described training is that of `train_members`, bit for bit, and its sizes are known without making data."""

from dataclasses import replace

import jax
import numpy as np
import pytest
import xarray as xr

import flylab
from flylab.base.rng import stream
from flylab.data import MNIST1D, fresh, published
from flylab.data.generator import endless
from flylab.models.flops import training_cost
from flylab.training.objectives import squared_error, supervised
from flylab.training.population import train_members
from flylab.training.step import Plan
from flylab.training.training import Training

SMALL = MNIST1D(n_train=60, n_valid=20, n_test=30)
MODEL = flylab.get_model("logistic")
PLAN = Plan(6, 20, eval_every=3)
KEY = jax.random.key(2)
DATA = {"shared": SMALL, "splits": published(SMALL), "fresh": fresh(SMALL), "endless": endless(SMALL)}


@pytest.mark.slow
@pytest.mark.parametrize("kind", DATA)
def test_it_is_the_population_of_train_members(kind):
    data = DATA[kind]
    grid = {"learning_rate": [1e-2], "seed": [0, 3]}
    expected = train_members(supervised(MODEL), published(SMALL) if kind == "shared" else data, PLAN, grid, key=KEY)
    steps = []
    found = Training(MODEL, data, PLAN, {"learning_rate": 1e-2}).run([0, 3], key=KEY, progress=steps.append)
    xr.testing.assert_identical(found.results, expected.results.squeeze("learning_rate", drop=True))
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b[0]), found.params, expected.params)
    assert sum(steps) == 2 * Training(MODEL, data, PLAN, {"learning_rate": 1e-2}).n_steps


@pytest.mark.slow
def test_a_list_of_values_is_an_axis():
    training = Training(MODEL, SMALL, replace(PLAN, optimizer="sgd"), {"momentum": 0.5, "learning_rate": [1e-2, 1e-1]})
    results = training.run([0, 1]).results
    assert dict(results.test_loss.sizes) == {"learning_rate": 2, "seed": 2, "step": 3}
    assert training.n_steps == 12
    assert training.resources[0] == 2 * replace(training, hparams={"learning_rate": 1e-2}).resources[0]


@pytest.mark.parametrize("kind", DATA)
def test_resources_are_those_of_its_sizes(kind):
    n_examples = SMALL.n_valid + SMALL.n_test + (SMALL.n_train if kind != "endless" else 0)
    assert Training(MODEL, DATA[kind], PLAN).resources == training_cost(MODEL, (40,), 6, 20, 3, n_examples)


def test_resources_make_no_published_data(monkeypatch):
    monkeypatch.setattr("flylab.data.sharing.published", lambda config: pytest.fail("made data"))
    huge = replace(SMALL, n_train=10**9)
    for data in (huge, fresh(huge), endless(huge)):
        assert Training(MODEL, data, PLAN).resources[1] > 0


@pytest.mark.slow
def test_initial_parameters_and_another_objective():
    def zeros(key):
        return jax.tree.map(lambda leaf: 0 * leaf, MODEL.init(key))

    still = replace(PLAN, n_steps=0)
    results = Training(MODEL, SMALL, still, {"learning_rate": 1e-2}, params=zeros).run([0]).results
    np.testing.assert_allclose(results.train_loss, np.log(10), rtol=1e-6)
    squared = Training(
        MODEL, SMALL, still, {"learning_rate": 1e-2}, lambda model: supervised(model, squared_error), zeros
    )
    np.testing.assert_allclose(squared.run([0]).results.train_loss, 1, rtol=1e-6)
    usual = Training(MODEL, SMALL, still, {"learning_rate": 1e-2}, params=MODEL.init).run([4], key=KEY)
    expected = MODEL.init(stream(jax.random.fold_in(KEY, 4), "init"))
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[0], b), usual.params, expected)
