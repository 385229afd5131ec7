"""Metagradients equal central differences for all kinds of hyper-parameters and in both modes; metalearning."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from flylab.base.rng import stream
from flylab.data import MNIST1D, Dataset, Source, published
from flylab.data.generator import endless
from flylab.models import activations, dense, flops
from flylab.models.registry import PUBLISHED, get_model
from flylab.training.metagradient import metagradient
from flylab.training.metalearning import MetaPlan, metalearn
from flylab.training.objectives import supervised
from flylab.training.step import Plan
from flylab.training.train import train

KEY = jax.random.key(3)
DATA = MNIST1D(n_train=200, n_valid=50, n_test=50)
SMOOTH = dense.shallow(width=12)


def decayed(hparams):
    """Make gradient descent with weight decay by layer."""

    def decay(gradient, params):
        decays = {name: jax.tree.map(lambda leaf, d=hparams["decay"][name]: d * leaf, params[name]) for name in params}
        return jax.tree.map(jnp.add, gradient, decays)

    return optax.chain(optax.stateless(decay), optax.sgd(0.5))


def scheduled(hparams):
    return optax.sgd(lambda step: hparams["schedule"][step])


def with_activation(hparams):
    return dense.shallow.__wrapped__(width=12, activation=lambda z: activations.learnable(hparams["activation"], z))


class Case(NamedTuple):
    """A kind of hyper-parameter: its value, and the training run that reads it."""

    hparams: dict
    optimizer: object = "sgd"
    model: object = SMOOTH
    source: bool = False
    fixed: dict = {}  # noqa: RUF012


# learnable activations are smooth except at 0, where ELU's second derivative jumps; in few steps no unit is there
NET = jax.device_get(activations.network_init(jax.random.key(1), 7))
CASES = {
    "learning rate": Case({"learning_rate": 0.5}),
    "momentum": Case({"momentum": 0.8}, fixed={"learning_rate": 0.2}),
    "both": Case({"learning_rate": 0.5, "momentum": 0.5}),
    "adam": Case({"learning_rate": 0.02}, "adam"),
    "schedule": Case({"schedule": np.linspace(0.6, 0.1, 20)}, scheduled),
    "weight decay by layer": Case({"decay": {"hidden": 0.01, "output": 0.05}}, decayed),
    "activation": Case({"activation": NET}, model=with_activation, fixed={"learning_rate": 0.5}),
    "generator": Case({"iid_noise_scale": 0.02, "shear_scale": 0.75}, source=True, fixed={"learning_rate": 0.5}),
}
EACH_CASE = pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
FAST = ("both", "schedule")  # forward and reverse mode
FAST_CASES = [
    pytest.param(case, id=name, marks=() if name in FAST else pytest.mark.long) for name, case in CASES.items()
]


def outer(history):
    return history["loss"][5:].mean() + 0.1 * history["test_loss"][-1]


def set_up(case: Case):
    splits = endless(DATA) if case.source else published(DATA)
    return supervised(case.model), splits, Plan(20, 20, eval_every=100, optimizer=case.optimizer)


START = jax.device_get(SMOOTH.init(jax.random.key(2)))


@pytest.mark.long
@EACH_CASE
def test_equals_central_differences_in_double_precision(case):
    """Compare along three random directions, in forward and in reverse mode."""
    objective, splits, plan = set_up(case)
    with jax.enable_x64(True):
        params = jax.tree.map(lambda leaf: leaf.astype(np.float64), START)
        hparams = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), case.hparams)
        flat, unravel = ravel_pytree(hparams)

        @jax.jit
        def value(flat):
            hparams = case.fixed | unravel(flat)
            return outer(train(objective, params, splits, plan, hparams, key=KEY).history)

        results = [
            metagradient(
                objective, splits, plan, hparams, key=KEY, params=params, fixed=case.fixed, outer=outer, mode=mode
            )
            for mode in ("forward", "reverse")
            if not (mode == "forward" and flat.size > 20)
        ]
        for seed in range(3):
            direction = np.random.default_rng(seed).normal(size=flat.shape)
            direction *= 1e-4 * np.maximum(np.abs(flat), 0.01)
            difference = (value(flat + direction) - value(flat - direction)) / 2
            for result in results:
                gradient = ravel_pytree(result.gradient)[0]
                scale = np.linalg.norm(gradient * direction)
                assert abs(gradient @ direction - difference) <= 1e-6 * scale
                np.testing.assert_allclose(result.value, value(flat), rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("case", FAST_CASES)
def test_single_precision_equals_double(case):
    objective, splits, plan = set_up(case)
    common = {"key": KEY, "fixed": case.fixed, "outer": outer}
    single = metagradient(objective, splits, plan, case.hparams, params=START, **common).gradient
    with jax.enable_x64(True):
        params = jax.tree.map(lambda leaf: leaf.astype(np.float64), START)
        double = metagradient(objective, splits, plan, case.hparams, params=params, **common).gradient
    for leaf, expected in zip(jax.tree.leaves(single), jax.tree.leaves(double), strict=True):
        assert leaf.dtype == jnp.float32
        assert expected.dtype == jnp.float64
        np.testing.assert_allclose(leaf, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def last(history):
    return history["loss"][-1] + history["valid_loss"][-1]


@pytest.mark.long
@pytest.mark.parametrize("name", PUBLISHED)
def test_every_model_in_both_modes(name):
    """Models with hand-written gradients can be differentiated in both modes."""
    objective, plan = supervised(get_model(name)), Plan(3, 10, optimizer="sgd")
    results = [
        metagradient(objective, published(DATA), plan, {"learning_rate": 0.05}, key=KEY, outer=last, mode=mode)
        for mode in ("forward", "reverse")
    ]
    forward, reverse = (float(result.gradient["learning_rate"]) for result in results)
    assert np.isfinite(forward)
    assert forward != 0
    np.testing.assert_allclose(forward, reverse, rtol=1e-3)


META = MetaPlan(Plan(10, 20, optimizer="sgd"), 3, optax.sgd(0.3), save_hparams_at=(0, 1, 3))


@pytest.mark.slow
def test_metalearning_is_descent_along_the_metagradient():
    """For each start and seed, whichever members run beside it; saved hyper-parameters are those of their steps."""
    objective, splits, inner = supervised(SMOOTH), published(DATA), META.inner
    starts = [{"learning_rate": 0.1}, {"learning_rate": 0.8}]
    learned = metalearn(objective, splits, META, starts, seeds=(0, 5), key=7)
    for i, seed in ((0, 0), (1, 5)):
        key, hparams = jax.random.fold_in(jax.random.key(7), seed), starts[i]
        params, rates = objective.init(stream(key, "init"), hparams), [hparams["learning_rate"]]
        for step in range(3):
            inner_key = jax.random.fold_in(stream(key, "outer"), step)
            result = metagradient(objective, splits, inner, hparams, key=inner_key, params=params)
            place = {"start": i, "seed": seed, "outer_step": step}
            np.testing.assert_allclose(learned.results.outer_loss.sel(place), result.value, rtol=1e-5)
            hparams = {"learning_rate": hparams["learning_rate"] - 0.3 * float(result.gradient["learning_rate"])}
            rates.append(hparams["learning_rate"])
        np.testing.assert_allclose(
            learned.saved_hparams["learning_rate"][i, seed // 5], np.array(rates)[[0, 1, 3]], rtol=1e-5
        )
        np.testing.assert_allclose(learned.hparams["learning_rate"][i, seed // 5], rates[-1], rtol=1e-5)
    alone = metalearn(objective, splits, META, starts[:1], seeds=(0,), key=7)
    np.testing.assert_array_equal(alone.results.outer_loss[0, 0], learned.results.outer_loss[0, 0])


def noise(shared, data_params, key, i):
    """Make an example whose signal depends on the key, in a smaller program than MNIST-1D's."""
    word = jax.random.key_data(jax.random.fold_in(key, i))[0]
    return jnp.sin(jnp.arange(40) * (word % 1000)), i % 10


