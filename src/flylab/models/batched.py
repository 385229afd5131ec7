"""Layers for batch-last features `(channels, positions …, batch)`, initialised as in PyTorch.

`from_batch` makes a `Model` of a network written with them.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from flylab.base.types import Key, Params
from flylab.models import layers
from flylab.models.model import Model

_Features = Float[Array, "n_in *positions batch"]
_NewFeatures = Float[Array, "n_out *positions batch"]


def from_batch(init: Callable[[Key], Params], apply_batch: Callable) -> Model:
    """Make a `Model` of a batched network: `apply` passes one example as a batch of one."""
    return Model(init, lambda params, x: apply_batch(params, x[..., None])[..., 0], apply_batch)


def pointwise(params: Params, h: _Features) -> _NewFeatures:
    """Apply the same linear map at every position."""
    return layers.affine(params["w"], params["b"], h.reshape(h.shape[0], -1)).reshape(-1, *h.shape[1:])


def readout(params: Params, h: _Features) -> Float[Array, "n_outputs batch"]:
    """Map all features linearly to the outputs."""
    return layers.affine(params["w"], params["b"], h.reshape(-1, h.shape[-1]))


def taps(x: Array, axis: int, kernel: int, stride: int, before: int, after: int) -> list[Array]:
    """Return the slice of `x`, zero-padded along `axis`, that each kernel position multiplies."""
    x = jnp.pad(x, [(before, after) if i == axis else (0, 0) for i in range(x.ndim)])
    span = stride * ((x.shape[axis] - kernel) // stride) + 1
    return [jax.lax.slice_in_dim(x, tap, tap + span, stride, axis) for tap in range(kernel)]


def conv1d(
    params: Params, h: _Features, stride: int = 1, before: int = 1, after: int = 1
) -> Float[Array, "n_out positions_out batch"]:
    """Compute `layers.conv1d` for a batch, zero-padded by `before` and `after` positions."""
    n_out, kernel, n_in = params["w"].shape
    columns = jnp.concatenate(taps(h, 1, kernel, stride, before, after))
    return pointwise({"w": params["w"].reshape(n_out, kernel * n_in), "b": params["b"]}, columns)


def norm_init(n: int) -> Params:
    """Initialise `layer_norm`: scale 1 and shift 0."""
    return {"scale": jnp.ones(n), "shift": jnp.zeros(n)}


def layer_norm(params: Params, h: _Features) -> _Features:
    """Normalise over channels, with ε = 10⁻⁵ (layer normalisation; Ba, Kiros & Hinton 2016)."""
    h = h - h.mean(0)
    h = h * jax.lax.rsqrt(jnp.square(h).mean(0) + 1e-5)
    return params["scale"][:, None, None] * h + params["shift"][:, None, None]


def patches(x: Float[Array, "length batch"], patch: int) -> Float[Array, "points patches batch"]:
    """Cut signals into patches, with a patch's points as channels; the last patch is zero-padded."""
    x = jnp.pad(x, ((0, -len(x) % patch), (0, 0)))
    return x.reshape(-1, patch, x.shape[-1]).swapaxes(0, 1)
