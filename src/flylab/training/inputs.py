"""What training is given, checked once, before any work: data, objectives, seeds and hyper-parameters."""

import numbers
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jax.core import Tracer

from flylab.base.constraints import Seed, check, refusal
from flylab.data.inputs import trainable
from flylab.data.splits import SETS, Dataset, Splits
from flylab.models.model import Model
from flylab.training.objectives import Objective, supervised


class SplitArrays(NamedTuple):
    """The three sets of a `Splits`, as float32 inputs and int32 labels; None instead of an empty set.

    No array is empty: on a CPU, XLA of JAX 0.11 crashes on an empty array that several devices share.
    """

    train: Dataset
    valid: Dataset | None
    test: Dataset


def as_arrays(splits: Splits) -> SplitArrays:
    """Convert a `Splits` to float32 inputs and int32 labels, as NumPy arrays: nothing goes to a device yet.

    Arrays that JAX traces stay traced; of these only the sizes are checked.

    Raises:
        ValueError: if a set is not what `data.inputs.trainable` allows.
    """
    sets = tuple(getattr(splits, name) for name in SETS)
    if not any(isinstance(array, Tracer) for part in sets if isinstance(part, Dataset) for array in part):
        sets = trainable(splits)[:3]
    for name, part in zip(SETS, sets, strict=True):
        if len(part.x) != len(part.y) or not (len(part.y) or name == "valid"):
            raise ValueError(f"the {name} set has {len(part.x)} examples and {len(part.y)} labels")
    train, valid, test = (Dataset(part.x.astype("float32"), part.y.astype("int32")) for part in sets)
    return SplitArrays(train, valid if len(valid.y) else None, test)


def data_type_error(data: Any) -> TypeError:
    """Make the error for data of a wrong type."""
    return TypeError(
        f"data must be Splits, e.g. published(config), or a Source, e.g. endless(config), not {type(data).__name__}"
    )


def as_objective(thing: Objective | Model) -> Objective:
    """Return an objective as it is, and of a model the objective of classification.

    Raises:
        TypeError: for anything else.
    """
    if isinstance(thing, Model):
        return supervised(thing)
    if not isinstance(thing, Objective):
        kind = type(thing).__name__
        raise TypeError(f"objective must be an Objective, e.g. flylab.supervised(model), or a model, not {kind}")
    return thing


def as_seeds(seeds: Any, name: str = "seeds") -> list[int]:
    """Return seeds as a list of different integers.

    Raises:
        ValueError: if they are none, or there are none.
    """
    if np.ndim(seeds) == 0 and not hasattr(seeds, "__iter__"):
        raise refusal(name, seeds, "a list of seeds, such as range(10)")
    listed = list(check(name, list(seeds), tuple[Seed, ...]))
    if len(set(listed)) < len(listed):
        raise refusal(name, listed, "a list of different seeds")
    return listed


def as_axes(grid: Mapping[str, Any]) -> tuple[dict[str, list], dict[str, Any]]:
    """Return the axes of a grid, and the hyper-parameters that are one number for all members.

    Raises:
        ValueError: for a grid without `seed`, an axis that is empty, or a value that is no finite number.
    """
    if "seed" not in grid:
        raise ValueError("the grid has no axis 'seed'; add one, e.g. seed=range(10)")
    axes: dict[str, list] = {}
    fixed: dict[str, Any] = {}
    for name, values in grid.items():
        is_number = isinstance(values, numbers.Number) or getattr(values, "ndim", None) == 0
        if is_number and name != "seed":
            fixed[name] = values
        elif name == "seed":
            axes[name] = as_seeds(values, "seed")
        elif isinstance(values, str | bytes | Mapping) or not hasattr(values, "__iter__"):
            raise refusal(name, values, "a number, or a list of numbers")
        else:
            axes[name] = list(grid[name])
    for name, values in axes.items():
        if not values:
            raise ValueError(f"the grid's axis {name!r} is empty; add at least one value")
        for i, value in enumerate(values if name != "seed" else ()):
            _require_number(f"{name}[{i}]", value)
    for name, value in fixed.items():
        _require_number(name, value)
    return axes, fixed


def _require_number(name: str, value: Any) -> None:
    is_number = isinstance(value, numbers.Real) or getattr(value, "shape", None) == ()
    with np.errstate(over="ignore"):
        if not is_number or not np.isfinite(np.float32(value)):
            raise refusal(name, value, "a finite number")
