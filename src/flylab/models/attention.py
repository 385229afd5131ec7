"""Networks on patches of a signal: a transformer encoder and an MLP-Mixer."""

import functools

import jax
import jax.numpy as jnp

from flylab.base.rng import stream
from flylab.base.types import Key, Params
from flylab.models import layers
from flylab.models.batched import from_batch, layer_norm, norm_init, patches, pointwise, readout
from flylab.models.model import Model
from flylab.models.registry import register_model


def _blocks_init(key: Key, n_blocks: int, width: int, sizes: dict[str, tuple[int, int]]) -> Params:
    """Initialise blocks of linear layers of these sizes, a channel MLP and two normalisations."""
    sizes = sizes | {"channels1": (width, 2 * width), "channels2": (2 * width, width)}
    params = {}
    for name in (f"block{i + 1}" for i in range(n_blocks)):
        block = {part: layers.linear_init(stream(key, f"{name}.{part}"), *size) for part, size in sizes.items()}
        params[name] = block | {"norm1": norm_init(width), "norm2": norm_init(width)}
    return params


def _mix_channels(block: Params, h: jax.Array) -> jax.Array:
    hidden = jax.nn.gelu(pointwise(block["channels1"], layer_norm(block["norm2"], h)))
    return h + pointwise(block["channels2"], hidden)


@register_model("attention", title="attention, positions")
@functools.cache
def attention(
    length: int = 40,
    n_outputs: int = 10,
    width: int = 32,
    n_heads: int = 4,
    patch: int = 4,
    n_blocks: int = 1,
    positions: bool = True,
) -> Model:
    """Build a transformer encoder on patches of four points, with mean pooling: 9 418 parameters by default.

    Self-attention (Vaswani et al. 2017) with pre-normalisation and a learned position embedding (Dosovitskiy et al.
    2021). Without the embedding (`positions=False`, 9 098 parameters) the network sees an unordered bag of patches.
    """
    n_patches = -(-length // patch)

    def init(key):
        params = {"embed": layers.linear_init(stream(key, "embed"), patch, width), "norm": norm_init(width)}
        params |= _blocks_init(key, n_blocks, width, {"qkv": (width, 3 * width), "mix": (width, width)})
        if positions:
            params["positions"] = 0.02 * jax.random.normal(stream(key, "positions"), (width, n_patches))
        return params | {"output": layers.linear_init(stream(key, "output"), width, n_outputs)}

    def apply_batch(params, x):
        h = pointwise(params["embed"], patches(x, patch))
        h = h + params["positions"][..., None] if positions else h
        for i in range(n_blocks):
            block = params[f"block{i + 1}"]
            q, k, v = pointwise(block["qkv"], layer_norm(block["norm1"], h)).reshape(3, n_heads, -1, *h.shape[1:])
            weights = jax.nn.softmax(jnp.einsum("hdkb,hdqb->hkqb", k, q) * k.shape[1] ** -0.5, axis=1)
            h = h + pointwise(block["mix"], jnp.einsum("hdkb,hkqb->hdqb", v, weights).reshape(h.shape))
            h = _mix_channels(block, h)
        return readout(params["output"], layer_norm(params["norm"], h).mean(1, keepdims=True))

    return from_batch(init, apply_batch)


@register_model("bag", title="attention, no positions")
def bag(length: int = 40, n_outputs: int = 10, width: int = 32) -> Model:
    """Build `attention` without position embeddings, for a bag of patches: 9 098 parameters by default."""
    return attention(length, n_outputs, width, positions=False)


@register_model("mixer", title="MLP-Mixer")
@functools.cache
def mixer(length: int = 40, n_outputs: int = 10, width: int = 32, patch: int = 4, n_blocks: int = 2) -> Model:
    """Build an MLP-Mixer on patches of four points: 10 054 parameters by default.

    Each block mixes patches within each channel, then channels within each patch (Tolstikhin et al. 2021). Its only
    spatial prior is that the points of a patch belong together.
    """
    n_patches = -(-length // patch)

    def init(key):
        params = {"embed": layers.linear_init(stream(key, "embed"), patch, width), "norm": norm_init(width)}
        sizes = {"patches1": (n_patches, 2 * n_patches), "patches2": (2 * n_patches, n_patches)}
        params |= _blocks_init(key, n_blocks, width, sizes)
        return params | {"output": layers.linear_init(stream(key, "output"), width, n_outputs)}

    def apply_batch(params, x):
        h = pointwise(params["embed"], patches(x, patch))
        for i in range(n_blocks):
            block = params[f"block{i + 1}"]
            across = layer_norm(block["norm1"], h).swapaxes(0, 1)
            across = pointwise(block["patches2"], jax.nn.gelu(pointwise(block["patches1"], across)))
            h = h + across.swapaxes(0, 1)
            h = _mix_channels(block, h)
        return readout(params["output"], layer_norm(params["norm"], h).mean(1, keepdims=True))

    return from_batch(init, apply_batch)
