"""Activation functions: the usual ones by name, with weights of their own, and the one that flylab metalearned."""

import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Float

from flylab.models.layers import uniform
from flylab.types import Key, Params

ALL: dict[str, Callable] = {
    "relu": jax.nn.relu,
    "elu": jax.nn.elu,
    "swish": jax.nn.silu,
    "softplus": jax.nn.softplus,
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "gelu": functools.partial(jax.nn.gelu, approximate=False),
    "mish": jax.nn.mish,
}
SHARE = 0.2  # of the network in a learnable activation (the published one's)
ARTIFACT = Path(__file__).parent / "artifacts" / "activation.json"


def network_init(key: Key, n_units: int = 100) -> Params:
    """A network from a number to a number: `w, b, v (n_units,)` and `c ()`, as torch.nn.Linear(1, n), (n, 1)."""
    w, b, v, c = jax.random.split(key, 4)
    return {
        "w": uniform(w, (n_units,), 1),
        "b": uniform(b, (n_units,), 1),
        "v": uniform(v, (n_units,), n_units),
        "c": uniform(c, (), n_units),
    }


def network(params: Params, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`Σ v·tanh(w·x + b) + c`, elementwise.

    Made to be differentiated twice, as metalearning does: value and slope come from one pass, five times faster than
    derived gradients.

    >>> import jax, jax.numpy as jnp
    >>> network(network_init(jax.random.key(0)), jnp.zeros((3, 2))).shape
    (3, 2)
    """
    hidden = {name: params[name] for name in ("w", "b", "v")}
    return _network(hidden, x.reshape(-1)).reshape(x.shape) + params["c"]


def learnable(params: Params, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """ELU(x) + 0.2 · network(x): the published form of a learnable activation (Greydanus & Kobak 2024)."""
    return jax.nn.elu(x) + SHARE * network(params, x)


@functools.cache
def _artifact(path: Path = ARTIFACT) -> Mapping[str, Any]:
    return json.loads(path.read_text())


def load_weights(path: Path = ARTIFACT) -> Params:
    """The weights of a learned activation that the study `activation` has saved, as NumPy arrays.

    Raises:
        ValueError: if the file holds none.
        OSError: if it cannot be read.
    """
    try:
        found = {name: np.asarray(_artifact(path)["weights"][name], np.float32) for name in ("w", "b", "v", "c")}
        if len({found[name].shape for name in ("w", "b", "v")}) > 1 or found["w"].ndim != 1 or found["c"].ndim:
            raise ValueError("shapes differ")
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} holds no learned activation ({error}); make one by flylab run activation") from None
    return found


def learned(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The activation function that flylab metalearned on MNIST-1D, by the published protocol; elementwise.

    Its provenance is in `artifacts/activation.json`; other weights: `learnable(load_weights(path), x)`.

    >>> import jax.numpy as jnp
    >>> learned(jnp.zeros(3)).shape
    (3,)
    """
    return learnable(load_weights(), x)


# ── value and slope from one pass ───────────────────────────────────────────────────────────────────────────────────
# Every sum over units is a product with a vector, units first: forwards and transposed alike the fastest form.


def _tanh(p: Params, x: Float[Array, " n"]) -> Float[Array, "n_units n"]:
    return jnp.tanh(p["w"][:, None] * x + p["b"][:, None])


@jax.custom_jvp
def _value_and_slope(p: Params, x: Float[Array, " n"]):
    t = _tanh(p, x)
    return p["v"] @ t, (p["v"] * p["w"]) @ (1 - t * t)


@_value_and_slope.defjvp
def _(primals, tangents):
    (p, x), (dp, dx) = primals, tangents
    w, v = p["w"], p["v"]
    t = _tanh(p, x)
    u = 1 - t * t  # the derivative of tanh
    tu = t * u
    slope = (v * w) @ u
    d_value = dp["v"] @ t + x * ((v * dp["w"]) @ u) + (v * dp["b"]) @ u + dx * slope
    curved = x * ((v * w * dp["w"]) @ tu) + (v * w * dp["b"]) @ tu + dx * ((v * w * w) @ tu)
    d_slope = (dp["v"] * w + v * dp["w"]) @ u - 2 * curved
    return (v @ t, slope), (d_value, d_slope)


@jax.custom_jvp
def _network(p: Params, x: Float[Array, " n"]):
    return _value_and_slope(p, x)[0]


def _network_jvp(primals, tangents):
    (p, x), (dp, dx) = primals, tangents
    value, slope = _value_and_slope(p, x)
    tangent = jnp.zeros_like(value) if isinstance(dx, SymbolicZero) else slope * dx
    if not all(isinstance(leaf, SymbolicZero) for leaf in dp.values()):  # the inner loop's gradient needs none of it
        dp = {name: jnp.zeros_like(p[name]) if isinstance(one, SymbolicZero) else one for name, one in dp.items()}
        tangent += jax.jvp(lambda p: _value_and_slope(p, x)[0], (p,), (dp,))[1]
    return value, tangent


_network.defjvp(_network_jvp, symbolic_zeros=True)
