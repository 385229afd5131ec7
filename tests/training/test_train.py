"""Training of one network equals a hand-written loop; order, evaluation and derivatives."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from flylab.data import Dataset
from flylab.models import Model, dense
from flylab.training.inputs import as_arrays
from flylab.training.objectives import cross_entropy, supervised
from flylab.training.step import Plan, _shuffled
from flylab.training.train import train

key = jax.random.key(0)


def test_plan_evaluates_start_and_end():
    assert Plan(7, eval_every=3).evaluated == (0, 3, 6, 7)
    assert Plan(0).evaluated == (0,)
    assert Plan(7, eval_every=(2, 5, 9)).evaluated == (0, 2, 5, 7)


@pytest.mark.parametrize(
    "change",
    [
        {"n_steps": -1},
        {"batch_size": 0},
        {"eval_every": 0},
        {"eval_every": (0,)},
        {"shuffle": "x"},
        {"optimizer": "magic"},
    ],
)
def test_plan_refuses(change):
    (name, value), *_ = change.items()
    with pytest.raises(
        ValueError, match=re.escape(f"{name}{'[0]=0' if isinstance(value, tuple) else f'={value!r}'} must be")
    ):
        Plan(**({"n_steps": 10} | change))


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [50, 30])
@pytest.mark.parametrize(("optimizer", "transformation"), [("adam", optax.adam(0.01)), ("sgd", optax.sgd(0.01))])
def test_equals_a_plain_loop(tiny, batch_size, optimizer, transformation):
    """Batches wrap around where their size does not divide the data."""
    objective = supervised(dense.logistic())
    params = objective.init(key, {})
    plan = Plan(12, batch_size, eval_every=5, optimizer=optimizer)
    trained = train(objective, params, tiny, plan, {"learning_rate": 0.01}, key=key)

    x, y = jnp.asarray(tiny.train.x, jnp.float32), jnp.asarray(tiny.train.y)
    state, losses = transformation.init(params), []

    def loss(p, rows):
        return cross_entropy((x[rows] @ p["w"].T + p["b"]).T, y[rows]).mean()

    @jax.jit
    def step_of(params, state, rows):
        value, gradient = jax.value_and_grad(loss)(params, rows)
        updates, state = transformation.update(gradient, state)
        return optax.apply_updates(params, updates), state, value

    for step in range(12):
        params, state, value = step_of(params, state, (step * batch_size + np.arange(batch_size)) % 200)
        losses.append(value)
    np.testing.assert_allclose(trained.history["loss"], losses, rtol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), trained.params, params)
    logits = tiny.test.x @ np.asarray(params["w"]).T + np.asarray(params["b"])
    np.testing.assert_array_equal(trained.prediction, logits.argmax(1))
    np.testing.assert_allclose(
        trained.history["test_accuracy"][-1], 100 * (logits.argmax(1) == tiny.test.y).mean(), rtol=1e-5
    )
    assert trained.history["test_accuracy"].shape == (4,)


@pytest.mark.slow
def test_evaluation_covers_every_example_once(tiny, monkeypatch):
    """Chunks that do not divide the sets change nothing."""
    objective = supervised(dense.logistic())
    whole = train(objective, objective.init(key, {}), tiny, Plan(0), {"learning_rate": 0.1}, key=key)
    monkeypatch.setattr("flylab.training.step.EVALUATION_CHUNK", 37)
    chunked = train(objective, objective.init(key, {}), tiny, Plan(0), {"learning_rate": 0.1}, key=key)
    for name in whole.history:
        np.testing.assert_allclose(chunked.history[name], whole.history[name], rtol=1e-5)
    np.testing.assert_array_equal(chunked.prediction, whole.prediction)


def test_shuffled_order_takes_every_example_once_an_epoch(tiny):
    """The loss is the sum of the labels in the batch, so that it adds up to the sum of all labels in each epoch."""
    seen = Model(lambda key: {"p": jnp.zeros(10)}, lambda params, x: params["p"])
    objective = supervised(seen)._replace(loss=lambda p, batch, hparams, key: (batch.y.sum() + 0.0 * p["p"].sum(), {}))
    plan = Plan(8, 50, eval_every=8, shuffle=True)
    loss = train(objective, {"p": jnp.zeros(10)}, tiny, plan, {"learning_rate": 0.1}, key=key).history["loss"]
    np.testing.assert_allclose(loss.reshape(2, 4).sum(1), tiny.train.y.sum())
    assert not np.array_equal(loss[:4], loss[4:])  # a new order each epoch


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 2, 5, 4000, 20000])
def test_orders_are_random_permutations(n):
    """Each number takes each place, and precedes each other number, equally often."""
    keys = jax.random.split(jax.random.key(3), 500 if n < 100 else 20)
    orders = np.asarray(jax.vmap(lambda key: _shuffled(key, n))(keys))
    assert (np.sort(orders, 1) == np.arange(n)).all()
    places = orders.argsort(1)
    if n < 100:
        assert places.mean(0) == pytest.approx(np.full(n, (n - 1) / 2), abs=0.25)
        before = (places[:, :, None] < places[:, None, :]).mean(0)
        assert before[~np.eye(n, dtype=bool)] == pytest.approx(0.5, abs=0.1)
    else:
        assert abs(np.corrcoef(places[:-1].ravel(), places[1:].ravel())[0, 1]) < 0.02
        assert abs(np.corrcoef(orders.ravel(), np.tile(np.arange(n), len(orders)))[0, 1]) < 0.02


@pytest.mark.slow
def test_differentiable_in_the_hyper_parameters(tiny):
    """The derivative equals a finite difference."""
    objective = supervised(dense.logistic())
    params = objective.init(key, {})

    def last_loss(rate):
        plan = Plan(10, 50, eval_every=10, optimizer="sgd")
        return train(objective, params, tiny, plan, {"learning_rate": rate}, key=key).history["test_loss"][-1]

    graded = jax.jit(jax.value_and_grad(last_loss))
    slope = graded(0.3)[1]
    difference = (graded(0.31)[0] - graded(0.29)[0]) / 0.02
    np.testing.assert_allclose(slope, difference, rtol=0.02)


def test_empty_sets_are_refused(tiny):
    with pytest.raises(ValueError, match="n_test=0"):
        as_arrays(tiny._replace(test=Dataset(tiny.test.x[:0], tiny.test.y[:0])))
