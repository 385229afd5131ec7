"""The fingerprint of all that determines a result beside its protocol, condition and seed: code, versions, settings.

Sound before fine: what training can reach by import counts as whole modules (`runs/reach.py`), their docstrings and
comments left out. Of a study's own file everything counts but what only claims, tables and figures reach
(`runs/counted.py`). What cannot be read is an error, never nothing.
"""

import dataclasses
import functools
import hashlib
import inspect
import json
import os
import platform
import sys
import types
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

import jax

from flylab.base.config import to_json
from flylab.models.registry import others_models
from flylab.runs.reach import Reached, Root, UnhashableError, reach

COMPUTING = ("jax", "jaxlib", "numpy", "scipy", "scikit-learn", "optax")
_OPTIONAL = ("torch", "equinox")  # they compute where flylab's own code reaches them
_HOLDING = ("matplotlib", "xarray", "msgspec", "jaxtyping", "beartype")  # they hold, check and draw what others compute
_SETTINGS = (
    "jax_enable_x64", "jax_default_prng_impl", "jax_enable_custom_prng", "jax_threefry_partitionable",
    "jax_threefry_gpu_kernel_lowering", "jax_random_seed_offset", "jax_default_matmul_precision",
    "jax_numpy_dtype_promotion", "jax_default_dtype_bits", "jax_explicit_x64_dtypes", "jax_allow_f16_reductions",
    "jax_high_dynamic_range_gumbel", "jax_softmax_custom_jvp", "jax_disable_jit", "jax_disable_most_optimizations",
    "jax_optimization_level", "jax_exec_time_optimization_effort", "jax_memory_fitting_effort",
    "jax_memory_fitting_level", "jax_compiler_enable_remat_pass",
)  # fmt: skip
_VARIABLES = ("XLA_FLAGS", "LIBTPU_INIT_ARGS", "NVIDIA_TF32_OVERRIDE")
_HARMLESS = ("--xla_force_host_platform_device_count", "--xla_dump_")  # results do not depend on the number of devices


def code_fingerprint(
    function: Callable,
    condition: Mapping[str, Any] | None = None,
    protocol: Any = None,
    length: int = 12,
) -> str:
    """Return the first hexadecimal digits of a SHA-256 of the code that `function` can reach.

    Args:
        function: the function to start from, a study's `run` for example. Values that a closure holds count, too; one
            with a method `__fingerprint__` says by its text what determines it, or by None that nothing does.
        condition: the condition that it will be called with.
        protocol: the protocol that it will be called with. Models of other packages that either of them names count.
        length: number of digits.

    Raises:
        UnhashableError: if `function` is no function, or it or a value that it holds cannot be read.
    """
    taken = _taken(function)
    reached = reached_by(function, condition, protocol)
    return _digest(
        [reached.digest, *taken.texts, *_models_texts(reached, condition, protocol), *_packages(reached)], length
    )


def module_fingerprint(module: types.ModuleType, length: int = 64) -> str:
    """Return the first hexadecimal digits of a SHA-256 of a whole module and of all code that it can reach.

    Raises:
        UnhashableError: if a module cannot be read.
    """
    reached = reach([Root(*_place(vars(module)))])
    return _digest([reached.digest, *_packages(reached)], length)


def reached_by(function: Callable, condition: Mapping[str, Any] | None = None, protocol: Any = None) -> Reached:
    """Return the modules that count for a function, as `code_fingerprint` does.

    Raises:
        UnhashableError: as `code_fingerprint` does.
    """
    roots = _taken(function).roots
    reached = reach(roots)
    builds = _models(reached, condition, protocol)
    return reach(roots.union(*(_taken(build).roots for build in builds.values()))) if builds else reached


def _models(reached: Reached, condition: Any, protocol: Any) -> dict[str, Callable]:
    """Return the models of other packages that the condition, the protocol or code outside flylab names."""
    others = others_models()
    named = reached.texts | texts_in(condition, protocol) if others else ()
    return {name: others[name] for name in sorted(others) if name in named}


def _models_texts(reached: Reached, condition: Any, protocol: Any) -> list[str]:
    models = _models(reached, condition, protocol)
    return [text for name, build in models.items() for text in (f"model {name}", *_taken(build).texts)]


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


def _digest(texts: list[str], length: int) -> str:
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:length]


def _taken(function: Any) -> "_Taken":
    """Return the modules of a function and of all functions that it holds, and its values as text."""
    if isinstance(function, functools.partial) or not callable(function):
        raise UnhashableError(f"{function!r} has no fingerprint: give a function defined by def in a file")
    taken = _Taken()
    taken.take(function)
    return taken


