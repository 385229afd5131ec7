"""`Dataset` and `Splits`: what every loader and generator returns."""

from typing import Any, NamedTuple

from jaxtyping import Float
from numpy import ndarray

from flylab.data.templates import Templates


class Dataset(NamedTuple):
    """Examples `x (n, *shape)` and their labels `y (n,)`: NumPy arrays, or JAX's within the engine."""

    x: Any
    y: Any


class Splits(NamedTuple):
    """A training, a validation and a test set, with the time axis, the templates and the config behind them."""

    train: Dataset
    valid: Dataset
    test: Dataset
    t: Float[ndarray, " length"]
    templates: Templates | None
    config: Any
