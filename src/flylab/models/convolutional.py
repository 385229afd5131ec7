"""Convolutional networks: the published CNN, variants with pooling and for images, a TCN and a ResNet.

A locally connected network, whose weights differ between positions, is the control without weight sharing.
"""

import functools
import itertools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from flylab.base.rng import stream
from flylab.models import conv2d, layers
from flylab.models.batched import conv1d, from_batch, pointwise, readout, taps
from flylab.models.conv import Conv, conv_stack, stack_lengths
from flylab.models.model import Model
from flylab.models.registry import register_model

POOLINGS = ("none", "stride", *layers.POOLINGS)  # options of `pooling_cnn`


@register_model("cnn", title="CNN")
@functools.cache
def cnn(length: int = 40, n_outputs: int = 10, width: int = 25, hidden: tuple[int, ...] = ()) -> Model:
    """Build the published CNN: three convolutions (kernels 5, 3, 3) and a linear layer; 5 210 parameters by default.

    All convolutions have stride 2 and padding 1. `hidden` inserts ReLU layers of these widths before the last layer,
    as in the projection heads of contrastive learning.
    """
    return _convolutional(_strided(width), length, n_outputs, hidden)


@functools.cache
def backbone(length: int = 40, width: int = 25) -> Model:
    """Build the convolutions of `cnn` without its linear layer: 3 950 parameters by default.

    The outputs are the last convolution's activations after its ReLU, 125 for a signal of 40 positions.

    >>> import jax
    >>> from flylab.models import n_params
    >>> n_params(backbone()), backbone().apply(backbone().init(jax.random.key(0)), jax.numpy.ones(40)).shape
    (3950, (125,))
    """
    return _convolutional(_strided(width), length, None)


def _strided(channels: int) -> tuple[Conv, ...]:
    return Conv(channels, 5, 2, 1), Conv(channels, 3, 2, 1), Conv(channels, 3, 2, 1)


def cnn_layers(params, x) -> list[jax.Array]:
    """Return the flat activations of each layer of `cnn`, or of `backbone`, for one signal, which is the first."""
    return [x, *(layer.ravel() for layer in _layers(params, x, _strided(params["conv1"]["b"].size)).values())]


@register_model("pooling_cnn", title="CNN with pooling")
@functools.cache
def pooling_cnn(length: int = 40, n_outputs: int = 10, width: int = 20, pooling: layers.Pooling = "none") -> Model:
    """Build a CNN of two convolutions (kernel 3, padding 1) and a linear layer: 9 310 parameters, 3 310 with pooling.

    `pooling` is "none", "stride" (convolutions of stride 2), or "max", "average" or "l2" (over pairs of positions
    after each convolution), or a function of the left and the right of each pair.

    Raises:
        ValueError: for any other pooling.
    """
    if isinstance(pooling, str) and pooling not in POOLINGS:
        raise ValueError(f"pooling={pooling!r} must be one of {', '.join(POOLINGS)}")
    stride, pairwise = (2 if pooling == "stride" else 1), (None if pooling in ("none", "stride") else pooling)
    return _convolutional((Conv(width, 3, stride, 1, pairwise),) * 2, length, n_outputs)


