"""Curvature against `jax.hessian`, matrices with known spectra, and worst cases in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from flylab.analysis.curvature import (
    hessian_eigenvalues,
    hessian_product,
    hessian_trace,
    random_trace,
    sharpness,
    top_eigenvalues,
)
from flylab.analysis.networks import mean_loss
from flylab.data import Dataset
from flylab.models import Model, get_model
from flylab.training.objectives import cross_entropy, squared_error, supervised

key = jax.random.key(0)
DATA = Dataset(np.random.default_rng(0).normal(size=(30, 6)), np.arange(30) % 3)
TINY = get_model("mlp", length=6, n_outputs=3, width=4)
LINEAR = Model(lambda key: jax.random.normal(key, (3, 6)), lambda weights, x: weights @ x)
OBJECTIVES = {
    "an MLP": (supervised(TINY), TINY),
    "logistic regression": (supervised(LINEAR), LINEAR),
    "least squares": (supervised(LINEAR, squared_error), LINEAR),
}


def hessian(objective, params):
    flat, unravel = ravel_pytree(params)
    return jax.hessian(lambda point: mean_loss(objective, unravel(point), DATA))(flat)


@pytest.mark.slow
@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_hessian_is_that_of_jax(name):
    objective, model = OBJECTIVES[name]

    @jax.jit  # each operation would compile alone
    def measured(params):
        product, n = hessian_product(objective, params, DATA)
        found = hessian_eigenvalues(objective, params, DATA, 3, n_iterations=n)
        trace = hessian_trace(objective, params, DATA, n_probes=400)
        return hessian(objective, params), jax.vmap(product)(jnp.eye(n)), found, trace

    matrix, products, found, trace = measured(model.init(key))
    matrix = np.asarray(matrix, float)
    np.testing.assert_allclose(products, matrix, atol=1e-5)
    expected = np.linalg.eigvalsh(matrix)[::-1]
    np.testing.assert_allclose(found.eigenvalue, expected[:3], atol=1e-5 * expected[0])
    assert abs(trace.trace - np.trace(matrix)) < 4 * trace.standard_error + 1e-5
    assert trace.standard_error < 0.1 * np.trace(matrix)


@pytest.mark.slow
def test_least_squares_in_closed_form():
    """The Hessian of the mean of |W x - y|² is 2 E[x xᵀ] for each row of W."""
    x = np.asarray(DATA.x, np.float32)
    second_moment = 2 * x.T @ x / len(x)
    found = hessian_eigenvalues(OBJECTIVES["least squares"][0], LINEAR.init(key), DATA)
    np.testing.assert_allclose(found.eigenvalue[0], np.linalg.eigvalsh(second_moment)[-1], rtol=1e-5)


SPECTRA = {
    "distinct": np.linspace(-3, 9, 50),
    "negative": -np.linspace(1, 9, 50),
    "one far away": np.append(np.zeros(49), 100.0),
    "several equal": np.repeat([5.0, 1.0, -2.0], [2, 10, 38]),
    "zero": np.zeros(50),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SPECTRA)
def test_known_spectra(name):
    """Also where the space of products ends early, and an eigenvalue is there several times."""
    values = SPECTRA[name]
    basis = np.linalg.qr(np.random.default_rng(1).normal(size=(50, 50)))[0]
    matrix = jnp.asarray((basis * values) @ basis.T, jnp.float32)
    found = top_eigenvalues(lambda vector: matrix @ vector, 50, 3, n_iterations=50, key=2)
    np.testing.assert_allclose(found.eigenvalue, np.sort(values)[::-1][:3], atol=2e-4)
    trace = random_trace(lambda vector: matrix @ vector, 50, n_probes=500)
    assert abs(trace.trace - values.sum()) < 4 * trace.standard_error + 1e-4


@pytest.mark.slow
def test_the_residual_bounds_the_error_of_few_iterations():
    values = np.linspace(0, 10, 200)
    found = top_eigenvalues(lambda vector: jnp.asarray(values, jnp.float32) * vector, 200, 2, n_iterations=12)
    distance = np.abs(values[:, None] - np.asarray(found.eigenvalue)).min(0)
    assert (distance <= found.residual + 1e-5).all()
    assert (found.residual > 1e-3).all()


@pytest.mark.slow
def test_the_standard_error_is_the_spread_over_keys():
    matrix = jnp.asarray(np.random.default_rng(2).normal(size=(20, 20)) + np.eye(20), jnp.float32)
    keys = jax.random.split(key, 300)
    found = jax.vmap(lambda key: random_trace(lambda vector: matrix @ vector, 20, n_probes=50, key=key))(keys)
    assert 0.85 < found.trace.std() / found.standard_error.mean() < 1.15


QUADRATIC = Model(lambda key: jnp.ones(4), lambda weights, x: jnp.sqrt(x) * weights)  # squared errors to a label beyond
LEVELS = jnp.array([4.0, 1.0, 0.5, 0.0])


def quadratic(params, n_steps):
    """The rise of Σ levels · w² within a ball of radius 1, by `sharpness`."""
    objective = supervised(QUADRATIC, lambda out, y: jnp.square(out).sum(0))
    data = Dataset(np.asarray(LEVELS)[None], np.zeros(1, int))
    return float(sharpness(objective, params, data, 1.0, n_steps=n_steps))


def test_the_worst_case_of_a_quadratic():
    at = jnp.array([0.0, 0.0, 1e-3, 0.0])
    assert quadratic(at, 1) == pytest.approx(0.5 * ((1 + 1e-3) ** 2 - 1e-6), rel=1e-5)  # SAM: along the gradient
    near_minimum = jnp.full(4, 1e-4)
    assert quadratic(near_minimum, 30) == pytest.approx(4.0, rel=1e-2)  # the largest level times the radius squared
    assert quadratic(near_minimum, 30) >= quadratic(near_minimum, 1)
    assert quadratic(jnp.zeros(4), 1) == 0


@pytest.mark.slow
def test_one_step_is_sam():
    objective, params = supervised(TINY), TINY.init(key)
    flat, unravel = ravel_pytree(params)
    gradient = jax.grad(lambda point: mean_loss(objective, unravel(point), DATA))(flat)
    there = mean_loss(objective, unravel(flat + 0.1 * gradient / jnp.linalg.norm(gradient)), DATA)
    rise = there - mean_loss(objective, params, DATA)
    assert float(sharpness(TINY, params, DATA, 0.1)) == pytest.approx(float(rise), rel=1e-3)


REFUSED = {
    "too many eigenvalues": (
        lambda **given: hessian_eigenvalues(**given, k=41),
        r"k=41 must be an integer from 1 to 40",
    ),
    "more than parameters": (
        lambda **given: hessian_eigenvalues(**given, k=64, n_iterations=99),
        "k=64 must be an integer from 1 to 63",
    ),
    "no probes": (lambda **given: hessian_trace(**given, n_probes=1), "n_probes=1 must be an integer ≥ 2"),
    "no ball": (lambda **given: sharpness(**given, radius=0), "radius=0 must be a number > 0"),
    "no steps": (lambda **given: sharpness(**given, n_steps=0), "n_steps=0 must be an integer ≥ 1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case):
    measure, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        measure(model=TINY, params=TINY.init(key), data=DATA)


def test_the_loss_is_a_mean_over_examples():
    params = TINY.init(key)
    logits = jax.vmap(TINY.apply, (None, 0), 1)(params, jnp.asarray(DATA.x, jnp.float32))
    expected = cross_entropy(logits, jnp.asarray(DATA.y)).mean()
    np.testing.assert_allclose(mean_loss(TINY, params, DATA), expected, rtol=1e-6)


BROKEN = {
    "splits": (lambda data: (data, data), TypeError, "data must be a flylab.Dataset, e.g. splits.train, not tuple"),
    "labels": (lambda data: Dataset(data.x, data.y + 3), ValueError, "label 5 must be from 0 to 2; the network has 3"),
    "sizes": (
        lambda data: Dataset(data.x, data.y[1:]),
        ValueError,
        "the given set must have one label for each example",
    ),
    "empty": (lambda data: Dataset(data.x[:0], data.y[:0]), ValueError, "the given set must have at least one example"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_data_that_do_not_fit(case):
    broken, error, message = BROKEN[case]
    with pytest.raises(error, match=message):
        mean_loss(TINY, TINY.init(key), broken(DATA))
