"""What code can reach by import: whole modules, but of a study's file only the part that counts for its results."""

import hashlib
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from typing import NamedTuple

from flylab.runs.counted import STUDY_NAME, Statement, counted
from flylab.runs.sources import ALL, Code, Reference, Source, find, read, submodules

# modules that import by computed names, and why the walk does not follow them
COMPUTED = {
    "flylab.base.optional": "other packages; each call of `need` names one",
    "flylab.study.registry": "studies, none of which trains another",
    "flylab.evaluation.load": "users' models, each of which has a digest of its own",
}
_LIBRARIES = ("site-packages", "dist-packages")


class UnhashableError(ValueError):
    """Code that has no fingerprint, since it cannot be read or nobody knows what it depends on."""


class Root(NamedTuple):
    """A module to start from: its name, its file, and the name in it that is used, or None for the whole file."""

    module: str
    path: str
    name: str | None = None


class Part(NamedTuple):
    """A module that is reached, and the statements of it that count, or None if all do."""

    source: Source
    statements: tuple[Statement, ...] | None = None

    @property
    def codes(self) -> list[Code]:
        """The code that counts."""
        return [self.source.whole] if self.statements is None else [part.code for part in self.statements]

    def counts(self, line: int) -> bool:
        """Return whether a line of the file counts."""
        return self.statements is None or any(line in statement.lines for statement in self.statements)


@dataclass
class Reached:
    """The modules that some code can reach, by name, and the other packages that they import.

    Attributes:
        parts: the modules by name.
        packages: names of the packages of others that flylab imports, and those that other modules import.
        texts: all text constants outside flylab, which may name models.
        digest: a digest of all parts.
    """

    parts: dict[str, Part] = field(default_factory=dict)
    packages: tuple[set[str], set[str]] = field(default_factory=lambda: (set(), set()))
    texts: set[str] = field(default_factory=set)
    digest: str = ""


_known: dict[frozenset[Root], Reached] = {}


def reach(roots: Iterable[Root]) -> Reached:
    """Return what some modules can reach; the same again costs a look at each file's time.

    Raises:
        UnhashableError: if a module cannot be read, or imports another by a name that is computed.
    """
    key = frozenset(roots)
    known = _known.get(key)
    if known is None or not all(_is_current(part.source) for part in known.parts.values()):
        known = _known[key] = _Walk(sorted(key, key=str)).result()
    return known


def _read(name: str, path: str, is_package: bool) -> Source:
    try:
        return read(name, path, is_package)
    except (OSError, SyntaxError, ValueError, RecursionError, ImportError) as error:
        raise UnhashableError(f"the source of {name} cannot be read: {error}") from error


def _is_current(source: Source) -> bool:
    return _read(source.name, source.path, source.is_package) is source


