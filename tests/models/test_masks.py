"""Masks: pruning, random controls, packing and locality; a masked network is the network with zeros."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flylab.data import MNIST1D, published
from flylab.models import dense, outputs
from flylab.models.masks import (  # fmt: skip
    adjacency,
    applied,
    first_layer,
    full,
    masked,
    pack,
    prune,
    random_mask,
    unpack,
)
from flylab.models.registry import PUBLISHED, get_model
from flylab.training.objectives import Batch, supervised
from flylab.training.population import train_members
from flylab.training.step import Plan

KEY = jax.random.key(0)
EACH_MODEL = pytest.mark.parametrize("name", PUBLISHED)


def params_of(name="mlp", **size):
    return jax.device_get(get_model(name, **size).init(KEY))


@EACH_MODEL
def test_masked_network_is_the_network_with_zeros(name, rng):
    model, params = get_model(name), params_of(name)
    mask = random_mask(params, 0.6, rng)
    zeroed, x = applied(mask, params), jnp.asarray(rng.normal(size=(40, 9)), jnp.float32)
    np.testing.assert_array_equal(outputs(masked(model, mask), zeroed, x), outputs(model, zeroed, x))
    jax.tree.map(np.testing.assert_array_equal, masked(model, mask).init(KEY), zeroed)

    batch = Batch(x, jnp.arange(9) % 10)
    plain, held = (
        jax.grad(lambda p, m=m: supervised(m).loss(p, batch, {}, KEY)[0])(zeroed) for m in (model, masked(model, mask))
    )
    jax.tree.map(lambda m, a, b: np.testing.assert_allclose(jnp.where(m, a, 0), b, atol=1e-6), mask, plain, held)


def test_training_leaves_pruned_weights_at_zero():
    model = dense.mlp(width=12)
    mask = random_mask(params_of(width=12), 0.7, np.random.default_rng(0))
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


# ── locality ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("n", [2, 3, 4])
def test_the_null_is_the_mean_over_permutations(n):
    """Compare with all permutations of small units, by brute force."""
    mask = np.array([[1, 1, 0, 1, 0, 1], [0, 0, 1, 1, 1, 0], [0, 0, 0, 0, 0, 1]], bool)

    def runs(row):
        return sum(all(row[i : i + n]) for i in range(len(row) - n + 1))

    expected = sum(np.mean([runs(p) for p in itertools.permutations(row)]) for row in mask.tolist())
    assert adjacency(mask, n) == pytest.approx(sum(runs(row) for row in mask.tolist()) / expected)


def test_locality_is_found_and_chance_is_one(rng):
    mask = np.arange(40) < rng.integers(3, 12, size=(500, 1))  # one run per unit
    assert adjacency(np.array([np.roll(row, rng.integers(40)) for row in mask]), 3) > 5
    by_chance = np.array([rng.permutation(row) for row in mask])
    assert abs(adjacency(by_chance, 2) - 1) < 0.1
    assert np.isnan(adjacency(np.zeros((3, 40), bool), 2))
    assert np.isnan(adjacency(np.ones((3, 3), bool), 4))
    assert adjacency(np.ones((3, 40), bool), 4) == pytest.approx(1)


def test_first_layer():
    assert first_layer(full(params_of(width=7))).shape == (7, 40)
    assert first_layer(full(params_of("logistic"))).shape == (10, 40)
    assert first_layer(full(params_of("cnn"))).shape == (25, 5)
