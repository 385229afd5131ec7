"""`Dataset` and `Splits`: what every loader and generator returns. `Source`: data made while training."""

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxtyping import Float
from numpy import ndarray

from flylab.data.templates import Templates

SETS = ("train", "valid", "test")


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


class Source(NamedTuple):
    """Data made within the training step, where `Splits` are made before: endless, and under data parameters that are traced.

    Pure JAX functions, so that a training run on it can be jitted and differentiated with respect to the data parameters.

    Attributes:
        prepare: data_params → whatever all examples share, e.g. constants of standardisation. Called once per network.
        example: (shared, data_params, key, i) → input and label of training example `i`, which depend on nothing else.
        evaluation: (shared, data_params) → the validation and the test set, float32 and int32; the former may be empty.
        check: data_params of one network, before anything is traced → ValueError for one that is not allowed.
    """

    prepare: Callable[[Any], Any]
    example: Callable[[Any, Any, Any, Any], tuple[Any, Any]]
    evaluation: Callable[[Any, Any], tuple[Dataset, Dataset]]
    check: Callable[[Any], None] = lambda data_params: None
