"""`Slot`: a place in a study for functions of its users, each of which is compared with what the study compares."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from flylab.base.usercode import RefusedError


@dataclass(frozen=True)
class Slot:
    """A place in a study for functions of its users.

    A function in the slot "pooling", say, adds conditions: the study's own, with the function as their `pooling`.
    `training` or `run` call it there. Its name, `function.name`, is its label in the results.

    Attributes:
        help: what the function is given and returns, in one line, for the help of the command line.
        check: tries a function on a small input, and raises ValueError if it does not fit.
        taken: names that a function must not have: the study's own labels.
        may_be_class: whether a class will do, too.
    """

    help: str
    check: Callable[[Any], object]
    taken: tuple[str, ...] = ()
    may_be_class: bool = False


def checked(name: str, values: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return what a user's function has returned as an array.

    Raises:
        RefusedError: unless it is one of finite numbers, of the shape.
    """
    try:
        array = np.asarray(values, np.float32) if values is not None else None
    except (TypeError, ValueError):
        array = None
    if array is None:
        raise RefusedError(f"{name} returns {type(values).__name__}, not an array of numbers")
    if array.shape != shape:
        raise RefusedError(f"{name} returns an array of shape {array.shape}, not {shape}")
    if not np.isfinite(array).all():
        raise RefusedError(f"{name} returns numbers that are not finite (NaN or infinite)")
    return array
