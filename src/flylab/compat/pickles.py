"""Read pickles of NumPy arrays without running code, and write pickles that any generation of NumPy reads.

`find_class` allows the few names that such files need, and gives a stand-in for each, never the object of that name.
Arrays are made when the whole file is read, so that NumPy's own `__setstate__` sees nothing unchecked.
"""

import copy
import io
import operator
import os
import pickle
import pickletools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from flylab.base.files import write_atomic

_PLAIN = "biufcSU"  # kinds of arrays: booleans, numbers, text
_DTYPE = re.compile(rf"[<>|=]?[{_PLAIN}][1-9]\d{{0,8}}")
_EXTERNAL = ("EXT1", "EXT2", "EXT4", "PERSID", "BINPERSID")  # objects that find_class is not asked for


class UnsafePickleError(pickle.UnpicklingError, ValueError):
    """A pickle asks for an object other than arrays and Python's own containers and scalars."""


class UnreadablePickleError(pickle.UnpicklingError, ValueError):
    """A file is truncated, damaged or no pickle at all."""


class _RefusedError(Exception):
    """Names the object that a pickle asks for and does not get."""


def load(path: str | os.PathLike[str]) -> Any:
    """Read a pickle file by `loads`; raise FileNotFoundError if there is none."""
    return loads(Path(path).read_bytes(), str(path))


def loads(content: bytes, name: str = "the pickle") -> Any:
    """Read NumPy arrays and Python's own containers and scalars from the bytes of a pickle; run nothing.

    Arrays may come from NumPy 1 or 2, at any protocol of Python 3 or at Python 2's protocol 2. They own their memory,
    in C order.

    Args:
        content: the bytes.
        name: the file's name, for errors.

    Raises:
        UnsafePickleError: if the pickle asks for any other object; a ValueError.
        UnreadablePickleError: if it is truncated, damaged or no pickle; a ValueError.

    >>> loads(pickle.dumps({"x": np.arange(3)}))
    {'x': array([0, 1, 2])}
    >>> loads(pickle.dumps(print))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    flylab.compat.pickles.UnsafePickleError: the pickle asks for builtins.print, which was not run: ...
    """
    try:
        for opcode, argument, _ in pickletools.genops(content):  # raises if the file is shorter than it claims
            if opcode.name in _EXTERNAL:
                raise _RefusedError(f"an object that only {opcode.name} {argument!r} names")
            # Python would allocate as many objects
            if opcode.name in ("PUT", "LONG_BINPUT") and (argument or 0) > len(content):
                raise ValueError(f"there is no object number {argument}")
        return copy.deepcopy(_Unpickler(io.BytesIO(content), encoding="latin1").load())  # Python 2's bytes are latin1
    except _RefusedError as refused:
        raise UnsafePickleError(
            f"{name} asks for {str(refused)[:200]}, which was not run: only NumPy arrays of numbers or text and "
            "Python's own containers and scalars are read; if you trust its source, read it with pickle.load"
        ) from None
    except Exception as error:  # on garbage pickle raises nearly every kind
        raise UnreadablePickleError(
            f"{name} cannot be read as a pickle ({type(error).__name__}: {str(error)[:200]}): it is truncated, damaged "
            "or another kind of file; make it again"
        ) from error


def dumps(thing: Any) -> bytes:
    """Pickle an object at protocol 3, its arrays as `numpy.ndarray(shape, dtype, buffer)`.

    NumPy itself pickles arrays through a module whose name differs between NumPy 1 and 2.

    >>> b"core" in dumps(np.arange(3))
    False
    """
    buffer = io.BytesIO()
    _Pickler(buffer, protocol=3).dump(thing)
    return buffer.getvalue()


