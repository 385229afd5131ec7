"""Run studies and sweeps, load their results, judge their claims and draw their figures, from Python."""

import contextlib
from pathlib import Path
from typing import Any

import xarray as xr

from flylab.base.files import user_path
from flylab.reporting import accessor as _accessor  # noqa: F401 (it registers `results.flylab`)
from flylab.reporting import figure, load, run_and_publish, verdicts
from flylab.runs.plan import plan_of_study
from flylab.runs.progress import Bar
from flylab.runs.slots import split
from flylab.runs.sweeps import Sweep, plan_of_sweep
from flylab.study import Study, get_study, protocol_of

__all__ = ["figure", "load", "run", "verdicts"]


def run(
    study: str | Study | Sweep,
    preset: str = "quick",
    out: str | Path = "runs",
    force: bool = False,
    progress: bool = False,
    **changes: Any,
) -> xr.Dataset:
    """Run a study or a sweep, and return its results; what has been trained already is not trained again.

    Args:
        study: the name of a study, e.g. "architectures"; a study; or a sweep, which has a preset and fields of its own.
        preset: "smoke", "quick" or "paper".
        out: the folder of all runs; each run has its own folder in it.
        force: train everything again.
        progress: show a bar in the terminal or the notebook.
        **changes: fields of the study's protocol, e.g. `n_seeds=3`; and functions of your own for its slots, e.g.
            `criterion=my_function` or `criterion=["my_file.py:my_function"]`. What is trained with an object whose
            code cannot be read, one from a notebook for example, is not kept for other runs.

    Returns:
        A data set with named dimensions and units.

    Raises:
        ValueError: for an unknown study, preset or field, or an invalid value.
        OSError: if `out` cannot be written.

    >>> results = run("architectures", preset="smoke", n_seeds=1, n_steps=1)  # doctest: +SKIP
    """
    if isinstance(study, Sweep):
        if changes or preset not in ("quick", study.preset):
            raise ValueError("a sweep has a preset and fields of its own: give only the sweep, out, force and progress")
        plan = plan_of_sweep(study)
    else:
        definition = get_study(study) if isinstance(study, str) else study
        if not definition.name:
            raise ValueError("the study has no name: give it one by dataclasses.replace(study, name='my_study')")
        definition, changes = split(definition, changes)
        plan = plan_of_study(definition, preset, protocol_of(definition, preset, **changes))
    with Bar() if progress else contextlib.nullcontext() as watcher:
        return run_and_publish(plan, user_path(out), force=force, watcher=watcher).results
