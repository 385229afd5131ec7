"""The code that can determine a result: flylab's computing folders, and what is reached by import beyond them.

The folders always count. Beyond them, import statements at any depth are followed, into the rest of flylab, the package
of a module that training starts in, and modules that are not installed, such as those beside a user's file. Modules
count whole, of a study's file the part that `runs/counted.py` finds; of other packages the versions do. Attributes are
not followed, nor names that flylab's top level imports on first use. Code outside flylab that may import what it
computes, from where it says, or what cannot be found is refused.
"""

import ast
import functools
import hashlib
import importlib.util
import os
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.machinery import BYTECODE_SUFFIXES, EXTENSION_SUFFIXES, ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from typing import NamedTuple

from flylab.base.loaded import is_current
from flylab.runs.counted import ALL, counted, is_study, last_name

COMPUTING = ("base", "data", "models", "training")  # folders of flylab
LIBRARIES = {"jax", "numpy", "scipy", "sklearn", "optax", "torch", "equinox"}  # are not followed, whoever holds theirs
_COMPUTED = {"import_module", "__import__", "spec_from_file_location", "SourceFileLoader", "exec_module", "load_module",
             "run_path", "run_module"}  # fmt: skip
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_PLACES = {"__path__", "meta_path", "path_hooks", "addsitedir"}  # by which functions may change where modules are found
_ROOT = Path(__file__).parents[1]
_real = functools.cache(os.path.realpath)


class UnhashableError(ValueError):
    """Code that has no fingerprint, since it cannot be read or nobody knows what it depends on."""


class Root(NamedTuple):
    """A module to start from: its name, its file, and the name in it that is used, or `ALL`."""

    module: str
    path: str
    name: str


class Part(NamedTuple):
    """A module that counts: its file, and its state when it was read; the statements that count, None for all."""

    path: str
    state: tuple[int, int]
    digest: str
    statements: Sequence[ast.AST] | None = None

    def counts(self, line: int) -> bool:
        """Return whether a line of the file counts."""
        parts = (part for node in self.statements or () for part in ast.walk(node))
        spans = ((getattr(part, "lineno", 0), getattr(part, "end_lineno", 0)) for part in parts)
        return self.statements is None or any(first <= line <= last for first, last in spans)


@dataclass
class Reached:
    """What some code can reach.

    Attributes:
        parts: the modules that count, by name.
        packages: the other packages that modules outside the computing folders import.
        texts: all text constants outside flylab, which may name models.
        digest: a digest of all parts.
    """

    parts: dict[str, Part] = field(default_factory=dict)
    packages: set[str] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)
    digest: str = ""


_known: dict[tuple[frozenset[Root], tuple[str, ...]], Reached] = {}


def reach(roots: Iterable[Root]) -> Reached:
    """Return what some modules can reach; the same again costs a look at each file's time.

    Raises:
        UnhashableError: if a module cannot be read, or may import what it computes.
    """
    key = frozenset(roots), tuple(sys.path)
    known = _known.get(key)
    if known is None or any(_is_another(name, part) for name, part in known.parts.items()):
        known = _known[key] = _Walk(key[0]).result()
    for name, part in known.parts.items():
        _require_current(name, part.path)
    return known


def _is_another(name: str, part: Part) -> bool:
    """Return whether a module that was read has changed, or is by now imported from another file."""
    file = getattr(sys.modules.get(name), "__file__", None)
    return _state(part.path) != part.state or (file is not None and _real(file) != _real(part.path))


def _require_current(name: str, path: str) -> None:
    """Refuse a module that this process has imported from another source than its file has by now."""
    for module in filter(None, (sys.modules.get(name), sys.modules.get("__main__"))):
        if _real(getattr(module, "__file__", None) or "") == _real(path) and not is_current(module):
            said = f"{path} has changed since it was imported, and runs as it was: import it anew, or restart Python"
            warnings.warn(f"{said}; what it trains is not kept", stacklevel=2)
            raise UnhashableError(said)


@functools.cache
def _computing() -> dict[str, str]:
    """Return the files that always count, by module."""
    paths = [_ROOT / "__init__.py", *(path for name in COMPUTING for path in (_ROOT / name).rglob("*.py"))]
    modules = (path.parent if path.stem == "__init__" else path.with_suffix("") for path in paths)
    names = (".".join(module.relative_to(_ROOT.parent).parts) for module in modules)
    return dict(zip(names, map(str, paths), strict=True))


