"""Equinox modules as flylab models."""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from flylab.base.optional import need
from flylab.models import Model, Stateful

eqx = need("equinox", "equinox", "flylab.adapters.equinox")


@jax.tree_util.register_pytree_node_class
class _State(eqx.nn.State):
    """A module's state without Equinox's comparison of old and new, which within `shard_map` finds constants unlike."""

    def set(self, item: Any, value: Any) -> "_State":
        values, markers = self.tree_flatten()
        after = dict(zip(markers, values, strict=True)) | {item.marker: jax.tree.map(jnp.asarray, value)}
        return _State.tree_unflatten(tuple(after), tuple(after.values()))


def from_equinox(make: Callable[..., Any]) -> Model:
    """Turn an Equinox module into a model, whose parameters are the module's floating-point arrays.

    A module whose `__call__` takes `key` gets one in training, and in evaluation if it has no default; dropout is off
    there (`eqx.nn.inference_mode`). One whose `__call__` takes `state`, such as one with `eqx.nn.BatchNorm(…,
    axis_name="batch")`, returns (outputs, state).

    Args:
        make: a module class, or a function that returns a module. It takes a keyword `key`; the module takes one
            example.

    Raises:
        ValueError: if `make` takes no `key`, as all seeds would start from the same parameters.

    >>> import jax.numpy as jnp
    >>> from flylab.models import outputs
    >>> model = from_equinox(lambda key: eqx.nn.MLP(40, 10, 100, 2, key=key))
    >>> outputs(model, model.init(jax.random.key(0)), jnp.ones((40, 3))).shape
    (10, 3)
    """
    if "key" not in inspect.signature(make).parameters:
        raise ValueError(
            f"{getattr(make, '__name__', make)} takes no key: give __init__ an argument key and draw the initial "
            "parameters from it"
        )
    made = eqx.nn.make_with_state(make)
    probe, probe_state = made(key=jax.random.key(0))
    params, rest = eqx.partition(probe, eqx.is_inexact_array)
    # kept, as they may differ between calls, e.g. by a lambda in the module
    structure, state_structure = jax.tree.structure(params), jax.tree.structure(probe_state)
    takes = inspect.signature(type(probe).__call__).parameters
    has_state = bool(jax.tree.leaves(probe_state)) and "state" in takes

    def init(key):
        module, state = made(key=key)
        leaves = jax.tree.leaves(eqx.filter(module, eqx.is_inexact_array))
        return Stateful(leaves, jax.tree.leaves(state)) if has_state else leaves

    def module_of(leaves):
        return eqx.combine(jax.tree.unflatten(structure, leaves), rest)

    def given(key):
        if "key" not in takes:
            return {}
        needs_one = key is None and takes["key"].default is inspect.Parameter.empty
        return {"key": jax.random.key(0) if needs_one else key}  # in evaluation, where dropout does not draw from it

    def apply(leaves, x):
        return module_of(leaves)(x)

    def apply_with_key(leaves, x, *, key, train):
        return eqx.nn.inference_mode(module_of(leaves), not train)(x, **given(key))

    def apply_with_state(leaves, x, *, key, train, state):
        module = eqx.nn.inference_mode(module_of(leaves), not train)
        values, markers = jax.tree.unflatten(state_structure, state).tree_flatten()
        out, state = module(x, _State.tree_unflatten(markers, values), **given(key))
        return out, jax.tree.leaves(state)

    return Model(init, apply_with_state if has_state else apply_with_key if "key" in takes else apply)
