"""Contrastive criteria equal their definitions; the contrastive objective."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from flylab.data.views import view
from flylab.models import convolutional, dense
from flylab.training.objectives import Batch, contrastive, info_nce, vicreg

A, B = jax.random.normal(jax.random.key(0), (2, 16, 30))


@pytest.mark.slow
def test_info_nce_is_cross_entropy_of_cosine_similarities():
    a, b = (torch.tensor(np.array(z)).T for z in (A, B))
    similarity = torch.nn.functional.cosine_similarity(a[:, None], b[None], dim=-1) / 0.5
    expected = torch.nn.functional.cross_entropy(similarity, torch.arange(30))
    assert float(info_nce(A, B)) == pytest.approx(float(expected), rel=1e-5)
    assert float(info_nce(3 * A, B)) == pytest.approx(float(expected), rel=1e-5)  # lengths do not matter
    assert float(info_nce(A, A)) < float(info_nce(A, B))


def test_vicreg_is_its_definition():
    a, b = np.array(A, np.float64), np.array(B, np.float64)

    def spread(z):
        covariance = np.cov(z)
        variances = np.maximum(0, 1 - np.sqrt(z.var(1, ddof=1) + 1e-4)).mean()
        return 25 * variances + (covariance**2)[~np.eye(16, dtype=bool)].sum() / 16

    expected = 25 * ((a - b) ** 2).mean() + spread(a) + spread(b)
    assert float(vicreg(A, B)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("criterion", [info_nce, vicreg])
def test_gradients_are_finite_even_of_collapsed_outputs(criterion):
    gradient = jax.jit(jax.grad(lambda z: criterion(z, z)))
    for a in (A, jnp.zeros_like(A), jnp.ones_like(A)):
        assert np.isfinite(gradient(a)).all()


@pytest.mark.long
@pytest.mark.parametrize("criterion", [info_nce, vicreg])
def test_a_step_against_the_gradient_lowers_the_loss(criterion):
    objective = contrastive(convolutional.cnn(hidden=(8,), n_outputs=16), view, criterion)
    params = objective.init(jax.random.key(0), {})
    batch = Batch(jax.random.normal(jax.random.key(2), (40, 20)), jnp.zeros(20, int))

    def loss(params):
        return objective.loss(params, batch, {}, jax.random.key(3))[0]

    value, gradient = jax.value_and_grad(loss)(params)
    assert all(jnp.isfinite(leaf).all() and (leaf != 0).any() for leaf in jax.tree.leaves(gradient))
    assert loss(jax.tree.map(lambda p, g: p - 1e-3 * g, params, gradient)) < value
    relabelled = batch._replace(y=jnp.arange(20))
    assert float(objective.loss(params, relabelled, {}, jax.random.key(3))[0]) == float(value)  # without labels


@pytest.mark.slow
def test_the_two_views_are_two_draws():
    seen = []
    objective = contrastive(dense.logistic(n_outputs=16), view, lambda a, b: seen.extend((a, b)) or (a - b).sum())
    params = objective.init(jax.random.key(0), {})
    objective.loss(params, Batch(A[:, :5].repeat(3, 0)[:40], jnp.zeros(5, int)), {}, jax.random.key(0))
    assert not np.allclose(seen[0], seen[1])


def test_the_same_arguments_give_the_same_objective():
    assert contrastive(convolutional.cnn(), view, info_nce) is contrastive(convolutional.cnn(), view, info_nce)
