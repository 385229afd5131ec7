"""What to learn: a loss, and how to predict. Everything else about training is shared."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from flylab.base.types import Hparams, Key, Labels, Logits, Params, Scalar, Signals
from flylab.models.model import Model, outputs


class Batch(NamedTuple):
    """Examples side by side, the batch last, and their labels."""

    x: Signals
    y: Labels


def unchanged(hparams: Hparams) -> Hparams:
    """What an objective does to its hyper-parameters before training, unless it says otherwise: nothing."""
    return hparams


class Objective(NamedTuple):
    """How a network starts, learns and predicts.

    Attributes:
        init: (key, hparams) → parameters.
        loss: (parameters, batch, hparams, key) → (scalar loss, metrics: scalars by name).
        predict: (parameters, batch-last inputs, hparams, key) → outputs `(n_outputs, batch)`.
        options: XLA's compiler options that make its program fast on a CPU.
        per_example_loss: (outputs `(n_outputs, batch)`, labels) → the loss of each example `(batch,)` that evaluations report.
        prepare: hparams → those that `loss` and `predict` are given, with what all steps share and each would make anew.
    """

    init: Callable[[Key, Hparams], Params]
    loss: Callable[[Params, Batch, Hparams, Key], tuple[Scalar, dict]]
    predict: Callable[[Params, Signals, Hparams, Key], Logits]
    options: tuple[tuple[str, bool | str], ...] = ()
    per_example_loss: Callable[[Logits, Labels], Array] = lambda logits, y: cross_entropy(logits, y)
    prepare: Callable[[Hparams], Hparams] = unchanged


@functools.cache
def supervised(
    model: Model | Callable[[Hparams], Model], per_example_loss: Callable[[Logits, Labels], Array] | None = None
) -> Objective:
    """Classification by an error averaged over the batch: by default `cross_entropy`, or `squared_error`.

    Where hparams are part of the network (a mask, an activation's weights), `model` is a function from hparams to the
    network. Cached: the same arguments give the same `Objective`, so that training twice compiles once.

    >>> import jax, jax.numpy as jnp
    >>> from flylab.models import get_model
    >>> objective = supervised(get_model("logistic"))
    >>> params = objective.init(jax.random.key(0), {})
    >>> batch = Batch(jnp.ones((40, 3)), jnp.array([0, 1, 2]))
    >>> loss, _ = objective.loss(params, batch, {}, jax.random.key(1))
    >>> loss.shape
    ()
    """

    per_example_loss = cross_entropy if per_example_loss is None else per_example_loss

    def built(hparams: Hparams) -> Model:
        return model if isinstance(model, Model) else model(hparams)

    def predict(params, x, hparams, key):
        return outputs(built(hparams), params, x)

    def loss(params, batch, hparams, key):
        return per_example_loss(outputs(built(hparams), params, batch.x), batch.y).mean(), {}

    # Derived gradients sum over the batch, which is slow with YNNPACK: without it a tenth faster.
    derived = not isinstance(model, Model) or model.apply_batch is None
    options = (("xla_cpu_experimental_ynn_fusion_type", ""),) if derived else ()
    return Objective(lambda key, hparams: built(hparams).init(key), loss, predict, options, per_example_loss)


@functools.cache
def contrastive(
    model: Model, view: Callable[[Key, Array], Array], criterion: Callable[[Array, Array], Scalar]
) -> Objective:
    """Self-supervision: a network is to tell that two random views are of one example. Labels are not used.

    Another kind of it is one function, the criterion. Cached, as `supervised`.

    Args:
        model: the network, its head included.
        view: (key, one example) → a random view of it, e.g. `flylab.data.views.view`.
        criterion: (outputs `(n_outputs, batch)` of one view each, and of another) → loss, e.g. `info_nce`, `vicreg`.

    >>> import jax, jax.numpy as jnp
    >>> from flylab.data.views import view
    >>> from flylab.models import get_model
    >>> objective = contrastive(get_model("cnn", hidden=(125,), n_outputs=16), view, info_nce)
    >>> params = objective.init(jax.random.key(0), {})
    >>> batch = Batch(jnp.ones((40, 3)), jnp.zeros(3, int))
    >>> objective.loss(params, batch, {}, jax.random.key(1))[0].shape
    ()
    """

    def loss(params, batch, hparams, key):
        n = batch.x.shape[-1]
        twice = jnp.concatenate([batch.x, batch.x], -1)
        views = jax.vmap(view, (0, -1), -1)(jax.random.split(key, 2 * n), twice)
        out = outputs(model, params, views)
        return criterion(out[:, :n], out[:, n:]), {}

    return Objective(
        lambda key, hparams: model.init(key), loss, lambda params, x, hparams, key: outputs(model, params, x)
    )


def info_nce(a: Float[Array, "n_outputs batch"], b: Float[Array, "n_outputs batch"], temperature=0.5) -> Scalar:
    """SimCLR's loss, in one direction: which of all `b` is the other view of each `a`? (Chen et al. 2020, eq. 1.)

    By cosine similarity; unlike there, negatives are of the other view only, as in the notebook on MNIST-1D.

    >>> import jax.numpy as jnp
    >>> one = jnp.eye(3)
    >>> bool(info_nce(one, one) < info_nce(one, one[:, ::-1]))
    True
    """
    a, b = (z * jax.lax.rsqrt(jnp.square(z).sum(0) + 1e-12) for z in (a, b))
    similarity = b.T @ a / temperature  # (b, a)
    return cross_entropy(similarity, jnp.arange(a.shape[1])).mean()


def vicreg(a: Float[Array, "n_outputs batch"], b: Float[Array, "n_outputs batch"]) -> Scalar:
    """Variance-invariance-covariance regularisation with its weights 25, 25 and 1 (Bardes, Ponce & LeCun 2022).

    By their algorithm 1, where the squared distance of two views is a mean over outputs.

    >>> import jax.numpy as jnp
    >>> one = jnp.array([[1.0, -1, 1, -1], [1, 1, -1, -1]])
    >>> float(vicreg(one, one)) < 1e-4
    True
    """

    def spread(z):
        z = z - z.mean(1, keepdims=True)
        n_outputs, n = z.shape
        covariance = z @ z.T / (n - 1)
        too_narrow = jax.nn.relu(1 - jnp.sqrt(jnp.diagonal(covariance) + 1e-4)).mean()
        correlated = (jnp.square(covariance).sum() - jnp.square(jnp.diagonal(covariance)).sum()) / n_outputs
        return 25 * too_narrow + correlated

    return 25 * jnp.square(a - b).mean() + spread(a) + spread(b)


def cross_entropy(logits: Logits, y: Labels) -> Float[Array, " batch"]:
    """−log softmax of the true class: outputs `(n_outputs, batch)`, labels `(batch,)` → `(batch,)`."""
    one_hot = (jnp.arange(logits.shape[0])[:, None] == y).astype(logits.dtype)  # a gather's gradient is a scatter
    return -(jax.nn.log_softmax(logits, axis=0) * one_hot).sum(0)


def squared_error(logits: Logits, y: Labels) -> Float[Array, " batch"]:
    """Squared distance to the one-hot label, summed over outputs: `(n_outputs, batch)`, `(batch,)` → `(batch,)`."""
    one_hot = (jnp.arange(logits.shape[0])[:, None] == y).astype(logits.dtype)
    return jnp.square(logits - one_hot).sum(0)
