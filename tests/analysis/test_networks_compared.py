"""Connectivity, similarity and tangent kernels: closed forms, and symmetries of networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flylab.analysis.connectivity import barrier, path
from flylab.analysis.networks import mean_loss, outputs_of
from flylab.analysis.similarity import cka, ntk
from flylab.data import Dataset
from flylab.models import Model, dense, get_model
from flylab.training.objectives import squared_error, supervised

RNG = np.random.default_rng(0)
DATA = Dataset(RNG.normal(size=(60, 6)), np.arange(60) % 3)
LINEAR = Model(lambda key: jax.random.normal(key, (3, 6)), lambda weights, x: weights @ x)
MLP = dense.shallow(length=6, n_outputs=3, width=8)
key = jax.random.key(0)


def permuted(params):
    """The same function, with its hidden units in reverse order."""
    hidden = {"w": params["hidden"]["w"][::-1], "b": params["hidden"]["b"][::-1]}
    return params | {"hidden": hidden, "output": params["output"] | {"w": params["output"]["w"][:, ::-1]}}


@pytest.mark.slow
@pytest.mark.parametrize("objective", [supervised(LINEAR), supervised(LINEAR, squared_error)])
def test_no_barrier_where_the_loss_is_convex(objective):
    a, b = (LINEAR.init(jax.random.key(seed)) for seed in (1, 2))
    assert abs(float(barrier(objective, a, b, DATA))) < 1e-5
    ends = mean_loss(objective, a, DATA), mean_loss(objective, b, DATA)
    assert float(path(objective, a, b, DATA, n_points=3)[1]) < sum(ends) / 2  # strictly convex, so not a line either


@pytest.mark.slow
def test_a_barrier_between_a_network_and_its_permutation():
    params = jax.tree.map(lambda leaf: 3 * leaf, MLP.init(key))
    other = permuted(params)
    np.testing.assert_allclose(outputs_of(MLP, params, DATA.x), outputs_of(MLP, other, DATA.x), atol=1e-5)
    learnt = Dataset(DATA.x, np.asarray(outputs_of(MLP, params, DATA.x).argmax(1)))  # of which both are sure
    assert float(barrier(MLP, params, other, learnt)) > 0.1
    assert float(barrier(MLP, params, other, learnt, of="error")) > 5
    assert float(barrier(MLP, params, params, learnt)) == 0


def test_the_path_has_the_networks_at_its_ends():
    a, b = MLP.init(key), MLP.init(jax.random.key(1))
    half = jax.tree.map(lambda one, other: (one + other) / 2, a, b)
    expected = [float(mean_loss(MLP, params, DATA)) for params in (a, half, b)]
    np.testing.assert_allclose(path(MLP, a, b, DATA, n_points=3), expected, rtol=1e-5)
    errors = path(MLP, a, b, DATA, of="error", n_points=3)
    np.testing.assert_allclose(errors[0], 100 * (outputs_of(MLP, a, DATA.x).argmax(1) != DATA.y).mean(), rtol=1e-5)
    values = path(MLP, a, b, DATA)
    np.testing.assert_allclose(
        barrier(MLP, a, b, DATA), (values - np.linspace(values[0], values[-1], 25)).max(), atol=1e-6
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_points": 2}, "n_points=2 must be an integer ≥ 3"),
        ({"of": "accuracy"}, "of='accuracy' must be one of loss, error"),
    ],
)
def test_paths_that_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        barrier(MLP, MLP.init(key), MLP.init(key), DATA, **wrong)


def test_a_label_without_output_has_no_error():
    with pytest.raises(ValueError, match="label 5 must be from 0 to 2"):
        path(MLP, MLP.init(key), MLP.init(key), Dataset(DATA.x, DATA.y + 3), of="error")


X = RNG.normal(size=(200, 5))
ROTATION = np.linalg.qr(RNG.normal(size=(5, 5)))[0]
ALIKE = {
    "equal": X,
    "rotated": X @ ROTATION,
    "scaled": -7 * X,
    "shifted": X + 3,
    "with a zero": np.c_[X, np.zeros(200)],
}


@pytest.mark.parametrize("debiased", [False, True])
@pytest.mark.parametrize("name", ALIKE)
def test_cka_of_representations_that_are_alike_is_1(name, debiased):
    assert float(cka(X, ALIKE[name], debiased=debiased)) == pytest.approx(1, abs=1e-4)


def test_cka_of_independent_representations():
    """The debiased estimate is 0 on average; the usual one is far above, with many features."""
    draws = [np.random.default_rng(seed).normal(size=(2, 30, 100)) for seed in range(40)]
    debiased = [float(cka(a, b, debiased=True)) for a, b in draws]
    assert abs(np.mean(debiased)) < 3 * np.std(debiased) / np.sqrt(40)
    assert np.mean([float(cka(a, b)) for a, b in draws]) > 0.7


def test_cka_by_its_definition():
    """Kornblith et al. (2019), equation 3, with centring matrices; Song et al. (2012), equation 5."""
    a, b = X[:20], np.tanh(X[:20, :3] @ RNG.normal(size=(3, 4)))
    n, centring = 20, np.eye(20) - 1 / 20

    def hsic(k, l):  # noqa: E741
        return np.trace(k @ centring @ l @ centring)

    def debiased(k, l):  # noqa: E741
        k, l, ones = k - np.diag(np.diag(k)), l - np.diag(np.diag(l)), np.ones(n)  # noqa: E741
        middle = (ones @ k @ ones) * (ones @ l @ ones) / ((n - 1) * (n - 2)) - 2 / (n - 2) * ones @ k @ l @ ones
        return np.trace(k @ l) + middle

    k, l = a @ a.T, b @ b.T  # noqa: E741
    for estimate, is_debiased in ((hsic, False), (debiased, True)):
        expected = estimate(k, l) / np.sqrt(estimate(k, k) * estimate(l, l))
        assert float(cka(a, b, debiased=is_debiased)) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("sizes", [(5, 6), (3, 3)])
def test_features_that_are_refused(sizes):
    with pytest.raises(ValueError, match="features of the same examples, at least 4"):
        cka(*(X[:size] for size in sizes), debiased=True)


@pytest.mark.slow
def test_the_kernel_of_a_linear_network_is_the_product_of_its_inputs():
    x, other = X[:4], X[4:7]
    model = Model(lambda key: jax.random.normal(key, (3, 5)), lambda weights, x: weights @ x)
    expected = np.einsum("ip,jp,kl->ijkl", x, other, np.eye(3))
    np.testing.assert_allclose(ntk(model, model.init(key), x, other), expected, atol=1e-5)


@pytest.mark.slow
def test_the_kernel_of_a_network_by_its_gradients():
    params, x = MLP.init(key), jnp.asarray(DATA.x[:3], jnp.float32)

    def gradient(i, k):
        leaves = jax.tree.leaves(jax.grad(lambda params: outputs_of(MLP, params, x)[i, k])(params))
        return np.concatenate([np.ravel(leaf) for leaf in leaves])

    kernel = ntk(MLP, params, x)
    assert kernel.shape == (3, 3, 3, 3)
    np.testing.assert_allclose(kernel[0, 2, 1, 0], gradient(0, 1) @ gradient(2, 0), rtol=1e-4)
    matrix = np.moveaxis(kernel, 2, 1).reshape(9, 9)
    np.testing.assert_allclose(matrix, matrix.T, rtol=1e-4, atol=1e-5)
    assert np.linalg.eigvalsh(matrix).min() > -1e-4


@pytest.mark.slow
def test_a_small_step_moves_outputs_as_the_kernel_says():
    """Jacot et al. (2018): under gradient descent, outputs change by the kernel times the loss's gradient by them."""
    model = get_model("shallow", length=6, n_outputs=3, width=8)
    params, x = model.init(key), jnp.asarray(DATA.x[:5], jnp.float32)

    def loss(params):
        return 0.5 * jnp.square(outputs_of(model, params, x)).sum()

    stepped = jax.tree.map(lambda leaf, slope: leaf - 1e-4 * slope, params, jax.grad(loss)(params))
    change = outputs_of(model, stepped, x) - outputs_of(model, params, x)
    expected = -1e-4 * jnp.einsum("ijkl,jl->ik", ntk(model, params, x), outputs_of(model, params, x))
    np.testing.assert_allclose(change, expected, rtol=0.05, atol=1e-6)
