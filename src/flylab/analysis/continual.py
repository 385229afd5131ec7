"""Continual learning: averages, forgetting and transfer from the accuracies on all tasks after each of them."""

from typing import Any

import numpy as np
import xarray as xr


def continual(accuracy: Any) -> xr.Dataset:
    """Compute the usual metrics of learning tasks one after another, in the unit of the accuracies.

    - `average_accuracy`: over tasks, at the end (Lopez-Paz & Ranzato 2017);
    - `backward_transfer`: accuracy on a task at the end, less that just after learning it, averaged over all but the
      last; negative if tasks are forgotten;
    - `forgetting`: the best accuracy on a task before the last one was learnt, less that at the end, averaged over all
      but the last (Chaudhry et al. 2018);
    - `forward_transfer`, if there are accuracies before training: accuracy on a task just before learning it, less
      that before any training, averaged over all but the first.

    Args:
        accuracy: accuracies `(…, learnt, task)` on task *j* after *i* tasks. Tasks are in the order in which they are
            learnt; rows are 1 … n, or 0 … n with those before training. A `DataArray` has these dimensions by name,
            anywhere, and keeps its others, e.g. `seed`.

    Raises:
        ValueError: if dimensions are missing, there are fewer than two tasks, or rows that do not fit them.

    >>> found = continual([[90.0, 10.0], [60.0, 80.0]])
    >>> {name: float(value) for name, value in found.items()}
    {'average_accuracy': 70.0, 'backward_transfer': -30.0, 'forgetting': 30.0}
    """
    if not isinstance(accuracy, xr.DataArray):
        values = np.asarray(accuracy, float)
        if values.ndim < 2:
            raise ValueError(f"accuracies must have the axes learnt and task, not shape {values.shape}")
        accuracy = xr.DataArray(values, dims=[*(f"dim_{i}" for i in range(values.ndim - 2)), "learnt", "task"])
    if missing := {"learnt", "task"} - set(accuracy.dims):
        raise ValueError(f"accuracies must have the dimensions learnt and task; {min(missing)} is missing")
    n, rows = accuracy.sizes["task"], accuracy.sizes["learnt"]
    if n < 2 or rows not in (n, n + 1):
        raise ValueError(f"accuracies must be those on at least two tasks after each, not {rows} rows for {n} tasks")
    accuracy = accuracy.drop_vars(("learnt", "task"), errors="ignore")
    learnt = accuracy.isel(learnt=slice(rows - n, None))
    last, each = learnt.isel(learnt=-1), xr.DataArray(np.arange(n), dims="task")
    just_learnt = learnt.isel(learnt=each, task=each)
    before = {"task": slice(n - 1)}
    best = learnt.isel(learnt=slice(n - 1)).max("learnt")
    found = {
        "average_accuracy": last.mean("task"),
        "backward_transfer": (last - just_learnt).isel(before).mean("task"),
        "forgetting": (best - last).isel(before).mean("task"),
    }
    if rows > n:
        after = each[1:]
        unseen = learnt.isel(learnt=after - 1, task=after) - accuracy.isel(learnt=0, task=after)
        found["forward_transfer"] = unseen.mean("task")
    return xr.Dataset(found)
