"""The published MLP under each regulariser: objectives that read its strength, batch last."""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from flylab.base.types import Hparams, Key, Params
from flylab.models import layers
from flylab.models.dense import mlp
from flylab.models.model import Stateful
from flylab.training.losses import label_smoothing
from flylab.training.objectives import Batch, Objective, cross_entropy, supervised

LAYERS = ("hidden1", "hidden2")
MOMENTUM, EPSILON = 0.9, 1e-5  # of batch normalisation's running statistics, as in PyTorch
Shape = tuple[int, ...]


@functools.cache
def objective_of(regulariser: str, shape: Shape, width: int) -> Objective:
    """Return the objective of the MLP under a regulariser; it reads the hyper-parameter `strength` if there is one.

    Args:
        regulariser: a name in `method.REGULARISERS`.
        shape: positions of a signal, or height and width of images, whose examples come flat.
        width: hidden units of each of the two layers.
    """
    plain = supervised(mlp(math.prod(shape), 10, width))
    if regulariser == "batch_norm":
        return _normalised(plain)
    if regulariser not in LOSSES:  # what changes the optimiser, or which step counts
        return plain

    def loss(params, batch, hparams, key):
        return LOSSES[regulariser](params, batch, hparams["strength"], key, shape).mean(), {}

    return plain._replace(loss=loss)


def logits(params: Params, x: jax.Array, change: Callable[[str, jax.Array], jax.Array] = lambda layer, z: z):
    """Return the MLP's logits `(10, batch)`, with the values of each hidden layer before its ReLU changed."""
    first, second = LAYERS
    h = jax.nn.relu(change(first, layers.linear_batch(params[first], x)))
    h = h + jax.nn.relu(change(second, layers.linear_batch(params[second], h)))
    return layers.linear_batch(params["output"], h)


def dropout(params: Params, batch: Batch, rate, key: Key, shape: Shape):
    """Drop hidden units before the ReLU, which is the same as behind it (Srivastava et al. 2014)."""
    keys = dict(zip(LAYERS, jax.random.split(key), strict=True))

    def dropped(layer, z):
        return jnp.where(jax.random.bernoulli(keys[layer], 1 - rate, z.shape), z / (1 - rate), 0)

    return cross_entropy(logits(params, batch.x, dropped), batch.y)


def smoothed(params: Params, batch: Batch, share, key: Key, shape: Shape):
    """Mix labels with the uniform distribution (Szegedy et al. 2016)."""
    return label_smoothing(logits(params, batch.x), batch.y, share)


def mixup(params: Params, batch: Batch, alpha, key: Key, shape: Shape):
    """Mix each example with its neighbour in the batch, in one proportion per batch, Beta(α, α) (Zhang et al. 2018)."""
    part = jax.random.beta(key, alpha, alpha)
    out = logits(params, part * batch.x + (1 - part) * jnp.roll(batch.x, 1, axis=-1))
    return part * cross_entropy(out, batch.y) + (1 - part) * cross_entropy(out, jnp.roll(batch.y, 1))


def shifted(params: Params, batch: Batch, share, key: Key, shape: Shape):
    """Shift each example along every axis, by up to a share of its length, as on a circle."""
    reach = share * jnp.array(shape)[:, None]
    by = jnp.round(reach * jax.random.uniform(key, (len(shape), len(batch.y)), minval=-1)).astype(jnp.int32)
    moved = jax.vmap(lambda x, by: jnp.roll(x, by, range(len(shape))), -1, -1)(batch.x.reshape(*shape, -1), by)
    return cross_entropy(logits(params, moved.reshape(batch.x.shape)), batch.y)


# parameters, batch, strength, key and shape → the losses of the examples
LOSSES: dict[str, Callable[..., jax.Array]] = {
    "dropout": dropout,
    "label_smoothing": smoothed,
    "mixup": mixup,
    "augmentation": shifted,
}


def _normalised(plain: Objective) -> Objective:
    """Normalise each hidden layer over the batch, and with running statistics in evaluations (Ioffe & Szegedy 2015)."""

    def init(key: Key, hparams: Hparams) -> Stateful:
        params = plain.init(key, hparams)
        ones = {layer: jnp.ones_like(params[layer]["b"]) for layer in LAYERS}
        zeros = {layer: jnp.zeros_like(one) for layer, one in ones.items()}
        return Stateful(params | {f"{layer}_scale": ones[layer] for layer in LAYERS}, {"mean": zeros, "var": ones})

    def loss(params: Stateful, batch: Batch, hparams: Hparams, key: Key):
        found = {"mean": {}, "var": {}}

        def normalised(layer, z):
            mean, var = found["mean"][layer], found["var"][layer] = z.mean(1), z.var(1, ddof=1)
            return scaled(params.params, layer, z, mean, var * (1 - 1 / z.shape[1]))

        losses = cross_entropy(logits(params.params, batch.x, normalised), batch.y)
        state = jax.tree.map(lambda old, new: MOMENTUM * old + (1 - MOMENTUM) * new, params.state, found)
        return losses.mean(), {}, jax.lax.stop_gradient(state)

    def predict(params: Stateful, x, hparams: Hparams, key: Key):
        mean, var = params.state["mean"], params.state["var"]
        return logits(params.params, x, lambda layer, z: scaled(params.params, layer, z, mean[layer], var[layer]))

    def scaled(params: Params, layer: str, z, mean, var):
        # the layer's bias has no effect before it is normalised, and is added behind
        scale = params[f"{layer}_scale"] * jax.lax.rsqrt(var + EPSILON)
        return scale[:, None] * (z - mean[:, None]) + params[layer]["b"][:, None]

    return plain._replace(init=init, loss=loss, predict=predict, model=None)
