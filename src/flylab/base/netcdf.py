"""Results on disk: files with a checksum inside, written so that a crash leaves the old or the new, never half."""

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

MOST = 16  # times a file's size that its content may have: we write it as it is, and text is wider in memory
SEAL = b"\nflylab sha256 "  # ends a file, with the digest of all before it: HDF5 reads its own part only


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


def encoded(data: xr.Dataset) -> bytes:
    """A data set as the content of a netCDF 4 file, its checksum among the attributes and a seal at the end."""
    data = data.assign_attrs(checksum=checksum(data))
    with _uninterrupted():
        content = bytes(data.to_netcdf(engine="h5netcdf"))
    return sealed(content)


def sealed(content: bytes) -> bytes:
    """A file's content with its seal."""
    return content + SEAL + hashlib.sha256(content).hexdigest().encode()


def save(path: Path, data: xr.Dataset) -> None:
    """Write a data set as netCDF 4, its checksum among the attributes, atomically."""
    write_atomic(path, encoded(data))


def open_checked(path: Path) -> xr.Dataset:
    """Read a data set that `save` wrote, wholly into memory.

    Raises:
        FileNotFoundError: if there is none.
        CorruptedError: if it cannot be read or its checksum differs.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    try:
        content, seal, digest = path.read_bytes().rpartition(SEAL)  # files of others, and old ones, have none
        if seal and hashlib.sha256(content).hexdigest().encode() != digest:  # for HDF5 may loop for ever on damage
            raise CorruptedError(f"{path} does not match its checksum")
        with _uninterrupted():
            data = _read(path)
        found = checksum(data)
    except CorruptedError:
        raise
    except Exception as error:  # truncated, overwritten or foreign: h5py raises many kinds
        raise CorruptedError(f"{path} cannot be read ({type(error).__name__})") from error
    if data.attrs.get("checksum") != found:
        raise CorruptedError(f"{path} does not match its checksum")
    return data


_DIMENSION_ONLY = b"This is a netCDF dimension but not a netCDF variable"
_STRUCTURE = {"CLASS", "NAME", "_Netcdf4Dimid", "_Netcdf4Coordinates", "_FillValue"}
_UNREAD = {"REFERENCE_LIST", "DIMENSION_LIST", "_NCProperties"}  # slow to read, and said by others, too
_CODED = {"coordinates", "dtype", "scale_factor", "add_offset", "missing_value", "_Unsigned", "calendar"}


def _read(path: Path) -> xr.Dataset:
    """Read a netCDF 4 file: of the plain kind that `encoded` makes ten times as fast as xarray, any other by xarray."""
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
    """What stands in a file without groups, packed values, times or coordinates that are no dimensions; else None."""
    found = {name: (item, _said(item.attrs)) for name, item in file.items()}
    dims = {int(attrs["_Netcdf4Dimid"]): name for name, (_, attrs) in found.items() if "CLASS" in attrs}
    variables = {}
    for name, (item, attrs) in found.items():
        ids = attrs.get("_Netcdf4Coordinates", [attrs.get("_Netcdf4Dimid", -1)] if item.ndim else [])
        if not isinstance(item, h5py.Dataset) or len(ids) != item.ndim or _CODED & set(attrs):
            return None
        if bytes(attrs.get("NAME", b"")).startswith(_DIMENSION_ONLY):
            continue
        text = h5py.check_string_dtype(item.dtype) is not None
        if (not text and item.dtype.kind not in "fiu") or not np.isnan(attrs.get("_FillValue", np.nan)).all():
            return None
        _refuse_more(item.nbytes, most)
        said = {key: _unwrapped(value) for key, value in attrs.items() if key not in _STRUCTURE}
        values = np.asarray(item.asstr()[()], dtype=str) if text else item[()]
        variables[name] = xr.Variable([dims[int(i)] for i in ids], values, said)
    coords = {name: variables.pop(name) for name in dims.values() if name in variables}
    return xr.Dataset(variables, coords, {key: _unwrapped(value) for key, value in _said(file.attrs).items()})


def _said(attrs: h5py.AttributeManager) -> dict[str, Any]:
    return {key: attrs[key] for key in attrs if key not in _UNREAD}


def _unwrapped(value: Any) -> Any:
    """An attribute as netCDF has it: one number is no array."""
    return value[0] if isinstance(value, np.ndarray) and value.shape == (1,) else value