def _convolutional(specs: tuple[Conv, ...], length: int, n_outputs: int | None, hidden: tuple[int, ...] = ()) -> Model:
    """Build a network of convolutions (each with a ReLU and its pooling), hidden ReLU layers and a linear layer.

    Without a number of outputs it has no linear layer.
    """
    widths = (specs[-1].channels * stack_lengths(length, specs)[-1], *hidden)

    def init(key):
        *keys, last = jax.random.split(key, len(specs) + 1)
        n_ins = [1, *(spec.channels for spec in specs)]
        params = {
            f"conv{i + 1}": layers.conv1d_init(k, n_in, spec.channels, spec.kernel)
            for i, (k, n_in, spec) in enumerate(zip(keys, n_ins, specs, strict=False))
        }
        for i, size in enumerate(itertools.pairwise(widths)):
            params[f"hidden{i + 1}"] = layers.linear_init(stream(last, f"hidden{i + 1}"), *size)
        return params if n_outputs is None else params | {"output": layers.linear_init(last, widths[-1], n_outputs)}

    def features(params, x):
        return _layers(params, x, specs)

    def apply(params, x):
        return [*features(params, x).values()][-1].ravel()

    def apply_batch(params, x):
        h = conv_stack([params[f"conv{i + 1}"] for i in range(len(specs))], x[None], specs)
        h = h.reshape(-1, h.shape[-1])
        for i in range(len(hidden)):
            h = jax.nn.relu(layers.linear_batch(params[f"hidden{i + 1}"], h))
        return h if n_outputs is None else layers.linear_batch(params["output"], h)

    return Model(init, apply, apply_batch, features)


def _layers(params, x, specs: tuple[Conv, ...]) -> dict[str, jax.Array]:
    """Return the activations of every layer for one signal, by its name, convolutions' as (channels, positions)."""
    activations, h = {}, x[None]  # (1, length)
    for i, spec in enumerate(specs):
        h = jax.nn.relu(layers.conv1d(params[f"conv{i + 1}"], h, spec.stride, spec.padding))
        h = h if spec.pooling is None else layers.pool1d(h, spec.pooling)
        activations[f"conv{i + 1}"] = h
    h = h.ravel()
    for i in range(sum(name.startswith("hidden") for name in params)):
        h = jax.nn.relu(layers.linear(params[f"hidden{i + 1}"], h))
        activations[f"hidden{i + 1}"] = h
    return activations | {"output": layers.linear(params["output"], h)} if "output" in params else activations


@functools.cache
def cnn2d(
    shape: tuple[int, int, int] = (8, 8, 1),
    n_outputs: int = 10,
    width: int | tuple[int, ...] = 16,
    activation: Callable[[jax.Array], jax.Array] = jax.nn.relu,
) -> Model:
    """Build a CNN for images: 3×3 convolutions (stride 2, padding 1), by default three, and a linear layer.

    Args:
        shape: height, width and channels. Inputs may also be flat; for large sets they should be, because XLA copies a
            set whose last axis has one entry at every dispatch.
        n_outputs: number of outputs.
        width: channels of each of three convolutions; or of each of any number, as a tuple.
        activation: any elementwise function; each function object compiles a program of its own.

    >>> from flylab.models import n_params
    >>> [n_params(cnn2d(shape)) for shape in ((8, 8, 1), (28, 28, 1), (32, 32, 3))]
    [4970, 7370, 7658]
    >>> n_params(cnn2d((32, 32, 3), width=(32, 48, 64)))
    52730
    """
    widths = (width,) * 3 if isinstance(width, int) else width
    specs, n_ins = tuple(Conv(channels, 3, 2, 1) for channels in widths), (shape[2], *widths)
    n_positions = math.prod(stack_lengths(length, specs)[-1] for length in shape[:2])

    def init(key):
        *keys, output = jax.random.split(key, len(specs) + 1)
        params = {
            f"conv{i + 1}": layers.conv2d_init(k, n_in, n_out, 3)
            for i, (k, (n_in, n_out)) in enumerate(zip(keys, itertools.pairwise(n_ins), strict=True))
        }
        return params | {"output": layers.linear_init(output, n_ins[-1] * n_positions, n_outputs)}

    def apply(params, x):
        x = x.reshape(shape)
        for i in range(len(specs)):
            x = activation(layers.conv2d(params[f"conv{i + 1}"], x, stride=2, padding=1))
        return layers.linear(params["output"], x.ravel())

    def apply_batch(params, x):
        h = conv2d.ordered2d(x.reshape(*shape, -1), specs)
        for i, read in enumerate(conv2d.plan_stack2d(shape[:2], specs)):
            h = activation(conv2d.convolve2d(params[f"conv{i + 1}"], h, read))
        return conv2d.readout2d(params["output"], h)

    return Model(init, apply, apply_batch)


