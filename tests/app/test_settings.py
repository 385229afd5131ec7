"""The playground's settings are bounded, and the program that they write repeats the training of the page."""

import contextlib
import io
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flylab.app import limits
from flylab.app.background import Training
from flylab.app.settings import (
    DATA_PARAMS,
    MODELS,
    TRAINING,
    Settings,
    _as_call,
    as_python,
    data_of,
    data_params_of,
    dense,
    splits,
)
from flylab.data import MNIST1D
from flylab.models import activations, get_model, outputs

SMALL = data_of({"n_train": 200, "n_test": 100})


def small(**changes):
    return Settings(
        **{"data": SMALL, "models": ("logistic", "mlp"), "n_steps": 100, "batch_size": 50, "n_seeds": 2} | changes
    )


@pytest.mark.parametrize("name", TRAINING)
@pytest.mark.parametrize("value", [-1, 10**12, "a", None, float("nan"), True])
def test_settings_out_of_bounds_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name}=.* must be an? (integer|number|finite number)"):
        Settings(**{name: value})


@pytest.mark.parametrize("name", DATA_PARAMS)
@pytest.mark.parametrize("value", [-1, 10**12, "a", None, float("inf")])
def test_data_params_out_of_bounds_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name}=.* must be an? .*from"):
        data_of({name: value})


@pytest.mark.parametrize(
    "changes",
    [{"models": ()}, {"models": ("x",)}, {"optimizer": "x"}, {"shuffle": "x"}, {"activation": "x"}, {"pruning": "x"},
     {"data": MNIST1D(n_train=1_000_000)}, {"models": ("resnet",), "n_steps": 20_000, "n_seeds": 32}],
)  # fmt: skip
def test_settings_too_large_for_a_server_or_unknown_are_refused(changes):
    with pytest.raises(
        ValueError, match=r"must be (a non-empty list|one of|True or False)|from 100 to 20000|take fewer"
    ):
        Settings(**changes)


def test_a_class_trains_less():
    limits.choose(limits.CLASS)
    try:
        assert Settings().flops < limits.CLASS.flops / 4  # all networks of the usual settings, several times
        with pytest.raises(ValueError, match="n_train=6000 must be at most 6000 together with the test examples"):
            Settings(data_of({"n_train": 6000}))
        with pytest.raises(ValueError, match="more than the 2e\\+12 that a page may ask for"):
            Settings(n_steps=20_000, n_seeds=32)
    finally:
        limits.choose(limits.ALONE)


def test_the_usual_data_params_are_those_of_the_published_set():
    assert data_of(data_params_of(MNIST1D())) == MNIST1D(n_valid=0)


def test_examples_are_rounded_to_whole_classes():
    data = data_of({"n_train": 1000, "n_test": 500}, (0, 1, 7))
    assert (data.n_train, data.n_test, data.outputs) == (999, 498, 8)
    with pytest.raises(ValueError, match="padding_low=50 must be at most padding_high=40"):
        data_of({"padding_low": 50, "padding_high": 40})


@pytest.mark.parametrize("model", MODELS)
def test_every_network_is_the_one_of_its_python_text(model):
    settings = small(models=(model,), mlp_width=12, cnn_channels=4, gru_units=3, activation="tanh")
    network = dense(settings, model)
    written = eval(_as_call(settings, model), {"get_model": get_model, "activations": activations})  # our own text
    key = jax.random.key(1)
    params = jax.eval_shape(network.init, key)
    assert str(jax.make_jaxpr(network.init)(key)) == str(jax.make_jaxpr(written.init)(key))
    for x in (jnp.ones(40), jnp.ones((40, 3))):
        here, there = (jax.make_jaxpr(partial(outputs, one) if x.ndim > 1 else one.apply) for one in (network, written))
        assert str(here(params, x)) == str(there(params, x))


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="plain", marks=pytest.mark.long),
        pytest.param({"pruned": 0.8}, id="by chance", marks=pytest.mark.long),
        pytest.param({"pruned": 0.8, "pruning": "magnitude"}, id="magnitude"),
        pytest.param({"models": ("mlp",), "activation": "elu", "shuffle": True, "optimizer": "sgd"}, id="others"),
        pytest.param({"models": ("lstm",)}, id="lstm", marks=pytest.mark.long),
    ],
)
def test_copied_python_repeats_the_screen(changes):
    settings = small(**changes)
    training = Training(settings)
    training.join(120)
    assert training.phase == "done", training.error
    names: dict = {}
    with contextlib.redirect_stdout(io.StringIO()) as output:
        exec(compile(as_python(settings), "copied.py", "exec"), names)
    for name in settings.models:
        theirs, ours = names["populations"][name], training.populations[name]
        jax.tree.map(np.testing.assert_array_equal, theirs.params, ours.params)
        np.testing.assert_array_equal(theirs.results.test_accuracy, ours.results.test_accuracy)
        assert f"{name}: {float(ours.results.test_accuracy[..., -1].mean()):.1f} %" in output.getvalue()
    if settings.pruned:
        weights = training.populations["mlp"].params["hidden1"]["w"]
        assert (weights == 0).mean() > 0.7


def test_splits_are_made_once():
    assert splits(SMALL) is splits(data_of({"n_train": 200, "n_test": 100}))
