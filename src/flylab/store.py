"""Results on disk: files with a checksum inside, written so that a crash leaves the old or the new, never half."""

import contextlib
import hashlib
import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import numpy as np
import xarray as xr

from flylab.files import write_atomic


class CorruptedError(ValueError):
    """A file whose content does not match its checksum, or that cannot be read."""


def checksum(data: xr.Dataset) -> str:
    """SHA-256 over every variable's name, dimensions, type and bytes, and the attributes."""
    digest = hashlib.sha256()
    for name in sorted(data.variables, key=str):
        variable = data.variables[name]
        values = np.ascontiguousarray(variable.values.astype(str) if variable.dtype.kind in "OUT" else variable.values)
        kind = "text" if values.dtype.kind == "U" else values.dtype.str
        content = json.dumps(values.tolist()).encode() if kind == "text" else values.tobytes()
        digest.update(json.dumps([str(name), variable.dims, variable.shape, kind]).encode() + content)
    attributes = {name: str(value) for name, value in data.attrs.items() if name != "checksum"}
    digest.update(json.dumps(attributes, sort_keys=True).encode())
    return digest.hexdigest()


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back for some milliseconds: it would leave h5netcdf's file half open, which complains at exit."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[tuple[int, FrameType | None]] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: held.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if held and callable(before):
            before(*held[0])


def save(path: Path, data: xr.Dataset) -> None:
    """Write a data set as netCDF 4, its checksum among the attributes, atomically."""
    data = data.assign_attrs(checksum=checksum(data))
    with _uninterrupted():
        write_atomic(path, bytes(data.to_netcdf(engine="h5netcdf")))


def open_checked(path: Path) -> xr.Dataset:
    """Read a data set that `save` wrote, wholly into memory.

    Raises:
        FileNotFoundError: if there is none.
        CorruptedError: if it cannot be read or its checksum differs.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    try:
        with _uninterrupted(), xr.open_dataset(path, engine="h5netcdf") as file:
            data = file.load()
        found = checksum(data)
    except Exception as error:  # truncated, overwritten or foreign: h5py raises many kinds
        raise CorruptedError(f"{path} cannot be read ({type(error).__name__})") from error
    if data.attrs.get("checksum") != found:
        raise CorruptedError(f"{path} does not match its checksum")
    return data
