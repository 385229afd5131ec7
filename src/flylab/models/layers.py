"""Layers for one example: linear, 1-D and 2-D convolution, initialised as in PyTorch.

On a CPU, `conv1d` is several times faster in training than `jax.lax.conv_general_dilated`, which becomes a slow grouped
convolution under `vmap` over the weights (see DESIGN.md).
"""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from flylab.base.types import Key, Params


def uniform(key: Key, shape: tuple[int, ...], fan_in: int) -> Float[Array, "..."]:
    """Draw from U(−1/√fan_in, 1/√fan_in), PyTorch's default for linear and convolutional layers."""
    bound = fan_in**-0.5
    return jax.random.uniform(key, shape, minval=-bound, maxval=bound)


def linear_init(key: Key, n_in: int, n_out: int) -> Params:
    """Initialise weights `w (n_out, n_in)` and bias `b (n_out,)` as `torch.nn.Linear` does."""
    w, b = jax.random.split(key)
    return {"w": uniform(w, (n_out, n_in), n_in), "b": uniform(b, (n_out,), n_in)}


def linear(params: Params, x: Float[Array, " n_in"]) -> Float[Array, " n_out"]:
    """Compute `w @ x + b`."""
    return params["w"] @ x + params["b"]


def linear_batch(params: Params, x):
    """Compute `linear` for a batch: `(n_in, batch)` → `(n_out, batch)`."""
    return affine(params["w"], params["b"], x)


_grouped = ContextVar("grouped", default=False)


@contextlib.contextmanager
def for_groups() -> Iterator[None]:
    """Choose the formulations for many networks under one `vmap`, in what is traced within."""
    token = _grouped.set(True)
    try:
        yield
    finally:
        _grouped.reset(token)


def affine(w: ArrayLike, b: ArrayLike, x: ArrayLike) -> Array:
    """Compute `w @ x + b` for each column, with a hand-written gradient that is fast on a CPU.

    Do not vmap it over its weights, except within `for_groups`.

    Args:
        w: weights `(n_out, n_in)`.
        b: biases `(n_out,)`.
        x: columns `(n_in, n)`.
    """
    return (_affine_of_many if _grouped.get() else _affine_of_one)(w, b, x)


def _affine(w, b, x):
    return w @ x + b[:, None]


def _affine_forward(w, b, x):
    return _affine(w, b, x), (w, x)  # plain operations, so that forward mode can differentiate it


def _affine_backward(residuals, g):
    # XLA's faster library, YNNPACK, multiplies (m, k) by (k, n) or (n, k). With `x.T`, XLA may transpose x first;
    # without the barrier, `w.T @ g` is (k, m) by (k, n), for which XLA takes its slower library.
    w, x = residuals
    d_w = jax.lax.dot_general(g, x, (((1,), (1,)), ((), ())))
    d_b = g @ jnp.ones(g.shape[1], g.dtype)  # 4× faster than XLA's sum
    return d_w, d_b, jax.lax.optimization_barrier(w.T) @ g


def _affine_backward_of_many(residuals, g):
    # The products with ones of all networks would be one product, in which the order of sums depends on the row.
    w, x = residuals
    return g @ x.T, g.sum(1), w.T @ g


_affine_of_one, _affine_of_many = jax.custom_vjp(_affine), jax.custom_vjp(_affine)
_affine_of_one.defvjp(_affine_forward, _affine_backward)
_affine_of_many.defvjp(_affine_forward, _affine_backward_of_many)


def conv1d_init(key: Key, n_in: int, n_out: int, kernel: int) -> Params:
    """Initialise weights `w (n_out, kernel, n_in)` and bias `b (n_out,)` as `torch.nn.Conv1d` does.

    PyTorch orders the axes `(n_out, n_in, kernel)`; this order makes the convolution one matrix product.
    """
    w, b = jax.random.split(key)
    fan_in = n_in * kernel
    return {"w": uniform(w, (n_out, kernel, n_in), fan_in), "b": uniform(b, (n_out,), fan_in)}


