"""Find and open finished runs."""

from pathlib import Path

import xarray as xr

from flylab.base.files import read_json
from flylab.base.netcdf import CorruptedError, open_checked
from flylab.runs.sweeps import SWEEPS


def load(path: str | Path) -> xr.Dataset:
    """Load the results of a finished run.

    Args:
        path: the run's folder, or the `results.nc` in it.

    Raises:
        ValueError: if they cannot be read or do not match their checksum; says how to mend it.
    """
    folder = _folder(Path(path))
    try:
        return open_checked(folder / "results.nc")
    except (FileNotFoundError, CorruptedError) as error:
        raise ValueError(
            f"{error}; run the study again: what it has trained is in the store, and is not trained again"
        ) from error


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
