"""Tables and figures of contests (`flylab.study.contest`): accuracies, their ranks, and how sensitive they are."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from flylab.models.registry import model_title
from flylab.results.effects import final
from flylab.results.plots import COLOURS, band, forest, panels, style
from flylab.results.ranks import rank_intervals
from flylab.results.statistics import interval, interval_text
from flylab.results.tables import Table

TASKS = {
    "plain": "MNIST-1D", "noise": "15 % of the training labels redrawn", "few": "500 training examples",
    "shuffled": "shuffled positions",
}  # fmt: skip


def table_of(results: xr.Dataset, kind: str, titles: Mapping[str, str], seconds: xr.DataArray | None = None) -> Table:
    """Return final accuracy, its rank and the tuned hyper-parameters of each contestant, by network and task.

    Seconds of a training, over `model`, `task` and the kind, are a column if they are given.
    """
    rows = []
    for model, task in places(results):
        here = at_place(results, kind, model, task)
        accuracy = final(here.test_accuracy).transpose(kind, "seed").values
        ranks = rank_intervals(accuracy)
        for i in np.argsort([rank.mean for rank in ranks], kind="stable"):
            label = str(here[kind].values[i])
            rank, one = ranks[i], here.isel({kind: i})
            rows.append((
                model_title(model), TASKS[task], titles.get(label, label), interval_text(interval(accuracy[i])),
                f"{rank.mean:g}" + ("" if np.isnan(rank.low) else f" ({rank.low:g} to {rank.high:g})"),
                "; ".join(_tuned_text(one, name) for name in tuned_names(one)),
                *([] if seconds is None else [f"{seconds.sel(model=model, task=task).sel({kind: label}).item():.2g}"]),
            ))  # fmt: skip
    columns = ("network", "data", kind, "test accuracy (%)", "rank (95 % interval)", "tuned (median; at an end)",
               *(() if seconds is None else ("seconds",)))  # fmt: skip
    n = results.sizes["seed"]
    what = f"mean of {n} seeds ± half of the 95 % interval" if n > 1 else "one seed, which has no interval"
    return Table(f"Tuned by equally many trials, {what}", columns, rows)


def places(results: xr.Dataset) -> list[tuple[str, str]]:
    """Return the pairs of network and task in the results."""
    there = results.test_accuracy.notnull().any([d for d in results.test_accuracy.dims if d not in ("model", "task")])
    return [(m, t) for m in results.model.values.tolist() for t in results.task.values.tolist()
            if bool(there.sel(model=m, task=t))]  # fmt: skip


def at_place(results: xr.Dataset, kind: str, model: str, task: str) -> xr.Dataset:
    """Return the results of the contestants that were trained on a network and a task."""
    return results.sel(model=model, task=task).dropna(kind, how="all", subset=["test_accuracy"])


def tuned_names(results: xr.Dataset) -> list[str]:
    """Return the names of the hyper-parameters that were tuned."""
    names = (str(name).removeprefix("tuned_") for name in results if str(name).startswith("tuned_"))
    return [name for name in names if results[f"tuned_{name}"].notnull().any()]


def _tuned_text(one: xr.Dataset, name: str) -> str:
    """Return the median of a tuned hyper-parameter and, if any, in how many seeds it was at an end of its range."""
    chosen, tried = one[f"tuned_{name}"], one[f"tried_{name}"]
    at_end = int(((chosen == tried.min("trial")) | (chosen == tried.max("trial"))).sum())
    there = f"; {at_end} of {chosen.size}" if at_end else ""
    return f"{name} {float(chosen.median()):.2g}{there}"


@style()
def figure_of(results: xr.Dataset, kind: str, titles: Mapping[str, str]) -> Figure:
    """Plot accuracies, learning curves and the sensitivity to the first hyper-parameter, a row for each place."""
    there = places(results)
    names = [
        part for place in there for part in (_title(*place), "Test accuracy, tuned", "Validation accuracy, tuning")
    ]
    drawn, axes = panels(*names, size=(13, 3.6 * len(there)), n_rows=len(there))
    looks = looks_of(results[kind].values.tolist())
    for (model, task), (ranking, learning, sensitivity) in zip(
        there, zip(axes[::3], axes[1::3], axes[2::3], strict=True), strict=True
    ):
        here = at_place(results, kind, model, task)
        accuracy = final(here.test_accuracy)
        order = accuracy.mean("seed").argsort().values[::-1]
        labels = here[kind].values[order].tolist()
        rows = {titles.get(label, label): accuracy.sel({kind: label}).values for label in labels}
        forest(ranking, rows, colours=[looks[label]["color"] for label in labels])
        ranking.set_xlabel("test accuracy after the last step (%)")
        for label in labels:
            one = here.sel({kind: label})
            band(learning, one.test_accuracy, label=titles.get(label, label), **looks[label])
            _sensitivity(sensitivity, one, looks[label])
        sensitivity.set(xscale="log", ylabel="validation accuracy (%)")
    return drawn


def looks_of(labels: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return a colour and a line style for each label; no two have both in common."""
    styles = itertools.product(("-", "--", ":"), COLOURS)
    return {
        label: {"color": colour, "linestyle": line}
        for label, (line, colour) in zip(labels, itertools.cycle(styles), strict=False)
    }


def _title(model: str, task: str) -> str:
    return f"{model_title(model)}, {TASKS[task]}"


def _sensitivity(ax: Any, one: xr.Dataset, look: Mapping[str, Any]) -> None:
    """Plot the mean validation accuracy of each trial against its first hyper-parameter."""
    name = tuned_names(one)[0]
    tried, accuracy = one[f"tried_{name}"].isel(seed=0).values, one.tuning_accuracy.mean("seed", skipna=False).values
    order = np.argsort(tried)
    is_grid = len(tuned_names(one)) == 1
    ax.plot(
        tried[order], accuracy[order], marker="o", markersize=3, **dict(look) | ({} if is_grid else {"linestyle": ""})
    )
    ax.set_xlabel(name.replace("_", " "))
