"""Masks: pruning, random controls, packing; a masked network is the network with zeros."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flylab.data import MNIST1D, published
from flylab.models import dense, outputs
from flylab.models.masks import (  # fmt: skip
    applied,
    first_layer,
    full,
    masked,
    pack,
    prune,
    random_mask,
    rewired_mask,
    unpack,
)
from flylab.models.registry import PUBLISHED, get_model
from flylab.training.objectives import Batch, supervised
from flylab.training.population import train_members
from flylab.training.step import Plan

KEY = jax.random.key(0)
EACH_MODEL = pytest.mark.parametrize("name", PUBLISHED)


def params_of(name="mlp", **size):
    """Draw parameters in NumPy: to compile the drawing in JAX takes long."""
    rng, shapes = np.random.default_rng(0), jax.eval_shape(get_model(name, **size).init, KEY)
    return jax.tree.map(lambda leaf: rng.normal(0, 0.2, leaf.shape).astype("float32"), shapes)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["logistic", "mlp", "cnn", pytest.param("gru", marks=pytest.mark.long)])
def test_masked_network_is_the_network_with_zeros(name, rng):
    model, params = get_model(name), params_of(name)
    mask = random_mask(params, 0.6, rng)
    zeroed, x = applied(mask, params), jnp.asarray(rng.normal(size=(40, 9)), jnp.float32)
    start = jax.jit(
        lambda key: (masked(model, mask).init(key), applied(mask, model.init(key))),
        compiler_options={"xla_backend_optimization_level": 0},
    )
    jax.tree.map(np.testing.assert_array_equal, *start(KEY))

    def outputs_and_gradient(network):
        def loss(params, batch):
            return supervised(network).loss(params, batch, {}, KEY)[0], outputs(network, params, batch.x)

        return jax.jit(jax.grad(loss, has_aux=True))(zeroed, Batch(x, jnp.arange(9) % 10))

    (plain, expected), (held, actual) = map(outputs_and_gradient, (model, masked(model, mask)))
    np.testing.assert_array_equal(actual, expected)
    jax.tree.map(lambda m, a, b: np.testing.assert_allclose(np.where(m, a, 0), b, atol=1e-6), mask, plain, held)


@pytest.mark.slow
def test_training_leaves_pruned_weights_at_zero():
    model = dense.shallow(width=12)
    mask = random_mask(params_of("shallow", width=12), 0.7, np.random.default_rng(0))
    splits = published(MNIST1D(n_train=100, n_valid=0, n_test=100))
    trained = train_members(supervised(masked(model, mask)), splits, Plan(30), {"learning_rate": [0.01], "seed": [0]})
    jax.tree.map(lambda m, p: np.testing.assert_array_equal(p[0, 0][~m], 0), mask, trained.params)
    assert float(trained.results.train_loss[0, 0, -1]) < float(trained.results.train_loss[0, 0, 0])


@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize("prune_biases", [True, False])
@pytest.mark.parametrize("sparsity", [0.0, 0.31, 0.92, 1.0])
def test_prune_keeps_the_largest(scope, prune_biases, sparsity):
    params = params_of(width=20)
    mask = prune(params, full(params), sparsity, scope=scope, prune_biases=prune_biases)
    layers = [[layer] for layer in params] if scope == "layer" else [list(params)]
    for names in layers:
        leaves = [(n, k) for n in names for k in params[n] if prune_biases or k == "w"]
        values = np.concatenate([np.abs(params[n][k]).ravel() for n, k in leaves])
        kept = np.concatenate([mask[n][k].ravel() for n, k in leaves])
        assert kept.sum() == round((1 - sparsity) * len(kept))
        if 0 < kept.sum() < len(kept):
            assert values[kept].min() >= values[~kept].max()
    if not prune_biases:
        assert all(mask[name]["b"].all() for name in mask)


def test_pruning_is_nested_though_scores_change(rng):
    params = params_of(width=20)
    mask = full(params)
    for sparsity in (0.3, 0.6, 0.9):
        scores = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape), params)
        smaller = prune(scores, mask, sparsity)
        jax.tree.map(lambda new, old: np.testing.assert_array_equal(new & ~old, False), smaller, mask)
        kept = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(smaller)])
        assert abs(1 - kept.mean() - sparsity) < 0.01
        mask = smaller


def test_random_masks_have_prunes_sizes_and_are_independent(rng):
    params = params_of()
    ticket, first, second = (
        prune(params, full(params), 0.9), random_mask(params, 0.9, rng), random_mask(params, 0.9, rng)
    )  # fmt: skip
    for layer in params:
        count = [sum(m[layer][k].sum() for k in "wb") for m in (ticket, first, second)]
        assert count[0] == count[1] == count[2]
    both = (first["hidden2"]["w"] & second["hidden2"]["w"]).mean()
    assert abs(both - 0.01) < 0.005


@EACH_MODEL
def test_pack_and_unpack(name, rng):
    params = params_of(name)
    mask = random_mask(params, 0.5, rng)
    jax.tree.map(np.testing.assert_array_equal, unpack(pack(mask), params), mask)
    with pytest.raises(ValueError, match="is it from another model"):
        unpack(pack(mask)[:-1], params)


@EACH_MODEL
@pytest.mark.parametrize("keep", ["unit", "unit-input"])
def test_rewired_masks_keep_units_and_inputs(name, keep, rng):
    mask = random_mask(params_of(name), 0.8, rng)
    leaves = zip(*(map(np.asarray, jax.tree.leaves(one)) for one in (mask, rewired_mask(mask, rng, keep))), strict=True)
    for before, after in leaves:
        if before.ndim == 1:
            np.testing.assert_array_equal(after, before)
            continue
        before, after = (leaf.reshape(len(leaf), -1) for leaf in (before, after))
        np.testing.assert_array_equal(after.sum(1), before.sum(1))
        assert (after.sum(0) == before.sum(0)).all() == (keep == "unit-input")


def test_first_layer():
    assert first_layer(full(params_of(width=7))).shape == (7, 40)
    assert first_layer(full(params_of("logistic"))).shape == (10, 40)
    assert first_layer(full(params_of("cnn"))).shape == (25, 5)
