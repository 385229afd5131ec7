"""Run studies and sweeps, load their results and judge their claims, from Python."""

from pathlib import Path
from typing import Any

import xarray as xr

from flylab.reporting import load, run_and_publish, verdicts
from flylab.runs import runner
from flylab.runs.plan import plan_of_study
from flylab.runs.sweeps import Sweep, plan_of_sweep
from flylab.study import get_study, protocol_of

__all__ = ["load", "run", "verdicts"]


def run(
    study: str | Sweep, preset: str = "quick", out: str | Path = "runs", force: bool = False, **changes: Any
) -> xr.Dataset:
    """Run a study or a sweep, and return its results; what has been trained already is not trained again.

    Args:
        study: the name of a study, e.g. "architectures"; or a sweep, to which only `out` applies.
        preset: "smoke", "quick" or "paper".
        out: the folder of all runs; each run has its own folder in it.
        force: train everything again.
        **changes: fields of the study's protocol, e.g. `n_seeds=3`.

    Returns:
        A data set with named dimensions and units.

    Raises:
        ValueError: for an unknown study, preset or field, or an invalid value.
        OSError: if `out` cannot be written.

    >>> results = run("architectures", preset="smoke", n_seeds=1, n_steps=1)  # doctest: +SKIP
    """
    if isinstance(study, Sweep):
        if force or changes or preset not in ("quick", study.preset):
            raise ValueError("a sweep has a preset and fields of its own: give only the sweep and out")
        return runner.run(plan_of_sweep(study), Path(out)).results
    definition = get_study(study)
    protocol = protocol_of(definition, preset, **changes)
    return run_and_publish(plan_of_study(definition, preset, protocol), Path(out), force=force).results
