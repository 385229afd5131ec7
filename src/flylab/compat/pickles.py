"""Pickles that run nothing when read, and that NumPy of any generation reads when written.

`loads` knows NumPy arrays of numbers or text and Python's own containers and scalars, and refuses whatever else a file
asks for. Nothing that a file says reaches NumPy before it is checked: while the file is read, stand-ins take the place
of arrays; afterwards they are built from shape, type and bytes.
"""

import io
import math
import operator
import os
import pickle
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import numpy as np

from flylab.base.files import write_atomic

PROTOCOL = 3  # the reference's; any Python 3 reads it
_PLAIN = "biufcSU"  # kinds of arrays: booleans, numbers, text
_DTYPE = re.compile(rf"[<>|=]?[{_PLAIN}][1-9]\d{{0,8}}")
_ONLY = "only NumPy arrays of plain numbers or text and Python's own containers and scalars are read"
_PENDING = object()
_DEEPEST = 64  # dimensions of an array, as NumPy has them, and tuples within a key


class UnsafePickleError(pickle.UnpicklingError, ValueError):
    """A pickle asks for an object other than arrays and Python's own containers and scalars."""


class UnreadablePickleError(pickle.UnpicklingError, ValueError):
    """A file that is truncated, damaged or no pickle at all."""


def load(path: str | os.PathLike[str]) -> Any:
    """What a pickle file holds, read by `loads`.

    Raises:
        FileNotFoundError: if there is none.
        UnsafePickleError, UnreadablePickleError: both ValueErrors, see `loads`.
    """
    return loads(Path(path).read_bytes(), str(path))


def loads(content: bytes, name: str = "the pickle") -> Any:
    """What a pickle's bytes hold: NumPy arrays and Python's own containers and scalars; nothing else is made or run.

    Arrays may come from NumPy 1 or 2, under Python 2 or 3, at any protocol. They own their memory, in C order.

    Args:
        content: the bytes.
        name: of the file, for errors.

    Raises:
        UnsafePickleError: if it asks for anything else.
        UnreadablePickleError: if it is truncated, damaged or no pickle.

    >>> loads(pickle.dumps({"x": np.arange(3)}))
    {'x': array([0, 1, 2])}
    >>> try:
    ...     loads(pickle.dumps(print))
    ... except UnsafePickleError as error:
    ...     print(str(error)[:65])
    the pickle asks for builtins.print, which was not run: only NumPy
    """
    try:
        return _read(content)
    except _RefusedError as refused:
        raise UnsafePickleError(
            f"{name} asks for {str(refused)[:200]}, which was not run: {_ONLY}. If you trust where it comes "
            "from, read it with pickle.load"
        ) from None
    except Exception as error:  # on garbage pickle raises nearly every kind
        raise UnreadablePickleError(
            f"{name} cannot be read as a pickle ({type(error).__name__}: {str(error)[:200]}): it is truncated, damaged "
            "or another kind of file, to be made again"
        ) from error


def dumps(thing: Any) -> bytes:
    """Pickle anything that pickle can; arrays and their scalars in a way that every NumPy's `pickle.load` reads.

    NumPy pickles its arrays through a module whose name differs between NumPy 1 and 2. Here an array is
    `numpy.ndarray(shape, dtype, buffer)`, which both know.

    >>> b"core" in dumps(np.arange(3))
    False
    """
    buffer = io.BytesIO()
    _Writer(buffer, PROTOCOL).dump(thing)
    return buffer.getvalue()


