"""The fingerprint of all that determines a result beside its protocol, condition and seed: code, versions, settings.

Sound before fine: flylab's computing folders count whole, and so do the modules that training can reach by import
(`runs/reach.py`), of a study's file all but its presentation (`runs/counted.py`). Docstrings and comments do not. What
cannot be read is an error, never nothing.
"""

import dataclasses
import functools
import hashlib
import json
import platform
import sys
import types
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from typing import Any

from flylab.models.registry import others_models
from flylab.runs.held import Held
from flylab.runs.reach import Reached, UnhashableError, reach

_VERSIONED = ("jax", "jaxlib", "numpy", "scipy", "scikit-learn", "optax")  # on whose arithmetic all results depend
_HOLDING = ("matplotlib", "xarray", "msgspec", "jaxtyping", "beartype", "markupsafe")  # they compute nothing


def code_fingerprint(code: Callable | types.ModuleType, condition: Any = None, protocol: Any = None) -> str:
    """Return a digest of the code that can determine what a function returns.

    Args:
        code: the function, a study's `run` for example, or a module, all of which counts. Values that it holds or reads
            count, too (`runs/held.py`); one with a method `__fingerprint__` says by its text what determines it, or by
            None that nothing does. A module counts as its file has it.
        condition: the condition that it will be called with.
        protocol: the protocol that it will be called with. Models of other packages that either of them names count.

    Raises:
        UnhashableError: if `code` is neither, or it or a value that it holds cannot be read.
    """
    held, reached = gathered(code, condition, protocol)
    named = {*_VERSIONED, *_HOLDING, "sklearn", *sys.stdlib_module_names}
    packages = sorted((reached.packages | held.packages) - named)
    texts = [reached.digest, *held.texts, *(f"{name} {_version(name)}" for name in packages)]
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:12]


def reached_by(code: Callable | types.ModuleType, condition: Any = None, protocol: Any = None) -> Reached:
    """Return the modules that count for a function, as `code_fingerprint` does.

    Raises:
        UnhashableError: as `code_fingerprint` does.
    """
    return gathered(code, condition, protocol)[1]


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


def gathered(code: Any, condition: Any = None, protocol: Any = None) -> tuple[Held, Reached]:
    """Return what some code holds, the models of other packages that it may use among it, and what all that reaches.

    Raises:
        UnhashableError: as `code_fingerprint` does.
    """
    held, others = Held([_top(code)]), others_models()
    try:
        if isinstance(code, types.ModuleType):  # its file says what its values are
            held.whole.add(held.root(vars(code)))
        else:
            held.take(code)
        if not held.roots or isinstance(code, functools.partial):
            raise UnhashableError(f"{code!r} has no fingerprint: give a function defined by def in a file")
        reached = reach(held.roots)
        if named := others.keys() & (reached.texts | texts_in(condition, protocol)):
            for name in sorted(named):
                held.own.add(_top(others[name]))
                held.take_all(f"model {name}", [others[name]])
            reached = reach(held.roots)
    except RecursionError as error:
        raise UnhashableError(f"{code!r} has no fingerprint: it holds too much") from error
    return held, reached


def _top(code: Any) -> str:
    """Return the package of a function or a module."""
    return str(code.__name__ if isinstance(code, types.ModuleType) else code.__module__).partition(".")[0]


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
