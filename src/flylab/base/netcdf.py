"""Results on disk: netCDF files with a checksum, written atomically."""

import contextlib
import hashlib
import json
import math
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import h5py
import numpy as np
import xarray as xr

from flylab.base.bounds import TooLargeError, check_memory, most_memory
from flylab.base.files import read_bytes, write_atomic

_OBJECT = 64  # bytes of a text in Python, beside its characters
LARGE = 1 << 14  # bytes of a variable from which compressing it makes a file smaller
SEAL = b"\nflylab sha256 "  # precedes the digest of the content at a file's end, which HDF5 ignores


class CorruptedError(ValueError):
    """A file that cannot be read, or whose content does not match its checksum."""


def checksum(data: xr.Dataset) -> str:
    """Return the SHA-256 of a data set: every variable's name, dimensions, type and bytes, and the attributes."""
    digest = hashlib.sha256()
    for name in sorted(data.variables, key=str):
        variable = data.variables[name]
        values = variable.values
        kind = "text" if values.dtype.kind in "OUT" else values.dtype.str
        digest.update(json.dumps([str(name), variable.dims, variable.shape, kind]).encode())
        if kind == "text":
            for part in _json(np.atleast_1d(values)):
                digest.update(part.encode())
        else:
            digest.update(np.ascontiguousarray(values).reshape(-1).view("u1").data)
    attributes = {name: str(value) for name, value in data.attrs.items() if name != "checksum"}
    digest.update(json.dumps(attributes, sort_keys=True).encode())
    return digest.hexdigest()


def _json(texts: np.ndarray) -> Iterator[str]:
    """Yield the JSON of an array of texts in parts, since it may take many times the memory of the texts."""
    yield "["
    step = 10_000 if texts.ndim == 1 else 1
    for start in range(0, len(texts), step):
        yield ", " if start else ""
        if texts.ndim == 1:
            yield json.dumps(texts[start : start + step].astype(str).tolist())[1:-1]
        else:
            yield from _json(texts[start])
    yield "]"


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


def encoded(data: xr.Dataset, *, compressed: bool = False) -> bytes:
    """Return a data set as the content of a netCDF 4 file, with a checksum in its attributes and a seal at the end.

    Args:
        data: the data set.
        compressed: whether variables of many numbers are compressed, without loss: smaller where values are missing,
            and slower.
    """
    data = data.assign_attrs(checksum=checksum(data))
    how = {
        name: {"zlib": True, "shuffle": True} for name, values in data.data_vars.items()
        if compressed and values.dtype.kind in "biuf" and values.nbytes >= LARGE
    }  # fmt: skip
    with _uninterrupted():
        content = bytes(data.to_netcdf(engine="h5netcdf", encoding=how))
    return sealed(content)


def sealed(content: bytes) -> bytes:
    """Append the seal to a file's content."""
    return content + SEAL + hashlib.sha256(content).hexdigest().encode()


def save(path: Path, data: xr.Dataset, *, compressed: bool = False) -> None:
    """Write a data set as netCDF 4, atomically, with its checksum in the attributes; see `encoded`."""
    write_atomic(path, encoded(data, compressed=compressed))


def open_checked(path: Path) -> xr.Dataset:
    """Read a data set that `save` wrote into memory, and verify its checksum.

    Raises:
        FileNotFoundError: if there is no such file.
        CorruptedError: if the file cannot be read, or its checksum differs.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    try:
        content, seal, digest = read_bytes(path).rpartition(SEAL)  # foreign and old files have no seal
        if seal and hashlib.sha256(content).hexdigest().encode() != digest:  # HDF5 may loop for ever on damaged files
            raise CorruptedError(f"{path} does not match its checksum")
        with _uninterrupted():
            data = _read(path)
        computed = checksum(data)
    except CorruptedError:
        raise
    except Exception as error:  # h5py raises many kinds of errors on truncated and foreign files
        reason = f": {error}" if isinstance(error, TooLargeError) else ""
        raise CorruptedError(f"{path} cannot be read ({type(error).__name__}{reason})") from error
    if data.attrs.get("checksum") != computed:
        raise CorruptedError(f"{path} does not match its checksum")
    return data


def _read(path: Path) -> xr.Dataset:
    """Read a netCDF 4 file; a damaged or foreign one may declare far more content than it has."""
    with h5py.File(path, "r") as file:
        _check(file, path.stat().st_size)
    with xr.open_dataset(path, engine="h5netcdf", decode_times=False, decode_timedelta=False) as opened:
        check_memory(opened.nbytes, path.stat().st_size)
        return opened.load()


def _check(file: h5py.File, n_bytes: int) -> None:
    """Check that a file holds nothing but plain arrays, and no more of them than its size allows.

    Texts stand in a heap, or are an array's fill value: each is stored once for all the places where it is read.

    Raises:
        TooLargeError: if the content would take too much memory.
        ValueError: if the file holds something else, such as a link to another file.
    """
    needed = _attributes(file, n_bytes)
    for name in file:
        is_here = isinstance(file.get(name, getlink=True), h5py.HardLink)
        array = file[name] if is_here else None
        if not isinstance(array, h5py.Dataset) or array.is_virtual or array.external:
            raise ValueError(f"{name} is no array of this file")
        if array.dtype.kind not in "biufO":  # texts of a fixed length, say, which xarray would decode
            raise ValueError(f"{name} is no array of numbers or text")
        chunk = math.prod(array.chunks or ()) * array.dtype.itemsize  # is unpacked whole
        needed += max(array.size * array.dtype.itemsize, chunk) + _attributes(array, n_bytes)
        check_memory(needed, n_bytes)
        if array.dtype.kind == "O":
            needed += _text(array, n_bytes)
            check_memory(needed, n_bytes)


def _attributes(item: h5py.File | h5py.Dataset, n_bytes: int) -> int:
    """Return the bytes that the attributes of a file or an array take."""
    needed = 0
    for name in item.attrs:
        found = item.attrs.get_id(name)
        size = math.prod(found.shape or ())
        check_memory(size * (n_bytes if found.dtype.kind == "O" else found.dtype.itemsize), n_bytes)
        value = item.attrs[name]
        needed += len(value) if isinstance(value, str | bytes) else size * found.dtype.itemsize
    return needed


def _text(array: h5py.Dataset, n_bytes: int) -> int:
    """Return the bytes that an array of text takes, as objects and in NumPy, with the room of the longest for each."""
    if h5py.check_string_dtype(array.dtype) is None:
        raise ValueError(f"{array.name} is no array of numbers or text")
    shape: tuple[int, ...] = tuple(array.shape)
    size, longest = math.prod(shape), 0
    if not shape:
        return 4 * len(array[()])
    step = max(1, most_memory(n_bytes) // n_bytes)  # texts that are read at a time: each may be as long as the file
    for at in np.ndindex(shape[:-1]):
        for start in range(0, shape[-1], step):
            longest = max(longest, *map(len, array[(*at, slice(start, start + step))]))
            check_memory(size * (_OBJECT + 4 * longest), n_bytes)
    return size * (_OBJECT + 4 * longest)
