"""What stands for the names in a pickle: calls that check what they are given and what it takes, and run no code."""

import copy
import datetime
import re
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from flylab.compat.view import ObjectView

PLAIN = "biufcSUmM"  # kinds of arrays: booleans, numbers, text, times
_UNITS = ("generic", "Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as")
_DTYPE = re.compile(rf"[<>|=]?([biufcSU][1-9]\d{{0,8}}|[mM]8(\[\d{{0,9}}({'|'.join(_UNITS)})\])?)")
_FACTORIES = {kind.__name__: kind for kind in (list, dict, set, int, float, str, bool, tuple)}  # of a defaultdict
_FACTORIES |= {"long": int, "unicode": str}  # Python 2
_TIMES = (datetime.datetime, datetime.date, datetime.time, datetime.timedelta, datetime.timezone)
_MOST_PARTS = 1000  # of a key: Python hashes shared parts again and again, and deep ones without a limit
_ENTRY = 100  # bytes that an element of a set takes

Spend = Callable[[int], None]  # counts bytes that are about to be allocated, and raises if they are too many


class UnpicklableError(Exception):
    """Names the object that a pickle asks for and does not get."""


def check_keys(keys: Iterable[Any]) -> None:
    """Check that keys have few parts, counting shared ones as often as they occur.

    Raises:
        ValueError: if one has many.
    """
    for key in keys:
        n_parts, parts = 0, [key]
        while parts:
            part = parts.pop()
            if isinstance(part, tuple | frozenset):
                parts.extend(part)
            n_parts += 1
            if n_parts + len(parts) > _MOST_PARTS:
                raise ValueError(f"a key has more than {_MOST_PARTS} parts")


class StandIn:
    """Stands for a global name; `copy.deepcopy` puts what it stands for in its place. Unhashable, as arrays are."""

    __hash__: Any = None

    def __init__(self, name: str, spend: Spend) -> None:
        self.name, self._spend = name, spend

    @property
    def is_view(self) -> bool:
        """Whether this is the reference package's class `ObjectView`, which moved between its modules."""
        return self.name.endswith(".ObjectView")

    def __call__(self, *args: Any) -> Any:
        """Return what the named function would, or something that stands for it."""
        if self.name not in _CALLS:
            raise UnpicklableError(f"{self.name}()")
        return _CALLS[self.name](self._spend, *args)

    def __setstate__(self, state: Any) -> None:
        raise UnpicklableError(f"{self.name} with a state")

    def __deepcopy__(self, memo: Any) -> Any:
        raise UnpicklableError(f"{self.name} itself")


class _DType(StandIn):
    def __init__(self, spend: Spend, text: Any, *_: Any) -> None:
        text = text.decode("latin1") if isinstance(text, bytes) else text
        if not isinstance(text, str) or not _DTYPE.fullmatch(text):
            raise UnpicklableError(f"numpy.dtype({text[:50]!r})" if isinstance(text, str) else "numpy.dtype of no text")
        super().__init__("numpy.dtype", spend)
        self.dtype = np.dtype(text)

    def __setstate__(self, state: Any) -> None:
        _, order, *parts = state
        if len(parts) == 7 and self.dtype.kind in "mM":
            nothing, (unit, number, *_) = parts.pop()
            unit = unit.decode() if isinstance(unit, bytes) else unit
            if nothing or unit not in _UNITS or type(number) is not int or not 0 < number < 10**9:
                raise UnpicklableError("a numpy.dtype of unknown times")
            self.dtype = np.dtype(self.dtype.str[:3] + (f"[{number}{unit}]" if unit != "generic" else ""))
        if len(parts) != 6 or parts[:3] != [None, None, None]:
            raise UnpicklableError("a numpy.dtype with parts, fields or metadata")
        if order not in ("<", ">", "|", "="):
            raise ValueError("a byte order that there is not")
        self.dtype = self.dtype.newbyteorder(order)


class _Array(StandIn):
    def __init__(self, spend: Spend, *parts: Any) -> None:
        super().__init__("an array", spend)
        self.parts: tuple[Any, ...] = parts  # shape, dtype, bytes, and optionally order and axes

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, is_fortran, data = state
        self.parts = shape, dtype, data, "F" if is_fortran else "C"

    def __deepcopy__(self, memo: Any) -> np.ndarray:
        shape, dtype, data = self.parts[:3]
        order, *axes = self.parts[3:] or "C"
        if not isinstance(shape, tuple | list):
            raise TypeError("a shape that is no tuple")
        dtype = (dtype if isinstance(dtype, _DType) else _DType(self._spend, dtype)).dtype
        data = _bytes(self._spend, data)
        self._spend(len(data))
        flat = np.frombuffer(data, np.uint8) != 0 if dtype.kind == "b" else np.frombuffer(data, dtype)
        array: Any = flat.reshape(tuple(shape), order="F" if order == "F" else "C")
        return np.array(array.transpose(*axes) if axes else array, order="C")


