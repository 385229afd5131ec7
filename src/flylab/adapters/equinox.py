"""Equinox modules as flylab models."""

import inspect
from collections.abc import Callable
from typing import Any

import jax

from flylab.base.optional import need
from flylab.models import Model

eqx = need("equinox", "equinox", "flylab.adapters.equinox")


def from_equinox(make: Callable[..., Any]) -> Model:
    """Turn an Equinox module into a model, whose parameters are the module's floating-point arrays.

    Args:
        make: a module class, or a function that returns a module. It takes a keyword `key`; the module takes one
            example.

    Raises:
        ValueError: if `make` takes no `key`, as all seeds would start from the same parameters.

    >>> import jax.numpy as jnp
    >>> model = from_equinox(lambda key: eqx.nn.MLP(40, 10, 100, 2, key=key))
    >>> model.apply(model.init(jax.random.key(0)), jnp.ones(40)).shape
    (10,)
    """
    if "key" not in inspect.signature(make).parameters:
        raise ValueError(
            f"{getattr(make, '__name__', make)} takes no key: give __init__ an argument key and draw the initial "
            "parameters from it"
        )
    probe = make(key=jax.random.key(0))
    params, rest = eqx.partition(probe, eqx.is_inexact_array)
    _, structure = jax.tree.flatten(params)  # kept, as it may differ between calls, e.g. by a lambda in the module

    def init(key):
        return jax.tree.leaves(eqx.filter(make(key=key), eqx.is_inexact_array))

    def apply(leaves, x):
        return eqx.combine(jax.tree.unflatten(structure, leaves), rest)(x)

    return Model(init, apply)
