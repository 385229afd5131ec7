"""Pruning: masks as trees of booleans in the shape of the parameters, and models under a mask."""

import functools
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from flylab.base.types import Key, Params
from flylab.models.locality import rewired
from flylab.models.model import Model

Mask = Params  # a tree of booleans, like the parameters
Scope = Literal["layer", "global"]


def masked(model: Model, mask: Mask) -> Model:
    """Prune a model: weights where `mask` is False start at 0 and get no gradient, so that they stay 0.

    >>> import jax
    >>> from flylab.models import get_model
    >>> mask = {"w": jnp.zeros((10, 40), bool), "b": jnp.ones(10, bool)}
    >>> params = masked(get_model("logistic"), mask).init(jax.random.key(0))
    >>> float(abs(params["w"]).max())
    0.0
    """

    def init(key: Key) -> Params:
        return applied(mask, model.init(key))

    def held(params: Params) -> Params:
        # the value is `params`, at no cost; the gradient passes only where the mask is True
        return jax.tree.map(lambda m, p: jnp.where(m, p, jax.lax.stop_gradient(p)), mask, params)

    def on_held(function: Callable) -> Callable:
        @functools.wraps(function)
        def computed(params: Params, x, **mode):
            return function(held(params), x, **mode)

        return computed

    rest = (function and on_held(function) for function in model[2:])
    return Model(init, on_held(model.apply), *rest)


def applied(mask: Mask, params: Params) -> Params:
    """Return the parameters with 0 where the mask is False."""
    return jax.tree.map(lambda m, p: jnp.where(m, p, 0), mask, params)


def full(params: Params) -> Mask:
    """Return the mask that keeps all weights, as NumPy arrays."""
    return jax.tree.map(lambda leaf: np.ones(leaf.shape, bool), params)


def prune(params: Params, mask: Mask, sparsity: float, *, scope: Scope = "layer", prune_biases: bool = True) -> Mask:
    """Return the mask of the largest surviving weights: magnitude pruning (Han et al. 2015), in NumPy.

    Args:
        params: trained parameters.
        mask: the mask so far; pruned weights stay pruned.
        sparsity: total share of the ranked weights to prune, from 0 to 1.
        scope: "layer" ranks each layer's weights and biases together, as published; "global" ranks all layers together.
        prune_biases: whether biases are ranked; otherwise they are kept.
    """
    return keep_highest(jax.tree.map(np.abs, params), mask, sparsity, scope=scope, prune_biases=prune_biases)


def keep_highest(
    scores: Params, mask: Mask, sparsity: float, *, scope: Scope = "layer", prune_biases: bool = True
) -> Mask:
    """Return the mask of the survivors with the highest scores, one for each weight; arguments as of `prune`."""
    paths, tree = jax.tree.flatten_with_path(scores)
    survivors = [np.asarray(leaf) for leaf in jax.tree.leaves(mask)]
    groups: dict[str, list[int]] = {}
    for i, (path, _) in enumerate(paths):
        if prune_biases or not _is_bias(path):
            groups.setdefault("" if scope == "global" else jax.tree_util.keystr(path[:-1]), []).append(i)
    chosen = [np.ones(leaf.shape, bool) for leaf in survivors]
    for leaf_indices in groups.values():
        ranked = np.concatenate([np.where(survivors[i], paths[i][1], -np.inf).ravel() for i in leaf_indices])
        n_kept = round((1 - sparsity) * len(ranked))
        kept = np.zeros(len(ranked), bool)
        kept[np.argsort(-ranked, kind="stable")[:n_kept]] = True
        kept &= ranked > -np.inf  # pruned weights stay pruned
        ends = np.cumsum([survivors[i].size for i in leaf_indices])
        for i, part in zip(leaf_indices, np.split(kept, ends[:-1]), strict=True):
            chosen[i] = part.reshape(survivors[i].shape)
    return tree.unflatten(chosen)


def random_mask(
    params: Params, sparsity: float, rng: np.random.Generator, *, scope: Scope = "layer", prune_biases: bool = True
) -> Mask:
    """Return a random mask with as many survivors as `prune` leaves, per layer or in all."""
    scores = jax.tree.map(lambda leaf: rng.random(leaf.shape), params)
    return keep_highest(scores, full(params), sparsity, scope=scope, prune_biases=prune_biases)


def rewired_mask(mask: Mask, rng: np.random.Generator, keep: Literal["unit", "unit-input"]) -> Mask:
    """Return a mask whose weights are `locality.rewired` in every layer, and whose biases are those of the mask."""

    def of(leaf: np.ndarray) -> np.ndarray:
        return rewired(leaf.reshape(len(leaf), -1), rng, keep).reshape(leaf.shape) if leaf.ndim > 1 else leaf

    return jax.tree.map(of, mask)


def pack(mask: Mask) -> np.ndarray:
    """Pack a mask into bytes, leaf after leaf, one bit per weight."""
    return np.packbits(np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(mask)]))


def unpack(bits: np.ndarray, like: Params) -> Mask:
    """Unpack the mask that `pack` packed; `like` has its tree and shapes.

    Raises:
        ValueError: if the number of bytes does not match the shapes.
    """
    leaves, tree = jax.tree.flatten(like)
    sizes = [int(np.prod(leaf.shape)) for leaf in leaves]
    n_bytes = -(-sum(sizes) // 8)
    if len(bits) != n_bytes:
        raise ValueError(
            f"a mask of {sum(sizes)} weights must have {n_bytes} bytes, not {len(bits)}; is it from another model?"
        )
    flat = np.unpackbits(np.asarray(bits, np.uint8), count=sum(sizes)).astype(bool)
    parts = np.split(flat, np.cumsum(sizes)[:-1])
    return tree.unflatten([part.reshape(leaf.shape) for part, leaf in zip(parts, leaves, strict=True)])


def first_layer(mask: Mask) -> np.ndarray:
    """Return the mask of the first layer's weights, `(n_units, length)`."""
    first = next(iter(mask.values())) if "w" not in mask else mask
    weights = np.asarray(first["w"] if "w" in first else next(iter(first.values())))
    return weights.reshape(len(weights), -1)


def _is_bias(path: tuple) -> bool:
    return str(getattr(path[-1], "key", path[-1])).startswith("b")
