"""The same from Python as from the command line: run a study, load its results."""

from pathlib import Path
from typing import Any

import xarray as xr

from flylab import reporting, studies, sweeping
from flylab.study import Run, Study, Watcher, execute, protocol_of
from flylab.sweeps import Sweep


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
    found = studies.find(study)
    return run_and_publish(found, preset, protocol_of(found, preset, **changes), Path(out), force=force).results


def run_and_publish(
    study: Study,
    preset: str,
    protocol: Any,
    out: Path,
    *,
    force: bool = False,
    watcher: Watcher | None = None,
) -> Run:
    """`execute`, then figure, claims and report, unless those there are newer than the results."""
    done = execute(study, preset, protocol, out, force=force, watcher=watcher)
    report, found = done.folder / "report.html", done.folder / "results.nc"  # the report is the last that is written
    if not report.exists() or report.stat().st_mtime_ns < found.stat().st_mtime_ns:
        reporting.publish(done.folder, done.results)
    return done


def load(path: str | Path) -> xr.Dataset:
    """The results of a finished run: its folder, or the `results.nc` in it.

    Raises:
        ValueError: if they cannot be read or do not match their checksum.
    """
    path = Path(path)
    return reporting.open_results(path.parent if path.name == "results.nc" else path)
