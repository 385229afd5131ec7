"""Networks between the MLP and the CNN, and around them: what each supposes about positions, at about the same size.

Each is written for a batch, batch last: features `(channels, positions, batch)`; one example is a batch of one.
Initialisation is PyTorch's default, layer by layer. The constructors cache, as those of `zoo`.
"""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from flylab.keys import stream
from flylab.models import layers
from flylab.models.model import Model
from flylab.types import Key, Params

Before = Float[Array, "n_in positions batch"]
After = Float[Array, "n_out positions batch"]


def _model(init: Callable[[Key], Params], apply_batch: Callable) -> Model:
    return Model(init, lambda params, x: apply_batch(params, x[..., None])[..., 0], apply_batch)


def _dense(params: Params, h: Before) -> After:
    """The same linear map at every position."""
    return layers.affine(params["w"], params["b"], h.reshape(h.shape[0], -1)).reshape(-1, *h.shape[1:])


def _flat(params: Params, h: Before) -> Float[Array, "n_outputs batch"]:
    return layers.affine(params["w"], params["b"], h.reshape(-1, h.shape[-1]))


def _taps(x: Array, axis: int, kernel: int, stride: int, before: int, after: int) -> list[Array]:
    """What each of the kernel's weights sees, `x` zero-padded along `axis`."""
    x = jnp.pad(x, [(before, after) if i == axis else (0, 0) for i in range(x.ndim)])
    span = stride * ((x.shape[axis] - kernel) // stride) + 1
    return [jax.lax.slice_in_dim(x, tap, tap + span, stride, axis) for tap in range(kernel)]


def _conv(
    params: Params, h: Before, stride: int = 1, before: int = 1, after: int = 1
) -> Float[Array, "n_out positions_out batch"]:
    """`layers.conv1d` for a batch."""
    n_out, kernel, n_in = params["w"].shape
    taps = jnp.concatenate(_taps(h, 1, kernel, stride, before, after))
    return _dense({"w": params["w"].reshape(n_out, kernel * n_in), "b": params["b"]}, taps)


def _norm_init(n: int) -> Params:
    return {"scale": jnp.ones(n), "shift": jnp.zeros(n)}


def _norm(params: Params, h: Before) -> Before:
    """Layer normalisation over channels (Ba, Kiros & Hinton 2016)."""
    h = h - h.mean(0)
    h = h * jax.lax.rsqrt(jnp.square(h).mean(0) + 1e-5)
    return params["scale"][:, None, None] * h + params["shift"][:, None, None]


def _patches(x: Float[Array, "length batch"], patch: int) -> Float[Array, "points patches batch"]:
    """Patches side by side, their points as channels; the last filled up with zeros."""
    x = jnp.pad(x, ((0, -len(x) % patch), (0, 0)))
    return x.reshape(-1, patch, x.shape[-1]).swapaxes(0, 1)


@functools.cache
def locally_connected(length: int = 40, channels: int = 16, n_outputs: int = 10) -> Model:
    """The published CNN with weights of their own at every position: 14 394 parameters by default.

    It knows that neighbours belong together, not that a pattern may stand anywhere (LeCun 1989).
    """
    kernels, lengths, n_ins = (5, 3, 3), [length], (1, channels, channels)
    for kernel in kernels:
        lengths.append(layers.conv1d_length(lengths[-1], kernel, 2, 1))

    def init(key):
        params = {}
        for i, (kernel, n_in) in enumerate(zip(kernels, n_ins, strict=True)):
            w, b = jax.random.split(stream(key, f"local{i + 1}"))
            fan_in, n = kernel * n_in, lengths[i + 1]
            params[f"local{i + 1}"] = {
                "w": layers.uniform(w, (n, channels, fan_in), fan_in), "b": layers.uniform(b, (n, channels), fan_in),
            }  # fmt: skip
        return params | {"output": layers.linear_init(stream(key, "output"), channels * lengths[-1], n_outputs)}

    def apply_batch(params, x):
        h = x[:, None]  # (positions, channels, batch): a tap is a run of rows
        for i, kernel in enumerate(kernels):
            own = params[f"local{i + 1}"]
            taps = jnp.concatenate(_taps(h, 0, kernel, 2, 1, 1), axis=1)
            h = jax.nn.relu(jnp.einsum("poi,pib->pob", own["w"], taps) + own["b"][..., None])
        return _flat(params["output"], h)

    return _model(init, apply_batch)


@functools.cache
def tcn(length: int = 40, channels: int = 24, n_outputs: int = 10) -> Model:
    """A temporal convolutional network, read at the last position: 7 402 parameters by default.

    Causal convolutions of three weights, dilated by 1, 2, 4, … until the last position sees all, each with a residual
    connection (Bai, Kolter & Koltun 2018, with one convolution a block). Only what the last position depends on is
    computed, a fifth: of every layer each second position that the layer before has.
    """
    n_levels = max(math.ceil(math.log2(length + 1)) - 1, 1)

    def init(key):
        params = {
            f"conv{i + 1}": layers.conv1d_init(stream(key, f"conv{i + 1}"), channels if i else 1, channels, 3)
            for i in range(n_levels)
        }
        skip = layers.linear_init(stream(key, "skip"), 1, channels)
        return params | {"skip": skip, "output": layers.linear_init(stream(key, "output"), channels, n_outputs)}

    def apply_batch(params, x):
        h = x[None]
        for i in range(n_levels):
            n = h.shape[1]
            n_after = -(-n // 2)
            skip = h[:, (n - 1) % 2 :: 2]
            new = _conv(params[f"conv{i + 1}"], h, stride=2, before=2 * n_after + 1 - n, after=0)
            h = jax.nn.relu(new) + (skip if i else _dense(params["skip"], skip))
        return _flat(params["output"], h[:, -1:])

    return _model(init, apply_batch)


@functools.cache
def resnet(length: int = 40, n_outputs: int = 10) -> Model:
    """A residual network of seven convolutions with global average pooling: 11 570 parameters.

    16, 24 and 32 channels at half, a quarter and an eighth of the length (He et al. 2016, without normalisation, which
    so few layers do not need). Averaged over positions, a pattern counts the same wherever it is.
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
        h = jax.nn.relu(_conv(params["stem"], x[None], 2, 2, 2))
        for i, (n_in, n_out) in enumerate(sizes):
            block, stride = params[f"block{i + 1}"], 1 if n_in == n_out else 2
            skip = h if n_in == n_out else _dense(block["skip"], h[:, ::2])
            inner = jax.nn.relu(_conv(block["conv1"], h, stride))
            h = jax.nn.relu(_conv(block["conv2"], inner) + skip)
        return _flat(params["output"], h.mean(1, keepdims=True))

    return _model(init, apply_batch)


@functools.cache
def lstm(length: int = 40, hidden: int = 6, n_outputs: int = 10) -> Model:
    """A bidirectional LSTM whose states at all steps feed a linear layer, as the published GRU: 5 194 parameters.

    Gates as in `torch.nn.LSTM` (input, forget, cell, output), with one bias in place of its two.
    """

    def init(key):
        w, b = jax.random.split(stream(key, "lstm"))
        shape = (2, 4 * hidden)
        recurrent = {"w": layers.uniform(w, (*shape, hidden + 1), hidden), "b": layers.uniform(b, shape, hidden)}
        return {"lstm": recurrent, "output": layers.linear_init(stream(key, "output"), 2 * hidden * length, n_outputs)}

    def apply_batch(params, x):
        w, b = params["lstm"]["w"], params["lstm"]["b"][..., None]
        both = jnp.stack([x, x[::-1]], axis=1)[:, :, None]  # (length, 2, 1, batch)

        def cell(state, x_t):
            h, c = state
            rows = jnp.einsum("dri,dib->drb", w, jnp.concatenate([h, x_t], axis=1)) + b
            i, f, g, o = jnp.split(rows, 4, axis=1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        nothing = jnp.zeros((2, hidden, x.shape[-1]), jnp.result_type(w, x))
        states = jax.lax.scan(cell, (nothing, nothing), both)[1]  # (length, 2, hidden, batch)
        return _flat(params["output"], jnp.concatenate([states[:, 0], states[::-1, 1]], axis=1))

    return _model(init, apply_batch)


@functools.cache
def attention(
    length: int = 40,
    channels: int = 32,
    n_heads: int = 4,
    patch: int = 4,
    n_blocks: int = 1,
    n_outputs: int = 10,
    positions: bool = True,
) -> Model:
    """A transformer on patches of four points, averaged over them: 9 418 parameters, without positions 9 098.

    Where a patch stands, only a learned embedding tells (Vaswani et al. 2017; Dosovitskiy et al. 2021, normalised
    before each part). Without it (`positions=False`) the network sees a bag of patches.
    """
    n_patches = -(-length // patch)

    def init(key):
        params = {"embed": layers.linear_init(stream(key, "embed"), patch, channels), "norm": _norm_init(channels)}
        for i in range(n_blocks):
            name = f"block{i + 1}"
            sizes = {
                "qkv": (channels, 3 * channels), "mix": (channels, channels),
                "channels1": (channels, 2 * channels), "channels2": (2 * channels, channels),
            }  # fmt: skip
            block = {part: layers.linear_init(stream(key, f"{name}.{part}"), *size) for part, size in sizes.items()}
            params[name] = block | {"norm1": _norm_init(channels), "norm2": _norm_init(channels)}
        if positions:
            params["positions"] = 0.02 * jax.random.normal(stream(key, "positions"), (channels, n_patches))
        return params | {"output": layers.linear_init(stream(key, "output"), channels, n_outputs)}

    def apply_batch(params, x):
        h = _dense(params["embed"], _patches(x, patch))
        h = h + params["positions"][..., None] if positions else h
        for i in range(n_blocks):
            block = params[f"block{i + 1}"]
            q, k, v = _dense(block["qkv"], _norm(block["norm1"], h)).reshape(3, n_heads, -1, *h.shape[1:])
            weights = jax.nn.softmax(jnp.einsum("hdkb,hdqb->hkqb", k, q) * k.shape[1] ** -0.5, axis=1)
            h = h + _dense(block["mix"], jnp.einsum("hdkb,hkqb->hdqb", v, weights).reshape(h.shape))
            h = h + _dense(block["channels2"], jax.nn.gelu(_dense(block["channels1"], _norm(block["norm2"], h))))
        return _flat(params["output"], _norm(params["norm"], h).mean(1, keepdims=True))

    return _model(init, apply_batch)


@functools.cache
def mixer(length: int = 40, channels: int = 32, patch: int = 4, n_blocks: int = 2, n_outputs: int = 10) -> Model:
    """An MLP-Mixer on patches of four points: 10 054 parameters by default.

    Each block mixes patches, channel by channel, then channels, patch by patch (Tolstikhin et al. 2021). That points
    of a patch belong together is all that it supposes.
    """
    n_patches = -(-length // patch)

    def init(key):
        params = {"embed": layers.linear_init(stream(key, "embed"), patch, channels), "norm": _norm_init(channels)}
        for i in range(n_blocks):
            name = f"block{i + 1}"
            sizes = {
                "patches1": (n_patches, 2 * n_patches), "patches2": (2 * n_patches, n_patches),
                "channels1": (channels, 2 * channels), "channels2": (2 * channels, channels),
            }  # fmt: skip
            block = {part: layers.linear_init(stream(key, f"{name}.{part}"), *size) for part, size in sizes.items()}
            params[name] = block | {"norm1": _norm_init(channels), "norm2": _norm_init(channels)}
        return params | {"output": layers.linear_init(stream(key, "output"), channels, n_outputs)}

    def apply_batch(params, x):
        h = _dense(params["embed"], _patches(x, patch))
        for i in range(n_blocks):
            block = params[f"block{i + 1}"]
            across = _norm(block["norm1"], h).swapaxes(0, 1)
            across = _dense(block["patches2"], jax.nn.gelu(_dense(block["patches1"], across)))
            h = h + across.swapaxes(0, 1)
            h = h + _dense(block["channels2"], jax.nn.gelu(_dense(block["channels1"], _norm(block["norm2"], h))))
        return _flat(params["output"], _norm(params["norm"], h).mean(1, keepdims=True))

    return _model(init, apply_batch)