@functools.cache
def resnet2d(
    shape: tuple[int, int, int] = (8, 8, 1), n_outputs: int = 10, width: tuple[int, ...] = (16, 24, 32)
) -> Model:
    """Build a residual network for images: a convolution, two more for each width, and global average pooling.

    It is `resnet` in two dimensions (He et al. 2016, without normalisation): each width halves height and width of
    its images, the first by the first convolution (5×5), the others by the first of their two (3×3).

    Args:
        shape: height, width and channels. Inputs may also be flat, see `cnn2d`.
        n_outputs: number of outputs.
        width: channels of each residual block.

    >>> from flylab.models import n_params
    >>> [n_params(resnet2d(shape)) for shape in ((8, 8, 1), (32, 32, 3))]
    [31474, 32274]
    """
    sizes = tuple(itertools.pairwise((width[0], *width)))
    blocks = [(Conv(n_out, 3, 2 if i else 1, 1), Conv(n_out, 3, 1, 1)) for i, (_, n_out) in enumerate(sizes)]
    specs = (Conv(width[0], 5, 2, 2), *itertools.chain(*blocks))

    def init(key):
        params = {"stem": layers.conv2d_init(stream(key, "stem"), shape[2], width[0], 5)}
        for i, (n_in, n_out) in enumerate(sizes):
            name = f"block{i + 1}"
            params[name] = {
                "conv1": layers.conv2d_init(stream(key, f"{name}.conv1"), n_in, n_out, 3),
                "conv2": layers.conv2d_init(stream(key, f"{name}.conv2"), n_out, n_out, 3),
            }
            if i:
                params[name]["skip"] = layers.linear_init(stream(key, f"{name}.skip"), n_in, n_out)
        return params | {"output": layers.linear_init(stream(key, "output"), width[-1], n_outputs)}

    def apply_batch(params, x):
        reads = iter(conv2d.plan_stack2d(shape[:2], specs))
        h = conv2d.ordered2d(x.reshape(*shape, -1), specs)
        h = jax.nn.relu(conv2d.convolve2d(params["stem"], h, next(reads)))
        for i in range(len(sizes)):
            block = params[f"block{i + 1}"]
            inner = jax.nn.relu(conv2d.convolve2d(block["conv1"], h, next(reads)))
            inner = conv2d.convolve2d(block["conv2"], inner, next(reads))
            # where the next layers have stride 2, the pixels of even rows and columns come first
            skip = pointwise(block["skip"], h[:, : inner.shape[1], : inner.shape[2]]) if i else h
            h = jax.nn.relu(inner + skip)
        return readout(params["output"], h.mean((1, 2)))

    return from_batch(init, apply_batch)


@register_model("local", title="locally connected")
@functools.cache
def locally_connected(length: int = 40, n_outputs: int = 10, width: int = 16) -> Model:
    """Build the published CNN without weight sharing: 14 394 parameters by default.

    It is local but not translation-equivariant (LeCun 1989).
    """
    kernels, lengths, n_ins = (5, 3, 3), [length], (1, width, width)
    for kernel in kernels:
        lengths.append(layers.conv1d_length(lengths[-1], kernel, 2, 1))

    def init(key):
        params = {}
        for i, (kernel, n_in) in enumerate(zip(kernels, n_ins, strict=True)):
            w, b = jax.random.split(stream(key, f"local{i + 1}"))
            fan_in, n = kernel * n_in, lengths[i + 1]
            params[f"local{i + 1}"] = {
                "w": layers.uniform(w, (n, width, fan_in), fan_in), "b": layers.uniform(b, (n, width), fan_in),
            }  # fmt: skip
        return params | {"output": layers.linear_init(stream(key, "output"), width * lengths[-1], n_outputs)}

    def apply_batch(params, x):
        h = x[:, None]  # (positions, channels, batch): a tap is a run of rows
        for i, kernel in enumerate(kernels):
            layer = params[f"local{i + 1}"]
            columns = jnp.concatenate(taps(h, 0, kernel, 2, 1, 1), axis=1)
            h = jax.nn.relu(jnp.einsum("poi,pib->pob", layer["w"], columns) + layer["b"][..., None])
        return readout(params["output"], h)

    return from_batch(init, apply_batch)


