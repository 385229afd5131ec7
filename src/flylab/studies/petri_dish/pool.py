"""The pool of architectures: small CNNs whose choices are hyper-parameters, so that all of them are one program."""

import functools
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from flylab.base.types import Hparams
from flylab.models import Model
from flylab.models.batched import conv1d, from_batch, readout

ACTIVATIONS = ("relu", "tanh")
CHOICES = {"width": (1, 2, 3, 4, 6, 8), "depth": (1, 2), "kernel": (1, 3, 5, 7), "pooled": (0, 1),
           "activation": range(len(ACTIVATIONS))}  # fmt: skip
WIDTH, KERNEL = max(CHOICES["width"]), max(CHOICES["kernel"])
Shape = tuple[int, int]  # channels and positions of an example


@functools.cache
def specs() -> Mapping[str, np.ndarray]:
    """Return the choices of all architectures by name, in a random order, whose first ones teach dishes."""
    rows = np.random.default_rng(0).permutation(np.array([*itertools.product(*CHOICES.values())], np.float32))
    return dict(zip(CHOICES, rows.T, strict=True))


def names(n: int) -> list[str]:
    """Return the names of the first architectures, such as "relu width 4 depth 2 kernel 3 pooled 0"."""
    spec = specs()
    rest = [name for name in CHOICES if name != "activation"]
    return [" ".join((ACTIVATIONS[int(spec["activation"][i])], *(f"{name} {spec[name][i]:g}" for name in rest)))
            for i in range(n)]  # fmt: skip


def sizes(shape: Shape) -> np.ndarray:
    """Return the number of parameters of each architecture."""
    width, depth, kernel, pooled = (specs()[name] for name in ("width", "depth", "kernel", "pooled"))
    n_read = width * np.where(pooled, 1, _n_positions(shape))
    return width * (shape[0] * kernel + 1) + (depth - 1) * width * (width * kernel + 1) + 10 * (n_read + 1)


def _n_positions(shape: Shape) -> int:
    return -(-shape[1] // 2)  # behind the first convolution, of stride 2


@functools.cache
def network(shape: Shape) -> Callable[[Hparams], Model]:
    """Return the function from hyper-parameters, among them `spec`, to the network of an architecture.

    It has one or two convolutions, of which the first has stride 2, and reads every position or their mean. All have
    the greatest width, depth and kernel; what a specification does not use is held at 0 or left out.
    """
    return lambda hparams: _cnn(shape, hparams["spec"])


def _cnn(shape: Shape, spec: Mapping[str, Any]) -> Model:
    n_positions, pad, width = _n_positions(shape), KERNEL // 2, spec["width"]
    used = (jnp.arange(WIDTH) < width)[:, None, None]
    taps = (abs(jnp.arange(KERNEL) - pad) <= (spec["kernel"] - 1) / 2)[:, None]
    # outputs and the most inputs of each layer, and the inputs that it has
    layers = {
        "first": (WIDTH, KERNEL * shape[0], spec["kernel"] * shape[0]),
        "second": (WIDTH, KERNEL * WIDTH, spec["kernel"] * width),
        "output": (10, WIDTH * n_positions, width * jnp.where(spec["pooled"] > 0, 1, n_positions)),
    }

    def init(key):
        """Initialise as PyTorch does, in one draw, since each takes a second to compile."""
        ends = np.cumsum([n_out * (n_in + 1) for n_out, n_in, _ in layers.values()])
        parts = jnp.split(jax.random.uniform(key, (ends[-1],), minval=-1), ends[:-1])
        drawn = {name: fan_in**-0.5 * part.reshape(n_out, n_in + 1)
                 for part, (name, (n_out, n_in, fan_in)) in zip(parts, layers.items(), strict=True)}  # fmt: skip
        return {name: {"w": layer[:, :-1], "b": layer[:, -1]} for name, layer in drawn.items()}

    def hidden(params, h, stride):
        w = params["w"].reshape(WIDTH, KERNEL, len(h)) * taps
        h = conv1d({"w": w, "b": params["b"]}, h, stride, pad, pad)
        return used * jnp.where(spec["activation"] > 0, jnp.tanh(h), jax.nn.relu(h))

    def apply_batch(params, x):
        h = hidden(params["first"], x, 2)
        h = jnp.where(spec["depth"] > 1, hidden(params["second"], h, 1), h)
        mean = h.mean(1, keepdims=True) * (jnp.arange(n_positions) == 0)[:, None]  # for the first position's weights
        return readout(params["output"], jnp.where(spec["pooled"] > 0, mean, h))

    return from_batch(init, apply_batch)
