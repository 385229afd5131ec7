"""What training is given, checked once, before any work: data, objectives, seeds and hyper-parameters."""

import numbers
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from flylab.base.constraints import Seed, check, refusal
from flylab.base.types import Key
from flylab.data.inputs import Targets, data_type_error, trainable
from flylab.data.splits import SETS, Dataset, Splits
from flylab.models.model import Model
from flylab.training.objectives import Objective, supervised


class SplitArrays(NamedTuple):
    """The three sets of a `Splits`: float32 inputs with int32 labels, or float32 targets; None instead of an empty set.

    No array is empty: on a CPU, XLA of JAX 0.11 crashes on an empty array that several devices share.
    """

    train: Dataset
    valid: Dataset | None
    test: Dataset


def as_arrays(splits: Splits, targets: Targets = "classes") -> SplitArrays:
    """Convert a `Splits` to float32 inputs and int32 labels, as NumPy arrays: nothing goes to a device yet.

    Targets that are no classes become float32. Arrays that JAX traces stay traced; of these only the sizes are checked.

    Raises:
        TypeError: if they are no `Splits`.
        ValueError: if a set is not what `data.inputs.trainable` allows.
    """
    if not isinstance(splits, Splits):
        raise data_type_error(splits)
    sets = tuple(getattr(splits, name) for name in SETS)
    if not any(isinstance(array, Tracer) for part in sets if isinstance(part, Dataset) for array in part):
        sets = trainable(splits, targets)[:3]
    for name, part in zip(SETS, sets, strict=True):
        if len(part.x) != len(part.y) or not (len(part.y) or name == "valid"):
            raise ValueError(f"the {name} set has {len(part.x)} examples and {len(part.y)} labels")
    dtype = "int32" if targets == "classes" else "float32"
    train, valid, test = (Dataset(part.x.astype("float32"), part.y.astype(dtype)) for part in sets)
    return SplitArrays(train, valid if len(valid.y) else None, test)


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


def as_key(key: Any) -> Key:
    """Return a key as it is, and the key of an integer, each of which has another.

    Raises:
        ValueError: for anything else, or an integer of more than 32 bits, of which JAX takes the last 32.
    """
    if isinstance(key, jax.Array):
        is_typed = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
        if key.shape == () if is_typed else (key.shape, key.dtype) == ((2,), "uint32"):  # the latter of older JAX
            return key
        if is_typed:
            raise refusal("key", key, "one key, not several")
    return jax.random.key(check("key", key, Seed))


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
        values = _of_numpy(values)
        if name == "seed":
            axes[name] = as_seeds(values, "seed")
        elif isinstance(values, numbers.Number) or getattr(values, "ndim", None) == 0:
            fixed[name] = _number(name, values)
        elif isinstance(values, str | bytes | Mapping) or not hasattr(values, "__iter__"):
            raise refusal(name, values, "a number, or a list of numbers")
        else:
            axes[name] = [_number(f"{name}[{i}]", value) for i, value in enumerate(values)]
        if name in axes and not axes[name]:
            raise ValueError(f"the grid's axis {name!r} is empty; add at least one value")
    return axes, fixed


def _of_numpy(values: Any) -> Any:
    """Return an array of any library as NumPy's; what is no array stays as it is."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()  # a tensor of PyTorch
    return np.asanyarray(values) if hasattr(values, "dtype") and hasattr(values, "ndim") else values


def _number(name: str, value: Any) -> Any:
    """Return a number, in whose name a member trains, as Python or NumPy has it."""
    value = _of_numpy(value)
    if isinstance(value, np.ndarray) and value.ndim == 0 and not np.ma.is_masked(value):
        value = value[()]
    is_real = isinstance(value, numbers.Real) and not isinstance(value, np.timedelta64)
    is_real |= isinstance(value, np.generic) and jnp.issubdtype(value.dtype, jnp.floating)  # bfloat16, say
    try:
        with np.errstate(over="ignore"):
            if is_real and np.isfinite(np.float32(value)):
                return value
    except OverflowError:  # an integer of more digits than any float
        pass
    raise refusal(name, value, "a finite number")
