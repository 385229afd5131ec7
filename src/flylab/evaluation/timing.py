"""How long a training with each contestant of a contest takes on this machine: tables and curves by seconds.

Times belong to a machine and to its load, so no stored result holds them; they are measured when they are asked for.
"""

import importlib
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from flylab.base import runtime
from flylab.base.config import from_json
from flylab.base.constraints import refusal
from flylab.data import published
from flylab.evaluation.evaluation import CONTESTS
from flylab.models.registry import model_title
from flylab.reporting import repeat_command
from flylab.results.contests import TASKS, at_place, looks_of, places, table_of
from flylab.results.effects import final
from flylab.results.plots import band, panels
from flylab.results.styles import style
from flylab.results.tables import Table
from flylab.runs.provenance import origin
from flylab.runs.slots import filled
from flylab.study.contest import config_of
from flylab.study.registry import get_study
from flylab.training.tuning import Trials


@runtime.pinned()
def timed(results: xr.Dataset, functions: Sequence[Any] = (), n_rounds: int = 3) -> xr.DataArray:
    """Measure the seconds of one training with each contestant, at its tuned hyper-parameters, evaluations included.

    Networks that train as a population in JAX keep all cores busy, and their time is divided by their number; what
    trains one by one, in PyTorch, is timed so. Contestants take turns; the first round compiles and does not count.

    Args:
        results: the results of a contest: `optimizers`, `losses`, `regularisers` or `activations`.
        functions: the functions of users among the contestants, as objects or as places such as "my.py:MyOptimizer".
            Their code is run; that which results name is not.
        n_rounds: rounds, of which the median counts.

    Returns:
        Seconds over `model`, `task` and the kind of the contest; NaN where nothing was trained.

    Raises:
        ValueError: if the results are of no contest, or a function of a contestant is not given.
    """
    kind, study = _contest_of(results)
    if n_rounds < 1:
        raise refusal("rounds", n_rounds, "an integer ≥ 1")
    module: Any = importlib.import_module(f"flylab.studies.{study}")
    stored: Any = from_json(type(module.PRESETS["quick"]), results.attrs["protocol"])
    found = filled(get_study(study), {kind: list(functions)}).filled.get(kind, ()) if functions else ()
    by_name = {function.name: function for function in found}
    unknown = [name for name in results[kind].values.tolist() if name not in (*module.SLOTS[kind].taken, *by_name)]
    if unknown:
        raise ValueError(f"{unknown[0]} is a user's: give its place as well, such as my.py:{unknown[0]}")
    runtime.initialise()
    seconds = xr.full_like(final(results.test_accuracy).isel(seed=0, drop=True), np.nan, np.float64)
    for model, task in places(results):
        here = at_place(results, kind, model, task)
        trainings = {
            name: _training(module.fit(stored, model, by_name.get(name, name)), stored, task, here.sel({kind: name}))
            for name in here[kind].values.tolist()
        }
        times: dict[str, list[float]] = {name: [] for name in trainings}
        for _ in range(n_rounds + 1):
            for name, train in trainings.items():
                began = time.perf_counter()
                n = train()
                times[name].append((time.perf_counter() - began) / n)
        for name, values in times.items():
            seconds.loc[{"model": model, "task": task, kind: name}] = statistics.median(values[1:])
    return seconds.rename("seconds").assign_attrs(long_name="time of a training", units="s")


def _contest_of(results: xr.Dataset) -> tuple[str, str]:
    study = str(results.attrs.get("study", ""))
    for name, axis in CONTESTS.values():
        if name == study:
            return axis, name
    contests = ", ".join(dict.fromkeys(name for name, _ in CONTESTS.values()))
    raise ValueError(f"these are results of {study or 'no study'}: those of contests can be timed: {contests}")


def _training(fit: Any, protocol: Any, task: str, one: xr.Dataset) -> Any:
    """Return a function that trains some networks with the median of the tuned values, and returns their number."""
    n = 2 * len(runtime.devices())
    values = {name: np.array([float(one[f"tuned_{name}"].median())]) for name in fit.ranges}
    splits = published(config_of(protocol, task))

    def train() -> int:
        fit.train(lambda seed: splits, protocol.plan, Trials(values), [0], range(n), jax.random.key(0), None)
        return n

    return train


def timing_table(results: xr.Dataset, seconds: xr.DataArray) -> Table:
    """Return accuracy, its rank, the tuned values and the seconds of a training, of each contestant at each place."""
    kind, study = _contest_of(results)
    titles = importlib.import_module(f"flylab.studies.{study}").TITLES
    machine = origin()
    n, n_trials = results.sizes["seed"], results.sizes["trial"]
    title = (
        f"{n} seeds, each tuned by {n_trials} trials: {repeat_command(results.attrs)}. "
        f"Seconds of a training: {machine['processor']}, {machine['cores']} cores, {machine['finished'][:10]}"
    )
    return table_of(results, kind, titles, seconds)._replace(title=title)


@style()
def timing_figure(results: xr.Dataset, seconds: xr.DataArray) -> Figure:
    """Plot test loss and accuracy against seconds, a row for each network and data set."""
    kind, study = _contest_of(results)
    titles = importlib.import_module(f"flylab.studies.{study}").TITLES
    there = places(results)
    names = [f"{model_title(model)}, {TASKS[task]}: test {what}" for model, task in there
             for what in ("loss", "accuracy")]  # fmt: skip
    drawn, axes = panels(*names, size=(11, 3.6 * len(there)), n_rows=len(there))
    looks = looks_of(results[kind].values.tolist())
    for (model, task), row in zip(there, zip(axes[::2], axes[1::2], strict=True), strict=True):
        here = at_place(results, kind, model, task)
        for ax, variable in zip(row, ("test_loss", "test_accuracy"), strict=True):
            for name in here[kind].values.tolist():
                curve = here[variable].sel({kind: name}).isel(step=slice(1, None))
                at = curve.step / curve.step[-1] * seconds.sel({"model": model, "task": task, kind: name})
                curve = curve.assign_coords(step=at.assign_attrs(seconds.attrs))
                band(ax, curve, label=titles.get(name, name), **looks[name])
    drawn.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return drawn


def time_run(folder: str | Path, functions: Sequence[Any] = (), n_rounds: int = 3) -> tuple[Table, Figure]:
    """Time the contest in a run's folder; arguments and errors as of `timed`.

    Raises:
        OSError: if there is no run in the folder.
    """
    from flylab.reporting.finished import load

    results = load(folder)
    seconds = timed(results, functions, n_rounds)
    return timing_table(results, seconds), timing_figure(results, seconds)
