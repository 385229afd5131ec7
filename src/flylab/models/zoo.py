"""The published networks at their published sizes (Greydanus & Kobak 2024), and a CNN for images.

The constructors cache, so that two calls with the same arguments give the same `Model`, and training it twice compiles
once.
"""

import functools
import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from flylab.keys import stream
from flylab.models import layers
from flylab.models.conv import Conv, conv_stack, stack_lengths
from flylab.models.gru import gru, gru_batch, gru_init
from flylab.models.model import Model

POOLINGS = ("none", "stride", *layers.POOLINGS)  # of `pooling_cnn`


def _affine(params, x):
    return layers.affine(params["w"], params["b"], x)


@functools.cache
def logistic(n_in: int = 40, n_outputs: int = 10) -> Model:
    """Multinomial logistic regression: 410 parameters by default."""
    return Model(lambda key: layers.linear_init(key, n_in, n_outputs), layers.linear, _affine)


@functools.cache
def mlp(
    n_in: int = 40,
    width: int = 100,
    n_outputs: int = 10,
    residual: bool = True,
    activation: Callable[[jax.Array], jax.Array] = jax.nn.relu,
) -> Model:
    """Two hidden layers, the second residual (unless `residual=False`): 15 210 parameters by default.

    `activation` is any elementwise function; by default ReLU, as published.
    """

    def init(key):
        keys = jax.random.split(key, 3)
        sizes = {"hidden1": (n_in, width), "hidden2": (width, width), "output": (width, n_outputs)}
        return {name: layers.linear_init(k, *size) for k, (name, size) in zip(keys, sizes.items(), strict=True)}

    def apply(params, x):
        h = activation(layers.linear(params["hidden1"], x))
        h = (h if residual else 0.0) + activation(layers.linear(params["hidden2"], h))
        return layers.linear(params["output"], h)

    def apply_batch(params, x):
        h = activation(_affine(params["hidden1"], x))
        h = (h if residual else 0.0) + activation(_affine(params["hidden2"], h))
        return _affine(params["output"], h)

    return Model(init, apply, apply_batch)


@functools.cache
def shallow(n_in: int = 40, width: int = 50, n_outputs: int = 10, activation: Callable = jnp.tanh) -> Model:
    """One hidden layer with any elementwise activation, as the metalearning studies train: 2 560 parameters."""

    def init(key):
        hidden, output = jax.random.split(key)
        return {
            "hidden": layers.linear_init(hidden, n_in, width),
            "output": layers.linear_init(output, width, n_outputs),
        }

    def apply(params, x):
        return layers.linear(params["output"], activation(layers.linear(params["hidden"], x)))

    def apply_batch(params, x):
        return _affine(params["output"], activation(_affine(params["hidden"], x)))

    return Model(init, apply, apply_batch)


@functools.cache
def cnn(length: int = 40, channels: int = 25, n_outputs: int = 10, hidden: tuple[int, ...] = ()) -> Model:
    """Three strided convolutions (kernels 5, 3, 3; stride 2; padding 1) and a linear layer: 5 210 parameters.

    `hidden` puts ReLU layers of these widths before the last one, as the heads of contrastive learning have them.
    """
    return _convolutional(_strided(channels), length, n_outputs, hidden)


def _strided(channels: int) -> tuple[Conv, ...]:
    return Conv(channels, 5, 2, 1), Conv(channels, 3, 2, 1), Conv(channels, 3, 2, 1)


def cnn_layers(params, x) -> list[jax.Array]:
    """What every layer of `cnn` makes of one signal `(length,)`, flat: the signal itself first, the outputs last."""
    return [x, *(layer.ravel() for layer in _layers(params, x, _strided(params["conv1"]["b"].size)))]


@functools.cache
def pooling_cnn(length: int = 40, channels: int = 20, n_outputs: int = 10, pooling: str = "none") -> Model:
    """Two convolutions (kernel 3, padding 1) and a linear layer: 9 310 parameters without pooling, else 3 310.

    `pooling` is "none", "stride" (the convolutions have stride 2), or "max", "average" or "l2" of two after each.

    Raises:
        ValueError: for another pooling.
    """
    if pooling not in POOLINGS:
        raise ValueError(f"pooling={pooling!r} is not allowed: give one of {', '.join(POOLINGS)}")
    stride, own = (2 if pooling == "stride" else 1), (pooling if pooling in layers.POOLINGS else None)
    return _convolutional((Conv(channels, 3, stride, 1, own),) * 2, length, n_outputs)


