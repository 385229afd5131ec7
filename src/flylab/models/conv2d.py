"""Fast 2-D convolutions, batch last, with rows and columns in the *phase order* of `conv.py`.

A tap of a 2-D convolution is a tap of the rows and one of the columns. So the rows of all taps are gathered first, each
whole, and the columns then, within them: twice `conv.take`, whose transpose is written by hand. Both copy long runs,
and the layer is one matrix product.
"""

import functools
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from flylab.base.types import Params
from flylab.models.conv import Conv, Gather, ordered, plan_stack, take
from flylab.models.layers import affine, linear_batch

_Features = Float[Array, "n_in height width batch"]
_NewFeatures = Float[Array, "n_out height_out width_out batch"]


class Taps(NamedTuple):
    """What the taps of a layer read: of the rows, and of the columns."""

    rows: Gather
    columns: Gather


@functools.cache
def plan_stack2d(shape: tuple[int, int], specs: tuple[Conv, ...]) -> list[Taps]:
    """Return the taps of each convolution of a stack, from the order of its input to that of its output.

    Args:
        shape: height and width of the stack's input.
        specs: the convolutions, without poolings.
    """
    rows, columns = (plan_stack(length, specs) for length in shape)
    return [Taps(*pair) for pair in zip(rows, columns, strict=True)]


def ordered2d(x: Float[Array, "height width n_in batch"], specs: tuple[Conv, ...]) -> _Features:
    """Put the channels of images first, and rows and columns into the order that a stack of convolutions reads."""
    height, width, n_in, batch = x.shape
    strides = [spec.stride for spec in specs]
    rows = ordered(jnp.moveaxis(x, 2, 0).reshape(n_in, height, width * batch), strides)
    return ordered(rows.reshape(n_in * height, width, batch), strides).reshape(n_in, height, width, batch)


def convolve2d(params: Params, h: _Features, taps: Taps) -> _NewFeatures:
    """Apply one convolution of a stack; the outputs are in the order that the next one reads.

    Equals `layers.conv2d`, vmapped over the batch. Do not vmap over the parameters, except within `layers.for_groups`.
    """
    n_in, height, width, batch = h.shape
    h = take(h.reshape(n_in, height, width * batch), taps.rows)  # pyright: ignore[reportArgumentType]
    kernel, _, height_out, _ = h.shape
    h = take(h.reshape(kernel * n_in * height_out, width, batch), taps.columns)  # pyright: ignore[reportArgumentType]
    width_out = h.shape[2]
    w = jnp.swapaxes(params["w"], 1, 2)  # columns before rows, as in h
    w = w.reshape(len(w), kernel * kernel * n_in)
    h = affine(w, params["b"], h.reshape(kernel * kernel * n_in, height_out * width_out * batch))
    return h.reshape(len(w), height_out, width_out, batch)


def readout2d(params: Params, h: _Features) -> Float[Array, "n_outputs batch"]:
    """Map all features linearly to the outputs, with weights in the order height, width, channels of one image."""
    n_in, height, width, batch = h.shape
    w = params["w"].reshape(-1, height * width, n_in).swapaxes(1, 2)  # smaller than h
    return linear_batch(params | {"w": w.reshape(-1, h.size // batch)}, h.reshape(-1, batch))
