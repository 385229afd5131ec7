"""The same from Python as from the command line: run a study, load its results, judge its claims."""

from pathlib import Path
from typing import Any

import xarray as xr

from flylab.reporting import load, run_and_publish, verdicts
from flylab.runs import sweeping
from flylab.runs.sweeps import Sweep
from flylab.study import get_study, protocol_of

__all__ = ["load", "run", "verdicts"]


def run(
    study: str | Sweep, preset: str = "quick", out: str | Path = "runs", force: bool = False, **changes: Any
) -> xr.Dataset:
    """Run a study or a sweep, or find its results, and return them; files are in its folder under `out`.

    Args:
        study: its name, e.g. "architectures"; or a sweep, which says all else but `out`.
        preset: "smoke", "quick" or "paper".
        out: the folder of all runs; results found there are not made again.
        force: train everything again.
        changes: fields of the study's protocol, e.g. `n_seeds=3`.

    Returns:
        A data set with named dimensions and units.

    Raises:
        ValueError: for an unknown study, preset or field, or a value that is not allowed.
        OSError: if `out` cannot be written.

    >>> results = run("architectures", preset="smoke", n_seeds=1, n_steps=1)  # doctest: +SKIP
    """
    if isinstance(study, Sweep):
        if force or changes or preset not in ("quick", study.preset):
            raise ValueError("a sweep says its own preset and fields: give only the sweep and out")
        return sweeping.run(study, Path(out)).results
    found = get_study(study)
    return run_and_publish(found, preset, protocol_of(found, preset, **changes), Path(out), force=force).results
