"""The values that code holds, as text: what its closures, defaults, globals, classes and instances are in this process.

A file does not say that: a script may have set or changed what the file has defined. Libraries are known by their names
and versions. A value of which not all memory can be read is an error, never nothing.
"""

import collections
import copyreg
import dataclasses
import functools
import os
import sys
import sysconfig
import types
from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from flylab.runs.reach import ALL, LIBRARIES, Root, UnhashableError
from flylab.runs.values import code_of, flat, names_in, parts_of, short

_PLAIN = (type(None), bool, int, float, complex, str, bytes)
_BY_REPR = {*_PLAIN, type(...), range, Fraction, Decimal, PurePosixPath, PureWindowsPath, type(Path())}
_BASES: tuple[Any, ...] = (
    list,
    tuple,
    dict,
    set,
    frozenset,
    *_PLAIN[2:],
    object,
)  # on which classes in Python are built
_STANDARD = f"{os.path.realpath(sysconfig.get_path('stdlib'))}{os.sep}"
_INSTALLED = {"site-packages", "dist-packages"}
_DISPATCHER = functools.singledispatch(repr).__code__  # type: ignore[attr-defined]
_MANAGED = 1 << 4  # the flag of classes whose instances have their dictionary before their memory
# what Python itself notes in classes: nothing of it is set by users, or else it follows from the file
_NOTED = {"__module__", "__qualname__", "__doc__", "__dict__", "__weakref__", "__annotations__", "__slots__",
          "__slotnames__", "__match_args__", "__firstlineno__", "__static_attributes__", "__abstractmethods__",
          "_abc_impl", "__parameters__", "__orig_bases__", "__dataclass_fields__", "__dataclass_params__", "_fields",
          "_field_defaults", "__annotate_func__", "__annotations_cache__"}  # fmt: skip
_real = functools.cache(os.path.realpath)