def objection(content: bytes) -> str:
    """Why `loads` would not read these bytes; "" if it would."""
    try:
        _read(content)
    except _RefusedError as refused:
        return f"it asks for {str(refused)[:200]}, and {_ONLY}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def write(path: str | os.PathLike[str], content: bytes | str) -> None:
    """Write a file atomically, making its folder; a link is followed, and a device written to.

    Raises:
        OSError: naming the path and what to do.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file() and not target.is_dir():  # os.replace would replace /dev/null by a file
        target.write_bytes(content.encode() if isinstance(content, str) else content)
    else:
        write_atomic(target, content)


class _Writer(pickle.Pickler):
    """Reduces arrays and their scalars to what every NumPy knows."""

    def reducer_override(self, obj: Any) -> Any:
        if type(obj) is np.ndarray and _is_plain(obj.dtype):
            return np.ndarray, (obj.shape, obj.dtype.str, bytearray(obj.tobytes()))  # writable when loaded
        if isinstance(obj, np.generic) and type(obj).__module__ == "numpy" and _is_plain(obj.dtype):
            return operator.getitem, (np.asarray(obj), ())
        return NotImplemented


def _is_plain(dtype: np.dtype) -> bool:
    return dtype.kind in _PLAIN and dtype.itemsize > 0 and dtype.metadata is None


class _RefusedError(Exception):
    """Names what a pickle asks for and does not get."""


class _StandIn:
    """Takes a place while a pickle is read; cannot be a key, where `finish` would not find it."""

    __hash__: Any = None


class _Name(_StandIn):
    """A global name that may be called, by a function of ours."""

    def __init__(self, name: str, call: Callable[..., Any]) -> None:
        self.name = name
        self.call = call

    def __call__(self, *args: Any) -> Any:
        return self.call(*args)


class _DType(_StandIn):
    """A data type: its text, checked, and later its byte order."""

    def __init__(self, text: Any) -> None:
        if not (isinstance(text, str) and _DTYPE.fullmatch(text)):
            raise _RefusedError(f"numpy.dtype({text!r})" if isinstance(text, str) else "an unusual numpy.dtype")
        self.value = np.dtype(text)

    def set(self, state: Any) -> None:
        if not (isinstance(state, tuple) and len(state) == 8 and all(part is None for part in state[2:5])):
            raise _RefusedError("a numpy.dtype with fields, parts or metadata")
        _, order, _, _, _, size, *_ = state
        if order not in ("<", ">", "=", "|") or size not in (-1, self.value.itemsize):
            raise ValueError(f"byte order {order!r} and size {size!r} do not go with {self.value}")
        self.value = self.value.newbyteorder(order)


class _Array(_StandIn):
    """An array's description, and the array once it is built."""

    def __init__(self, *parts: Any) -> None:
        self.parts = parts  # shape, dtype, order, bytes, and optionally an order of the axes
        self.array: np.ndarray | None = None

    def set(self, state: Any) -> None:
        _, shape, dtype, is_fortran, data = state
        self.parts = shape, dtype, "F" if is_fortran else "C", data


def _is_empty(value: Any) -> bool:
    return type(value) is tuple and not value


def _read(content: bytes) -> Any:
    reader = _Reader(content)
    return reader.finish(reader.load())


class _Whole(io.BytesIO):
    """Bytes that say so when they end too early; Python's unpickler would go on with what is there."""

    def read(self, size: int | None = -1, /) -> bytes:
        return self._whole(data := super().read(size), len(data) >= (size or 0))

    def readline(self, size: int | None = -1, /) -> bytes:
        return self._whole(data := super().readline(size), data.endswith(b"\n"))

    def _whole(self, data: bytes, is_whole: bool) -> bytes:
        if not is_whole:
            raise EOFError("it ends too early")
        return data