class _Walk:
    def __init__(self, roots: Iterable[Root]) -> None:
        self._roots = sorted(roots)
        self._folders = [os.path.dirname(root.path) for root in self._roots if "." not in root.module]
        self._specs = {
            name: importlib.util.spec_from_file_location(name, path, loader=SourceFileLoader(name, path))
            for name, path, _ in self._roots
        }
        tops = {"flylab", *(root.module.partition(".")[0] for root in self._roots)} - LIBRARIES
        self._is_followed = {**dict.fromkeys(sys.stdlib_module_names, False), **dict.fromkeys(tops, True)}
        self._used: dict[str, set[str]] = {}  # names used of each module, which matter for studies
        self._stack: list[str] = []
        self._reached = Reached()

    def result(self) -> Reached:
        parts = self._reached.parts
        for name, path in _computing().items():
            parts[name] = Part(path, state := _state(path), _read(path, state)[0])
        for root in self._roots:
            self._use(root.module, root.name)
        while self._stack:
            self._visit(self._stack.pop())
        lines = "\n".join(f"{name}: {part.digest}" for name, part in sorted(parts.items()))
        self._reached.digest = hashlib.sha256(lines.encode()).hexdigest()
        return self._reached

    def _use(self, module: str, name: str) -> None:
        """Count a module, of which a name is used, and the packages above it."""
        if not self._follows(module.partition(".")[0]) or (spec := self._spec(module)) is None:
            return  # another package's, or no module
        if above := module.rpartition(".")[0]:
            self._use(above, "")
        used = self._used.setdefault(module, set())
        if spec.has_location and name not in used:
            used.add(name)
            self._stack.append(module)

    def _follows(self, top: str) -> bool:
        """Return whether a package's source counts; of other packages the version does."""
        if top not in self._is_followed:
            spec = self._spec(top)
            places = [] if spec is None else [spec.origin or "", *(spec.submodule_search_locations or ())]
            folders = {folder for place in places for folder in place.split(os.sep)}
            self._is_followed[top] = bool(folders) and folders.isdisjoint(("site-packages", "dist-packages"))
        if not self._is_followed[top] and top not in sys.stdlib_module_names:
            self._reached.packages.add(top)
        return self._is_followed[top]

    def _spec(self, name: str) -> ModuleSpec | None:
        """Return where a module is, without importing it or its package."""
        if name not in self._specs:
            above, _, last = name.rpartition(".")
            try:
                if above:
                    places = getattr(self._spec(above), "submodule_search_locations", None)
                    self._specs[name] = PathFinder.find_spec(last, list(places)) if places else None
                elif (spec := getattr(sys.modules.get(name), "__spec__", None)) is None:  # or else an import gives that
                    places = [*self._folders, *sys.path]
                    self._specs[name] = PathFinder.find_spec(name, places) or importlib.util.find_spec(name)
                else:
                    self._specs[name] = spec
            except (ImportError, ValueError, AttributeError):
                self._specs[name] = None
        return self._specs[name]

    def _visit(self, name: str) -> None:
        known, spec = self._reached.parts.get(name), self._spec(name)
        if spec is None or spec.origin is None or (known is not None and known.statements is None):
            return
        path, state = spec.origin, _state(spec.origin)
        digest, body = _read(path, state)
        is_part = is_study(body) or any(root.name != ALL for root in self._roots if root.module == name)
        nodes = counted(body, self._used[name]) if is_part else body
        whole = nodes is body
        self._reached.parts[name] = Part(path, state, digest if whole else _digest(nodes), None if whole else nodes)
        code = [part for node in nodes for part in ast.walk(node)]
        imported = list(imports(code, name if _is_package(spec) else name.rpartition(".")[0]))
        for module, used in imported:
            self._use(module, used)
        if not name.startswith("flylab."):
            self._require_found(name, imported)
            if line := _moves(code):
                raise UnhashableError(f"sys.path ({os.path.basename(path)}, line {line}) says where modules are found")
            constants = (part.value for part in code if isinstance(part, ast.Constant))
            self._reached.texts.update(value for value in constants if isinstance(value, str))
            starred = {module[:-2] for module, _ in imported if module.endswith(".*")} & self._used.keys() - {"flylab"}
            if any(_is_package(self._specs[module]) for module in starred) or _is_computed(code):
                raise UnhashableError(f"{name} may import what it computes: import modules and values by their names")

    def _require_found(self, name: str, imported: Sequence[tuple[str, str]]) -> None:
        """Refuse a module that imports what is nowhere by now: nobody knows where it will be found."""
        known = set(imported)
        for module, _ in imported:
            (above, _, last), top = module.rpartition("."), module.partition(".")[0]
            is_value = (above, last) in known  # or a module: nobody knows
            if not is_value and top and self._spec(module if self._follows(top) else top) is None:
                raise UnhashableError(f"{name} imports {module}, which cannot be found: nobody knows what it will be")


