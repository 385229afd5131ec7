"""Padding changes neither a network's outputs nor its training."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flylab.models import convolutional, dense, outputs
from flylab.models.padding import padded
from flylab.training.objectives import squared_error, supervised
from flylab.training.step import Plan
from flylab.training.train import train

key = jax.random.key(0)
PAIRS = {
    "mlp": (dense.mlp(width=5, residual=False), dense.mlp(width=8, residual=False)),
    "residual mlp": (dense.mlp(width=3), dense.mlp(width=8)),
    "cnn": (convolutional.cnn(width=3), convolutional.cnn(width=8)),
}
LEVEL = "xla_backend_optimization_level"  # of what is compared with: it compiles in half the time
EACH_PAIR = pytest.mark.parametrize(("model", "like"), PAIRS.values(), ids=PAIRS)


@functools.cache
def started(network):
    """Draw parameters by one program, as `padded` draws them."""
    is_padded = hasattr(network.init, "lower")
    return (network.init if is_padded else jax.jit(network.init, compiler_options={LEVEL: 1}))(key)


def cut(params, shapes):
    """Return the unpadded part of padded parameters."""
    return jax.tree.map(lambda leaf, s: leaf[tuple(slice(n) for n in s.shape)], params, shapes)


def rest(params, shapes):
    """Return padded parameters with the unpadded part set to zero."""
    return jax.tree.map(lambda leaf, s: jnp.asarray(leaf).at[tuple(slice(n) for n in s.shape)].set(0.0), params, shapes)


@pytest.mark.slow
@EACH_PAIR
def test_values_and_gradients_equal_the_unpadded(model, like):
    wide = padded(model, like)
    params, filled = started(model), started(wide)
    x = np.random.default_rng(0).normal(size=(40, 13)).astype("float32")
    jax.tree.map(np.testing.assert_array_equal, cut(filled, params), params)

    def value_and_gradients(network, weights, options=None):
        def loss(weights, x):
            return jnp.sin(outputs(network, weights, x)).sum()

        return jax.jit(jax.value_and_grad(loss, argnums=(0, 1)), compiler_options=options)(weights, x)

    value, (to_params, to_x) = value_and_gradients(model, params, {LEVEL: 0})
    wide_value, (wide_to_params, wide_to_x) = value_and_gradients(wide, filled)
    np.testing.assert_allclose(wide_value, value, rtol=1e-5)
    np.testing.assert_allclose(wide_to_x, to_x, rtol=1e-4, atol=1e-6)
    real = cut(wide_to_params, params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), real, to_params)
    assert not any(leaf.any() for leaf in jax.tree.leaves(rest(wide_to_params, params)))
    alone = [jax.jit(one.apply)(weights, x[:, 0]) for one, weights in ((wide, filled), (model, params))]
    np.testing.assert_allclose(*alone, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@EACH_PAIR
@pytest.mark.parametrize("error", [pytest.param(None, marks=pytest.mark.long), squared_error])
def test_trained_alike_and_padding_stays_exactly_zero(model, like, error, tiny):
    hparams, plan = {"learning_rate": 1e-2, "momentum": 0.9}, Plan(60, 50, 60, shuffle=True, optimizer="sgd")
    wide = padded(model, like)
    alone, filled = (
        jax.jit(
            lambda params, network=network: train(supervised(network, error), params, tiny, plan, hparams, key=key)
        )(started(network))
        for network in (model, wide)
    )
    real = cut(filled.params, alone.params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-2, atol=1e-4), real, alone.params)
    assert not any(leaf.any() for leaf in jax.tree.leaves(rest(filled.params, alone.params)))


def test_one_program_for_all_widths():
    like = dense.mlp(width=8, residual=False)
    narrow, wider = (padded(dense.mlp(width=n, residual=False), like) for n in (3, 5))
    assert narrow.apply_batch is wider.apply_batch is like.apply_batch
    assert padded(dense.mlp(width=3, residual=False), like) is narrow


def test_refuses():
    with pytest.raises(ValueError, match="do not fit"):
        padded(dense.mlp(width=8), dense.mlp(width=5))
    with pytest.raises(ValueError, match="different layers"):
        padded(dense.mlp(width=3), convolutional.cnn(width=8))
