"""Find and open finished runs."""

import re
from collections.abc import Iterator
from pathlib import Path

import xarray as xr

from flylab.base.files import read_json, user_path
from flylab.base.netcdf import CorruptedError, open_checked
from flylab.runs.sweeps import SWEEPS

# a terminal obeys them, or they turn text around; lines may end
_CONTROL = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def load(path: str | Path) -> xr.Dataset:
    """Load the results of a finished run.

    Args:
        path: the run's folder, or the `results.nc` in it.

    Raises:
        ValueError: if they cannot be read or do not match their checksum (says how to mend it), or hold control
            characters.
    """
    folder = _folder(user_path(path))
    try:
        results = open_checked(folder / "results.nc")
    except (FileNotFoundError, CorruptedError) as error:
        raise ValueError(
            f"{error}; run the study again: what it has trained is in the store, and is not trained again"
        ) from error
    if refused := next((words for words in _words(results) if _CONTROL.search(words)), ""):
        raise ValueError(
            f"{folder} holds results with control characters ({refused[:100]!r}): flylab did not make them"
        )
    return results


def _words(results: xr.Dataset) -> Iterator[str]:
    """Yield every name, attribute and label of results."""
    for name, variable in ((None, results), *results.variables.items()):
        yield from (str(word) for item in variable.attrs.items() for word in item)
        if isinstance(variable, xr.Variable):
            yield str(name)
            yield from map(str, variable.dims)
            if variable.dtype.kind in "OUST":
                yield from map(str, variable.values.ravel())


def _folder(path: Path) -> Path:
    return path.parent if path.name == "results.nc" else path


def runs_in(path: Path, sweeps: bool = False) -> list[Path]:
    """Return the folders of finished runs in a folder of one run, of a study or of all runs.

    A path to a run's `results.nc` stands for the run's folder.

    Args:
        path: the folder.
        sweeps: whether to return those of sweeps, too, which have no figure and no report.

    Raises:
        ValueError: if there are none.
    """
    folder = _folder(path)
    patterns = ("results.nc", "*/results.nc", "*/*/results.nc")  # all of them: a foreign file must not hide runs
    paths = [path.parent for pattern in patterns for path in sorted(folder.glob(pattern))]
    if runs := [path for path in paths if sweeps or path.absolute().parent.name != SWEEPS]:
        return runs
    raise ValueError(f"there are no runs in {folder}; run one: flylab run architectures quick --out {folder}")


def warning_of(folder: Path) -> str:
    """Return a warning if the run's device failed `flylab doctor`, else ""."""
    try:
        has_failed = read_json(folder / "provenance.json").get("parity") == "failed"
    except (OSError, ValueError, AttributeError):
        return ""
    return "computed on a device that failed the parity test of flylab doctor: do not trust it" if has_failed else ""
