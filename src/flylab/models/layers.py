"""Layers for one example: linear, 1-D and 2-D convolution. PyTorch's default initialisation throughout.

Batched and differentiated, `conv1d` here is several times faster on a CPU than `jax.lax.conv_general_dilated`, which
under `vmap` over the weights becomes a grouped convolution, the slowest of all forms (see DESIGN.md).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from flylab.base.types import Key, Params


def uniform(key: Key, shape: tuple[int, ...], fan_in: int) -> Float[Array, "..."]:
    """U(−1/√fan_in, 1/√fan_in): PyTorch's default for weights and biases of linear and convolutional layers."""
    bound = fan_in**-0.5
    return jax.random.uniform(key, shape, minval=-bound, maxval=bound)


def linear_init(key: Key, n_in: int, n_out: int) -> Params:
    """Weights `w (n_out, n_in)` and bias `b (n_out,)`, initialised as `torch.nn.Linear`."""
    w, b = jax.random.split(key)
    return {"w": uniform(w, (n_out, n_in), n_in), "b": uniform(b, (n_out,), n_in)}


def linear(params: Params, x: Float[Array, " n_in"]) -> Float[Array, " n_out"]:
    """`w @ x + b`."""
    return params["w"] @ x + params["b"]


def linear_batch(params: Params, x):
    """`linear` for a batch, batch last: `(n_in, batch)` → `(n_out, batch)`."""
    return affine(params["w"], params["b"], x)


@jax.custom_vjp
def affine(
    w: Float[Array, "n_out n_in"], b: Float[Array, " n_out"], x: Float[Array, "n_in n"]
) -> Float[Array, "n_out n"]:
    """`w @ x + b` for columns side by side, with a gradient in the products that a CPU is fastest at.

    Never vmap this over its weights.
    """
    return _affine(w, b, x)


def _affine(w, b, x):
    return w @ x + b[:, None]


def _affine_forward(w, b, x):
    return _affine(w, b, x), (w, x)  # in plain operations: forward mode may differentiate through it


def _affine_backward(residuals, g):
    w, x = residuals
    return (
        g @ x.T,
        g @ jnp.ones(g.shape[1], g.dtype),
        w.T @ g,
    )  # a product with ones is 4× faster than XLA's sum


affine.defvjp(_affine_forward, _affine_backward)


def conv1d_init(key: Key, n_in: int, n_out: int, kernel: int) -> Params:
    """Weights `w (n_out, kernel, n_in)` and bias `b (n_out,)`, initialised as `torch.nn.Conv1d`.

    PyTorch's own order of axes is `(n_out, n_in, kernel)`; ours makes the convolution one matrix product.
    """
    w, b = jax.random.split(key)
    fan_in = n_in * kernel
    return {"w": uniform(w, (n_out, kernel, n_in), fan_in), "b": uniform(b, (n_out,), fan_in)}


def conv1d(
    params: Params, x: Float[Array, "n_in length"], stride: int = 1, padding: int = 0
) -> Float[Array, "n_out length_out"]:
    """Cross-correlation of one signal with every filter, zero-padded, as `torch.nn.Conv1d` computes it.

    >>> import jax, jax.numpy as jnp
    >>> conv1d(conv1d_init(jax.random.key(0), 1, 25, 5), jnp.ones((1, 40)), stride=2, padding=1).shape
    (25, 19)
    """
    w = params["w"]
    n_out, kernel, n_in = w.shape
    n_positions = conv1d_length(x.shape[1], kernel, stride, padding)
    x = jnp.pad(x.T, ((padding, padding), (0, 0)))  # channels last: under vmap XLA then copies a fifth less
    stop = stride * (n_positions - 1) + 1
    taps = [jax.lax.slice(x, (tap, 0), (tap + stop, n_in), (stride, 1)) for tap in range(kernel)]
    return (jnp.concatenate(taps, axis=1) @ w.reshape(n_out, kernel * n_in).T + params["b"]).T


def conv2d_init(key: Key, n_in: int, n_out: int, kernel: int) -> Params:
    """Weights `w (n_out, kernel, kernel, n_in)` and bias `b (n_out,)`, initialised as `torch.nn.Conv2d`."""
    w, b = jax.random.split(key)
    fan_in = n_in * kernel**2
    return {"w": uniform(w, (n_out, kernel, kernel, n_in), fan_in), "b": uniform(b, (n_out,), fan_in)}


def conv2d(
    params: Params, x: Float[Array, "height width n_in"], stride: int = 1, padding: int = 0
) -> Float[Array, "height_out width_out n_out"]:
    """Cross-correlation of one image, channels last, with every filter, zero-padded, as `torch.nn.Conv2d` computes it.

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
    positive = square > 0  # at 0 the root has no derivative: 0, as in PyTorch
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1.0)), 0.0)


POOLINGS: dict[str, Callable[[Array, Array], Array]] = {
    "max": jnp.maximum,
    "average": lambda a, b: (a + b) / 2,
    "l2": _l2,
}  # of two neighbours


def pool1d(x: Float[Array, "n_in length"], pooling: str) -> Float[Array, "n_in half"]:
    """Pairs of neighbouring positions become one, by a name of `POOLINGS`; a last single one is dropped.

    As `torch.nn.MaxPool1d(2)`, `AvgPool1d(2)` and `LPPool1d(2, 2)`.

    >>> import jax.numpy as jnp
    >>> pool1d(jnp.array([[3.0, 4.0, 0.0, 2.0, 9.0]]), "l2").tolist()
    [[5.0, 2.0]]
    """
    last = x.shape[1] // 2 * 2
    return POOLINGS[pooling](x[:, :last:2], x[:, 1:last:2])


def conv1d_length(length: int, kernel: int, stride: int, padding: int) -> int:
    """Positions that a convolution yields from `length`, along one dimension.

    Raises:
        ValueError: if the kernel is longer than the padded signal.
    """
    if length + 2 * padding < kernel:
        raise ValueError(f"kernel={kernel} is longer than the padded signal ({length} + 2·{padding}); shorten it")
    return (length + 2 * padding - kernel) // stride + 1
