"""Objectives: how a network is initialised, which loss it minimises and how it predicts."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from flylab.base.constraints import refusal
from flylab.base.types import Hparams, Key, Labels, Logits, Params, Scalar, Signals
from flylab.data.inputs import Targets
from flylab.models.masks import masked
from flylab.models.model import Model, Stateful, outputs, training_outputs


class Batch(NamedTuple):
    """Inputs `(*shape, batch)` and labels `(batch,)`, or targets `(batch,)` or `(n_outputs, batch)`."""

    x: Signals
    y: Labels


def unchanged(hparams: Hparams) -> Hparams:
    """Return the hyper-parameters as they are: the default of `Objective.prepare`."""
    return hparams


class Objective(NamedTuple):
    """An objective of training, as pure functions.

    Attributes:
        init: (key, hparams) → parameters.
        loss: (parameters, batch, hparams, key) → (scalar loss, metrics: scalars by name); where the network has a
            state (`models.Stateful`), also its new state.
        predict: (parameters, batch-last inputs, hparams, key) → outputs `(n_outputs, batch)`.
        options: XLA's compiler options that make its program fast on a CPU.
        per_example_loss: (outputs `(n_outputs, batch)`, labels) → losses `(batch,)`, which evaluations report.
        prepare: hparams → the hyper-parameters for `loss` and `predict`, with values that all steps share.
        model: the network, or a function from hparams to it; None where nobody knows it.
        targets: what data have to have as `y`: "classes", integers `(n,)`; or "numbers" or "flags", which are 0 or 1,
            of shape `(n,)` or `(n, n_outputs)`. Only of classes there are accuracies.
    """

    init: Callable[[Key, Hparams], Params]
    loss: Callable[[Params, Batch, Hparams, Key], tuple[Scalar, dict] | tuple[Scalar, dict, Any]]
    predict: Callable[[Params, Signals, Hparams, Key], Logits]
    options: tuple[tuple[str, bool | str], ...] = ()
    per_example_loss: Callable[[Logits, Labels], Array] = lambda logits, y: cross_entropy(logits, y)
    prepare: Callable[[Hparams], Hparams] = unchanged
    model: Model | Callable[[Hparams], Model] | None = None
    targets: Targets = "classes"


@functools.cache
def supervised(
    model: Model | Callable[[Hparams], Model], per_example_loss: Callable[[Logits, Labels], Array] | None = None
) -> Objective:
    """Make the objective of classification: a per-example loss, averaged over the batch.

    Cached: the same arguments give the same `Objective`, so that training twice compiles once.

    Args:
        model: the network; or a function from hparams to the network, if hparams are part of it (a mask, an
            activation's weights).
        per_example_loss: (outputs `(n_outputs, batch)`, labels `(batch,)`) → losses `(batch,)`, e.g. `squared_error`.
            The default is `cross_entropy`.

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
    if not isinstance(model, Model) and not callable(model):
        raise TypeError(f"model must be a flylab.Model, {_how_to_make(model)}, not {type(model).__name__}")

    def loss(params, batch, hparams, key):
        out, after = training_outputs(network(model, hparams), params, batch.x, key)
        losses = per_example_loss(out, batch.y)
        if losses.shape != out.shape[-1:]:
            raise ValueError(f"a loss must have shape {out.shape[-1:]}, one number per example, not {losses.shape}")
        return losses.mean(), {}, *_state(after)

    # gradients that JAX derives sum over the batch; without YNNPACK that is a tenth faster
    is_derived = not isinstance(model, Model) or model.apply_batch is None
    options = (("xla_cpu_experimental_ynn_fusion_type", ""),) if is_derived else ()
    return Objective(
        lambda key, hparams: network(model, hparams).init(key), loss, predict_of(model), options, per_example_loss,
        model=model,
    )  # fmt: skip


@functools.cache
def under_mask(model: Model) -> Objective:
    """Return the objective of classification under a mask, which is the hyper-parameter `mask`: one program for all.

    >>> import jax, jax.numpy as jnp
    >>> from flylab.models import get_model
    >>> mask = {"w": jnp.zeros((10, 40), bool), "b": jnp.ones(10, bool)}
    >>> float(abs(under_mask(get_model("logistic")).init(jax.random.key(0), {"mask": mask})["w"]).max())
    0.0
    """
    on_masked = supervised(lambda hparams: masked(model, hparams["mask"]))
    return on_masked._replace(options=supervised(model).options)  # what is fast for the model is so under a mask


def network(model: Model | Callable[[Hparams], Model] | None, hparams: Hparams) -> Model:
    """Return the network that an `Objective.model` stands for under some hyper-parameters.

    Raises:
        TypeError: if it is none.
    """
    made = model(hparams) if callable(model) else model
    if not isinstance(made, Model):
        what = "the function of hyper-parameters must return" if callable(model) else "the objective's model must be"
        raise TypeError(f"{what} a flylab.Model, not {type(made).__name__}")
    return made


@functools.cache
def predict_of(model: Model | Callable[[Hparams], Model]) -> Callable:
    """Return the function that predicts by a network's outputs, one for each network."""

    def predict(params, x, hparams, key):
        return outputs(network(model, hparams), params, x)

    return predict


def _state(params: Params) -> tuple[Any, ...]:
    """Return the state beside parameters, as the last part of what a loss returns."""
    return (params.state,) if isinstance(params, Stateful) else ()


def _how_to_make(thing: object) -> str:
    return f"e.g. flylab.get_model({thing!r})" if isinstance(thing, str) else "e.g. flylab.Model(init, apply)"


@functools.cache
def regression(
    model: Model | Callable[[Hparams], Model], loss: str | Callable[[Logits, Array], Array] = "mse"
) -> Objective:
    """Make the objective of regression: targets are numbers, `(n,)` for one output, or `(n, n_outputs)`.

    An autoencoder is regression on data whose targets are its inputs, see `flylab.data.autoencoding`. Cached, like
    `supervised`.

    Args:
        model: the network, or a function from hparams to it.
        loss: "mse" or "mae", the mean over outputs of the squared or the absolute error; or a function (outputs
            `(n_outputs, batch)`, targets `(batch,)` or `(n_outputs, batch)`) → losses `(batch,)`.

    Raises:
        ValueError: if `loss` is another word.

    >>> import jax, jax.numpy as jnp
    >>> from flylab.models import get_model
    >>> objective = regression(get_model("mlp", n_outputs=1))
    >>> batch = Batch(jnp.ones((40, 3)), jnp.array([0.5, 1.0, -2.0]))
    >>> objective.loss(objective.init(jax.random.key(0), {}), batch, {}, jax.random.key(1))[0].shape
    ()
    """
    if isinstance(loss, str) and loss not in REGRESSION_LOSSES:
        raise refusal("loss", loss, f"one of {', '.join(REGRESSION_LOSSES)}, or a function")
    per_example_loss = REGRESSION_LOSSES[loss] if isinstance(loss, str) else loss
    return supervised(model, per_example_loss)._replace(targets="numbers")


@functools.cache
def multilabel(model: Model | Callable[[Hparams], Model]) -> Objective:
    """Make the objective of several labels at once: an output for each, targets 0 or 1, `binary_cross_entropy`.

    Outputs are logits: an example has a label where its output is above 0. Cached, like `supervised`.

    >>> from flylab.models import get_model
    >>> multilabel(get_model("mlp", n_outputs=3)).targets
    'flags'
    """
    return supervised(model, binary_cross_entropy)._replace(targets="flags")


@functools.cache
def contrastive(
    model: Model, view: Callable[[Key, Array], Array], criterion: Callable[[Array, Array], Scalar]
) -> Objective:
    """Make the objective of self-supervised learning from two random views of each example; labels are not used.

    Cached, like `supervised`.

    Args:
        model: the network, including its projection head.
        view: (key, example) → a random view of the example, e.g. `flylab.data.views.view`.
        criterion: (outputs `(n_outputs, batch)` of the first views, outputs of the second views) → loss, e.g.
            `info_nce` or `vicreg`.

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
        out, after = training_outputs(model, params, views, key)
        return criterion(out[:, :n], out[:, n:]), {}, *_state(after)

    return Objective(lambda key, hparams: model.init(key), loss, predict_of(model), model=model)


def info_nce(a: Float[Array, "n_outputs batch"], b: Float[Array, "n_outputs batch"], temperature=0.5) -> Scalar:
    """Compute SimCLR's loss (Chen et al. 2020, eq. 1) in one direction: find the view in `b` that belongs to each `a`.

    The similarity is the cosine. Unlike in the paper, negatives come from `b` only, as in the MNIST-1D notebook.

    >>> import jax.numpy as jnp
    >>> z = jnp.eye(3)
    >>> bool(info_nce(z, z) < info_nce(z, z[:, ::-1]))
    True
    """
    a, b = (z * jax.lax.rsqrt(jnp.square(z).sum(0) + 1e-12) for z in (a, b))
    similarity = b.T @ a / temperature  # (b, a)
    return cross_entropy(similarity, jnp.arange(a.shape[1])).mean()


def vicreg(a: Float[Array, "n_outputs batch"], b: Float[Array, "n_outputs batch"]) -> Scalar:
    """Compute the VICReg loss with weights 25, 25 and 1 (Bardes, Ponce & LeCun 2022, algorithm 1).

    The squared distance of two views is a mean over outputs, as in the algorithm.

    >>> import jax.numpy as jnp
    >>> z = jnp.array([[1.0, -1, 1, -1], [1, 1, -1, -1]])
    >>> float(vicreg(z, z)) < 1e-4
    True
    """

    def regulariser(z):
        z = z - z.mean(1, keepdims=True)
        n_outputs, n = z.shape
        covariance = z @ z.T / (n - 1)
        variance = jax.nn.relu(1 - jnp.sqrt(jnp.diagonal(covariance) + 1e-4)).mean()
        decorrelation = (jnp.square(covariance).sum() - jnp.square(jnp.diagonal(covariance)).sum()) / n_outputs
        return 25 * variance + decorrelation

    return 25 * jnp.square(a - b).mean() + regulariser(a) + regulariser(b)


def cross_entropy(logits: Logits, y: Labels) -> Float[Array, " batch"]:
    """Compute −log softmax of the true class: outputs `(n_outputs, batch)`, labels `(batch,)` → `(batch,)`."""
    one_hot = (jnp.arange(logits.shape[0])[:, None] == y).astype(logits.dtype)  # a gather's gradient is a slow scatter
    return -(jax.nn.log_softmax(logits, axis=0) * one_hot).sum(0)


def squared_error(logits: Logits, y: Labels) -> Float[Array, " batch"]:
    """Sum the squared distance to the one-hot label over outputs: `(n_outputs, batch)`, `(batch,)` → `(batch,)`."""
    one_hot = (jnp.arange(logits.shape[0])[:, None] == y).astype(logits.dtype)
    return jnp.square(logits - one_hot).sum(0)


def mean_squared_error(outputs: Logits, targets: Float[Array, "*numbers batch"]) -> Float[Array, " batch"]:
    """Average the squared error over outputs: `(n_outputs, batch)`, `(batch,)` or `(n_outputs, batch)` → `(batch,)`."""
    return jnp.square(outputs - _in_the_shape_of(outputs, targets)).mean(0)


def mean_absolute_error(outputs: Logits, targets: Float[Array, "*numbers batch"]) -> Float[Array, " batch"]:
    """Average the absolute error over outputs; shapes as in `mean_squared_error`."""
    return jnp.abs(outputs - _in_the_shape_of(outputs, targets)).mean(0)


def binary_cross_entropy(outputs: Logits, targets: Float[Array, "*numbers batch"]) -> Float[Array, " batch"]:
    """Average −log of the probability of each 0 or 1, given logits, over outputs; shapes as in `mean_squared_error`."""
    return (jax.nn.softplus(outputs) - outputs * _in_the_shape_of(outputs, targets)).mean(0)


def _in_the_shape_of(outputs: Logits, targets: Array) -> Array:
    """Return targets in the shape of outputs; others would be broadcast in silence."""
    targets = jnp.atleast_2d(targets)
    if targets.shape != outputs.shape:
        raise ValueError(f"targets of shape ({len(targets)},) for each example need n_outputs={len(targets)}; the "
                         f"network has {len(outputs)} outputs")  # fmt: skip
    return targets


REGRESSION_LOSSES = {"mse": mean_squared_error, "mae": mean_absolute_error}