class _Reader(pickle._Unpickler):  # Python's, not C's: C's allocates what a file claims to need
    dispatch: ClassVar[dict[int, Callable[..., None]]] = dict(pickle._Unpickler.dispatch)
    proto: int
    memo: dict[int, Any]
    stack: list[Any]
    metastack: list[list[Any]]
    append: Callable[[Any], None]
    read: Callable[[int], bytes]

    def __init__(self, content: bytes) -> None:
        super().__init__(_Whole(content), encoding="latin1")  # bytes of Python 2, array data among them
        self.n_bytes = len(content)
        self.left = 3 * len(content)  # what honest files need: each byte decoded, made a bytearray and an array, once
        self.hashing = 10**6 + 100 * len(content)  # parts of keys that are looked at

    def find_class(self, module: str, name: str) -> Any:
        whole = f"{module}.{name}"
        if not all(part.isidentifier() for part in whole.split(".")):
            raise ValueError(f"{whole!r} is no name")  # text that begins with "c" reads as a name
        if whole not in _KNOWN:
            raise _RefusedError(whole)
        return _Name(whole, getattr(self, _KNOWN[whole]))

    def persistent_load(self, pid: Any) -> NoReturn:
        at_start = not (self.proto or self.memo or self.stack or self.metastack)  # of a zip file or text, rather
        raise ValueError("no pickle begins like this") if at_start else _RefusedError("a persistent object")

    def get_extension(self, code: int) -> NoReturn:
        raise _RefusedError(f"the object of extension code {code}")

    def load_build(self) -> None:
        state = self.stack.pop()
        if not isinstance(self.stack[-1], _Array | _DType):
            raise _RefusedError(f"an object with a state ({type(self.stack[-1]).__name__})")
        self.stack[-1].set(state)

    dispatch[pickle.BUILD[0]] = load_build

    def load_bytearray8(self) -> None:
        (size,) = struct.unpack("<Q", self.read(8))
        if size > self.n_bytes:
            raise EOFError(f"{size} bytes announced")
        self.append(bytearray(self.read(size)))

    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8

    def spend(self, n: int) -> None:
        """A small file must not become large by copying one part of it again and again."""
        self.left -= n
        if self.left < 0:
            raise ValueError("it would grow to more than it holds")

    def weigh(self, key: Any) -> None:
        """Before it is hashed: a key of tuples within tuples could take for ever, or end the process."""
        todo: list[tuple[Any, int]] = [(key, 0)]
        while todo:
            item, depth = todo.pop()
            self.hashing -= 1 + (item.bit_length() >> 8 if type(item) is int else 0)
            if self.hashing < 0 or depth > _DEEPEST:
                raise ValueError("a key is nested too deep, or has too many parts")
            if type(item) is tuple or type(item) is frozenset:
                todo += [(inner, depth + 1) for inner in item]

    # what the known names do

    def latin1(self, text: str, encoding: str) -> bytes:
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise ValueError(f"_codecs.encode to {encoding!r}")
        self.spend(len(text))
        return text.encode("latin1")

    def bytes_(self) -> bytes:
        return b""

    def bytearray_(self, data: Any = b"", encoding: str = "latin-1") -> bytearray:
        return bytearray(self.latin1(data, encoding) if isinstance(data, str) else self.copied(data, bytes))

    def set_(self, items: Any = ()) -> Any:
        return set(self.keys(items))

    def frozenset_(self, items: Any = ()) -> Any:
        return frozenset(self.keys(items))

    def keys(self, items: Any) -> Any:
        for key in self.copied(items, list | tuple):
            self.weigh(key)
        return items

    def complex_(self, real: Any, imag: Any) -> complex:
        if not (isinstance(real, float) and isinstance(imag, float)):
            raise TypeError("a complex number's parts must be floats")
        return complex(real, imag)

    def copied(self, data: Any, kind: Any) -> Any:
        if not isinstance(data, kind):
            raise TypeError(f"{type(data).__name__} where bytes or a list should be")
        self.spend(len(data))
        return data

    def dtype(self, text: Any, *_: Any) -> _DType:
        return _DType(text)

    def reconstruct(self, kind: Any, *_: Any) -> _Array:
        if not (isinstance(kind, _Name) and kind.name == "numpy.ndarray"):
            raise _RefusedError("a subclass of numpy.ndarray")
        return _Array()

    def ndarray(self, shape: Any, dtype: Any, data: Any) -> _Array:
        return _Array(shape, dtype, "C", data)

    def frombuffer(self, data: Any, dtype: Any, shape: Any, order: Any, *axes: Any) -> _Array:
        return _Array(shape, dtype, order, data, *axes)

    def scalar(self, dtype: Any, data: Any) -> Any:
        return self.build(_Array((), dtype, "C", data))[()]

    def getitem(self, array: Any, index: Any) -> Any:
        if not (isinstance(array, _Array) and array.parts and _is_empty(array.parts[0]) and _is_empty(index)):
            raise _RefusedError("_operator.getitem of something other than a scalar")
        return self.build(array)[()]

    def build(self, stand_in: _Array) -> np.ndarray:
        """The array that a stand-in describes, in memory of its own; the same one each time."""
        if stand_in.array is None:
            shape, dtype, order, data, *axes = stand_in.parts
            dtype = (dtype if isinstance(dtype, _DType) else _DType(dtype)).value
            data = data.encode("latin1") if isinstance(data, str) else data  # of Python 2
            if not isinstance(data, bytes | bytearray):
                raise TypeError(f"an array's data is {type(data).__name__}")
            fits = len(shape) <= _DEEPEST and all(type(n) is int and 0 <= n < 2**63 for n in shape)
            if not fits or math.prod(shape) * dtype.itemsize != len(data):
                raise ValueError(f"an array of shape {shape} and type {dtype} does not have {len(data)} bytes")
            self.spend(len(data))
            flat = np.frombuffer(data, np.uint8) != 0 if dtype.kind == "b" else np.frombuffer(data, dtype)
            whole = flat.reshape(shape, order="F" if order == "F" else "C")
            stand_in.array = np.array(whole.transpose(*axes) if axes else whole, order="C")
        return stand_in.array

    def finish(self, value: Any) -> Any:
        """`value` with arrays in the place of their stand-ins; what is shared stays shared."""
        seen: dict[int, tuple[Any, Any]] = {}  # by identity: before, which must stay alive, and after

        def finished(item: Any) -> Any:
            if isinstance(item, _Array):
                return self.build(item)
            if isinstance(item, _StandIn):
                raise _RefusedError(item.name if isinstance(item, _Name) else "numpy.dtype itself")
            if type(item) not in (dict, list, tuple):
                return item
            if id(item) not in seen and isinstance(item, tuple):
                seen[id(item)] = (item, _PENDING)
                seen[id(item)] = (item, tuple(map(finished, item)))
            elif id(item) not in seen:
                seen[id(item)] = (item, item)
                for key in list(item) if isinstance(item, dict) else range(len(item)):
                    item[key] = finished(item[key])
            after = seen[id(item)][1]
            if after is _PENDING:
                raise ValueError("a tuple that contains itself")
            return after

        return finished(value)