def _is_package(spec: ModuleSpec | None) -> bool:
    return spec is not None and spec.submodule_search_locations is not None


def _state(path: str) -> tuple[int, int]:
    try:
        state = os.stat(path)
    except OSError as error:
        raise UnhashableError(f"the source {path} cannot be read: {error}") from error
    return state.st_mtime_ns, state.st_size


@functools.lru_cache(maxsize=1024)
def _read(path: str, state: tuple[int, int]) -> tuple[str, list[ast.stmt]]:
    """Return a file's digest and statements; of compiled code there are none."""
    try:
        content = Path(path).read_bytes()
        if path.endswith((*EXTENSION_SUFFIXES, *BYTECODE_SUFFIXES)):
            return hashlib.sha256(content).hexdigest(), []
        tree = ast.parse(content)
    except (OSError, SyntaxError, ValueError, RecursionError) as error:
        raise UnhashableError(f"the source {path} cannot be read: {error}") from error
    for node in () if b"__doc__" in content else ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            if isinstance(block := getattr(node, name, None), list):
                block[:] = [statement for statement in block if not _is_inert(statement)]
    return _digest(tree.body), tree.body


def _is_inert(node: ast.stmt) -> bool:
    """Return whether a statement is only text, such as a docstring, or only for type checkers."""
    if isinstance(node, ast.If):
        return last_name(node.test) == "TYPE_CHECKING" and not node.orelse
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _digest(nodes: Iterable[ast.AST]) -> str:
    text = "\n".join(map(ast.dump, nodes))
    return hashlib.sha256(text.encode("utf8", "surrogatepass")).hexdigest()


def imports(parts: Iterable[ast.AST], package: str) -> Iterator[tuple[str, str]]:
    """Yield each module that some code imports, and the name it uses of it: `ALL` for the module as a value."""
    for part in parts:
        if isinstance(part, ast.Import):
            for alias in part.names:
                yield alias.name, ALL
                if not alias.asname:  # it binds the uppermost package, which leads to each
                    yield from ((alias.name[:i], ALL) for i, letter in enumerate(alias.name) if letter == ".")
        elif isinstance(part, ast.ImportFrom):
            above = package.split(".")
            above = above[: len(above) + 1 - part.level] if part.level else []
            module = ".".join(filter(None, [*above, part.module]))
            for alias in part.names:
                yield module, alias.name
                yield f"{module}.{alias.name}", ALL
        elif isinstance(part, ast.Call) and (name := _constant_import(part)):
            yield name, ALL


def _constant_import(call: ast.Call) -> str | None:
    """Return the module that a call such as `import_module("json")` imports, None for another call."""
    is_import = last_name(call.func) in ("import_module", "__import__")
    name = call.args[0].value if is_import and call.args and isinstance(call.args[0], ast.Constant) else None
    return name if isinstance(name, str) and not name.startswith(".") else None


def _moves(code: Iterable[ast.AST]) -> int:
    """Return the line where a function may change from where modules are imported, or 0."""
    code = list(code)
    imported = [alias for node in code if isinstance(node, ast.Import) for alias in node.names]
    sys_names = {alias.asname or alias.name for alias in imported if alias.name == "sys"}
    for part in (part for node in code if isinstance(node, _FUNCTIONS) for part in ast.walk(node)):
        is_path = isinstance(part, ast.Attribute) and part.attr == "path" and last_name(part.value) in sys_names
        is_from = isinstance(part, ast.ImportFrom) and part.module == "sys" and "path" in {a.name for a in part.names}
        if is_path or is_from or last_name(part) in _PLACES:
            return part.lineno  # type: ignore[attr-defined]
    return 0


def _is_computed(code: Iterable[ast.AST]) -> bool:
    """Return whether some code may run code, or import modules, that it does not name."""
    named = {part.func for part in code if isinstance(part, ast.Call) and _constant_import(part)}
    renamed = {alias.name for part in code if isinstance(part, ast.ImportFrom) for alias in part.names if alias.asname}
    names = {part.id for part in code if isinstance(part, ast.Name) and part not in named}
    attributes = {part.attr for part in code if isinstance(part, ast.Attribute) and part not in named}
    return bool(_COMPUTED & (names | attributes | renamed) or names & {"eval", "exec"})
