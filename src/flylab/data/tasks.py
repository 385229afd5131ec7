"""Tasks made of a data set: its classes in turn, for continual learning, and its inputs as targets."""

import math
from collections.abc import Sequence

import numpy as np

from flylab.base.constraints import PositiveInt, check, refusal
from flylab.data.inputs import checked
from flylab.data.mnist1d import MNIST1D
from flylab.data.sharing import shared
from flylab.data.splits import SETS, Dataset, Splits


def class_splits(
    n_tasks: int = 5,
    data: MNIST1D | Splits | None = None,
    *,
    order: Sequence[int] | None = None,
    relabel: bool = False,
) -> tuple[Splits, ...]:
    """Split a data set into tasks with equally many classes each, as in class-incremental learning.

    The first task has the first classes, and so on: of ten classes and five tasks, 0 and 1, 2 and 3, …, 8 and 9. Each
    example is in one task, and examples keep their order. Sizes differ a little between tasks, as published
    sets have not equally many examples of each class.

    Args:
        n_tasks: number of tasks, a divisor of the number of classes.
        data: a config, whose published set is split, or `Splits`; by default the published data.
        order: the classes, in the order in which tasks take them; by default ascending.
        relabel: whether the classes of each task become 0, 1, … in that order, so that all tasks share a few outputs;
            otherwise labels stay, and the network has an output for each class of all tasks.

    Raises:
        ValueError: if `n_tasks` is no such divisor, or `order` has not each class once.

    >>> tasks = class_splits(5)
    >>> [np.unique(task.test.y).tolist() for task in tasks]
    [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
    >>> sum(len(task.train.y) for task in tasks)
    4000
    """
    splits = checked(data) if isinstance(data, Splits) else shared(MNIST1D() if data is None else data)
    known = np.unique(np.concatenate([getattr(splits, name).y for name in SETS])).tolist()
    classes = known if order is None else list(check("order", order, tuple[int, ...]))
    if sorted(classes) != known:
        raise refusal("order", order, f"each of {', '.join(map(str, known))} once")
    if len(classes) % check("n_tasks", n_tasks, PositiveInt):
        raise refusal("n_tasks", n_tasks, f"a divisor of the {len(classes)} classes")
    parts = np.array(classes).reshape(n_tasks, -1)
    return tuple(
        splits._replace(
            **{name: _of_classes(getattr(splits, name), part, relabel) for name in SETS}, templates=None, config=None
        )
        for part in parts
    )


def _of_classes(dataset: Dataset, classes: np.ndarray, relabel: bool) -> Dataset:
    chosen = np.isin(dataset.y, classes)
    y = dataset.y[chosen]
    return Dataset(dataset.x[chosen], (y[:, None] == classes).argmax(1) if relabel else y)


def autoencoding(splits: Splits) -> Splits:
    """Return splits whose targets are their own inputs, flat: `flylab.regression` trains an autoencoder on them.

    >>> from flylab.data import published
    >>> autoencoding(published(MNIST1D(n_train=20, n_valid=10, n_test=10))).train.y.shape
    (20, 40)
    """
    splits = checked(splits)
    size = math.prod(splits.train.x.shape[1:])
    sets = {name: Dataset(x, x.reshape(-1, size)) for name, (x, _) in zip(SETS, splits[:3], strict=True)}
    return splits._replace(**sets, config=None)
