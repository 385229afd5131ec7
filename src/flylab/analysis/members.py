"""Measures over a population: one value for each member, or for each pair of members."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
import xarray as xr

from flylab.base import runtime
from flylab.base.types import Params
from flylab.data.splits import Splits
from flylab.training.population import Population


@runtime.pinned()
def per_member(measure: Callable[..., Any], population: Population, data: Any = None) -> Any:
    """Measure each member of a population: one compiled program, member by member, in the memory of one.

    Args:
        measure: parameters → a number, an array or a NamedTuple of them, in JAX; with `data`, (parameters, data) →
            the same, e.g. `partial(hessian_trace, model)`.
        population: what `train_members` returns.
        data: a set, e.g. `splits.train`; or a function from the seed to one, for populations with data for each seed.

    Returns:
        A `DataArray` with the population's axes in front; of a NamedTuple a `Dataset` with a variable for each field.

    Raises:
        TypeError: if the function of the seed returns `Splits`, or the measure something else than it may.

    >>> import flylab
    >>> from flylab.analysis import mean_loss
    >>> splits = flylab.published(flylab.MNIST1D(n_train=100, n_valid=100, n_test=100))
    >>> model, grid = flylab.get_model("logistic"), {"learning_rate": [1e-3, 1e-2], "seed": range(3)}
    >>> population = flylab.train_members(model, splits, flylab.Plan(20), grid)
    >>> losses = per_member(lambda params, data: mean_loss(model, params, data), population, splits.test)
    >>> bool(abs(losses - population.results.test_loss.isel(step=-1)).max() < 1e-5)
    True
    """
    axes = _axes(population)
    # fixed data are constants of the program, so that a measure sees their values and can check them
    measured = jax.jit(measure if data is None or callable(data) else lambda params: measure(params, data))
    values = []
    for point in _points(axes.values()):
        at = population.hparams | {name: labels[i] for (name, labels), i in zip(axes.items(), point, strict=True)}
        own = (data(int(at["seed"])),) if callable(data) else ()
        if own and isinstance(own[0], Splits):
            raise TypeError("data(seed) must be one set, e.g. data(seed).train, not Splits")
        values.append(jax.device_get(measured(_member(population.params, point), *own)))
    return _labelled(values, axes)


@runtime.pinned()
def per_pair(measure: Callable[[Params, Params], Any], population: Population, axis: str = "seed") -> Any:
    """Measure each pair of members that differ along one axis only.

    Args:
        measure: (parameters, parameters of another member) → a number, an array or a NamedTuple of them, in JAX. It
            must be symmetric: each pair is measured once, a member with itself too.
        population: what `train_members` returns.
        axis: the axis of the population.

    Returns:
        What `per_member` returns, with the axis `axis` and another one, `other_{axis}`, behind the others.

    Raises:
        ValueError: if the population has no such axis.

    >>> import flylab
    >>> from flylab.analysis import barrier
    >>> splits = flylab.published(flylab.MNIST1D(n_train=100, n_valid=100, n_test=100))
    >>> model, grid = flylab.get_model("logistic"), {"learning_rate": [1e-2], "seed": range(3)}
    >>> population = flylab.train_members(model, splits, flylab.Plan(20), grid)
    >>> barriers = per_pair(lambda a, b: barrier(model, a, b, splits.train), population)
    >>> barriers.dims, bool((abs(barriers) < 1e-5).all())  # the loss of logistic regression is convex
    (('learning_rate', 'seed', 'other_seed'), True)
    """
    axes = _axes(population)
    if axis not in axes:
        raise ValueError(f"axis={axis!r} must be one of the population's axes: {', '.join(axes)}")
    at, n, measured = list(axes).index(axis), len(axes[axis]), jax.jit(measure)
    others = {name: values for name, values in axes.items() if name != axis}
    values = []
    for point in _points(others.values()):
        members = [_member(population.params, (*point[:at], i, *point[at:])) for i in range(n)]
        pairs = {(i, j): jax.device_get(measured(members[i], members[j])) for i in range(n) for j in range(i, n)}
        values += [pairs[min(i, j), max(i, j)] for i in range(n) for j in range(n)]
    return _labelled(values, others | {axis: axes[axis], f"other_{axis}": axes[axis]})


def _axes(population: Population) -> dict[str, np.ndarray]:
    return {name: np.asarray(labels) for name, labels in population.axes.items()}


def _points(values: Any) -> itertools.product:
    return itertools.product(*(range(len(some)) for some in values))


def _member(params: Params, point: tuple[int, ...]) -> Params:
    return jax.tree.map(lambda leaf: leaf[point], params)


def _labelled(values: Sequence[Any], axes: dict[str, np.ndarray]) -> xr.DataArray | xr.Dataset:
    sizes = tuple(len(some) for some in axes.values())

    def stacked(parts: Sequence[Any], name: str, only: str | None = None) -> xr.Variable:
        array = np.stack(parts)
        shape = array.shape[1:]
        dims = [only] if only and len(shape) == 1 else [f"{name}_{i}" for i in range(len(shape))]
        return xr.Variable((*axes, *dims), array.reshape((*sizes, *shape)))

    first: Any = values[0]
    if isinstance(first, dict | list) or type(first) is tuple:
        raise TypeError(
            f"a measure must return a number, an array or a NamedTuple of them, not a {type(first).__name__}"
        )
    if not hasattr(first, "_fields"):
        return xr.DataArray(stacked(values, "dim"), axes)
    fields = zip(first._fields, zip(*values, strict=True), strict=True)
    dim = getattr(first, "dim", None)  # of all fields that are arrays
    return xr.Dataset({name: stacked(parts, name, dim) for name, parts in fields}, axes)
