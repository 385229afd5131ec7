"""`Model`: a network as two pure functions, written for one example."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
from jax import Array

from flylab.base.types import Key, Logits, Params, Signal, Signals


class Model(NamedTuple):
    """A network as pure functions; its parameters are a tree of arrays.

    Attributes:
        init: key → parameters.
        apply: (parameters, one example of any fixed shape) → outputs `(n_outputs,)`.
        apply_batch: optional faster form, batch last: (parameters, `(*shape, batch)`) → `(n_outputs, batch)`. It must
            equal `jax.vmap` of `apply` in values and gradients.
        features: optional, of the same arguments as `apply`: one example's activations by layer.

    >>> import jax, jax.numpy as jnp
    >>> linear = Model(init=lambda key: jnp.zeros((10, 40)), apply=lambda weights, x: weights @ x)
    >>> outputs(linear, linear.init(jax.random.key(0)), jnp.ones((40, 7))).shape
    (10, 7)
    """

    init: Callable[[Key], Params]
    apply: Callable[[Params, Signal], Logits]
    apply_batch: Callable[[Params, Signals], Logits] | None = None
    features: Callable[[Params, Signal], dict[str, Array]] | None = None


def outputs(model: Model, params: Params, x: Signals) -> Logits:
    """Compute a model's outputs `(n_outputs, batch)` for a batch-last batch `(*shape, batch)`."""
    if model.apply_batch is not None:
        return model.apply_batch(params, x)
    return jax.vmap(model.apply, (None, -1), -1)(params, x)


@functools.lru_cache(maxsize=1024)
def n_params(model: Model) -> int:
    """Return a model's number of parameters.

    >>> from flylab.models import get_model
    >>> n_params(get_model("mlp"))
    15210
    """
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))