class _Taken:
    def __init__(self) -> None:
        self.roots: frozenset[Root] = frozenset()
        self.texts: list[str] = []
        self._seen: dict[int, Any] = {}

    def take(self, value: Any) -> None:
        """Add the modules of the functions and classes in a value, and the rest of it as text."""
        if id(value) in self._seen:
            self.texts.append(f"again {list(self._seen).index(id(value))}")
            return
        if isinstance(value, str | int | float | bool | None):
            self.texts.append(f"{type(value).__name__} {value!r}")
            return
        self._seen[id(value)] = value
        if (own := getattr(type(value), "__fingerprint__", None)) is not None:
            if not isinstance(text := own(value), str):
                raise UnhashableError(f"nobody knows what determines {_short(value)}")
            self.texts.append(text)
        elif isinstance(value, types.FunctionType):
            self._take_function(value)
        elif isinstance(value, types.MethodType):
            self._take_all(value.__name__, [value.__self__, value.__func__])
        elif isinstance(value, type):
            self._root(vars(sys.modules.get(value.__module__, types)), value.__qualname__, _file_of(value))
        elif isinstance(value, types.ModuleType):
            self.roots |= {Root(*_place(vars(value)))}
        elif isinstance(inner := getattr(value, "__wrapped__", None), types.FunctionType):
            self._take_all(type(value).__qualname__, [inner])  # functools.cache, jax.jit
        elif dataclasses.is_dataclass(value):
            fields = [getattr(value, field.name) for field in dataclasses.fields(value)]
            self._take_all("dataclass", [type(value), *fields])
        elif isinstance(value, tuple | list):
            self._take_all(type(value).__name__, [*([type(value)] if hasattr(value, "_fields") else ()), *value])
        elif isinstance(value, dict):
            self._take_all("dict", [part for item in value.items() for part in item])
        else:
            try:
                self.texts.append(f"{type(value).__qualname__} {getattr(value, 'dtype', '')} {to_json(value)}")
            except (TypeError, ValueError):
                raise UnhashableError(f"{_short(value)} has no fingerprint: nobody knows what it holds") from None

    def _take_all(self, kind: str, values: list[Any]) -> None:
        self.texts.append(f"{kind} of {len(values)}")
        for value in values:
            self.take(value)

    def _take_function(self, function: types.FunctionType) -> None:
        self._root(function.__globals__, function.__qualname__, function.__code__.co_filename)
        held: list[Any] = []
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                held += [name, cell.cell_contents]
            except ValueError:
                raise UnhashableError(f"{_short(function)} holds {name!r} before it is set") from None
        if "<locals>" in function.__qualname__:  # or else the defaults stand in the file
            held += [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).items()]
        self._take_all(function.__qualname__, held)

    def _root(self, names: Mapping[str, Any], qualname: str, file: str) -> None:
        module, path = _place(names)
        if os.path.realpath(file) != path:
            raise UnhashableError(f"{module}.{qualname} has no source: define it in a file")
        self.roots |= {Root(module, path, qualname.partition(".")[0])}


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 80 else f"a value of type {type(value).__qualname__}"


def _file_of(kind: type) -> str:
    try:
        return inspect.getsourcefile(kind) or ""
    except TypeError:
        return ""


def _place(names: Mapping[str, Any]) -> tuple[str, str]:
    """Return the name and the file of the module that has these global names; a script is named by its file."""
    name, file = names.get("__name__"), names.get("__file__")
    if not isinstance(name, str) or not isinstance(file, str) or not os.path.isfile(file):
        raise UnhashableError(f"the code of {name} is in no file, so it has no fingerprint: write it to one")
    if name == "__main__":
        spec = names.get("__spec__")
        name = spec.name.removesuffix(".__main__") if spec is not None else Path(file).stem
    return name, os.path.realpath(file)


def _packages(reached: Reached) -> list[str]:
    """Return the versions of the other packages that compute for code outside flylab, or are optional in flylab."""
    by_flylab, by_others = reached.packages
    names = (by_others | by_flylab.intersection(_OPTIONAL)) - {*COMPUTING, *_HOLDING, "sklearn"}
    return [f"{name} {_version(name)}" for name in sorted(names)]


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
    return {"python": platform.python_version(), **{name: _version(name) for name in COMPUTING}}


def settings() -> dict[str, str]:
    """Return the settings of JAX and XLA that change results, as they are now."""
    values = {name: str(getattr(jax.config, name)) for name in _SETTINGS if hasattr(jax.config, name)}
    for name in _VARIABLES:
        flags = [flag for flag in os.environ.get(name, "").split() if not flag.startswith(_HARMLESS)]
        values[name] = " ".join(flags)
    return values
