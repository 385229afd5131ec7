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


def unchanged(knobs: Knobs) -> Knobs:
    """What an objective does to its knobs before training, unless it says otherwise: nothing."""
    return knobs


class Objective(NamedTuple):
    """How a network starts, learns and predicts.

    Attributes:
        init: (key, knobs) → parameters.
        loss: (parameters, batch, knobs, key) → (scalar loss, metrics: scalars by name).
        predict: (parameters, batch-last inputs, knobs, key) → outputs `(n_outputs, batch)`.
        options: XLA's compiler options that make its program fast on a CPU.
        error: (outputs `(n_outputs, batch)`, labels) → the loss of each example `(batch,)` that evaluations report.
        prepare: knobs → those that `loss` and `predict` are given, with what all steps share and each would make anew.
    """

    init: Callable[[Key, Knobs], Params]
    loss: Callable[[Params, Batch, Knobs, Key], tuple[Scalar, dict]]
    predict: Callable[[Params, Signals, Knobs, Key], Logits]
    options: tuple[tuple[str, bool | str], ...] = ()
    error: Callable[[Logits, Labels], Array] = lambda logits, y: cross_entropy(logits, y)
    prepare: Callable[[Knobs], Knobs] = unchanged


@functools.cache
def supervised(
    model: Model | Callable[[Knobs], Model], error: Callable[[Logits, Labels], Array] | None = None
) -> Objective:
    """Classification by an error averaged over the batch: by default `cross_entropy`, or `squared_error`.

    Where knobs are part of the network (a mask, an activation's weights), `model` is a function from knobs to the
    network. Cached: the same arguments give the same `Objective`, so that training twice compiles once.

    >>> import jax, jax.numpy as jnp
    >>> from flylab.models import zoo
    >>> objective = supervised(zoo.logistic())
    >>> params = objective.init(jax.random.key(0), {})
    >>> batch = Batch(jnp.ones((40, 3)), jnp.array([0, 1, 2]))
    >>> loss, _ = objective.loss(params, batch, {}, jax.random.key(1))
    >>> loss.shape
    ()
    """

    error = cross_entropy if error is None else error

    def built(knobs: Knobs) -> Model:
        return model if isinstance(model, Model) else model(knobs)

    def predict(params, x, knobs, key):
        return outputs(built(knobs), params, x)

    def loss(params, batch, knobs, key):
        return error(outputs(built(knobs), params, batch.x), batch.y).mean(), {}

    # Derived gradients sum over the batch, which is slow with YNNPACK: without it a tenth faster.
    derived = not isinstance(model, Model) or model.apply_batch is None
    options = (("xla_cpu_experimental_ynn_fusion_type", ""),) if derived else ()
    return Objective(lambda key, knobs: built(knobs).init(key), loss, predict, options, error)


def cross_entropy(logits: Logits, y: Labels) -> Float[Array, " batch"]:
    """−log softmax of the true class: outputs `(n_outputs, batch)`, labels `(batch,)` → `(batch,)`."""
    one_hot = (jnp.arange(logits.shape[0])[:, None] == y).astype(logits.dtype)  # a gather's gradient is a scatter
    return -(jax.nn.log_softmax(logits, axis=0) * one_hot).sum(0)


def squared_error(logits: Logits, y: Labels) -> Float[Array, " batch"]:
    """Squared distance to the one-hot label, summed over outputs: `(n_outputs, batch)`, `(batch,)` → `(batch,)`."""
    one_hot = (jnp.arange(logits.shape[0])[:, None] == y).astype(logits.dtype)
    return jnp.square(logits - one_hot).sum(0)