@register_model("tcn", title="dilated TCN")
@functools.cache
def tcn(length: int = 40, n_outputs: int = 10, width: int = 24) -> Model:
    """Build a temporal convolutional network, read at the last position: 7 402 parameters by default.

    Causal convolutions of kernel 3, dilated by 1, 2, 4, … until the last position sees the whole signal, each with a
    residual connection (Bai, Kolter & Koltun 2018, with one convolution per block). Each layer computes only every
    second position of the one before, which is all that the last position depends on: a fifth of the work.
    """
    n_levels = max(math.ceil(math.log2(length + 1)) - 1, 1)

    def init(key):
        params = {
            f"conv{i + 1}": layers.conv1d_init(stream(key, f"conv{i + 1}"), width if i else 1, width, 3)
            for i in range(n_levels)
        }
        skip = layers.linear_init(stream(key, "skip"), 1, width)
        return params | {"skip": skip, "output": layers.linear_init(stream(key, "output"), width, n_outputs)}

    def apply_batch(params, x):
        h = x[None]
        for i in range(n_levels):
            n = h.shape[1]
            n_after = -(-n // 2)
            skip = h[:, (n - 1) % 2 :: 2]
            new = conv1d(params[f"conv{i + 1}"], h, stride=2, before=2 * n_after + 1 - n, after=0)
            h = jax.nn.relu(new) + (skip if i else pointwise(params["skip"], skip))
        return readout(params["output"], h[:, -1:])

    return from_batch(init, apply_batch)


@register_model("resnet", title="ResNet")
@functools.cache
def resnet(length: int = 40, n_outputs: int = 10) -> Model:
    """Build a residual network of seven convolutions with global average pooling: 11 570 parameters.

    It has 16, 24 and 32 channels at a half, a quarter and an eighth of the length (He et al. 2016, without
    normalisation, which so few layers do not need). The average over positions makes it nearly translation-invariant.
    """
    sizes = ((16, 16), (16, 24), (24, 32))

    def init(key):
        params = {"stem": layers.conv1d_init(stream(key, "stem"), 1, 16, 5)}
        for i, (n_in, n_out) in enumerate(sizes):
            name = f"block{i + 1}"
            block = {
                "conv1": layers.conv1d_init(stream(key, f"{name}.conv1"), n_in, n_out, 3),
                "conv2": layers.conv1d_init(stream(key, f"{name}.conv2"), n_out, n_out, 3),
            }
            if n_in != n_out:
                block["skip"] = layers.linear_init(stream(key, f"{name}.skip"), n_in, n_out)
            params[name] = block
        return params | {"output": layers.linear_init(stream(key, "output"), sizes[-1][1], n_outputs)}

    def apply_batch(params, x):
        h = jax.nn.relu(conv1d(params["stem"], x[None], 2, 2, 2))
        for i, (n_in, n_out) in enumerate(sizes):
            block, stride = params[f"block{i + 1}"], 1 if n_in == n_out else 2
            skip = h if n_in == n_out else pointwise(block["skip"], h[:, ::2])
            inner = jax.nn.relu(conv1d(block["conv1"], h, stride))
            h = jax.nn.relu(conv1d(block["conv2"], inner) + skip)
        return readout(params["output"], h.mean(1, keepdims=True))

    return from_batch(init, apply_batch)