class View(StandIn):
    """Stands for an `ObjectView`."""

    def __init__(self, spend: Spend) -> None:
        super().__init__("an ObjectView", spend)
        self._state: dict[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        if type(state) is not dict or not all(type(name) is str for name in state):
            raise TypeError("a view of something other than a dictionary")
        self._state = state

    def __deepcopy__(self, memo: Any) -> ObjectView:
        view = memo[id(self)] = ObjectView({})  # its items may refer to it
        vars(view).update(copy.deepcopy(self._state, memo))
        return view


def _bytes(spend: Spend, data: Any = b"", encoding: str = "latin1") -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise ValueError("bytes in another encoding than latin1")
    spend(len(data))
    return data.encode("latin1") if isinstance(data, str) else bytes(memoryview(data))  # bytes(number) would allocate


def _scalar(spend: Spend, array: Any, index: Any = ()) -> Any:
    if not (isinstance(array, _Array) and array.parts[:1] == ((),) and index == ()):
        raise UnpicklableError("_operator.getitem of something other than a scalar")
    return array.__deepcopy__({})[()]


def _set(kind: type) -> Callable[..., Any]:
    def make(spend: Spend, elements: Any = ()) -> Any:
        if not isinstance(elements, list | tuple | set | frozenset):
            raise TypeError("a set of something other than a list")
        spend(_ENTRY * len(elements))
        check_keys(elements)
        return kind(elements)

    return make


def _of_numbers(kind: type, types: tuple[type, ...]) -> Callable[..., Any]:
    def make(spend: Spend, *args: Any) -> Any:
        if not all(type(arg) in types for arg in args):
            raise TypeError(f"{kind.__name__} of something else")
        return kind(*args)

    return make


def _ordered(spend: Spend, pairs: Any = ()) -> OrderedDict:
    if not isinstance(pairs, list | tuple):
        raise TypeError("an OrderedDict of something other than pairs")
    spend(_ENTRY * len(pairs))
    check_keys(key for key, _ in pairs)
    return OrderedDict((key, value) for key, value in pairs)


def _default(spend: Spend, factory: Any = None) -> defaultdict:
    if factory is None:
        return defaultdict(None)
    name = factory.name.rpartition(".")[2] if isinstance(factory, StandIn) else ""
    if name not in _FACTORIES:
        raise UnpicklableError("collections.defaultdict with a function")
    return defaultdict(_FACTORIES[name])


def _object(spend: Spend, kind: Any, base: Any, state: Any) -> View:
    if not (isinstance(kind, StandIn) and kind.is_view and state is None):
        raise UnpicklableError("copyreg._reconstructor of another class")
    return View(spend)


_CALLS: dict[str, Callable[..., Any]] = {
    "numpy.ndarray": _Array, "numpy.dtype": _DType, "_operator.getitem": _scalar, "_codecs.encode": _bytes,
    "collections.OrderedDict": _ordered, "collections.defaultdict": _default,
}  # fmt: skip
for _core in ("numpy.core", "numpy._core"):  # NumPy 1 and 2
    _CALLS[f"{_core}.multiarray._reconstruct"] = lambda spend, *_: _Array(spend)  # its state follows
    _CALLS[f"{_core}.multiarray.scalar"] = lambda spend, dtype, data: _scalar(spend, _Array(spend, (), dtype, data))
    _CALLS[f"{_core}.numeric._frombuffer"] = lambda spend, data, dtype, shape, *order: _Array(
        spend, shape, dtype, data, *order
    )
for _builtins in ("__builtin__", "builtins"):  # Python 2 and 3
    _CALLS |= {f"{_builtins}.{kind.__name__}": _set(kind) for kind in (frozenset, set)}
    _CALLS |= {f"{_builtins}.bytes": _bytes, f"{_builtins}.bytearray": lambda *args: bytearray(_bytes(*args))}
    _CALLS[f"{_builtins}.complex"] = _of_numbers(complex, (int, float))
    _CALLS |= {f"{_builtins}.{name}": _of_numbers(range, (int,)) for name in ("range", "xrange")}
for _copyreg in ("copy_reg", "copyreg"):
    _CALLS[f"{_copyreg}._reconstructor"] = _object
_CALLS |= {f"datetime.{kind.__name__}": _of_numbers(kind, (int, str, bytes, *_TIMES)) for kind in _TIMES}
# names that only stand as values in the calls above
_VALUES = {f"{module}.{name}" for module in ("__builtin__", "builtins") for name in (*_FACTORIES, "object")}


def stand_in(name: str, spend: Spend) -> StandIn:
    """Return what stands for a global name.

    Args:
        name: the name, with its module.
        spend: counts the bytes that calls allocate.

    Raises:
        UnpicklableError: if pickles of data need no such name.
    """
    found = StandIn(name, spend)
    if name not in _CALLS and name not in _VALUES and not found.is_view:
        raise UnpicklableError(name)
    return found