class Held:
    """The modules of the functions and classes in some values, and the rest of them as text.

    Args:
        own: packages that count by their source and their values even if they are installed.

    Attributes:
        roots: the modules.
        texts: the rest.
        packages: packages that count by their versions.
        starts: the lines where functions begin that are among the values, by file.
        whole: files of modules that are among the values.
    """

    def __init__(self, own: Iterable[str]) -> None:
        self.own = {"flylab", *own}
        self.roots: set[Root] = set()
        self.texts: list[str] = []
        self.packages: set[str] = set()
        self.starts: dict[str, set[int]] = collections.defaultdict(set)
        self.whole: set[str] = set()
        self._seen: dict[int, tuple[int, Any]] = {}

    def take(self, value: Any) -> None:
        """Add a value, and all that it holds.

        Raises:
            UnhashableError: if a part of it cannot be read.
        """
        if type(value) in _BY_REPR:
            self.texts.append(f"{type(value).__name__} {value!r}")
        elif id(value) in self._seen:
            self.texts.append(f"again {self._seen[id(value)][0]}")
        else:
            self._seen[id(value)] = len(self._seen), value
            self._take_new(value)

    def take_all(self, kind: str, values: Iterable[Any]) -> None:
        """Add several values.

        Raises:
            UnhashableError: as `take` does.
        """
        values = list(values)
        self.texts.append(f"{kind} of {len(values)}")
        for value in values:
            self.take(value)

    def root(self, names: Mapping[str, Any], qualname: str = ALL) -> str:
        """Add the module that has these global names, a script by its file's name, and return its file.

        Raises:
            UnhashableError: if it has none.
        """
        name, file = names.get("__name__"), names.get("__file__")
        if not isinstance(name, str) or not isinstance(file, str) or not os.path.isfile(_real(file)):
            raise UnhashableError(f"the code of {name} is in no file, so it has no fingerprint: write it to one")
        if name == "__main__":
            spec = names.get("__spec__")
            name = Path(file).stem if spec is None else spec.name.removesuffix(".__main__")
        self.roots.add(Root(name, _real(file), qualname.partition(".")[0]))
        self.texts.append(f"{name}.{qualname}")
        return _real(file)

    def _is_library(self, names: Mapping[str, Any]) -> bool:
        """Return whether the module that has these global names is known by its package's name and version."""
        top, file = _top(str(names.get("__name__"))), names.get("__file__")
        if not isinstance(file, str):
            return top in sys.stdlib_module_names
        is_installed = not _INSTALLED.isdisjoint(file.split(os.sep))
        is_standard = str(_real(file)).startswith(_STANDARD) and not is_installed
        return top in LIBRARIES or is_standard or (is_installed and top not in self.own)

    def _take_new(self, value: Any) -> None:
        kind = type(value)
        if (own := getattr(kind, "__fingerprint__", None)) is not None:
            if not isinstance(text := own(value), str):
                raise UnhashableError(f"nobody knows what determines {short(value)}")
            self.texts.append(text)
        elif name := self._name_in_library(value):
            self.texts.append(name)
        elif isinstance(value, types.FunctionType):
            self._take_function(value)
        elif isinstance(value, types.MethodType):
            self.take_all(value.__name__, [value.__self__, value.__func__])
        elif isinstance(value, type):
            self._take_class(value)
        elif isinstance(value, types.ModuleType):
            self._take_module(value)
        elif (parts := parts_of(value)) is not None:
            self.take_all(kind.__qualname__, parts)
        else:
            self._take_instance(value)

    def _name_in_library(self, value: Any) -> str:
        """Return the dotted name by which a library has a function, class, module or mark, or ""."""
        if type(value) is object:  # jax.vmap holds such marks for arguments that are not given
            modules = [(name, vars(module)) for name, module in sys.modules.items() if _top(name) in LIBRARIES]
            return min(
                (f"{name}.{k}" for name, names in modules for k, v in [*names.items()] if v is value), default=""
            )
        if isinstance(value, types.ModuleType):
            module, name, found = value.__name__, "", value
        else:
            module = getattr(value, "__module__", None) or (getattr(value, "__self__", None) and "builtins")
            name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
            found = sys.modules.get(module) if isinstance(module, str) else None
            if not isinstance(name, str) or found is None:
                return ""
        if not self._is_library(vars(found)):
            return ""
        for part in filter(None, name.split(".")):
            found = getattr(found, part, None)
        if found is not value:
            return ""
        self.packages.add(_top(str(module)))
        return f"{module}.{name}"

    def _take_function(self, function: types.FunctionType) -> None:
        names = function.__globals__
        is_library, is_ours = self._is_library(names), _is_ours(str(names.get("__name__")))
        if is_library:
            self.packages.add(_top(names["__name__"]))
            self.texts.append(f"{names['__name__']}.{function.__qualname__}")
        else:
            path = self.root(names, function.__qualname__)
            if _real(function.__code__.co_filename) != path:
                raise UnhashableError(f"{function.__qualname__} has no source: define it in a file")
            self.starts[path].add(function.__code__.co_firstlineno)
        if function.__code__ is _DISPATCHER:  # the rest of it is a cache
            registry = function.registry.items()  # type: ignore[attr-defined]
            return self.take_all("singledispatch", [part for item in registry for part in item])
        held: list[Any] = [*code_of(function.__code__)]
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                held += [name, cell.cell_contents]
            except ValueError:
                raise UnhashableError(f"{short(function)} holds {name!r} before it is set") from None
        if "<locals>" in function.__qualname__ or not is_ours:  # or else they stand in the file
            held += [*(function.__defaults__ or ()), *flat((function.__kwdefaults__ or {}).items())]
        if not is_ours:
            held += flat(item for item in sorted(vars(function).items()) if item[0] != "__wrapped__")
        if not is_ours and not is_library:  # a script may have set or changed what it reads
            read = names_in(function.__code__)
            read = {name for name in names if not name.startswith("__")} if "globals" in read else read
            held += flat((name, names[name]) for name in sorted(read & names.keys()))
        self.take_all("function", held)

    def _take_module(self, module: types.ModuleType) -> None:
        names = vars(module)
        self.whole.add(self.root(names))
        if not _is_ours(module.__name__):
            self.take_all("module", flat((name, names[name]) for name in sorted(names) if not name.startswith("__")))

    def _take_class(self, kind: type) -> None:
        names = vars(sys.modules.get(kind.__module__, types))
        self.root(names, kind.__qualname__)
        if _is_ours(kind.__module__):
            return
        is_generated = not {"_fields", "__dataclass_fields__"}.isdisjoint(vars(kind))
        held: list[Any] = [type(kind), *kind.__bases__]
        for name, part in sorted(vars(kind).items()):
            file = getattr(getattr(getattr(part, "__wrapped__", part), "__code__", None), "co_filename", "")
            is_slot = isinstance(part, types.MemberDescriptorType | types.GetSetDescriptorType)
            if not (name in _NOTED or is_slot or (is_generated and _is_generated(part, file))):
                held += [name, part]
        self.take_all("class", held)

    def _take_instance(self, value: Any) -> None:
        """Add an instance of a class that is written in Python: its class, what it is built on, its attributes."""
        kind = type(value)
        base: Any = next(base for base in _BASES if isinstance(value, base))
        slots = copyreg._slotnames(kind)  # type: ignore[attr-defined]  # pickle asks in the same way
        size = base.__basicsize__ + 8 * (len(slots) + (kind.__weakrefoffset__ > 0))
        size += 8 * (kind.__dictoffset__ != 0 and not kind.__flags__ & _MANAGED)
        if kind is object or (kind is not base and kind.__basicsize__ != size):
            raise UnhashableError(f"{short(value)} has no fingerprint: nobody knows what it holds")
        attributes = {**getattr(value, "__dict__", {}), **{s: getattr(value, s) for s in slots if hasattr(value, s)}}
        held = [*([] if kind is base else [kind]), *flat(sorted(attributes.items()))]
        if base in (list, tuple):
            held += base.__iter__(value)
        elif base is dict:
            held += flat(dict.items(value))
        elif base in (set, frozenset):
            if not {type(part) for part in base.__iter__(value)} <= set(_PLAIN):
                raise UnhashableError(f"{short(value)} has no fingerprint: its order is not known")
            held += sorted(map(repr, base.__iter__(value)))
        elif base is not object:
            held.append(base.__repr__(value))
        self.take_all(f"{base.__name__} {kind.__qualname__} with {len(attributes)}", held)


def _top(module: str) -> str:
    return module.partition(".")[0]


def _is_ours(module: str) -> bool:
    return _top(module) == "flylab"


def _is_generated(part: Any, file: str) -> bool:
    """Return whether a part of a data class or named tuple is made from its fields."""
    return file.startswith("<") or type(part).__name__ == "_tuplegetter" or isinstance(part, dataclasses.Field)
