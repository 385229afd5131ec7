"""`Dataset` and `Splits`, which every loader and generator returns, and `Source`, data made during training."""

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxtyping import Float
from numpy import ndarray

from flylab.data.templates import Templates

SETS = ("train", "valid", "test")


class Dataset(NamedTuple):
    """Examples `x (n, *shape)` and their labels `y (n,)`, as NumPy arrays, or JAX arrays in training."""

    x: Any
    y: Any


class Splits(NamedTuple):
    """A training, a validation and a test set, with their time axis, templates and config."""

    train: Dataset
    valid: Dataset
    test: Dataset
    t: Float[ndarray, " length"]
    templates: Templates | None
    config: Any


class Source(NamedTuple):
    """Data made within the training step, with data parameters that may be traced.

    All functions but `check` are pure JAX functions, so training on a source can be jitted, and differentiated with
    respect to the data parameters.

    Attributes:
        prepare: data_params → values that all examples share, e.g. the constants of standardisation. Called once per
            network.
        example: (shared, data_params, key, i) → input and label of training example `i`; they depend on nothing else.
        evaluation: (shared, data_params) → the validation and the test set, with float32 inputs and int32 labels. The
            validation set may be empty.
        check: data_params of one network → nothing; raises a ValueError if they are invalid. Called before tracing.
    """

    prepare: Callable[[Any], Any]
    example: Callable[[Any, Any, Any, Any], tuple[Any, Any]]
    evaluation: Callable[[Any, Any], tuple[Dataset, Dataset]]
    check: Callable[[Any], None] = lambda data_params: None
