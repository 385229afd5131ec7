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
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from flylab.base.bounds import check_memory
from flylab.base.files import read_bytes, user_path, write_atomic
from flylab.compat.standins import PLAIN, Spend, StandIn, UnpicklableError, View, check_keys, stand_in

_EXTERNAL = ("EXT1", "EXT2", "EXT4", "PERSID", "BINPERSID")  # objects that find_class is not asked for
_CONTAINERS = {"EMPTY_LIST", "LIST", "EMPTY_DICT", "DICT", "EMPTY_SET", "FROZENSET", "BYTEARRAY8", "REDUCE", "NEWOBJ",
               "INST", "OBJ"}  # fmt: skip
_CONTAINER, _TUPLE, _ELEMENT = 300, 64, 16  # bytes that a container and its copy take, a tuple, and a place in one


class UnsafePickleError(pickle.UnpicklingError, ValueError):
    """A pickle asks for an object other than arrays and Python's own containers and scalars."""


class UnreadablePickleError(pickle.UnpicklingError, ValueError):
    """A file is truncated, damaged or no pickle at all."""


def load(path: str | os.PathLike[str]) -> Any:
    """Read a pickle file by `loads`; raise FileNotFoundError if there is none."""
    return loads(read_bytes(user_path(path)), str(path))


def load_trusted(path: str | os.PathLike[str]) -> Any:
    """Read a pickle file as Python does, which runs whatever code it asks for."""
    return pickle.loads(read_bytes(user_path(path)), encoding="latin1")


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
    spent = 0

    def spend(n_bytes: int) -> None:
        nonlocal spent
        spent += n_bytes
        check_memory(spent, len(content))

    try:
        for opcode, argument, _ in pickletools.genops(content):  # raises if the file is shorter than it claims
            if opcode.name in _EXTERNAL:
                raise UnpicklableError(f"an object that only {opcode.name} {str(argument)[:50]!r} names")
            if opcode.name in ("PUT", "LONG_BINPUT", "FRAME") and (argument or 0) > len(content):
                raise ValueError("a number is larger than the file")
            is_tuple = opcode.name.startswith("TUPLE")
            spend(_CONTAINER if opcode.name in _CONTAINERS else _TUPLE if is_tuple else _ELEMENT)
        return copy.deepcopy(_Unpickler(content, spend).load())
    except UnpicklableError as refused:
        raise UnsafePickleError(
            f"{name} asks for {str(refused)[:200]}, which was not run: only NumPy arrays of numbers or text and "
            "Python's own containers and scalars are read; if you trust its source, read it with "
            "from_pickle(path, trusted=True)"
        ) from None
    except Exception as error:  # on garbage pickle raises nearly every kind
        reason = error.args[0] if error.args and isinstance(error.args[0], str) else "damaged"  # never a value's repr
        raise UnreadablePickleError(
            f"{name} cannot be read as a pickle ({type(error).__name__}: {reason[:200]}): it is truncated, damaged "
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
    target = Path(os.path.realpath(user_path(path)))
    if target.exists() and not target.is_file() and not target.is_dir():  # os.replace would replace /dev/null by a file
        target.write_bytes(content.encode() if isinstance(content, str) else content)
    else:
        write_atomic(target, content)


class _Pickler(pickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:
        dtype = getattr(obj, "dtype", None)
        if not isinstance(dtype, np.dtype) or dtype.kind not in PLAIN or dtype.itemsize == 0 or dtype.metadata:
            return NotImplemented
        if type(obj) is np.ndarray:
            return np.ndarray, (obj.shape, dtype.str, bytearray(obj.tobytes()))  # writable when loaded
        return (operator.getitem, (np.asarray(obj), ())) if type(obj) is dtype.type else NotImplemented


def _checking(check: Callable[[list[Any]], None], load: Callable[..., None]) -> Callable[..., None]:
    def checked(self: "_Unpickler") -> None:
        check(self.stack)
        load(self)

    return checked


def _check_state(stack: list[Any]) -> None:
    if not isinstance(stack[-2], StandIn):
        raise UnpicklableError(f"a {type(stack[-2]).__name__} with a state")


class _Unpickler(pickle._Unpickler):
    """Python's own unpickler in Python, which checks keys before they are hashed, and gives stand-ins for names."""

    stack: list[Any]  # objects since the last mark
    dispatch: ClassVar[dict[int, Callable[..., None]]] = dict(pickle._Unpickler.dispatch)

    def __init__(self, content: bytes, spend: Spend) -> None:
        super().__init__(io.BytesIO(content), encoding="latin1")  # Python 2's bytes are latin1
        self._spend = spend

    def find_class(self, module: str, name: str) -> StandIn:
        full_name = f"{module}.{name}"
        if not all(part.isidentifier() for part in full_name.split(".")):
            raise ValueError("a name that is none")  # text that begins with "c" reads as a name
        return stand_in(full_name, self._spend)

    def _make_view(self) -> None:
        args, kind = self.stack.pop(), self.stack.pop()
        if not (isinstance(kind, StandIn) and kind.is_view and args == ()):
            raise UnpicklableError(kind.name if isinstance(kind, StandIn) else "an object of no class")
        self.stack.append(View(self._spend))

    dispatch[pickle.NEWOBJ[0]] = _make_view
    for _code, _check in (
        (pickle.BUILD, _check_state), (pickle.SETITEM, lambda stack: check_keys(stack[-2:-1])),
        (pickle.SETITEMS, lambda stack: check_keys(stack[::2])), (pickle.DICT, lambda stack: check_keys(stack[::2])),
        (pickle.ADDITEMS, check_keys), (pickle.FROZENSET, check_keys),
    ):  # fmt: skip
        dispatch[_code[0]] = _checking(_check, dispatch[_code[0]])
