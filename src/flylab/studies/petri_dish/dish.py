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

from flylab.base.rng import stream
from flylab.base.types import Hparams
from flylab.data import Dataset, Source
from flylab.models.layers import for_groups
from flylab.models.model import outputs
from flylab.studies.petri_dish.pool import FAMILIES, network
from flylab.training.objectives import Objective

EPS_ROOT = 1e-8  # what Adam adds under its square root, whose derivative at 0 would be infinite
CERTAINTY = 4.0  # logit of the right class in the labels with which a dish begins


def adam(hparams: Hparams) -> optax.GradientTransformation:
    """Return Adam that can be differentiated."""
    return optax.adam(hparams["learning_rate"], eps_root=EPS_ROOT)


def begun(train: Dataset, valid: Dataset, n: int) -> dict[str, np.ndarray]:
    """Return the dish that consists of the first n real examples of each set."""
    x, y = (np.concatenate([one[:n], other[:n]]) for one, other in zip(train, valid, strict=True))
    return {"x": x, "y": CERTAINTY * np.eye(10, dtype=np.float32)[y]}


@functools.cache
def served(n: int) -> Source:
    """Return the training half of a dish of 2n examples as a source, whose test set is the other half."""

    def example(shared: Any, hparams: Hparams, key: Any, i: Any) -> tuple[jax.Array, jax.Array]:
        return hparams["dish"]["x"][i % n], jax.nn.softmax(hparams["dish"]["y"][i % n])

    def evaluation(shared: Any, hparams: Hparams) -> tuple[Dataset, Dataset]:
        x, y = hparams["dish"]["x"], jax.nn.softmax(hparams["dish"]["y"])
        return Dataset(x[:0], y[:0]), Dataset(x[n:], y[n:])

    return Source(lambda hparams: None, example, evaluation)


@functools.cache
def objective(shape: tuple[int, int], n: int) -> Objective:
    """Return the objective of architectures side by side, those of `spec`, on a dish of 2n examples.

    Outputs are those of all architectures, `(n_architectures · 10, batch)`. Each step records the `mismatch` of their
    scores on the validation half and `truth`, their accuracies on real data: 1 − Pearson's correlation, which is half
    the mean squared difference of standardised values (Rawal et al. 2020).
    """

    def init(key, hparams):
        def of_one(family, spec, i):
            return network(family, shape)({"spec": spec}).init(jax.random.fold_in(stream(key, family), i))

        return {family: jax.vmap(functools.partial(of_one, family))(spec, jnp.arange(len(spec["width"])))
                for family, spec in hparams["spec"].items()}  # fmt: skip

    def predict(params, x, hparams, key):
        with for_groups():
            logits = [jax.vmap(lambda p, spec, f=family: outputs(network(f, shape)({"spec": spec}), p, x))(
                params[family], hparams["spec"][family]) for family in FAMILIES]  # fmt: skip
        return jnp.concatenate(logits).reshape(-1, x.shape[-1])

    def per_example_loss(out, y):
        return -(jax.nn.log_softmax(out.reshape(-1, *y.shape), axis=1) * y).sum((0, 1))

    def loss(params, batch, hparams, key):
        valid = served(n).evaluation(None, hparams)[1]
        scores = score(predict(params, jnp.moveaxis(valid.x, 0, -1), hparams, key), valid.y.T)
        mismatch = 1 - _standardised(scores) @ _standardised(jax.lax.stop_gradient(hparams["truth"])) / len(scores)
        return per_example_loss(predict(params, batch.x, hparams, key), batch.y).mean(), {"mismatch": mismatch}

    return Objective(init, loss, predict, per_example_loss=per_example_loss, targets="numbers")


def score(out: Any, y: Any) -> jax.Array:
    """Return the mean probability that each architecture gives to labels `(10, batch)`: a smooth accuracy.

    >>> score(jnp.zeros((30, 5)), jnp.ones((10, 5)) / 10).round(3).tolist()
    [0.1, 0.1, 0.1]
    """
    return (jax.nn.softmax(out.reshape(-1, *y.shape), axis=1) * y).sum(1).mean(1)


def _standardised(values: jax.Array) -> jax.Array:
    values = values - values.mean()
    return values * jax.lax.rsqrt(jnp.square(values).mean() + 1e-12)
