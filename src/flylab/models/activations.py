"""Activation functions: standard ones by name, learnable ones, and the one that flylab metalearned."""

import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.optimize import least_squares

from flylab.base.files import read_bytes, read_json, user_path, write_atomic
from flylab.base.optional import need
from flylab.base.types import Key, Params
from flylab.models.layers import uniform

Numbers = Array | np.ndarray

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
TITLES = {"relu": "ReLU", "elu": "ELU", "swish": "Swish", "gelu": "GELU", "mish": "Mish"}
FINE, OCTAVES = 8, 12  # a table has 2^FINE nodes between 1 + |x| = 2^k and 2^(k + 1), for each k < OCTAVES
N_NODES = OCTAVES << FINE  # nodes on each side of 0
LAST = 2.0**OCTAVES - 1  # position of the last node
ONE = 0x3F800000  # the bits of 1.0
FEW = 16  # units, up to which a network is faster than its table
SHARE = 0.2  # the network's factor in a learnable activation, as published
_NAMES = ("w", "b", "v", "c")
ARTIFACT = Path(__file__).parents[1] / "artifacts" / "activation.json"
FUNCTIONS = ARTIFACT.with_name("activations.safetensors")


def title(name: str) -> str:
    """Return an activation's name as figures write it: "ReLU" for "relu", "tanh" for "tanh"."""
    return TITLES.get(name, name)


def network_init(key: Key, n_units: int = 100) -> Params:
    """Initialise a scalar network, `w, b, v (n_units,)` and `c ()`, as `torch.nn.Linear(1, n)` and `(n, 1)` do."""
    w, b, v, c = jax.random.split(key, 4)
    return {
        "w": uniform(w, (n_units,), 1),
        "b": uniform(b, (n_units,), 1),
        "v": uniform(v, (n_units,), n_units),
        "c": uniform(c, (), n_units),
    }


def network(params: Params, x: Float[Numbers, "*shape"]) -> Float[Array, "*shape"]:
    """Compute `Σ v·tanh(w·x + b) + c` elementwise. `tabled` is faster where the same weights are evaluated often.

    >>> import jax, jax.numpy as jnp
    >>> network(network_init(jax.random.key(0)), jnp.zeros((3, 2))).shape
    (3, 2)
    """
    w, b, v = params["w"], params["b"], params["v"]
    if len(w) <= FEW:  # written out, they are one loop over x
        return sum(v[k] * jnp.tanh(w[k] * x + b[k]) for k in range(len(w))) + params["c"]
    w, b = (params[name].reshape(-1, *[1] * jnp.ndim(x)) for name in ("w", "b"))
    return jnp.tensordot(params["v"], jnp.tanh(w * x + b), 1) + params["c"]


class Table(NamedTuple):
    """A network's Taylor series at nodes on the real line, spaced more closely near 0.

    Attributes:
        terms: f, f′, f″/2 and f‴/6 at each node, `(n_nodes, 4)`.
    """

    terms: Float[Numbers, "n_nodes 4"]


def table(params: Params) -> Table:
    """Tabulate a network; differentiable with respect to its weights."""
    w, b, v = params["w"], params["b"], params["v"]
    half = _node(jnp.arange(N_NODES + 1, dtype=jnp.int32))
    t = jnp.tanh(jnp.multiply.outer(w, jnp.concatenate([-half[:0:-1], half]).astype(w.dtype)) + b[:, None])
    d = 1 - t * t  # the derivative of tanh
    terms = (v @ t + params["c"], (v * w) @ d, -(v * w**2) @ (t * d), (v * w**3) @ (d * (t * t - 1 / 3)))
    return Table(jnp.stack(terms, axis=-1))