def conv1d(
    params: Params, x: Float[Array, "n_in length"], stride: int = 1, padding: int = 0
) -> Float[Array, "n_out length_out"]:
    """Cross-correlate one zero-padded signal with every filter, as `torch.nn.Conv1d` does.

    >>> import jax, jax.numpy as jnp
    >>> conv1d(conv1d_init(jax.random.key(0), 1, 25, 5), jnp.ones((1, 40)), stride=2, padding=1).shape
    (25, 19)
    """
    w = params["w"]
    n_out, kernel, n_in = w.shape
    n_positions = conv1d_length(x.shape[1], kernel, stride, padding)
    x = jnp.pad(x.T, ((padding, padding), (0, 0)))  # channels last: XLA copies a fifth less under vmap
    stop = stride * (n_positions - 1) + 1
    taps = [jax.lax.slice(x, (tap, 0), (tap + stop, n_in), (stride, 1)) for tap in range(kernel)]
    return (jnp.concatenate(taps, axis=1) @ w.reshape(n_out, kernel * n_in).T + params["b"]).T


def conv2d_init(key: Key, n_in: int, n_out: int, kernel: int) -> Params:
    """Initialise weights `w (n_out, kernel, kernel, n_in)` and bias `b (n_out,)` as `torch.nn.Conv2d` does."""
    w, b = jax.random.split(key)
    fan_in = n_in * kernel**2
    return {"w": uniform(w, (n_out, kernel, kernel, n_in), fan_in), "b": uniform(b, (n_out,), fan_in)}


def conv2d(
    params: Params, x: Float[Array, "height width n_in"], stride: int = 1, padding: int = 0
) -> Float[Array, "height_out width_out n_out"]:
    """Cross-correlate one zero-padded image, channels last, with every filter, as `torch.nn.Conv2d` does.

    >>> import jax, jax.numpy as jnp
    >>> conv2d(conv2d_init(jax.random.key(0), 3, 16, 3), jnp.ones((32, 32, 3)), stride=2, padding=1).shape
    (16, 16, 16)
    """
    w = params["w"]
    n_out, kernel, _, n_in = w.shape
    height, width = (conv1d_length(n, kernel, stride, padding) for n in x.shape[:2])
    x = jnp.pad(x, ((padding, padding), (padding, padding), (0, 0)))
    down, right = stride * (height - 1) + 1, stride * (width - 1) + 1
    taps = [
        jax.lax.slice(x, (row, column, 0), (row + down, column + right, n_in), (stride, stride, 1))
        for row in range(kernel)
        for column in range(kernel)
    ]
    return jnp.concatenate(taps, axis=2) @ w.reshape(n_out, kernel**2 * n_in).T + params["b"]


def _l2(a: Array, b: Array) -> Array:
    square = a**2 + b**2
    positive = square > 0  # the root has no derivative at 0: use 0, as PyTorch does
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1.0)), 0.0)


# each pools two neighbouring positions into one
POOLINGS: dict[str, Callable[[Array, Array], Array]] = {
    "max": jnp.maximum,
    "average": lambda a, b: (a + b) / 2,
    "l2": _l2,
}


Pooling = str | Callable[[Array, Array], Array]  # a name of `POOLINGS`, or a function as those in it


def pooling_of(pooling: Pooling) -> Callable[[Array, Array], Array]:
    """Return a pooling of pairs as a function of the left and the right of each pair."""
    return POOLINGS[pooling] if isinstance(pooling, str) else pooling


def pool1d(x: Float[Array, "n_in length"], pooling: Pooling) -> Float[Array, "n_in half"]:
    """Pool pairs of neighbouring positions; an odd last position is dropped.

    Equals `torch.nn.MaxPool1d(2)`, `AvgPool1d(2)` and `LPPool1d(2, 2)`.

    >>> import jax.numpy as jnp
    >>> pool1d(jnp.array([[3.0, 4.0, 0.0, 2.0, 9.0]]), "l2").tolist()
    [[5.0, 2.0]]
    """
    last = x.shape[1] // 2 * 2
    return pooling_of(pooling)(x[:, :last:2], x[:, 1:last:2])


def conv1d_length(length: int, kernel: int, stride: int, padding: int) -> int:
    """Return the number of positions that a convolution outputs along one dimension.

    Raises:
        ValueError: if the kernel is longer than the padded signal.
    """
    if length + 2 * padding < kernel:
        raise ValueError(f"kernel={kernel} must be ≤ {length + 2 * padding}, the length of the padded signal")
    return (length + 2 * padding - kernel) // stride + 1
