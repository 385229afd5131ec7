"""What all measures read of one network: its outputs, its mean loss, its probabilities and classes."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.flatten_util import ravel_pytree

from flylab.base.types import Params, Scalar
from flylab.data.inputs import Targets, checked_set
from flylab.data.splits import Dataset
from flylab.models.model import Model, joined, parted
from flylab.training.inputs import as_objective
from flylab.training.objectives import Objective


def outputs_of(model: Model | Objective, params: Params, x: Any) -> jax.Array:
    """Compute a network's outputs for examples, first axis first: `(n, *shape)` → `(n, n_outputs)`.

    >>> from flylab.models import get_model
    >>> model = get_model("mlp")
    >>> outputs_of(model, model.init(jax.random.key(0)), jnp.ones((7, 40))).shape
    (7, 10)
    """
    x = jnp.moveaxis(jnp.asarray(x, jnp.float32), 0, -1)
    return as_objective(model).predict(params, x, {}, jax.random.key(0)).T


def probabilities(model: Model | Objective, params: Params, x: Any) -> jax.Array:
    """Compute a classifier's probabilities, the softmax of its outputs: `(n, *shape)` → `(n, n_classes)`."""
    return jax.nn.softmax(outputs_of(model, params, x))


def classes(model: Model | Objective, params: Params, x: Any) -> jax.Array:
    """Compute the classes that a network predicts: `(n, *shape)` → `(n,)`."""
    return outputs_of(model, params, x).argmax(1)


def mean_loss(model: Model | Objective, params: Params, data: Dataset) -> Scalar:
    """Compute the mean of the per-example loss over a set, as evaluations do: the activations of all at once.

    Args:
        model: the network, which classifies; or an objective that reads no hyper-parameters.
        params: its parameters.
        data: the examples, e.g. `splits.train`.

    Raises:
        TypeError: if `data` is no `Dataset`.
        ValueError: if examples and targets do not fit together, or a label has no output.
    """
    objective = as_objective(model)
    x, y = as_set(data, objective.targets)
    out = outputs_of(objective, params, x).T
    if is_class := objective.targets == "classes":
        require_outputs(y, len(out))
    y = jnp.asarray(y, jnp.int32 if is_class else jnp.float32)
    return objective.per_example_loss(out, jnp.moveaxis(y, 0, -1)).mean()


def accuracy(model: Model | Objective, params: Params, data: Dataset) -> Scalar:
    """Compute the percentage of examples whose class a network predicts. Arguments and errors are those of `mean_loss`.

    >>> from flylab.data import published
    >>> from flylab.models import get_model
    >>> model = get_model("mlp")
    >>> bool(accuracy(model, model.init(jax.random.key(0)), published().test) < 40)
    True
    """
    x, y = as_set(data)
    out = outputs_of(model, params, x)
    require_outputs(y, out.shape[1])
    return 100 * (out.argmax(1) == y).mean()


def flat_weights(params: Params) -> tuple[jax.Array, Callable[[jax.Array], Params]]:
    """Return a network's weights as a vector, and the parameters of such a vector; a state beside them is held."""
    flat, unravel = ravel_pytree(parted(params)[0])
    return flat, lambda point: joined(unravel(point), params)


def as_set(data: Dataset, targets: Targets = "classes") -> Dataset:
    """Return a set whose inputs and labels fit together; of arrays that JAX traces, nothing is known but shapes.

    Raises:
        TypeError: if `data` is no `Dataset`.
        ValueError: if it is empty, or as `data.inputs.checked_set`.
    """
    if not isinstance(data, Dataset):
        raise TypeError(f"data must be a flylab.Dataset, e.g. splits.train, not {type(data).__name__}")
    if not any(isinstance(array, Tracer) for array in data):
        data = checked_set("given", data, targets)
    if not len(data.y):
        raise ValueError("the given set must have at least one example")
    return data


def require_outputs(y: Any, n_outputs: int) -> None:
    """Refuse labels that a network has no output for, where JAX does not trace them.

    Raises:
        ValueError: naming the label.
    """
    if isinstance(y, Tracer):
        return
    if not np.issubdtype(np.asarray(y).dtype, np.integer):
        raise ValueError(f"labels must be integers, not {np.asarray(y).dtype}")
    if wrong := [label for label in (y.max(), y.min()) if not 0 <= label < n_outputs]:
        raise ValueError(f"label {wrong[0]} must be from 0 to {n_outputs - 1}; the network has {n_outputs} outputs")
