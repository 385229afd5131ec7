"""Pruned networks: masks are trees of booleans like the parameters, and pruning wraps the model."""

import math
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import gammaln

from flylab.base.types import Key, Params, Signal, Signals
from flylab.models.model import Model

Mask = Params  # a tree of booleans, like the parameters
Scope = Literal["layer", "global"]


def masked(model: Model, mask: Mask) -> Model:
    """The model without the weights where `mask` is False: they start at 0 and get no gradient, so they stay there.

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
        # forward this is `params`, for free; backward the gradient where the mask is True
        return jax.tree.map(lambda m, p: jnp.where(m, p, jax.lax.stop_gradient(p)), mask, params)

    def apply(params: Params, x: Signal):
        return model.apply(held(params), x)

    def apply_batch(params: Params, x: Signals):
        assert model.apply_batch is not None
        return model.apply_batch(held(params), x)

    return Model(init, apply, None if model.apply_batch is None else apply_batch)


def applied(mask: Mask, params: Params) -> Params:
    """The parameters with 0 where the mask is False."""
    return jax.tree.map(lambda m, p: jnp.where(m, p, 0), mask, params)


def full(params: Params) -> Mask:
    """The mask that keeps everything, as NumPy arrays."""
    return jax.tree.map(lambda leaf: np.ones(leaf.shape, bool), params)


def prune(params: Params, mask: Mask, sparsity: float, *, scope: Scope = "layer", prune_biases: bool = True) -> Mask:
    """The mask that keeps the largest of the surviving weights: magnitude pruning (Han et al. 2015), in NumPy.

    Args:
        params: trained parameters, whose magnitudes are the scores.
        mask: of the survivors so far; what is pruned stays pruned.
        sparsity: share to be pruned in all, from 0 to 1, of the weights that are ranked.
        scope: rank within each layer (its weights and biases together, as published), or all layers together.
        prune_biases: rank the biases too; otherwise they stay.
    """
    return _chosen(jax.tree.map(np.abs, params), mask, sparsity, scope, prune_biases)


def random_mask(
    params: Params, sparsity: float, rng: np.random.Generator, *, scope: Scope = "layer", prune_biases: bool = True
) -> Mask:
    """A random mask of the same number of survivors as `prune` leaves, per layer or in all."""
    scores = jax.tree.map(lambda leaf: rng.random(leaf.shape), params)
    return _chosen(scores, full(params), sparsity, scope, prune_biases)


def sparsity_of(mask: Mask) -> float:
    """Share of all weights that are pruned."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(mask)]
    return 1 - sum(leaf.sum() for leaf in leaves) / sum(leaf.size for leaf in leaves)


def pack(mask: Mask) -> np.ndarray:
    """All bits of a mask, leaf after leaf, as bytes."""
    return np.packbits(np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(mask)]))


def unpack(bits: np.ndarray, like: Params) -> Mask:
    """The mask that `pack` packed; `like` has its tree and shapes.

    Raises:
        ValueError: if the number of bits does not go with the shapes.
    """
    leaves, tree = jax.tree.flatten(like)
    sizes = [int(np.prod(leaf.shape)) for leaf in leaves]
    if len(bits) != -(-sum(sizes) // 8):
        raise ValueError(f"{len(bits)} bytes are no mask of {sum(sizes)} weights; is it of another model?")
    flat = np.unpackbits(np.asarray(bits, np.uint8), count=sum(sizes)).astype(bool)
    parts = np.split(flat, np.cumsum(sizes)[:-1])
    return tree.unflatten([part.reshape(leaf.shape) for part, leaf in zip(parts, leaves, strict=True)])


def first_layer(mask: Mask) -> np.ndarray:
    """The mask of the first layer's weights `(n_units, length)`."""
    first = next(iter(mask.values())) if "w" not in mask else mask
    weights = np.asarray(first["w"] if "w" in first else next(iter(first.values())))
    return weights.reshape(len(weights), -1)


def adjacency(mask: np.ndarray, n: int) -> float:
    """Runs of `n` adjacent survivors in `mask (n_units, length)`, relative to random masks of the same units' sparsity.

    The denominator is exact: the expectation over all permutations of each unit's positions. 1 is chance; NaN where
    chance gives none.
    """
    mask = np.asarray(mask, bool)
    length, survivors = mask.shape[1], mask.sum(1)
    if n > length:
        return math.nan
    runs = np.lib.stride_tricks.sliding_window_view(mask, n, axis=1).all(-1).sum()
    possible = survivors[survivors >= n]
    # a given n positions all survive with probability C(length − n, m − n) / C(length, m)
    log_p = gammaln(length - n + 1) - gammaln(possible - n + 1) - (gammaln(length + 1) - gammaln(possible + 1))
    expected = (length - n + 1) * np.exp(log_p).sum()
    return float(runs / expected) if expected > 0 else math.nan


def _chosen(scores: Params, mask: Mask, sparsity: float, scope: Scope, prune_biases: bool) -> Mask:
    """The mask of the highest scores among the survivors, within each group of leaves that are ranked together."""
    paths, tree = jax.tree.flatten_with_path(scores)
    survivors = [np.asarray(leaf) for leaf in jax.tree.leaves(mask)]
    groups: dict[str, list[int]] = {}
    for i, (path, _) in enumerate(paths):
        if prune_biases or not _is_bias(path):
            groups.setdefault("" if scope == "global" else jax.tree_util.keystr(path[:-1]), []).append(i)
    chosen = [np.ones(leaf.shape, bool) for leaf in survivors]
    for members in groups.values():
        ranked = np.concatenate([np.where(survivors[i], paths[i][1], -1).ravel() for i in members])
        n_kept = round((1 - sparsity) * len(ranked))
        kept = np.zeros(len(ranked), bool)
        kept[np.argsort(-ranked, kind="stable")[:n_kept]] = True
        kept &= ranked >= 0  # what is pruned stays pruned
        for i, part in zip(members, np.split(kept, np.cumsum([survivors[i].size for i in members])[:-1]), strict=True):
            chosen[i] = part.reshape(survivors[i].shape)
    return tree.unflatten(chosen)


def _is_bias(path: tuple) -> bool:
    return str(getattr(path[-1], "key", path[-1])).startswith("b")