def _weighing(load: Callable[[_Reader], None], which: slice) -> Callable[[_Reader], None]:
    def weighed(reader: _Reader) -> None:
        for key in reader.stack[which]:
            reader.weigh(key)
        load(reader)

    return weighed


for _opcode, _which in (  # where on the stack the keys lie
    (pickle.SETITEM, slice(-2, -1)), (pickle.SETITEMS, slice(0, None, 2)), (pickle.DICT, slice(0, None, 2)),
    (pickle.ADDITEMS, slice(None)), (pickle.FROZENSET, slice(None)),
):  # fmt: skip
    _Reader.dispatch[_opcode[0]] = _weighing(_Reader.dispatch[_opcode[0]], _which)

_KNOWN = {  # global name → the method that stands in
    "numpy.ndarray": "ndarray",
    "numpy.dtype": "dtype",
    "_operator.getitem": "getitem",
    "_codecs.encode": "latin1",
}
for _core in ("numpy.core", "numpy._core"):  # NumPy 1 and 2
    _KNOWN |= {f"{_core}.multiarray._reconstruct": "reconstruct", f"{_core}.multiarray.scalar": "scalar"}
    _KNOWN |= {f"{_core}.numeric._frombuffer": "frombuffer"}
for _builtins in ("__builtin__", "builtins"):  # Python 2 and 3
    _KNOWN |= {f"{_builtins}.{_name}": f"{_name}_" for _name in ("bytearray", "bytes", "complex", "frozenset", "set")}
