"""The pool of architectures: MLPs and CNNs whose choices are hyper-parameters, so that a family is one program."""

import functools
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from flylab.base.rng import stream
from flylab.base.types import Hparams
from flylab.models import Model, activations
from flylab.models.batched import conv1d, from_batch, readout
from flylab.models.layers import linear_batch

FAMILIES = ("mlp", "cnn")
ACTIVATIONS = ("relu", "tanh", "sigmoid", "elu")
LAYERS, KERNEL = 3, 7  # the most layers, the widest kernel
CHOICES = {
    "mlp": {"width": (2, 3, 4, 6, 8, 12, 16, 24, 32), "depth": (1, 2, 3), "activation": range(len(ACTIVATIONS))},
    "cnn": {"width": (1, 2, 3, 4, 6, 8), "depth": (1, 2, 3), "activation": range(len(ACTIVATIONS)),
            "kernel": (1, 3, 5, 7), "pooled": (0, 1)},
}  # fmt: skip
Specs = Mapping[str, np.ndarray]  # choice → its value for each architecture


@functools.cache
def specs(family: str) -> Specs:
    """Return all architectures of a family in one random order, whose first ones train dishes."""
    choices = CHOICES[family]
    rows = np.random.default_rng(0).permutation(np.array([*itertools.product(*choices.values())], np.float32))
    return dict(zip(choices, rows.T, strict=True))


def names(family: str) -> list[str]:
    """Return the name of each architecture, such as "cnn relu width 4 depth 2 kernel 3 pooled 0"."""
    spec = specs(family)
    rest = [name for name in spec if name != "activation"]
    return [" ".join((family, ACTIVATIONS[int(spec["activation"][i])], *(f"{one} {spec[one][i]:g}" for one in rest)))
            for i in range(len(spec["width"]))]  # fmt: skip


def _size(family: str, shape: tuple[int, int]) -> np.ndarray:
    spec, (n_in, n) = specs(family), shape
    width, more = spec["width"], spec["depth"] - 1
    if family == "mlp":
        return width * (n_in * n + 1) + more * width * (width + 1) + 10 * (width + 1)
    kernel, last = spec["kernel"], np.where(spec["pooled"], 1, -(-n // 2))
    return width * (n_in * kernel + 1) + more * width * (width * kernel + 1) + 10 * (width * last + 1)


def sizes(shape: tuple[int, int]) -> dict[str, int]:
    """Return the number of parameters of each architecture by name."""
    return {name: int(n) for family in FAMILIES for name, n in zip(names(family), _size(family, shape), strict=True)}


@functools.cache
def network(family: str, shape: tuple[int, int]) -> Callable[[Hparams], Model]:
    """Return the function from hyper-parameters, among them `spec`, to the network of an architecture."""
    make = {"mlp": _mlp, "cnn": _cnn}[family]
    return lambda hparams: make(shape, hparams["spec"])


def _act(spec: Mapping[str, Any], h: jax.Array) -> jax.Array:
    """Apply the activation that a specification names, and hold the units beyond its width at 0."""
    chosen = spec["activation"].astype(jnp.int32)
    h = jax.lax.switch(chosen, [activations.ALL[name] for name in ACTIVATIONS], h)
    used = jnp.arange(len(h)) < spec["width"]
    return h * used.reshape(-1, *[1] * (h.ndim - 1))


def _layer(key: jax.Array, shape: tuple[int, ...], fan_in: Any) -> dict[str, jax.Array]:
    """Initialise a layer as PyTorch does, with a fan-in that is traced."""
    bound = fan_in**-0.5
    w, b = jax.random.split(key)
    shapes = {"w": (w, shape), "b": (b, shape[:1])}
    return {name: bound * jax.random.uniform(*drawn, minval=-1) for name, drawn in shapes.items()}


def _mlp(shape: tuple[int, int], spec: Mapping[str, Any]) -> Model:
    n, most = shape[0] * shape[1], max(CHOICES["mlp"]["width"])

    def init(key):
        hidden = [_layer(stream(key, f"hidden{i}"), (most, most if i else n), spec["width"] if i else n)
                  for i in range(LAYERS)]  # fmt: skip
        return {"hidden": hidden, "output": _layer(stream(key, "output"), (10, most), spec["width"])}

    def apply_batch(params, x):
        h = _act(spec, linear_batch(params["hidden"][0], x.reshape(n, -1)))
        for i in range(1, LAYERS):
            h = jnp.where(spec["depth"] > i, _act(spec, linear_batch(params["hidden"][i], h)), h)
        return linear_batch(params["output"], h)

    return from_batch(init, apply_batch)


def _cnn(shape: tuple[int, int], spec: Mapping[str, Any]) -> Model:
    """Build convolutions, the first of stride 2, read at every position or as their mean over positions."""
    (n_in, n), most, pad = shape, max(CHOICES["cnn"]["width"]), KERNEL // 2
    n_out = -(-n // 2)
    taps = abs(jnp.arange(KERNEL) - pad) <= (spec["kernel"] - 1) / 2

    def init(key):
        convs = [_layer(stream(key, f"conv{i}"), (most, KERNEL, most if i else n_in),
                        spec["kernel"] * (spec["width"] if i else n_in)) for i in range(LAYERS)]  # fmt: skip
        return {"convs": convs, "output": _layer(stream(key, "output"), (10, most * n_out), spec["width"] * n_out)}

    def conv(params, h, stride=1):
        return conv1d({"w": params["w"] * taps[:, None], "b": params["b"]}, h, stride, pad, pad)

    def apply_batch(params, x):
        h = _act(spec, conv(params["convs"][0], x, 2))
        for i in range(1, LAYERS):
            h = jnp.where(spec["depth"] > i, _act(spec, conv(params["convs"][i], h)), h)
        return readout(params["output"], jnp.where(spec["pooled"] > 0, h.mean(1, keepdims=True), h))

    return from_batch(init, apply_batch)
