"""A pruning criterion of a user's, in the place of the weights' size."""

from typing import Any, get_args

import jax
import numpy as np

from flylab.studies.lottery.protocol import CRITERIA, TREATMENTS, Control
from flylab.study import Slot
from flylab.study.slots import checked


def scored(criterion: Any, initial: Any, trained: Any) -> Any:
    """Return the scores that a user's criterion gives to all weights, layer by layer.

    Raises:
        RefusedError: if it does not give a finite score for each weight.
    """

    def of(initial: np.ndarray, trained: np.ndarray) -> np.ndarray:
        return checked(criterion.name, criterion(initial, trained), trained.shape)

    return jax.tree.map(of, initial, trained)


def try_criterion(criterion: Any) -> None:
    """Score a small layer, and raise ValueError if that does not work."""
    rng = np.random.default_rng(0)
    layers = [{"w": rng.standard_normal((3, 4), np.float32), "b": rng.standard_normal(3, np.float32)} for _ in range(2)]
    scored(criterion, *layers)


SLOTS = {
    "criterion": Slot(
        "given the initial and the trained weights of a layer (or its biases), both arrays of one shape, it returns a "
        "score for each; the highest survive pruning",
        try_criterion,
        taken=(*TREATMENTS, *get_args(Control), *CRITERIA),
    )
}
