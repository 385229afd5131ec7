"""Populations as objects: chosen by label, predicted with, stopped early, and trained on over their whole grid."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flylab.data import MNIST1D, published
from flylab.models import Model, get_model
from flylab.models.masks import full, masked
from flylab.training.objectives import supervised
from flylab.training.population import train_members, watch_members
from flylab.training.step import Plan

RATES, SEEDS = [1e-3, 1e-1], [4, 9, 2]
PLAN = Plan(20, 50, eval_every=10, optimizer="sgd", save_params_at=(0, 10, 20))


@pytest.fixture(scope="module")
def population():
    tiny = published(MNIST1D(n_train=200, n_valid=100, n_test=100))
    return train_members(get_model("mlp"), tiny, PLAN, {"learning_rate": RATES, "seed": SEEDS}, key=7)


def same(actual, expected):
    jax.tree.map(np.testing.assert_array_equal, actual, expected)


CHOICES = {
    "a seed": (lambda p: p.sel(seed=9), (slice(None), 1), {"learning_rate": RATES}, {"seed": 9}),
    "seeds in another order": (lambda p: p.sel(seed=[2, 4]), (slice(None), [2, 0]), {"seed": [2, 4]}, {}),
    "a member": (lambda p: p.sel(seed=2, learning_rate=1e-1), (1, 2), {}, {"seed": 2, "learning_rate": 0.1}),
    "a range of labels": (lambda p: p.sel(learning_rate=slice(0, 1e-2)), (slice(1),), {"learning_rate": [1e-3]}, {}),
    "the nearest label": (lambda p: p.sel("nearest", learning_rate=0.2), (1,), {"seed": SEEDS}, {"learning_rate": 0.1}),
    "a place": (lambda p: p.isel(seed=-1), (slice(None), 2), {"learning_rate": RATES}, {"seed": 2}),
    "one after another": (lambda p: p.sel(seed=9).isel(learning_rate=0), (0, 1), {}, {"seed": 9}),
}


@pytest.mark.parametrize("case", CHOICES)
def test_members_are_chosen_with_all_they_have(case, population, tiny):
    choose, at, axes, hparams = CHOICES[case]
    chosen = choose(population)
    same(chosen.params, jax.tree.map(lambda leaf: leaf[at], population.params))
    same(chosen.saved_params[1], jax.tree.map(lambda leaf: leaf[at], population.saved_params[1]))
    same(chosen.results.test_loss.values, population.results.test_loss.values[at])
    assert axes.items() <= chosen.axes.items()
    assert hparams.items() <= chosen.hparams.items()
    same(chosen.predict(tiny.test.x).values, chosen.results.prediction.values)


REFUSED = {
    "an unknown axis": (lambda p: p.sel(lr=1), "the population has no axis 'lr'; its axes are learning_rate, seed"),
    "a chosen axis": (lambda p: p.sel(seed=4).isel(seed=0), "no axis 'seed'; its axes are learning_rate"),
    "an unknown label": (lambda p: p.sel(seed=3), "seed=3 must be among the population's: 4, 9, 2"),
    "an unknown label in a list": (lambda p: p.sel(seed=[4, 5]), r"seed=\[4, 5\] must be among"),
    "one example": (lambda p: p.outputs(np.ones(40)), r"x must be numbers of shape \(n, \*shape\), .* not float64 of"),
    "text": (lambda p: p.predict("x"), "examples in rows, not str"),
    "no numbers": (lambda p: p.predict(np.full((2, 40), np.nan)), "x must be finite"),
    "another length": (lambda p: p.predict(np.ones((2, 30))), r"examples of shape \(30,\) do not fit this network"),
    "an unknown measure": (lambda p: p.stopped("loss"), "by='loss' must be one of test_accuracy, test_loss, train"),
    "no features": (
        lambda p: p._replace(objective=supervised(get_model("mlp")._replace(features=None))).features(np.ones((2, 40))),
        "the model offers no features",
    ),
    "stopped again": (lambda p: p.stopped().stopped(), "by='valid_loss' must be one of none"),
    "nothing saved": (lambda p: p._replace(saved_params=()).stopped(), "give the plan save_params_at"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(case, population):
    call, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        call(population)


def test_a_place_beyond_an_axis(population):
    with pytest.raises(IndexError, match="seed=3 must be from -3 to 2: the population has 3 along seed"):
        population.isel(seed=3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cnn", "gru", pytest.param("tcn", marks=pytest.mark.long)])  # all others likewise
def test_outputs_are_the_models_and_the_last_of_its_features(name, tiny):
    model = get_model(name)
    trained = train_members(model, tiny, Plan(2), {"learning_rate": 1e-2, "seed": [0, 1]})
    x = tiny.test.x[:7]
    out = trained.outputs(x)
    assert out.dims == ("seed", "example", "output")
    for seed in (0, 1):
        params = trained.sel(seed=seed).params
        want = jax.vmap(model.apply, (None, 0))(params, jnp.asarray(x, jnp.float32))
        np.testing.assert_allclose(out.sel(seed=seed), want, atol=1e-4)
    if model.features is None:
        with pytest.raises(ValueError, match="the model offers no features"):
            trained.features(x)
        return
    features = trained.features(x)
    np.testing.assert_allclose(features["output"].values, out.values, atol=1e-4)
    assert all(values.dims[:2] == ("seed", "example") for values in features.values())


@pytest.mark.slow
def test_features_of_many_examples_of_pruned_networks_and_of_your_own(population, tiny):
    model = get_model("mlp")
    mask = full(model.init(jax.random.key(0)))
    many = np.concatenate([tiny.test.x] * 11)
    grid = {"learning_rate": 1e-1, "seed": [4]}
    pruned = train_members(supervised(masked(model, mask)), tiny, PLAN, grid, key=7).features(many)["hidden1"]
    plain = population.sel(learning_rate=1e-1, seed=[4]).features(many)["hidden1"]
    np.testing.assert_allclose(plain, pruned, rtol=1e-4, atol=1e-4)
    assert plain.shape == (1, 1100, 100)
    linear = get_model("logistic")
    own = Model(linear.init, linear.apply, features=lambda params, x: {"sum": x.sum()})
    trained = train_members(own, tiny, Plan(2), {"learning_rate": 1e-2, "seed": [0]})
    np.testing.assert_allclose(trained.features(many)["sum"][0], many.sum(1), rtol=1e-3, atol=1e-3)


def test_stopping_early_takes_each_members_best_saved_step(population):
    stopped = population.stopped()
    for place in np.ndindex(2, 3):
        best = int(population.results.valid_loss.values[place].argmin())
        assert stopped.results.step.values[place] == (0, 10, 20)[best]
        same(*(jax.tree.map(lambda leaf: leaf[place], p) for p in (stopped.params, population.saved_params[best])))  # noqa: B023
        assert stopped.results.test_accuracy.values[place] == population.results.test_accuracy.values[(*place, best)]
    bad = population.results.assign(valid_loss=population.results.valid_loss.where(population.results.step == 10))
    assert (population._replace(results=bad).stopped().results.step == 10).all()  # not a number is never the best


@pytest.mark.slow
@pytest.mark.parametrize("train", [train_members, lambda *args, **kw: list(watch_members(*args, **kw))[-1]])
def test_training_on_is_training_longer(train, population, tiny):
    """SGD has no state, and 20 steps of 50 examples are whole epochs of 200."""
    grid = {"learning_rate": RATES, "seed": SEEDS}
    long = train_members(get_model("mlp"), tiny, Plan(40, 50, optimizer="sgd"), grid, key=7)
    same(train(get_model("mlp"), tiny, PLAN, grid, key=7, params=population).params, long.params)


@pytest.mark.slow
def test_training_on_finds_members_by_their_labels(population, tiny):
    still = Plan(0)
    some = train_members(get_model("mlp"), tiny, still, {"seed": [2, 4], "learning_rate": [1e-1]}, params=population)
    same(
        some.params,
        jax.tree.map(lambda leaf: leaf.swapaxes(0, 1), population.sel(seed=[2, 4]).isel(learning_rate=[1]).params),
    )
    fixed = train_members(get_model("mlp"), tiny, still, {"seed": [2], "learning_rate": 1e-1}, params=population)
    same(fixed.params, population.sel(seed=[2], learning_rate=1e-1).params)
    branched = train_members(get_model("mlp"), tiny, still, {"seed": range(2), "learning_rate": 1.0},
                             params=population.sel(seed=9, learning_rate=1e-1))  # fmt: skip
    same(*(branched.isel(seed=seed).params for seed in (0, 1)))


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"seed": [4, 5], "learning_rate": RATES}, "seed=5 must be among the population's: 4, 9, 2"),
        ({"seed": [4]}, "the grid has no axis 'learning_rate', which the population has"),
    ],
)
def test_training_on_refuses(grid, message, population, tiny):
    with pytest.raises(ValueError, match=re.escape(message)):
        train_members(get_model("mlp"), tiny, Plan(2, optimizer=lambda hparams: None), grid, params=population)