class _Walk:
    def __init__(self, roots: Sequence[Root]) -> None:
        self._roots = roots
        self._paths = {root.module: root.path for root in roots}
        self._tops = {"flylab", *(root.module.partition(".")[0] for root in roots)}
        self._folders = tuple(
            dict.fromkeys(
                os.path.dirname(root.path) for root in roots if "." not in root.module and not _is_on_path(root)
            )
        )
        self._sources: dict[str, Source | None] = {}
        self._parts_of: dict[str, set[str]] = {}  # names used of modules that count in part
        self._whole = {root.module for root in roots if root.name is None}
        self._packages: set[str] = set()  # of which all modules count
        self._followed: set[Reference] = set()
        self._stack: list[tuple[str, Reference]] = []
        self._specs: dict[str, ModuleSpec | None] = {}
        self._is_local: dict[str, bool] = {}
        self._reached = Reached()

    def result(self) -> Reached:
        for root in self._roots:
            if root.name is not None and root.module not in self._whole:
                self._parts_of.setdefault(root.module, set())
            if not self._follows(root.module, ""):
                continue
            self._add(root.module, "")
            if root.name is not None:
                self._use(root.module, root.name)
        while self._stack:
            by, reference = self._stack.pop()
            self._follow(by, reference)
        reached, lines = self._reached, []
        for name, source in sorted(self._sources.items()):
            if source is None:
                lines.append(f"{name}: missing")
                continue
            used = self._parts_of.get(name)
            part = Part(source, None if used is None else tuple(counted(source, used)))
            reached.parts[name] = part
            lines.append(f"{name}: " + " ".join(code.digest for code in part.codes))
            if not name.startswith("flylab."):
                reached.texts.update(*(code.texts for code in part.codes))
        reached.digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        return reached

    def _follows(self, name: str, by: str) -> bool:
        """Return whether a module's source counts; of other packages the version does."""
        top = name.partition(".")[0]
        if top not in self._is_local:
            self._is_local[top] = top in self._tops or (top not in sys.stdlib_module_names and self._is_source(top))
        if not self._is_local[top] and top not in sys.stdlib_module_names:
            self._reached.packages[by.partition(".")[0] != "flylab"].add(top)
        return self._is_local[top]

    def _is_source(self, top: str) -> bool:
        """Return whether a package is not installed: a module beside a script, or under development."""
        spec = self._find(top)
        if spec is None:
            return False
        places = [spec.origin] if spec.has_location else list(spec.submodule_search_locations or ())
        return bool(places) and not any(set(_LIBRARIES) & set((place or "").split(os.sep)) for place in places)

    def _add(self, name: str, by: str) -> Source | None:
        """Add a module and the packages above it, and return its source; None if there is none."""
        if name in self._sources:
            return self._sources[name]
        above = name.rpartition(".")[0]
        if above and above not in self._sources:
            self._add(above, by)
        source = self._sources[name] = self._source(name)
        if source is None:
            return None
        if STUDY_NAME in source.binds and name not in self._whole:
            self._parts_of.setdefault(name, set())
        if name in self._parts_of:
            self._count(source)
        else:
            self._push(source, [source.whole])
        return source

    def _source(self, name: str) -> Source | None:
        path, is_package = self._paths.get(name), False
        if path is None:
            spec = self._find(name)
            if spec is None or not spec.has_location or spec.origin is None:
                return None  # not installed, or a folder without __init__.py
            path, is_package = spec.origin, spec.submodule_search_locations is not None
        elif os.path.basename(path) == "__init__.py":
            is_package = True
        return _read(name, path, is_package)

    def _find(self, name: str) -> ModuleSpec | None:
        if name not in self._specs:
            self._specs[name] = find(name, self._folders)
        return self._specs[name]

    def _count(self, source: Source) -> None:
        self._push(source, [part.code for part in counted(source, self._parts_of[source.name])])

    def _push(self, source: Source, codes: Iterable[Code]) -> None:
        for code in codes:
            for reference in code.references - self._followed:
                self._followed.add(reference)
                self._stack.append((source.name, reference))
            if code.computed and source.name not in COMPUTED:
                self._add_package_of(source.name)

    def _add_package_of(self, name: str) -> None:
        """Add all modules of the package of a module that imports by computed names."""
        top = name.partition(".")[0]
        spec = self._find(top) if "." in name or top not in self._paths else None
        if spec is None or spec.submodule_search_locations is None:
            raise UnhashableError(f"{name} imports a module whose name is computed: import it by its name")
        self._add_all(top, name)

    def _add_all(self, package: str, by: str) -> None:
        if package in self._packages:
            return
        self._packages.add(package)
        for name in submodules(package, self._folders):
            self._add(name, by)
            self._use(name, ALL)

    def _use(self, module: str, name: str) -> None:
        """Count a name of a module that counts in part."""
        used, name = self._parts_of.get(module), STUDY_NAME if name == ALL else name
        if used is None or name in used:
            return
        used.add(name)
        source = self._sources[module]
        if source is not None:
            self._count(source)

    def _follow(self, by: str, reference: Reference) -> None:
        module, attributes = reference
        if not self._follows(module, by):
            return
        source = self._add(module, by)
        for i, name in enumerate(attributes):
            below, is_package = f"{module}.{name}", self._is_package(module)
            tables = self._tables(source, name) if source is not None and source.is_lazy else []
            for target in tables:
                self._stack.append((by, Reference(target, attributes[i:])))
            if name == ALL:
                if is_package:
                    self._add_all(module, by)
                else:
                    self._use(module, ALL)
                return
            if is_package and (below in self._sources or self._find(below) is not None):
                module, source = below, self._add(below, by)
                continue
            if source is not None and source.is_lazy and not tables and name not in source.binds:
                self._add_all(module, by) if is_package else self._add_package_of(module)
            self._use(module, name)
            return

    def _is_package(self, name: str) -> bool:
        source = self._sources.get(name)
        if source is not None:
            return source.is_package
        spec = self._find(name)
        return spec is not None and spec.submodule_search_locations is not None

    def _tables(self, source: Source, name: str) -> list[str]:
        """Return the modules from which a lazy module takes a name, by the dictionaries of constants in it."""
        names = []
        for table in source.tables:
            for key, value in table.items():
                if key == name and isinstance(value, str):
                    names.append(value)
                elif isinstance(value, tuple | list | set) and name in value:
                    names.append(str(key))
        package = source.name if source.is_package else source.name.rpartition(".")[0]
        relative = [f"{package}.{name.lstrip('.')}" for name in names]
        return [name for name in relative if self._find(name)] or [name for name in names if self._find(name)]


def _is_on_path(root: Root) -> bool:
    spec = find(root.module)
    return spec is not None and spec.origin is not None and os.path.realpath(spec.origin) == root.path
