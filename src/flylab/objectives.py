"""What to learn: a loss, and how to predict. Everything else about training is shared."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from flylab.models.model import Model, outputs
from flylab.types import Key, Knobs, Labels, Logits, Params, Scalar, Signals


class Batch(NamedTuple):
    """Examples side by side, the batch last, and their labels."""

    x: Signals
    y: Labels


class Objective(NamedTuple):
    """How a network starts, learns and predicts.

    Attributes:
        init: (key, knobs) → parameters.
        loss: (parameters, batch, knobs, key) → (scalar loss, metrics: scalars by name).
        predict: (parameters, batch-last inputs, knobs, key) → outputs `(n_outputs, batch)`.
        options: XLA's compiler options that make its program fast on a CPU.
    """

    init: Callable[[Key, Knobs], Params]
    loss: Callable[[Params, Batch, Knobs, Key], tuple[Scalar, dict]]
    predict: Callable[[Params, Signals, Knobs, Key], Logits]
    options: tuple[tuple[str, bool | str], ...] = ()


@functools.cache
def supervised(model: Model) -> Objective:
    """Classification by cross-entropy, averaged over the batch.

    >>> import jax, jax.numpy as jnp
    >>> from flylab.models import zoo
    >>> objective = supervised(zoo.logistic())
    >>> params = objective.init(jax.random.key(0), {})
    >>> batch = Batch(jnp.ones((40, 3)), jnp.array([0, 1, 2]))
    >>> loss, _ = objective.loss(params, batch, {}, jax.random.key(1))
    >>> loss.shape
    ()
    """

    def predict(params, x, knobs, key):
        return outputs(model, params, x)

    def loss(params, batch, knobs, key):
        return cross_entropy(outputs(model, params, batch.x), batch.y).mean(), {}

    # Derived gradients sum over the batch, which is slow with YNNPACK: without it a tenth faster.
    options = (("xla_cpu_experimental_ynn_fusion_type", ""),) if model.apply_batch is None else ()
    return Objective(lambda key, knobs: model.init(key), loss, predict, options)


def cross_entropy(logits: Logits, y: Labels) -> Float[Array, " batch"]:
    """−log softmax of the true class: outputs `(n_outputs, batch)`, labels `(batch,)` → `(batch,)`."""
    one_hot = (jnp.arange(logits.shape[0])[:, None] == y).astype(logits.dtype)  # a gather's gradient is a scatter
    return -(jax.nn.log_softmax(logits, axis=0) * one_hot).sum(0)
