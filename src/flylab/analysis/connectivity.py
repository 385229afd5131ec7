"""Linear mode connectivity: the loss or the error on the straight line between two networks."""

from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
from msgspec import Meta

from flylab.analysis.networks import accuracy, mean_loss
from flylab.base.constraints import MOST, check
from flylab.base.types import Params, Scalar
from flylab.data.splits import Dataset
from flylab.models.model import Model
from flylab.training.objectives import Objective

Metric = Literal["loss", "error"]


def path(
    model: Model | Objective, params: Params, other: Params, data: Dataset, *, of: Metric = "loss", n_points: int = 25
) -> jax.Array:
    """Compute the loss or the error at equal distances on the line from one network to another: `(n_points,)`.

    Args:
        model: the network, or an objective.
        params: its parameters at the beginning of the line.
        other: its parameters at the end.
        data: the examples, e.g. `splits.test`.
        of: "loss", or "error", the percentage of examples that get another class than theirs.
        n_points: points on the line, both ends included.

    Raises:
        ValueError: if `n_points` is not an integer ≥ 3, or `of` neither of the two.
    """
    of, n_points = check("of", of, Metric), check("n_points", n_points, Annotated[int, Meta(ge=3, le=MOST)])

    def at(position: Any) -> Scalar:
        between = jax.tree.map(lambda a, b: (1 - position) * a + position * b, params, other)
        return mean_loss(model, between, data) if of == "loss" else 100 - accuracy(model, between, data)

    return jax.lax.map(at, jnp.linspace(0, 1, n_points))


def barrier(
    model: Model | Objective, params: Params, other: Params, data: Dataset, *, of: Metric = "loss", n_points: int = 25
) -> jax.Array:
    """Compute the height of the barrier between two networks: what the path has most above the line between its ends.

    This is the barrier of Entezari et al. (2022). Where the ends are equal, it is that of Frankle et al. (2020), the
    highest point less the mean of the ends; for a convex loss it is 0, whatever the ends are.

    Arguments and errors are those of `path`.

    >>> from flylab.data import published
    >>> from flylab.models import get_model
    >>> model, train = get_model("mlp"), published().train
    >>> a, b = (model.init(jax.random.key(seed)) for seed in (0, 1))
    >>> bool(barrier(model, a, b, train) >= 0)
    True
    """
    values = path(model, params, other, data, of=of, n_points=n_points)
    return (values - jnp.linspace(values[0], values[-1], n_points)).max()