STILL = Dataset(jnp.ones((10, 40)), jnp.arange(10))
NOISE = Source(lambda data_params: None, noise, lambda shared, data_params: (STILL, STILL))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "data", "n_different"),
    [
        ({"fresh_start": True}, None, 3),
        ({}, NOISE, 3),
        ({"fresh_noise": False}, NOISE, 1),  # nothing is new
        pytest.param({"fresh_noise": False, "fresh_start": True}, NOISE, 3, marks=pytest.mark.long),
    ],
)
def test_what_is_new_in_every_outer_step(changes, data, n_different):
    plan = MetaPlan(Plan(5, 20, optimizer="sgd"), 3, optax.sgd(0.0), **changes)
    learned = metalearn(supervised(SMOOTH), data or published(DATA), plan, [{"learning_rate": 0.1}])
    assert len(set(learned.results.outer_loss.values.ravel())) == n_different


@pytest.mark.slow
def test_metalearning_the_data_is_a_few_lines():
    """Minimising the test loss lowers the noise of the training data, a data parameter."""
    objective = supervised(SMOOTH)
    plan = MetaPlan(Plan(40, 20, optimizer="sgd"), 15, optax.sgd(0.02), outer=lambda h: h["test_loss"][-1])
    start, fixed = {"corr_noise_scale": 0.5}, {"learning_rate": 0.5}
    learned = metalearn(objective, endless(DATA), plan, [start], fixed=fixed)
    losses = learned.results.outer_loss.values.ravel()
    assert losses[-1] < losses[0] - 0.1
    assert learned.hparams["corr_noise_scale"].item() < 0.4


