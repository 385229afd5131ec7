"""The door for data that users bring: arrays that fit together, or an error that says what to do."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from flylab.base.constraints import MOST
from flylab.data.splits import SETS, Dataset, Splits

_LARGEST = float(np.finfo(np.float32).max)

# what the `y` of an example is: its class; any numbers, for regression; or a 0 or 1 for each of several labels
Targets = Literal["classes", "numbers", "flags"]


def checked(splits: Splits, targets: Targets = "classes") -> Splits:
    """Return splits with NumPy arrays that fit together, in the types of numbers that they have.

    Lists, pandas objects, PyTorch tensors and JAX arrays are converted. A set may be any pair of them, or None if it is
    empty.

    Raises:
        TypeError: if they are no `Splits`.
        ValueError: naming the set, if inputs are not finite numbers, of one shape in all sets; or `y` is not what
            `targets` says: integers ≥ 0, one for each example; or finite numbers, or zeros and ones, `(n,)` or
            `(n, n_outputs)`.
    """
    if not isinstance(splits, Splits):
        raise data_type_error(splits)
    sets = [checked_set(name, getattr(splits, name), targets) for name in SETS]
    usual = next((part for part in sets if len(part.y)), sets[0])
    for i, (name, part) in enumerate(zip(SETS, sets, strict=True)):
        if not len(part.y):
            sets[i] = Dataset(usual.x[:0], part.y)
            continue
        for axis, what, own, other in zip("xy", ("examples", "targets"), part, usual, strict=True):
            if own.shape[1:] != other.shape[1:]:
                raise ValueError(f"{what} must have one shape in all sets, but in the {name} set {axis} has shape "
                                 f"{own.shape}, and in another {other.shape}")  # fmt: skip
    return splits._replace(**dict(zip(SETS, sets, strict=True)))


def data_type_error(data: Any) -> TypeError:
    """Make the error for data of a wrong type."""
    return TypeError(
        f"data must be Splits, e.g. published(config), or a Source, e.g. endless(config), not {type(data).__name__}"
    )


def trainable(splits: Splits, targets: Targets = "classes") -> Splits:
    """Return what `checked` returns, if the training and the test set have examples.

    Raises:
        ValueError: if one of them is empty, or as `checked`.
    """
    splits = checked(splits, targets)
    for name in ("train", "test"):
        if not len(getattr(splits, name).y):
            raise ValueError(f"n_{name}=0 must be an integer ≥ 1")
    return splits


def class_dtype(n_classes: int) -> np.dtype:
    """Return the smallest unsigned type for classes; its largest number is left for missing values.

    >>> class_dtype(255), class_dtype(300)
    (dtype('uint8'), dtype('uint16'))
    """
    return np.min_scalar_type(max(n_classes, 1))


def stacked_classes(rows: Sequence[Any]) -> np.ndarray:
    """Stack classes of several seeds, in the type that the greatest needs."""
    stacked = np.stack(rows)
    return stacked.astype(class_dtype(int(stacked.max(initial=0)) + 1))


def checked_set(name: str, part: Any, targets: Targets = "classes") -> Dataset:
    """Return one set with NumPy arrays that fit together, as `checked` does; `name` is what errors call it."""
    part = ([], []) if part is None else part
    if not isinstance(part, tuple | list) or len(part) != 2:
        kind = type(part).__name__
        raise ValueError(f"the {name} set must be a flylab.Dataset(x, y) of inputs and labels, not {kind}")
    x, y = (_array(f"{axis} in the {name} set", values) for axis, values in zip("xy", part, strict=True))
    if y.shape[:1] != x.shape[:1] or not y.shape:
        shapes = f"x has shape {x.shape} and y {y.shape}"
        raise ValueError(f"the {name} set must have one label for each example, but {shapes}")
    return Dataset(_numbers("x", name, x), _labels(name, y) if targets == "classes" else _targets(name, y, targets))


def _array(name: str, values: Any) -> np.ndarray:
    if hasattr(values, "detach"):
        values = values.detach().cpu()  # a tensor of PyTorch
    if np.ma.is_masked(values):
        raise ValueError(f"{name} has masked values: fill them, or leave these examples out")
    try:
        array = np.asarray(values)
        return np.array(array.tolist()) if array.dtype == object else array  # pandas' own types, say
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is no array: give every example the same shape, and numbers ({error})") from None


def _numbers(axis: str, name: str, x: np.ndarray) -> np.ndarray:
    if x.dtype.kind not in "biuf":
        raise ValueError(f"{axis} in the {name} set must be numbers, not {x.dtype}: give {axis}.astype('float32')")
    if x.size and not (x.min() >= -_LARGEST and x.max() <= _LARGEST):
        wrong = ~(np.abs(x) <= _LARGEST).reshape(len(x), -1).all(1)
        examples = f"{wrong.sum()} of its {len(x)} examples are not, the first is example {wrong.argmax()}"
        raise ValueError(f"{axis} in the {name} set must be finite numbers of float32, but {examples}: leave them out, "
                         "or fill the gaps")  # fmt: skip
    return x


def _targets(name: str, y: np.ndarray, targets: Targets) -> np.ndarray:
    if y.ndim > 2:
        raise ValueError(f"y in the {name} set has shape {y.shape}, but a network's outputs have one axis: give "
                         "y.reshape(len(y), -1)")  # fmt: skip
    y = _numbers("y", name, y)
    if targets == "flags" and not ((y == 0) | (y == 1)).all():
        raise ValueError(f"y in the {name} set must be 0 or 1 for each label, as it belongs to an example or does not")
    return y


def _labels(name: str, y: np.ndarray) -> np.ndarray:
    if not y.size and y.ndim == 1:
        return y.astype(y.dtype if y.dtype.kind in "iu" else int)
    if problem := _label_problem(y):
        raise ValueError(f"labels in the {name} set must be integers from 0, one for each example, but {problem}")
    if y.min() < 0 or y.max() > MOST:
        label = y.min() if y.min() < 0 else y.max()
        raise ValueError(f"label {label} in the {name} set must be from 0 to {MOST}: number the classes from 0")
    return y.astype("uint8") if y.dtype == bool else y


def _label_problem(y: np.ndarray) -> str:
    """Return what is wrong with the form of labels, and what to do, or ""."""
    if y.ndim == 2 and y.shape[1] == 1:
        return f"y has shape {y.shape}: give y.ravel()"
    if y.ndim == 2 and y.dtype.kind in "biuf" and ((y == 0) | (y == 1)).all() and (y.sum(1) == 1).all():
        return "y is one-hot: give y.argmax(1)"
    if y.ndim != 1:
        return f"y has shape {y.shape}"
    if y.dtype.kind == "f":
        is_whole = np.isfinite(y).all() and (y == np.round(y)).all()
        problem = "y has fractions or is not finite: numbers are targets of flylab.regression(model)"
        return f"y is {y.dtype}: give y.astype(int)" if is_whole else problem
    if y.dtype.kind in "US":
        return "y is text: give numpy.unique(y, return_inverse=True)[1]"
    return "" if y.dtype.kind in "biu" else f"y is {y.dtype}"
