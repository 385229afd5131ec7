"""Evolution strategies: the estimate of a known gradient, of a training run's, and descent along it."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from flylab.base.optional import MissingExtraError
from flylab.data import MNIST1D, published
from flylab.models import dense
from flylab.training.evolution import Evolution
from flylab.training.metagradient import metagradient
from flylab.training.metalearning import MetaPlan, metalearn
from flylab.training.objectives import supervised
from flylab.training.step import Plan

KEY = jax.random.key(0)
DATA = MNIST1D(n_train=100, n_valid=50, n_test=50)
INNER = Plan(20, 50, optimizer="sgd")


def test_the_gradient_of_a_quadratic_is_met():
    """Antithetic pairs cancel all even terms, so the estimate is a mean of projections of the true gradient."""
    pytest.importorskip("evosax")
    at = {"a": jnp.array([1.0, -2.0]), "b": jnp.float32(3.0)}

    def quadratic(p):
        return (p["a"] ** 2).sum() + 2 * p["b"] ** 2 + 5

    estimates = jax.jit(lambda key: Evolution(200, 0.1).gradient(quadratic, at, key))
    found = [estimates(jax.random.key(i)) for i in range(10)]
    for name, true in {"a": [2.0, -4.0], "b": 12.0}.items():
        values = np.array([f[name] for f in found])
        error = np.std(values, axis=0) / np.sqrt(len(values) - 1)
        assert (np.abs(values.mean(0) - true) < 4 * error).all()
        assert (error < 0.5).all()


@pytest.mark.slow
def test_it_estimates_the_metagradient_through_the_same_seam():
    """With one hyper-parameter and small deviates, every pair is a central difference times its square."""
    pytest.importorskip("evosax")
    common = {"hparams": {"learning_rate": 0.3}, "key": KEY}
    true = metagradient(supervised(dense.shallow()), published(DATA), INNER, **common)
    mode = Evolution(200, 1e-2)
    estimate = metagradient(supervised(dense.shallow()), published(DATA), INNER, **common, mode=mode)
    np.testing.assert_allclose(estimate.value, true.value, rtol=1e-5)
    np.testing.assert_allclose(estimate.gradient["learning_rate"], true.gradient["learning_rate"], rtol=0.3)


@pytest.mark.slow
def test_metalearning_descends_and_draws_anew():
    pytest.importorskip("evosax")
    plan = MetaPlan(INNER, 10, optax.sgd(0.1), mode=Evolution(4, 0.02), fresh_noise=False)
    learned = metalearn(supervised(dense.shallow()), published(DATA), plan, [{"learning_rate": 0.1}], seeds=range(2))
    losses, norms = learned.results.outer_loss.values[0], learned.results.gradient_norm.values[0]
    assert (losses[:, -1] < losses[:, 0]).all()
    assert (np.ptp(norms / norms.mean(1, keepdims=True), 1) > 0.1).all()


def test_bad_input_gets_a_clear_error(monkeypatch):
    with pytest.raises(ValueError, match="sigma=0"):
        Evolution(sigma=0.0)
    with pytest.raises(ValueError, match="mode='evolution' must be"):
        MetaPlan(INNER, 1, optax.sgd(0.1), mode="evolution")  # pyright: ignore[reportArgumentType]
    monkeypatch.setitem(__import__("sys").modules, "evosax.algorithms", None)
    with pytest.raises(MissingExtraError, match=r"flylab\[evolution\]"):
        Evolution().gradient(lambda hparams: hparams["a"], {"a": jnp.float32(0)}, KEY)
