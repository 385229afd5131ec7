"""Results on disk: netCDF files with a checksum, written atomically."""

import contextlib
import hashlib
import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import h5py
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


_DIMENSION_ONLY = b"This is a netCDF dimension but not a netCDF variable"
_STRUCTURE = {"CLASS", "NAME", "_Netcdf4Dimid", "_Netcdf4Coordinates", "_FillValue"}
_UNREAD = {"REFERENCE_LIST", "DIMENSION_LIST", "_NCProperties"}  # slow to read, and redundant
_CODED = {"coordinates", "dtype", "scale_factor", "add_offset", "missing_value", "_Unsigned", "calendar"}


def _read(path: Path) -> xr.Dataset:
    """Read a netCDF 4 file, by h5py if it is as plain as those of `encoded`, which takes a tenth of xarray's time."""
    most = MOST * path.stat().st_size
    with h5py.File(path, "r") as file:
        data = _plain(file, most)
    if data is None:
        with xr.open_dataset(path, engine="h5netcdf") as opened:
            _refuse_more(opened.nbytes, most)
            data = opened.load()
    return data


def _refuse_more(n_bytes: int, most: int) -> None:
    if n_bytes > most:
        raise MemoryError(f"it declares {n_bytes} bytes")


def _plain(file: h5py.File, most: int) -> xr.Dataset | None:
    """Read a file, or return None if it has groups, packed values, times, or coordinates that are not dimensions."""
    items = {name: (item, _attributes(item.attrs)) for name, item in file.items()}
    dims = {int(attrs["_Netcdf4Dimid"]): name for name, (_, attrs) in items.items() if "CLASS" in attrs}
    variables = {}
    for name, (item, attrs) in items.items():
        ids = attrs.get("_Netcdf4Coordinates", [attrs.get("_Netcdf4Dimid", -1)] if item.ndim else [])
        if not isinstance(item, h5py.Dataset) or len(ids) != item.ndim or _CODED & set(attrs):
            return None
        if bytes(attrs.get("NAME", b"")).startswith(_DIMENSION_ONLY):
            continue
        is_text = h5py.check_string_dtype(item.dtype) is not None
        if (not is_text and item.dtype.kind not in "fiu") or not np.isnan(attrs.get("_FillValue", np.nan)).all():
            return None
        _refuse_more(item.nbytes, most)
        plain_attrs = {key: _unwrapped(value) for key, value in attrs.items() if key not in _STRUCTURE}
        values = np.asarray(item.asstr()[()], dtype=str) if is_text else item[()]
        variables[name] = xr.Variable([dims[int(i)] for i in ids], values, plain_attrs)
    coords = {name: variables.pop(name) for name in dims.values() if name in variables}
    return xr.Dataset(variables, coords, {key: _unwrapped(value) for key, value in _attributes(file.attrs).items()})


def _attributes(attrs: h5py.AttributeManager) -> dict[str, Any]:
    return {key: attrs[key] for key in attrs if key not in _UNREAD}


def _unwrapped(value: Any) -> Any:
    """Return an attribute as netCDF has it: an array of one number is that number."""
    return value[0] if isinstance(value, np.ndarray) and value.shape == (1,) else value