def _node(k: Int[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return the position x of node k: there are 2^FINE equally spaced nodes per octave of 1 + x."""
    return jax.lax.bitcast_convert_type((k << (23 - FINE)) + ONE, jnp.float32) - 1


def tabled(table: Table, x: Float[Numbers, "*shape"]) -> Float[Array, "*shape"]:
    """Compute `network(params, x)` elementwise from `table(params)`, by the Taylor series at the nearest node.

    Values, the first two derivatives and the gradient with respect to the weights are exact to rounding. The function
    is constant beyond the last nodes, ±4095.

    >>> import jax, jax.numpy as jnp
    >>> params, x = network_init(jax.random.key(0)), jnp.linspace(-5, 5, 11)
    >>> bool(jnp.abs(tabled(table(params), x) - network(params, x)).max() < 1e-6)
    True
    """
    x = jnp.clip(x, -LAST, LAST)
    y = jax.lax.stop_gradient(1 + jnp.abs(x)).astype(jnp.float32)
    above = jax.lax.bitcast_convert_type(y, jnp.int32) - ONE  # float32's bits count its numbers upwards
    k = jnp.minimum((above + (1 << (22 - FINE))) >> (23 - FINE), N_NODES)  # not-a-number reads the last node
    i = jnp.where(x < 0, N_NODES - k, N_NODES + k)
    terms = jnp.asarray(table.terms)
    f, f1, f2, f3 = (terms[:, j].at[i].get(mode="promise_in_bounds") for j in range(4))
    d = x - jnp.copysign(_node(k).astype(x.dtype), x)
    return f + d * (f1 + d * (f2 + d * f3))


def learnable(params: Params | Table, x: Float[Numbers, "*shape"]) -> Float[Array, "*shape"]:
    """Compute ELU(x) + 0.2 · network(x), the published learnable activation (Greydanus & Kobak 2024).

    Args:
        params: the network's weights, or their table, which is much faster for many inputs.
        x: inputs of any shape.
    """
    correction = tabled(params, x) if isinstance(params, Table) else network(params, x)
    return jax.nn.elu(x) + SHARE * correction


class ClosedForm(NamedTuple):
    """A formula for a learned activation, its coefficients, and its largest error on [−5, 5]."""

    text: str
    a: list[float]
    b: list[float]
    c: list[float]
    d: float
    error: float


def closed_form(weights: Params, n_terms: int = 3) -> ClosedForm:
    """Fit ELU plus `n_terms` tanh terms and a constant to a learned activation on [−5, 5], by least squares."""
    p = {name: np.asarray(leaf, np.float64) for name, leaf in weights.items()}
    x = np.linspace(-5, 5, 401)
    target = SHARE * (np.tanh(x[:, None] * p["w"] + p["b"]) @ p["v"] + p["c"])

    def residual(coefficients):
        a, b, c = coefficients[:-1].reshape(3, n_terms)
        return np.tanh(x[:, None] * b + c) @ a + coefficients[-1] - target

    starts = np.random.default_rng(0).normal(size=(10, 3 * n_terms + 1))
    best = min((least_squares(residual, start) for start in starts), key=lambda fit: fit.cost)
    a, b, c = best.x[:-1].reshape(3, n_terms).tolist()
    text = "elu(x) + sum_i a[i] tanh(b[i] x + c[i]) + d"
    return ClosedForm(text, a, b, c, float(best.x[-1]), float(np.abs(best.fun).max()))


def save_weights(path: str | Path, weights: Params, provenance: Mapping[str, Any]) -> Path:
    """Save a learned activation as JSON, with its values on a grid and a closed form, or as safetensors.

    Args:
        path: a file ending in .json or .safetensors.
        weights: `w, b, v (n_units,)` and `c ()`; in safetensors also those of several functions, with an axis in front.
        provenance: origin of the weights, any JSON value.

    Raises:
        ValueError: for any other ending, several functions as JSON, or if `safetensors` is needed but not installed.
        OSError: if the file cannot be written.
    """
    path, arrays = user_path(path), {name: np.asarray(weights[name], np.float32) for name in _NAMES}
    if arrays["c"].ndim and path.suffix == ".json":
        raise ValueError(f"path='{path}' must end in .safetensors: a JSON file holds one function")
    form = "elu(x) + 0.2 (sum_k v[k] tanh(w[k] x + b[k]) + c)"
    if path.suffix == ".safetensors":
        metadata = {"form": form, "provenance": json.dumps(provenance, sort_keys=True)}
        write_atomic(path, need("safetensors.numpy", "data", "save_weights").save(arrays, metadata))
    elif path.suffix == ".json":
        x = np.linspace(-5, 5, 201)
        grid = {"x": x.round(4).tolist(), "y": np.asarray(learnable(arrays, jnp.asarray(x, jnp.float32))).tolist()}
        lists = {name: leaf.tolist() for name, leaf in arrays.items()}
        fit = closed_form(arrays)._asdict()
        content = {"form": form, "weights": lists, "closed_form": fit, "grid": grid, "provenance": provenance}
        write_atomic(path, json.dumps(content, indent=1) + "\n")
    else:
        raise ValueError(f"path='{path}' must end in .json or .safetensors")
    return path


@functools.cache
def _loaded(path: Path, changed: int) -> Mapping[str, np.ndarray]:
    try:
        if path.suffix == ".safetensors":
            stored = need("safetensors.numpy", "data", "load_weights").load(read_bytes(path))
        else:
            stored = read_json(path)["weights"]
        weights = {name: np.asarray(stored[name], np.float32) for name in _NAMES}
    except OSError:
        raise
    except Exception as error:
        raise _no_activation(path, repr(error)) from None
    shape = weights["w"].shape
    if len({weights[name].shape for name in "wbv"}) > 1 or weights["c"].shape != shape[:-1] or len(shape) not in (1, 2):
        raise _no_activation(path, "the shapes of its weights do not match")
    if not all(np.isfinite(leaf).all() for leaf in weights.values()):
        raise _no_activation(path, "a weight is not finite")
    return weights


def _no_activation(path: Path, reason: str) -> ValueError:
    return ValueError(f"{path} holds no learned activation ({reason}); pass a file written by save_weights")


@functools.cache
def _function(path: Path, changed: int) -> Callable[[Numbers], Array]:
    with jax.ensure_compile_time_eval():
        return functools.partial(learnable, jax.device_get(table(load_weights(path))))


def load_weights(path: str | Path = ARTIFACT) -> Params:
    """Load the weights that `save_weights` wrote, as NumPy arrays; by default those of `learned`.

    Raises:
        ValueError: if the file holds no learned activation, or several.
        OSError: if the file cannot be read.
    """
    path = user_path(path)
    weights = dict(_loaded(path, path.stat().st_mtime_ns))
    if weights["c"].ndim:
        raise ValueError(f"{path} holds {len(weights['c'])} learned activations; load_functions loads them all")
    return weights


def load_functions(path: str | Path = FUNCTIONS) -> Params:
    """Load the weights of all functions in a file, with an axis in front; by default ten that flylab metalearned.

    They were learned by the published protocol, each from a start, data and initial weights of its own.

    Raises:
        ValueError: if the file holds no learned activation.
        OSError: if the file cannot be read.

    >>> load_functions()["w"].shape
    (10, 100)
    """
    path = user_path(path)
    weights = _loaded(path, path.stat().st_mtime_ns)
    return {name: leaf if weights["c"].ndim else leaf[None] for name, leaf in weights.items()}


def load(path: str | Path = ARTIFACT) -> Callable[[Numbers], Array]:
    """Load the activation that `save_weights` wrote, as an elementwise function.

    The same file gives the same function object, so that a program that uses it compiles once.

    Raises:
        ValueError: if the file holds no learned activation.
        OSError: if the file cannot be read.
    """
    path = user_path(path)
    return _function(path, path.stat().st_mtime_ns)


def learned(x: Float[Numbers, "*shape"]) -> Float[Array, "*shape"]:
    """Apply the activation function that flylab metalearned on MNIST-1D by the published protocol, elementwise.

    Its provenance is in `artifacts/activation.json`. Use `load(path)` for an activation of your own.

    >>> import jax.numpy as jnp
    >>> learned(jnp.zeros(3)).shape
    (3,)
    """
    return load()(x)
