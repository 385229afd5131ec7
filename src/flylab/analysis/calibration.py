"""Calibration: whether a classifier is right as often as it says."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from flylab.analysis.networks import as_set, probabilities, require_outputs
from flylab.base.constraints import PositiveInt, check
from flylab.base.types import Params
from flylab.data.splits import Dataset
from flylab.models.model import Model
from flylab.training.objectives import Objective


class Reliability(NamedTuple):
    """How confidence and accuracy agree; all are fractions, not percentages.

    Attributes:
        ece: expected calibration error: the mean over examples of the gap of their bin's accuracy and confidence.
        brier: mean over examples of the squared distance of probabilities and one-hot label, from 0 to 2.
        confidence: mean of the greatest probability in each bin `(n_bins,)`; NaN where it has no example.
        accuracy: share of examples in each bin that are classified rightly `(n_bins,)`; NaN where it has no example.
        share: share of all examples in each bin `(n_bins,)`.
    """

    ece: jax.Array
    brier: jax.Array
    confidence: jax.Array
    accuracy: jax.Array
    share: jax.Array
    dim = "bin"


def calibration(model: Model | Objective, params: Params, data: Dataset, *, n_bins: int = 15) -> Reliability:
    """Compute a network's calibration: that of the softmax of its outputs, see `reliability`.

    Args:
        model: the network, or an objective.
        params: its parameters.
        data: the examples, e.g. `splits.test`.
        n_bins: bins of confidence.

    >>> from flylab.data import published
    >>> from flylab.models import get_model
    >>> model = get_model("mlp")
    >>> calibration(model, model.init(jax.random.key(0)), published().test).accuracy.shape
    (15,)
    """
    x, y = as_set(data)
    return reliability(probabilities(model, params, x), y, n_bins=n_bins)


def reliability(probability: Any, y: Any, *, n_bins: int = 15) -> Reliability:
    """Compute the reliability curve, its expected error (Guo et al. 2017, equations 1 to 3) and Brier's score (1950).

    Bins of confidence, the greatest probability, have equal widths, and include their upper bounds.

    Args:
        probability: of each class `(n, n_classes)`.
        y: labels `(n,)`.
        n_bins: bins of confidence.

    Raises:
        ValueError: if probabilities are none or do not sum to 1, a label has none, or `n_bins` is not an integer ≥ 1.

    >>> found = reliability([[0.9, 0.1], [0.9, 0.1]], [0, 1], n_bins=10)  # 90 % sure, and right in half of the cases
    >>> round(found.ece.item(), 3), round(found.brier.item(), 3)
    (0.4, 0.82)
    """
    n_bins = check("n_bins", n_bins, PositiveInt)
    probability, y = (part if isinstance(part, Tracer) else np.asarray(part) for part in (probability, y))
    if probability.ndim != 2 or y.shape != probability.shape[:1] or not y.size:
        raise ValueError(f"probabilities must be (n, n_classes) and labels (n,), not {probability.shape} and {y.shape}")
    require_outputs(y, probability.shape[1])
    if isinstance(probability, np.ndarray) and not _are_probabilities(probability):
        raise ValueError("probabilities must be from 0 to 1, and sum to 1 for each example")
    probability, y = jnp.asarray(probability, jnp.float32), jnp.asarray(y, jnp.int32)
    surest, is_right = probability.max(1), probability.argmax(1) == y
    number = jnp.clip(jnp.ceil(surest * n_bins).astype(int) - 1, 0, n_bins - 1)
    in_bin = (jnp.arange(n_bins)[:, None] == number).astype(jnp.float32)
    n = in_bin.sum(1)
    confidence, accuracy, share = in_bin @ surest / n, in_bin @ is_right / n, n / len(y)
    gaps = jnp.where(n > 0, share * jnp.abs(accuracy - confidence), 0)
    one_hot = jax.nn.one_hot(y, probability.shape[1])
    return Reliability(gaps.sum(), jnp.square(probability - one_hot).sum(1).mean(), confidence, accuracy, share)


def _are_probabilities(values: np.ndarray) -> bool:
    return bool(((values >= 0) & (values <= 1)).all() and (np.abs(values.sum(1) - 1) < 1e-3).all())