@pytest.mark.slow
def test_reverse_mode_keeps_few_states(monkeypatch):
    """The gradient is the same from fewer states, and the memory that the compiler plans falls."""
    objective, splits, plan = supervised(dense.mlp()), published(DATA), Plan(200, 20, eval_every=1000, optimizer="sgd")
    params = jax.device_get(objective.init(KEY, {}))

    def program(remat):
        def value(rate):
            hparams = {"learning_rate": rate}
            return train(objective, params, splits, plan, hparams, key=KEY, remat=remat).history["loss"].mean()

        quickly = {"xla_backend_optimization_level": 0}  # memory is planned before
        compiled = jax.jit(jax.grad(value), compiler_options=quickly).lower(0.05).compile()
        return compiled(0.05), compiled.memory_analysis().temp_size_in_bytes

    gradient, all_bytes = program(False)
    states, state_bytes = program(True)
    monkeypatch.setattr("flylab.training.train.REMAT_BYTES", 2**20)
    some, few_bytes = program(True)
    np.testing.assert_allclose(states, gradient, rtol=1e-4)
    np.testing.assert_allclose(some, gradient, rtol=1e-4)
    assert all_bytes > state_bytes > 3 * few_bytes


@pytest.mark.slow
def test_an_exploding_gradient_warns():
    objective, plan = supervised(dense.mlp(residual=False)), Plan(60, 20, optimizer="sgd")
    with pytest.warns(UserWarning, match="through 60 inner steps exploded"):
        metagradient(objective, published(DATA), plan, {"learning_rate": 30.0}, key=KEY)


def test_nothing_compiles_twice():
    objective, splits = supervised(SMOOTH), published(DATA)
    metalearn(objective, splits, META, [{"learning_rate": 0.1}], seeds=range(2))
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **_: compiled.append(event) if "backend_compile" in event else None
    )
    try:
        metalearn(objective, splits, META, [{"learning_rate": 0.2}, {"learning_rate": 0.3}], seeds=range(3))
    finally:
        jax.monitoring.clear_event_listeners()
    assert compiled == []


def test_bad_input_gets_a_clear_error():
    objective, splits = supervised(SMOOTH), published(DATA)
    inner = Plan(4, 20, optimizer="sgd")
    with pytest.raises(ValueError, match="mode='sideways' must be one of auto, forward, reverse"):
        metagradient(objective, splits, inner, {"learning_rate": 0.1}, key=KEY, mode="sideways")
    with pytest.raises(ValueError, match="hyper-parameter 'rate' is read by nothing"):
        metagradient(objective, splits, inner, {"learning_rate": 0.1, "rate": 0.1}, key=KEY)
    with pytest.raises(TypeError, match=r"data must be Splits, .* not dict"):
        metagradient(objective, {}, inner, {"learning_rate": 0.1}, key=KEY)
    with pytest.raises(ValueError, match="n_steps=0 must be an integer ≥ 1"):
        MetaPlan(inner, 0, optax.sgd(0.1))
    with pytest.raises(ValueError, match="save_hparams_at=\\(5,\\) must be steps from 0 to 3"):
        MetaPlan(inner, 3, optax.sgd(0.1), save_hparams_at=(5,))
    with pytest.raises(ValueError, match="0 starts and 1 seeds"):
        metalearn(objective, splits, MetaPlan(inner, 1, optax.sgd(0.1)), [])


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_what_a_metagradient_costs(mode, tiny):
    model, plan = dense.shallow(), Plan(40, batch_size=50, eval_every=40, optimizer="sgd")

    def gradient(learning_rate):
        hparams = {"learning_rate": learning_rate}
        return metagradient(supervised(model), tiny, plan, hparams, key=jax.random.key(0), mode=mode).gradient

    n_flops = flops.count(gradient, jnp.float32(0.1))
    steps, _ = flops.training_cost(model, (40,), 40, 50, 0, 0)
    assert n_flops / steps == pytest.approx(flops.METAGRADIENT, rel=0.15)
