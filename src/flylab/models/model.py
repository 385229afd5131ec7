"""`Model`: a network as pure functions, written for one example."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from flylab.base.rng import stream
from flylab.base.types import Key, Logits, Params, Signal, Signals

BATCH = "batch"  # the name of the batch's axis, for `jax.lax.pmean` within `apply`


class Model(NamedTuple):
    """A network as pure functions; its parameters are a tree of arrays.

    `apply` may take keywords, each by its name:

    - `key`: in training a random key, another for each member, step and place in the batch; in evaluation None.
    - `train`: whether it is trained.
    - `state`: what training changes but does not learn, such as moving averages. Then `init` returns
      `Stateful(parameters, state)`, and `apply` returns (outputs, new state). All examples of a batch must give one new
      state: they are mapped over an axis called "batch", so `jax.lax.pmean(h, "batch")` is a mean over the batch (in
      training; in evaluation there may be a single example, and the new state is dropped).

    Attributes:
        init: key → parameters.
        apply: (parameters, one example of any fixed shape) → outputs `(n_outputs,)`.
        apply_batch: optional faster form, batch last: (parameters, `(*shape, batch)`) → `(n_outputs, batch)`. It must
            equal `jax.vmap` of `apply` in values and gradients. There is none where `apply` takes keywords.
        features: optional: (parameters, one example) → its activations by layer. Where `apply` has a state, it is
            given the `Stateful`.

    Raises:
        ValueError: from `outputs`, for an `apply_batch` beside an `apply` that takes keywords.

    >>> import jax, jax.numpy as jnp
    >>> linear = Model(init=lambda key: jnp.zeros((10, 40)), apply=lambda weights, x: weights @ x)
    >>> outputs(linear, linear.init(jax.random.key(0)), jnp.ones((40, 7))).shape
    (10, 7)
    >>> def with_dropout(weights, x, *, key):
    ...     kept = x if key is None else jnp.where(jax.random.bernoulli(key, 0.8, x.shape), x / 0.8, 0)
    ...     return weights @ kept
    >>> keywords(linear), keywords(linear._replace(apply=with_dropout))
    ((), ('key',))
    """

    init: Callable[[Key], Params]
    apply: Callable[..., Any]
    apply_batch: Callable[[Params, Signals], Logits] | None = None
    features: Callable[[Params, Signal], dict[str, Array]] | None = None


class Stateful(NamedTuple):
    """Parameters, and beside them a state that training changes without an optimiser."""

    params: Params
    state: Any


def parted(params: Params) -> tuple[Params, Any]:
    """Return what an optimiser trains, and the state; None where there is none."""
    return tuple(params) if isinstance(params, Stateful) else (params, None)


def joined(trained: Params, like: Params) -> Params:
    """Return trained parameters with the state of others, if these have one."""
    return like._replace(params=trained) if isinstance(like, Stateful) else trained


def keywords(model: Model) -> tuple[str, ...]:
    """Return which of the keywords `key`, `train` and `state` a model's `apply` takes."""
    return _keywords(model.apply)


@functools.lru_cache(maxsize=1024)
def _keywords(function: Callable) -> tuple[str, ...]:
    try:
        names = [*inspect.signature(function).parameters][2:]
    except (TypeError, ValueError):  # some compiled functions have no signature
        return ()
    return tuple(name for name in ("key", "train", "state") if name in names)


def outputs(model: Model, params: Params, x: Signals) -> Logits:
    """Compute a model's outputs `(n_outputs, batch)` for a batch-last batch `(*shape, batch)`, as in evaluation."""
    if names := keywords(model):
        return _with_keywords(model, names, params, x, None)[0]
    if model.apply_batch is not None:
        return model.apply_batch(params, x)
    return jax.vmap(model.apply, (None, -1), -1)(params, x)


def training_outputs(model: Model, params: Params, x: Signals, key: Key) -> tuple[Logits, Params]:
    """Compute a model's outputs as in training, and the parameters with their new state, if there is one.

    Args:
        model: the network.
        params: its parameters.
        x: a batch-last batch.
        key: random key of the step.
    """
    if names := keywords(model):
        return _with_keywords(model, names, params, x, key)
    return outputs(model, params, x), params


def _with_keywords(
    model: Model, names: tuple[str, ...], params: Params, x: Signals, key: Key | None
) -> tuple[Logits, Params]:
    if model.apply_batch is not None:
        raise ValueError(f"apply takes {', '.join(names)}, so there can be no apply_batch: leave it out")
    has_state = "state" in names
    if has_state and not isinstance(params, Stateful):
        kind = type(params).__name__
        raise TypeError(f"apply takes a state, so init must return flylab.models.Stateful(params, state), not {kind}")
    trained, state = parted(params)
    fixed = {"train": key is not None, "state": state}
    fixed = {name: value for name, value in fixed.items() if name in names}
    if (keys := key) is not None:
        places = jnp.arange(x.shape[-1])
        keys = jax.vmap(jax.random.fold_in, (None, 0))(stream(key, "apply"), places)  # pyright: ignore

    def of_one(params: Params, x: Signal, key: Key | None) -> Any:
        return model.apply(params, x, **fixed, **({"key": key} if "key" in names else {}))

    in_axes = (None, -1, None if keys is None else 0)
    if not has_state:
        return jax.vmap(of_one, in_axes, -1, axis_name=BATCH)(trained, x, keys), params
    if key is None:
        return jax.vmap(lambda *args: of_one(*args)[0], in_axes, -1, axis_name=BATCH)(trained, x, keys), params
    out, state = jax.vmap(of_one, in_axes, (-1, None), axis_name=BATCH)(trained, x, keys)
    return out, Stateful(trained, state)


@functools.lru_cache(maxsize=1024)
def n_params(model: Model) -> int:
    """Return a model's number of parameters.

    >>> from flylab.models import get_model
    >>> n_params(get_model("mlp"))
    15210
    """
    shapes, _ = parted(jax.eval_shape(model.init, jax.random.key(0)))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))
