"""A dish: a few synthetic examples, on which networks shall rank as they do on real data, and how it is learned.

A dish is a hyper-parameter `{"x": (2n, channels, positions), "y": (2n, 10)}`: inputs and the logits of labels, of which
the first half is for training, the second for validation. A member of the population that is trained on it is a set of
architectures, side by side, whose losses are added, so that each trains as it would alone.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from flylab.base.types import Hparams
from flylab.data import Dataset, Source
from flylab.models.layers import for_groups
from flylab.models.model import outputs
from flylab.studies.petri_dish.pool import Shape, network
from flylab.training.inputs import SplitArrays
from flylab.training.objectives import Objective, supervised

EPS_ROOT = 1e-8  # what Adam adds under its square root, whose derivative at 0 would be infinite
CERTAINTY = 4.0  # logit of the right class in the labels with which a dish begins


def adam(hparams: Hparams) -> optax.GradientTransformation:
    """Return Adam that can be differentiated."""
    return optax.adam(hparams["learning_rate"], eps_root=EPS_ROOT)


def begun(data: SplitArrays, n: int) -> dict[str, np.ndarray]:
    """Return the dish that consists of the first n training and the first n validation examples of real data."""
    assert data.valid is not None
    x, y = (np.concatenate([one[:n], other[:n]]) for one, other in zip(data.train, data.valid, strict=True))
    return {"x": x, "y": CERTAINTY * np.eye(10, dtype=np.float32)[y]}


@functools.cache
def served(n: int) -> Source:
    """Return the training half of a dish of 2n examples as a source, whose test set is the other half.

    Behind a test example's label stands `truth`, the accuracies of the architectures on real data.
    """

    def example(shared: Any, hparams: Hparams, key: Any, i: Any) -> tuple[jax.Array, jax.Array]:
        return hparams["dish"]["x"][i % n], jax.nn.softmax(hparams["dish"]["y"][i % n])

    def evaluation(shared: Any, hparams: Hparams) -> tuple[Dataset, Dataset]:
        x, truth = hparams["dish"]["x"], jax.lax.stop_gradient(hparams["truth"])
        y = jnp.concatenate([jax.nn.softmax(hparams["dish"]["y"][n:]), jnp.tile(truth, (n, 1))], axis=1)
        return Dataset(x[:0], y[:0]), Dataset(x[n:], y)

    return Source(lambda hparams: None, example, evaluation)


@functools.cache
def objective(shape: Shape, n: int) -> Objective:
    """Return the objective of architectures side by side, those of `spec`, on a dish of 2n examples.

    Outputs are those of all architectures, `(n_architectures · 10, batch)`. The loss of an evaluation is the mismatch
    of their scores on the validation half and the truth: 1 − Pearson's correlation, which is half the mean squared
    difference of standardised values (Rawal et al. 2020).
    """
    make = network(shape)

    def init(key, hparams):
        n_networks = len(hparams["spec"]["width"])
        return jax.vmap(lambda key, spec: make({"spec": spec}).init(key))(
            jax.random.split(key, n_networks), hparams["spec"])  # fmt: skip

    def predict(params, x, hparams, key):
        with for_groups():
            logits = jax.vmap(lambda params, spec: outputs(make({"spec": spec}), params, x))(params, hparams["spec"])
        return logits.reshape(-1, x.shape[-1])

    def loss(params, batch, hparams, key):
        out = predict(params, batch.x, hparams, key).reshape(-1, *batch.y.shape)
        return -(jax.nn.log_softmax(out, axis=1) * batch.y).sum((0, 1)).mean(), {}

    def mismatch(out, y):
        scores, truth = score(out, y[:10]), y[10:, 0]
        value = 1 - _standardised(scores) @ _standardised(truth) / len(truth)
        return jnp.full(out.shape[1], value)  # the same for each example

    options = supervised(make).options  # which compile it in half the time
    return Objective(init, loss, predict, options, mismatch, targets="numbers")


def score(out: Any, y: Any) -> jax.Array:
    """Return the mean probability that each architecture gives to labels `(10, batch)`: a smooth accuracy.

    >>> [round(float(one), 3) for one in score(jnp.zeros((30, 5)), jnp.ones((10, 5)) / 10)]
    [0.1, 0.1, 0.1]
    """
    return (jax.nn.softmax(out.reshape(-1, *y.shape), axis=1) * y).sum(1).mean(1)


def _standardised(values: jax.Array) -> jax.Array:
    values = values - values.mean()
    return values * jax.lax.rsqrt(jnp.square(values).mean() + 1e-12)
