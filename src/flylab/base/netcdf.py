"""Results on disk: netCDF files with a checksum, written atomically."""

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

from flylab.base.files import write_atomic

MOST = 16  # content may have so many times a file's size: nothing is compressed, but text is wider in memory
SEAL = b"\nflylab sha256 "  # precedes the digest of the content at a file's end, which HDF5 ignores


class CorruptedError(ValueError):
    """A file that cannot be read, or whose content does not match its checksum."""


def checksum(data: xr.Dataset) -> str:
    """Return the SHA-256 of a data set: every variable's name, dimensions, type and bytes, and the attributes."""
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
    """Delay Ctrl-C by some milliseconds, as it would leave a file of h5netcdf half open, with an error at exit."""
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


def encoded(data: xr.Dataset) -> bytes:
    """Return a data set as the content of a netCDF 4 file, with a checksum in its attributes and a seal at the end."""
    data = data.assign_attrs(checksum=checksum(data))
    with _uninterrupted():
        content = bytes(data.to_netcdf(engine="h5netcdf"))
    return sealed(content)


def sealed(content: bytes) -> bytes:
    """Append the seal to a file's content."""
    return content + SEAL + hashlib.sha256(content).hexdigest().encode()


def save(path: Path, data: xr.Dataset) -> None:
    """Write a data set as netCDF 4, atomically, with its checksum in the attributes."""
    write_atomic(path, encoded(data))


def open_checked(path: Path) -> xr.Dataset:
    """Read a data set that `save` wrote into memory, and verify its checksum.

    Raises:
        FileNotFoundError: if there is no such file.
        CorruptedError: if the file cannot be read, or its checksum differs.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    try:
        content, seal, digest = path.read_bytes().rpartition(SEAL)  # foreign and old files have no seal
        if seal and hashlib.sha256(content).hexdigest().encode() != digest:  # HDF5 may loop for ever on damaged files
            raise CorruptedError(f"{path} does not match its checksum")
        with _uninterrupted():
            data = _read(path)
        computed = checksum(data)
    except CorruptedError:
        raise
    except Exception as error:  # h5py raises many kinds of errors on truncated and foreign files
        raise CorruptedError(f"{path} cannot be read ({type(error).__name__})") from error
    if data.attrs.get("checksum") != computed:
        raise CorruptedError(f"{path} does not match its checksum")
    return data


def _read(path: Path) -> xr.Dataset:
    """Read a netCDF 4 file; a damaged or foreign one may declare far more content than it has."""
    most = MOST * path.stat().st_size
    with xr.open_dataset(path, engine="h5netcdf") as opened:
        if opened.nbytes > most:
            raise MemoryError(f"it declares {opened.nbytes} bytes")
        return opened.load()
