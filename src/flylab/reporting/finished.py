"""Find and open finished runs."""

from pathlib import Path

import xarray as xr

from flylab.base.files import read_json
from flylab.base.netcdf import CorruptedError, open_checked
from flylab.runs.runner import SWEEPS


def load(path: str | Path) -> xr.Dataset:
    """Load the results of a finished run.

    Args:
        path: the run's folder, or the `results.nc` in it.

    Raises:
        ValueError: if they cannot be read or do not match their checksum; says how to mend it.
    """
    path = Path(path)
    folder = path.parent if path.name == "results.nc" else path
    try:
        return open_checked(folder / "results.nc")
    except (FileNotFoundError, CorruptedError) as error:
        raise ValueError(
            f"{error}; run the study again: it reuses the members in {folder / 'members'} that are whole"
        ) from error


def runs_in(out: Path) -> list[Path]:
    """Return the folders of all finished runs of studies under `out`, or `out` if it is one; sweeps have no claims.

    Raises:
        ValueError: if there are none.
    """
    paths = [out / "results.nc"] if (out / "results.nc").exists() else out.glob("*/*/results.nc")
    folders = sorted(path.parent for path in paths if path.absolute().parts[-3] != SWEEPS)
    if not folders:
        raise ValueError(f"there are no runs in {out}; run one: flylab run architectures quick --out {out}")
    return folders


def warning_of(folder: Path) -> str:
    """Return a warning if the run's device failed `flylab doctor`, else ""."""
    try:
        has_failed = read_json(folder / "provenance.json").get("parity") == "failed"
    except (OSError, ValueError, AttributeError):
        return ""
    return "computed on a device that failed the parity test of flylab doctor: do not trust it" if has_failed else ""
