"""Equinox modules as models of ours."""

import inspect
from collections.abc import Callable
from typing import Any

import jax

from flylab.base.optional import need
from flylab.models import Model

eqx = need("equinox", "equinox", "flylab.adapters.equinox")


def is_module(thing: Any) -> bool:
    """Whether it is an Equinox module, or a class of such."""
    return issubclass(thing, eqx.Module) if isinstance(thing, type) else isinstance(thing, eqx.Module)


def from_equinox(make: Callable[..., Any]) -> Model:
    """The model of an Equinox module: its floating-point arrays are the parameters, all else stays as it is.

    Args:
        make: the module's class, or a function, that takes `key` and whose module takes one example.

    Raises:
        ValueError: if it takes no `key`: then no seed would start anew.
        MissingExtraError: without Equinox.

    >>> import jax.numpy as jnp
    >>> model = from_equinox(lambda key: eqx.nn.MLP(40, 10, 100, 2, key=key))
    >>> model.apply(model.init(jax.random.key(0)), jnp.ones(40)).shape
    (10,)
    """
    if "key" not in inspect.signature(make).parameters:
        raise ValueError(
            f"{getattr(make, '__name__', make)} takes no key: give __init__ an argument key, from which every seed "
            "draws its own start"
        )
    probe = make(key=jax.random.key(0))
    params, rest = eqx.partition(probe, eqx.is_inexact_array)
    _, structure = jax.tree.flatten(params)  # a module's own may differ from call to call, e.g. by a lambda in it

    def init(key):
        return jax.tree.leaves(eqx.filter(make(key=key), eqx.is_inexact_array))

    def apply(leaves, x):
        return eqx.combine(jax.tree.unflatten(structure, leaves), rest)(x)

    return Model(init, apply)
