"""The fingerprint of all that determines a result beside its protocol, condition and seed: code, versions, settings.

Sound before fine: flylab's computing folders count whole, and so do the modules that training can reach by import
(`runs/reach.py`), of a study's file all but its presentation (`runs/counted.py`). Docstrings and comments do not. What
cannot be read is an error, never nothing.
"""

import dataclasses
import functools
import hashlib
import json
import os
import platform
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

from flylab.base.config import to_json
from flylab.models.registry import others_models
from flylab.runs.reach import ALL, Reached, Root, UnhashableError, reach

_VERSIONED = ("jax", "jaxlib", "numpy", "scipy", "scikit-learn", "optax")  # on whose arithmetic all results depend
_HOLDING = ("matplotlib", "xarray", "msgspec", "jaxtyping", "beartype", "markupsafe")  # they compute nothing


def code_fingerprint(code: Callable | types.ModuleType, condition: Any = None, protocol: Any = None) -> str:
    """Return a digest of the code that can determine what a function returns.

    Args:
        code: the function, a study's `run` for example, or a module, all of which counts. Values that a closure holds
            count, too; one with a method `__fingerprint__` says by its text what determines it, or by None that
            nothing does.
        condition: the condition that it will be called with.
        protocol: the protocol that it will be called with. Models of other packages that either of them names count.

    Raises:
        UnhashableError: if `code` is neither, or it or a value that it holds cannot be read.
    """
    held, reached = _gathered(code, condition, protocol)
    packages = sorted(reached.packages - {*_VERSIONED, *_HOLDING, "sklearn"})
    texts = [reached.digest, *held.texts, *(f"{name} {_version(name)}" for name in packages)]
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:12]


def reached_by(code: Callable | types.ModuleType, condition: Any = None, protocol: Any = None) -> Reached:
    """Return the modules that count for a function, as `code_fingerprint` does.

    Raises:
        UnhashableError: as `code_fingerprint` does.
    """
    return _gathered(code, condition, protocol)[1]


def texts_in(*values: Any) -> frozenset[str]:
    """Return all text in conditions and protocols: what a fingerprint depends on of them, as it may name models."""
    texts, stack = set(), list(values)
    while stack:
        value = stack.pop()
        if isinstance(value, str):
            texts.add(value)
        elif isinstance(value, Mapping):
            stack.extend(value.values())
        elif isinstance(value, tuple | list):
            stack.extend(value)
        elif dataclasses.is_dataclass(value):
            stack.extend(getattr(value, field.name) for field in dataclasses.fields(value))
    return frozenset(texts)


def _gathered(code: Any, condition: Any, protocol: Any) -> tuple["_Held", Reached]:
    """Return what some code holds, the models of other packages that it may use among it, and what all that reaches."""
    if isinstance(code, functools.partial) or not (callable(code) or isinstance(code, types.ModuleType)):
        raise UnhashableError(f"{code!r} has no fingerprint: give a function defined by def in a file")
    held, others = _Held(), others_models()
    held.take(code)
    reached = reach(held.roots)
    if named := others.keys() & (reached.texts | texts_in(condition, protocol)):
        for name in sorted(named):
            held.take_all(f"model {name}", [others[name]])
        reached = reach(held.roots)
    return held, reached


