"""Activation functions: the usual ones by name, with weights of their own, and the one that flylab metalearned."""

import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Float
from scipy.optimize import least_squares

from flylab.extras import need
from flylab.files import write_atomic
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
_NAMES = ("w", "b", "v", "c")
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


class ClosedForm(NamedTuple):
    """A formula for a learned activation: its text, its numbers, and the largest deviation on [−5, 5]."""

    text: str
    a: list[float]
    b: list[float]
    c: list[float]
    d: float
    error: float


def closed_form(weights: Params, n_terms: int = 3) -> ClosedForm:
    """ELU plus a few tanh terms and a constant, fitted to a learned activation on [−5, 5] by least squares."""
    p = {name: np.asarray(leaf, np.float64) for name, leaf in weights.items()}
    x = np.linspace(-5, 5, 401)
    want = SHARE * (np.tanh(x[:, None] * p["w"] + p["b"]) @ p["v"] + p["c"])

    def difference(numbers):
        a, b, c = numbers[:-1].reshape(3, n_terms)
        return np.tanh(x[:, None] * b + c) @ a + numbers[-1] - want

    starts = np.random.default_rng(0).normal(size=(10, 3 * n_terms + 1))
    best = min((least_squares(difference, start) for start in starts), key=lambda fit: fit.cost)
    a, b, c = best.x[:-1].reshape(3, n_terms).tolist()
    text = "elu(x) + sum_i a[i] tanh(b[i] x + c[i]) + d"
    return ClosedForm(text, a, b, c, float(best.x[-1]), float(np.abs(best.fun).max()))


def save_weights(path: str | Path, weights: Params, provenance: Mapping[str, Any]) -> Path:
    """Write a learned activation: as JSON with its values on a grid and a closed form, or as safetensors.

    Args:
        path: ending in .json or .safetensors.
        weights: `w, b, v (n_units,)` and `c ()`.
        provenance: where it comes from; any JSON.

    Raises:
        ValueError: for another ending, or if `safetensors` is needed and not installed.
        OSError: if the path cannot be written.
    """
    path, arrays = Path(path), {name: np.asarray(weights[name], np.float32) for name in _NAMES}
    form = "elu(x) + 0.2 (sum_k v[k] tanh(w[k] x + b[k]) + c)"
    if path.suffix == ".safetensors":
        metadata = {"form": form, "provenance": json.dumps(provenance, sort_keys=True)}
        write_atomic(path, need("safetensors.numpy", "data", "save_weights").save(arrays, metadata))
    elif path.suffix == ".json":
        x = np.linspace(-5, 5, 201)
        grid = {"x": x.round(4).tolist(), "y": np.asarray(learnable(arrays, jnp.asarray(x, jnp.float32))).tolist()}
        numbers = {name: leaf.tolist() for name, leaf in arrays.items()}
        fit = closed_form(arrays)._asdict()
        content = {"form": form, "weights": numbers, "closed_form": fit, "grid": grid, "provenance": provenance}
        write_atomic(path, json.dumps(content, indent=1) + "\n")
    else:
        raise ValueError(f"{path} ends in neither .json nor .safetensors: choose one of them")
    return path


@functools.cache
def _loaded(path: Path, changed: int) -> Mapping[str, np.ndarray]:
    try:
        if path.suffix == ".safetensors":
            given = need("safetensors.numpy", "data", "load_weights").load(path.read_bytes())
        else:
            given = json.loads(path.read_text())["weights"]
        found = {name: np.asarray(given[name], np.float32) for name in _NAMES}
    except OSError:
        raise
    except Exception as error:
        raise _no_activation(path, repr(error)) from None
    if len({found[name].shape for name in "wbv"}) > 1 or found["w"].ndim != 1 or found["c"].ndim:
        raise _no_activation(path, "the weights' shapes do not fit together")
    if not all(np.isfinite(leaf).all() for leaf in found.values()):
        raise _no_activation(path, "a weight is not finite")
    return found


def _no_activation(path: Path, why: str) -> ValueError:
    return ValueError(f"{path} holds no learned activation ({why}): give a file that save_weights has written")


def load_weights(path: str | Path = ARTIFACT) -> Params:
    """The weights of a learned activation that `save_weights` wrote, as NumPy arrays; by default the committed ones.

    Raises:
        ValueError: if the file holds none.
        OSError: if it cannot be read.
    """
    return dict(_loaded(Path(path), Path(path).stat().st_mtime_ns))


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