def write(path: str | os.PathLike[str], content: bytes | str) -> None:
    """Write a file atomically and make its folder; follow links, and write into devices.

    Raises:
        OSError: naming the path and what to do.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file() and not target.is_dir():  # os.replace would replace /dev/null by a file
        target.write_bytes(content.encode() if isinstance(content, str) else content)
    else:
        write_atomic(target, content)


class _Pickler(pickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:
        dtype = getattr(obj, "dtype", None)
        if not isinstance(dtype, np.dtype) or dtype.kind not in _PLAIN or dtype.itemsize == 0 or dtype.metadata:
            return NotImplemented
        if type(obj) is np.ndarray:
            return np.ndarray, (obj.shape, dtype.str, bytearray(obj.tobytes()))  # writable when loaded
        return (operator.getitem, (np.asarray(obj), ())) if type(obj) is dtype.type else NotImplemented


class _StandIn:
    """Stands for a global name; `copy.deepcopy` puts what it stands for in its place. Unhashable, as arrays are."""

    __hash__: Any = None

    def __init__(self, name: str, call: Callable[..., Any]) -> None:
        self.name, self.call = name, call

    def __call__(self, *args: Any) -> Any:
        return self.call(*args)

    def __setstate__(self, state: Any) -> None:
        raise _RefusedError(f"{self.name} with a state")

    def __deepcopy__(self, memo: Any) -> Any:
        raise _RefusedError(f"{self.name} itself")


class _DType(_StandIn):
    def __init__(self, text: Any, *_: Any) -> None:
        if not _DTYPE.fullmatch(str(text)):
            raise _RefusedError(f"numpy.dtype({str(text)!r})")
        self.name, self.dtype = "numpy.dtype", np.dtype(str(text))

    def __setstate__(self, state: Any) -> None:
        _, order, *parts, _, _, _ = state
        if parts != [None, None, None]:
            raise _RefusedError("a numpy.dtype with parts, fields or metadata")
        self.dtype = self.dtype.newbyteorder(order)


class _Array(_StandIn):
    def __init__(self, *parts: Any) -> None:
        self.name = "an array"
        self.parts: tuple[Any, ...] = parts  # shape, dtype, bytes, and optionally order and axes

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, is_fortran, data = state
        self.parts = shape, dtype, data, "F" if is_fortran else "C"

    def __deepcopy__(self, memo: Any) -> np.ndarray:
        shape, dtype, data = self.parts[:3]
        order, *axes = self.parts[3:] or "C"
        dtype, data = (dtype if isinstance(dtype, _DType) else _DType(dtype)).dtype, _bytes(data)
        flat = np.frombuffer(data, np.uint8) != 0 if dtype.kind == "b" else np.frombuffer(data, dtype)
        array: Any = flat.reshape(tuple(shape), order="F" if order == "F" else "C")
        return np.array(array.transpose(*axes) if axes else array, order="C")


def _bytes(data: Any = b"", encoding: str = "latin1") -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise ValueError(f"bytes in {encoding!r}")
    return data.encode("latin1") if isinstance(data, str) else bytes(memoryview(data))  # bytes(number) would allocate


def _scalar(array: Any, index: Any = ()) -> Any:
    if not (isinstance(array, _Array) and array.parts[:1] == ((),) and index == ()):
        raise _RefusedError("_operator.getitem of something other than a scalar")
    return array.__deepcopy__({})[()]


_ALLOWED: dict[str, Callable[..., Any]] = {
    "numpy.ndarray": _Array, "numpy.dtype": _DType, "_operator.getitem": _scalar, "_codecs.encode": _bytes,
}  # fmt: skip
for _core in ("numpy.core", "numpy._core"):  # NumPy 1 and 2
    _ALLOWED[f"{_core}.multiarray._reconstruct"] = lambda *_: _Array()  # its state follows
    _ALLOWED[f"{_core}.multiarray.scalar"] = lambda dtype, data: _scalar(_Array((), dtype, data))
    _ALLOWED[f"{_core}.numeric._frombuffer"] = lambda data, dtype, shape, *order: _Array(shape, dtype, data, *order)
for _builtins in ("__builtin__", "builtins"):  # Python 2 and 3
    _ALLOWED |= {f"{_builtins}.{kind.__name__}": kind for kind in (complex, frozenset, set)}
    _ALLOWED |= {f"{_builtins}.bytes": _bytes, f"{_builtins}.bytearray": lambda *args: bytearray(_bytes(*args))}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> _StandIn:
        full_name = f"{module}.{name}"
        if not all(part.isidentifier() for part in full_name.split(".")):
            raise ValueError(f"{full_name!r} is no name")  # text that begins with "c" reads as a name
        if full_name not in _ALLOWED:
            raise _RefusedError(full_name)
        return _StandIn(full_name, _ALLOWED[full_name])