class _Held:
    """The modules of the functions and classes in some values, and the rest of them as text."""

    def __init__(self) -> None:
        self.roots: set[Root] = set()
        self.texts: list[str] = []
        self._seen: dict[int, Any] = {}

    def take(self, value: Any) -> None:
        if isinstance(value, str | int | float | bool | None):
            self.texts.append(f"{type(value).__name__} {value!r}")
        elif id(value) in self._seen:
            self.texts.append(f"again {list(self._seen).index(id(value))}")
        else:
            self._seen[id(value)] = value
            self._take_new(value)

    def take_all(self, kind: str, values: Iterable[Any]) -> None:
        values = list(values)
        self.texts.append(f"{kind} of {len(values)}")
        for value in values:
            self.take(value)

    def _take_new(self, value: Any) -> None:
        kind = type(value)
        if (own := getattr(kind, "__fingerprint__", None)) is not None:
            if not isinstance(text := own(value), str):
                raise UnhashableError(f"nobody knows what determines {_short(value)}")
            self.texts.append(text)
        elif isinstance(value, types.FunctionType):
            self._take_function(value)
        elif isinstance(value, types.MethodType):
            self.take_all(value.__name__, [value.__self__, value.__func__])
        elif isinstance(value, type):
            self._root(vars(sys.modules.get(value.__module__, types)), value.__qualname__)
        elif isinstance(value, types.ModuleType):
            self._root(vars(value))
        elif isinstance(inner := getattr(value, "__wrapped__", None), types.FunctionType):
            self.take_all(kind.__qualname__, [inner])  # functools.cache, jax.jit
        elif dataclasses.is_dataclass(value):
            self.take_all("dataclass", [kind, *(getattr(value, field.name) for field in dataclasses.fields(value))])
        elif isinstance(value, tuple | list):
            self.take_all(kind.__name__, [*([kind] if hasattr(value, "_fields") else ()), *value])
        elif isinstance(value, dict):
            self.take_all("dict", [part for item in value.items() for part in item])
        else:
            try:
                self.texts.append(f"{kind.__qualname__} {getattr(value, 'dtype', '')} {to_json(value)}")
            except (TypeError, ValueError):
                raise UnhashableError(f"{_short(value)} has no fingerprint: nobody knows what it holds") from None

    def _take_function(self, function: types.FunctionType) -> None:
        path = self._root(function.__globals__, function.__qualname__)
        if _real(function.__code__.co_filename) != path:
            raise UnhashableError(f"{function.__qualname__} has no source: define it in a file")
        held: list[Any] = [*_code_of(function.__code__)]
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                held += [name, cell.cell_contents]
            except ValueError:
                raise UnhashableError(f"{_short(function)} holds {name!r} before it is set") from None
        is_ours = str(function.__globals__.get("__name__")).startswith("flylab.")
        if "<locals>" in function.__qualname__ or not is_ours:  # or else they stand in the file
            held += [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).items()]
        if not is_ours:  # a script may have rebound what it reads
            values = ((name, function.__globals__.get(name)) for name in sorted(_names(function.__code__)))
            held += [part for item in values if isinstance(item[1], str | int | float) for part in item]
            held += [part for item in sorted(vars(function).items()) if item[0] != "__wrapped__" for part in item]
        self.take_all("function", held)

    def _root(self, names: Mapping[str, Any], qualname: str = ALL) -> str:
        """Add the module that has these global names, a script by its file's name, and return its file."""
        name, file = names.get("__name__"), names.get("__file__")
        if not isinstance(name, str) or not isinstance(file, str) or not os.path.isfile(_real(file)):
            raise UnhashableError(f"the code of {name} is in no file, so it has no fingerprint: write it to one")
        if name == "__main__":
            spec = names.get("__spec__")
            name = Path(file).stem if spec is None else spec.name.removesuffix(".__main__")
        self.roots.add(Root(name, _real(file), qualname.partition(".")[0]))
        self.texts.append(f"{name}.{qualname}")
        return _real(file)


def _code_of(code: types.CodeType) -> list[str]:
    """Return a function's bytecode and constants as text: of two functions of one name, they tell which it is."""
    is_function = code.co_name == "<lambda>" or not code.co_name.startswith("<")
    constants = code.co_consts[is_function:]  # a function's first is its docstring or None
    inner = [text for part in constants if isinstance(part, types.CodeType) for text in _code_of(part)]
    plain = [repr(part) for part in constants if not isinstance(part, types.CodeType)]
    return [code.co_code.hex(), *code.co_names, *code.co_varnames, *plain, *inner]


def _names(code: types.CodeType) -> set[str]:
    """Return the global names that a function may read."""
    return {*code.co_names}.union(*(_names(part) for part in code.co_consts if isinstance(part, types.CodeType)))


_real = functools.cache(os.path.realpath)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 80 else f"a value of type {type(value).__qualname__}"


@functools.cache
def _version(package: str) -> str:
    """Return the version of what is imported by a name, or "none" if it is not installed."""
    for name in (package, *packages_distributions().get(package, ())):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "none"


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages on whose arithmetic results depend."""
    return {"python": platform.python_version(), **{name: _version(name) for name in _VERSIONED}}