def _convolutional(specs: tuple[Conv, ...], length: int, n_outputs: int, hidden: tuple[int, ...] = ()) -> Model:
    """Convolutions with a ReLU and perhaps a pooling after each, ReLU layers, and a linear layer."""
    widths = (specs[-1].channels * stack_lengths(length, specs)[-1], *hidden)

    def init(key):
        keys = jax.random.split(key, len(specs) + 1)
        n_ins = [1, *(spec.channels for spec in specs)]
        params = {
            f"conv{i + 1}": layers.conv1d_init(k, n_in, spec.channels, spec.kernel)
            for i, (k, n_in, spec) in enumerate(zip(keys, n_ins, specs, strict=False))
        }
        for i, size in enumerate(itertools.pairwise(widths)):
            params[f"hidden{i + 1}"] = layers.linear_init(stream(keys[-1], f"hidden{i + 1}"), *size)
        return params | {"output": layers.linear_init(keys[-1], widths[-1], n_outputs)}

    def apply(params, x):
        return _layers(params, x, specs)[-1]

    def apply_batch(params, x):
        h = conv_stack([params[f"conv{i + 1}"] for i in range(len(specs))], x[None], specs)
        h = h.reshape(-1, h.shape[-1])
        for i in range(len(hidden)):
            h = jax.nn.relu(_affine(params[f"hidden{i + 1}"], h))
        return _affine(params["output"], h)

    return Model(init, apply, apply_batch)


def _layers(params, x, specs: tuple[Conv, ...]) -> list[jax.Array]:
    """What every layer makes of one signal."""
    found, h = [], x[None]  # (1, length)
    for i, spec in enumerate(specs):
        h = jax.nn.relu(layers.conv1d(params[f"conv{i + 1}"], h, spec.stride, spec.padding))
        h = h if spec.pooling is None else layers.pool1d(h, spec.pooling)
        found.append(h)
    h = h.ravel()
    for i in range(sum(name.startswith("hidden") for name in params)):
        h = jax.nn.relu(layers.linear(params[f"hidden{i + 1}"], h))
        found.append(h)
    return [*found, layers.linear(params["output"], h)]


@functools.cache
def bidirectional_gru(length: int = 40, hidden: int = 6, n_outputs: int = 10) -> Model:
    """A bidirectional GRU whose states at all steps feed a linear layer: 5 134 parameters by default."""

    def init(key):
        recurrent, output = jax.random.split(key)
        return {
            "gru": gru_init(recurrent, hidden),
            "output": layers.linear_init(output, 2 * hidden * length, n_outputs),
        }

    def apply(params, x):
        return layers.linear(params["output"], gru(params["gru"], x).ravel())

    def apply_batch(params, x):
        h = gru_batch(params["gru"], x)  # (length, 2·hidden, batch)
        return _affine(params["output"], h.reshape(-1, h.shape[-1]))

    return Model(init, apply, apply_batch)


@functools.cache
def cnn2d(
    shape: tuple[int, int, int] = (8, 8, 1),
    channels: int = 16,
    n_outputs: int = 10,
    activation: Callable[[jax.Array], jax.Array] = jax.nn.relu,
) -> Model:
    """Three strided 3×3 convolutions (stride 2, padding 1) and a linear layer, for images `(height, width, channels)`.

    4 970 parameters for 8×8 images, 7 370 for 28×28. The zoo's `cnn` in two dimensions; written for one example only.
    It takes flat pixels, too, and large sets should be given so: where their last axis has one entry, XLA copies the
    whole set at every dispatch. `activation` is any elementwise function; another one is another network, and compiles
    anew.
    """
    n_ins = (shape[2], channels, channels)
    n_positions = 1
    for length in shape[:2]:
        n_positions *= functools.reduce(lambda n, _: layers.conv1d_length(n, 3, 2, 1), n_ins, length)

    def init(key):
        *keys, output = jax.random.split(key, len(n_ins) + 1)
        convolutions = zip(keys, n_ins, strict=True)
        params = {f"conv{i + 1}": layers.conv2d_init(k, n_in, channels, 3) for i, (k, n_in) in enumerate(convolutions)}
        return params | {"output": layers.linear_init(output, channels * n_positions, n_outputs)}

    def apply(params, x):
        x = x.reshape(shape)
        for i in range(len(n_ins)):
            x = activation(layers.conv2d(params[f"conv{i + 1}"], x, stride=2, padding=1))
        return layers.linear(params["output"], x.ravel())

    return Model(init, apply)


ALL: dict[str, Callable[..., Model]] = {
    "logistic": logistic,
    "mlp": mlp,
    "cnn": cnn,
    "gru": bidirectional_gru,
}
