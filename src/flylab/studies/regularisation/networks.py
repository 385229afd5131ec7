"""The published MLP under each regulariser: objectives whose strength is a hyper-parameter, batch last."""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from flylab.base.types import Hparams, Key, Params
from flylab.models import layers
from flylab.models.dense import mlp
from flylab.models.model import Stateful
from flylab.training.objectives import Objective, cross_entropy, supervised

LAYERS = ("hidden1", "hidden2")
MOMENTUM, EPSILON = 0.9, 1e-5  # of batch normalisation's running statistics, as in PyTorch
Shape = tuple[int, ...]


@functools.cache
def objective_of(method: str, shape: Shape, width: int) -> Objective:
    """Return the objective of the MLP under a method; it reads `strength` where the method has one.

    Args:
        method: a name in `METHODS`.
        shape: positions of a signal, or height and width of images, whose examples come flat.
        width: hidden units of each of the two layers.
    """
    model = mlp(math.prod(shape), 10, width)
    plain = supervised(model)
    if method == "batch_norm":
        return _normalised(plain)
    changed: dict[str, Callable] = {
        "dropout": _dropout, "label_smoothing": _smoothed, "mixup": _mixed,
        "augmentation": functools.partial(_shifted, shape),
    }  # fmt: skip
    if method not in changed:  # what changes the optimiser, or which step counts
        return plain

    def loss(params, batch, hparams, key):
        return changed[method](model.apply_batch, params, batch, hparams["strength"], key).mean(), {}

    return plain._replace(loss=loss)


def forward(params: Params, x: jax.Array, change: Callable[[str, jax.Array], jax.Array]) -> jax.Array:
    """Return the MLP's logits, with the values of each hidden layer before its ReLU changed."""
    first, second = LAYERS
    h = jax.nn.relu(change(first, layers.linear_batch(params[first], x)))
    h = h + jax.nn.relu(change(second, layers.linear_batch(params[second], h)))
    return layers.linear_batch(params["output"], h)


def _dropout(apply: Callable, params: Params, batch, rate, key: Key):
    """Drop hidden units before the ReLU, which is the same as behind it (Srivastava et al. 2014)."""
    keys = dict(zip(LAYERS, jax.random.split(key), strict=True))

    def dropped(layer, z):
        return jnp.where(jax.random.bernoulli(keys[layer], 1 - rate, z.shape), z / (1 - rate), 0)

    return cross_entropy(forward(params, batch.x, dropped), batch.y)


def _smoothed(apply: Callable, params: Params, batch, share, key: Key):
    """Give every class a share of the label (Szegedy et al. 2016)."""
    logits = apply(params, batch.x)
    uniform = jax.nn.logsumexp(logits, axis=0) - logits.mean(0)
    return (1 - share) * cross_entropy(logits, batch.y) + share * uniform


def _mixed(apply: Callable, params: Params, batch, alpha, key: Key):
    """Mix each example with its neighbour in the batch, in one proportion per batch, Beta(α, α) (Zhang et al. 2018)."""
    part = jax.random.beta(key, alpha, alpha)
    logits = apply(params, part * batch.x + (1 - part) * jnp.roll(batch.x, 1, axis=-1))
    return part * cross_entropy(logits, batch.y) + (1 - part) * cross_entropy(logits, jnp.roll(batch.y, 1))


def _shifted(shape: Shape, apply: Callable, params: Params, batch, share, key: Key):
    """Shift each example along every axis, by up to a share of its length, as on a circle."""
    x = batch.x.reshape(*shape, -1)
    for axis, (length, axis_key) in enumerate(zip(shape, jax.random.split(key, len(shape)), strict=True)):
        by = jnp.round(jax.random.uniform(axis_key, x.shape[-1:], x.dtype, -1, 1) * share * length).astype(jnp.int32)
        places = (jnp.arange(length)[:, None] - by) % length  # (length, batch)
        places = places.reshape(*(length if i == axis else 1 for i in range(len(shape))), -1)
        x = jnp.take_along_axis(x, jnp.broadcast_to(places, x.shape), axis)
    return cross_entropy(apply(params, x.reshape(batch.x.shape)), batch.y)


def _normalised(plain: Objective) -> Objective:
    """Normalise each hidden layer over the batch, and with running statistics in evaluations (Ioffe & Szegedy 2015)."""

    def init(key: Key, hparams: Hparams) -> Stateful:
        params = plain.init(key, hparams)
        ones = {layer: jnp.ones_like(params[layer]["b"]) for layer in LAYERS}
        zeros = {layer: jnp.zeros_like(one) for layer, one in ones.items()}
        scales = {f"{layer}_scale": ones[layer] for layer in LAYERS}
        return Stateful(params | scales, {"mean": zeros, "var": ones})

    def loss(params: Stateful, batch, hparams, key):
        state = {"mean": dict(params.state["mean"]), "var": dict(params.state["var"])}

        def normalised(layer, z):
            mean, var = z.mean(1), z.var(1)
            n = z.shape[1]
            for name, now in (("mean", mean), ("var", var * n / max(n - 1, 1))):
                state[name][layer] = MOMENTUM * params.state[name][layer] + (1 - MOMENTUM) * now
            return _scaled(params.params, layer, z, mean, var)

        logits = forward(params.params, batch.x, normalised)
        return cross_entropy(logits, batch.y).mean(), {}, jax.lax.stop_gradient(state)

    def predict(params: Stateful, x, hparams, key):
        state = params.state
        return forward(
            params.params,
            x,
            lambda layer, z: _scaled(params.params, layer, z, state["mean"][layer], state["var"][layer]),
        )

    return plain._replace(init=init, loss=loss, predict=predict)


def _scaled(params: Params, layer: str, z, mean, var):
    """Normalise, scale, and add the layer's bias, which has no effect before."""
    scale = params[f"{layer}_scale"] * jax.lax.rsqrt(var + EPSILON)
    return scale[:, None] * (z - mean[:, None]) + params[layer]["b"][:, None]
