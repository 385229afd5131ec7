"""The source of a module, read without importing it: what it defines, and which modules its code can import."""

import ast
import functools
import hashlib
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any, NamedTuple

ALL = "*"  # as an attribute: the module itself is used as a value, so that any attribute may be
IMPORTERS = ("import_module", "__import__", "need")  # functions whose first argument names a module
OPENERS = ("spec_from_file_location", "SourceFileLoader", "run_path", "run_module", "load_source", "iter_modules",
           "walk_packages")  # fmt: skip


class Reference(NamedTuple):
    """A module and the attributes that are read from it, one after the other."""

    module: str
    attributes: tuple[str, ...] = ()


class Code(NamedTuple):
    """The digest of some code, and what it names.

    Attributes:
        digest: a digest of the syntax trees without docstrings.
        names: all names that it uses.
        chains: dotted names that it uses, e.g. `("STUDY", "artifacts")`.
        texts: all constants that are text.
        references: what it imports, and reads of imported modules.
        computed: whether it imports a module whose name is computed.
    """

    digest: str
    names: frozenset[str]
    chains: frozenset[tuple[str, ...]]
    texts: frozenset[str]
    references: frozenset[Reference]
    computed: bool


@dataclass(frozen=True, eq=False)  # equal only to itself, and so a key of caches
class Source:
    """A module's source.

    Attributes:
        name: the module's name.
        path: its file.
        is_package: whether the file is the `__init__` of a package.
        whole: the code of the whole file.
        aliases: what each name stands for that an import binds.
        binds: names that it binds at the top level.
        is_lazy: whether attributes are imported on first use, by a function `__getattr__`.
        tables: the dictionaries of constants in it, in which such a function finds modules.
    """

    name: str
    path: str
    is_package: bool
    whole: Code
    aliases: dict[str, frozenset[Reference]]
    binds: frozenset[str]
    is_lazy: bool
    tables: tuple[dict[Any, Any], ...]


def find(name: str, folders: Sequence[str] = ()) -> ModuleSpec | None:
    """Return where a module is, or None if there is none; neither it nor its package is imported.

    Args:
        name: the full name of the module.
        folders: folders that are searched first, as that of a script is.
    """
    spec = getattr(sys.modules.get(name), "__spec__", None)
    if spec is not None:  # this one runs
        return spec
    parent, _, _ = name.rpartition(".")
    try:
        if parent:
            above = find(parent, folders)
            places = above.submodule_search_locations if above is not None else None
            return _below(name, list(places)) if places is not None else None
        return PathFinder.find_spec(name, list(folders)) or importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None


def _below(name: str, places: list[str]) -> ModuleSpec | None:
    try:
        return PathFinder.find_spec(name, places)
    except KeyError:  # a folder without __init__.py, in a package that is not imported
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [os.path.join(place, name.rpartition(".")[2]) for place in places]
        return spec


def submodules(name: str, folders: Sequence[str] = ()) -> Iterator[str]:
    """Yield the names of all modules in a package, at any depth; the package's own name is not among them."""
    spec = find(name, folders)
    suffixes = tuple(importlib.machinery.all_suffixes())
    for place in (spec.submodule_search_locations or ()) if spec is not None else ():
        for entry in sorted(os.listdir(place)) if os.path.isdir(place) else ():
            stem, is_folder = entry.partition(".")[0], os.path.isdir(os.path.join(place, entry))
            if not stem.isidentifier() or stem.startswith("__") or (is_folder and "." in entry):
                continue
            if is_folder or entry.endswith(suffixes):
                yield f"{name}.{stem}"
            if is_folder:
                yield from submodules(f"{name}.{stem}", folders)


def read(name: str, path: str, is_package: bool) -> Source:
    """Return a module's source.

    Raises:
        OSError: if the file cannot be read.
        SyntaxError: if it is not Python.
    """
    state = os.stat(path)
    return _read(name, path, is_package, state.st_mtime_ns, state.st_size)


@functools.lru_cache(maxsize=2048)
def _read(name: str, path: str, is_package: bool, changed: int, size: int) -> Source:
    content = Path(path).read_bytes()
    if not path.endswith(".py"):  # an extension module, or byte code without its source
        nothing: frozenset = frozenset()
        code = Code(hashlib.sha256(content).hexdigest(), nothing, nothing, nothing, nothing, False)
        return Source(name, path, is_package, code, {}, nothing, False, ())
    tree = _parsed(content)
    package = name if is_package else name.rpartition(".")[0]
    aliases: dict[str, set[Reference]] = {}
    for node in _live(tree):
        for bound, reference in imported(node, package):
            aliases.setdefault(bound, set()).add(reference)
    frozen = {bound: frozenset(references) for bound, references in aliases.items()}
    binds = frozenset(name for node in tree.body for name in bound_by(node))
    is_lazy = "__getattr__" in binds
    tables = tuple(_tables(tree.body)) if is_lazy else ()
    whole = code_of(tree.body, package, frozen)
    return Source(name, path, is_package, whole, frozen, binds, is_lazy, tables)


def parsed(source: Source) -> ast.Module:
    """Return the syntax tree of a module without docstrings."""
    return _parsed(Path(source.path).read_bytes())


def _parsed(content: bytes) -> ast.Module:
    tree = ast.parse(content)
    if b"__doc__" not in content and b"getdoc" not in content:  # or else the code may read them
        _drop_docstrings(tree.body)
    return tree


def code_of(nodes: Iterable[ast.AST], package: str, aliases: dict[str, frozenset[Reference]]) -> Code:
    """Return the code that some syntax trees are.

    Args:
        nodes: the syntax trees.
        package: the package of their module, for relative imports.
        aliases: what each name stands for that an import of the module binds.
    """
    nodes = list(nodes)
    names, chains, texts, references, computed = set(), set(), set(), set(), False
    for top in nodes:
        is_lazy = isinstance(top, ast.FunctionDef) and top.name == "__getattr__"
        for node in _live(top):
            if isinstance(node, ast.Attribute | ast.Name):
                chains.add(dotted(node))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.add(node.value)
            elif isinstance(node, ast.Call) and last_name(node.func) in IMPORTERS:
                reference = _called(node, package)
                if reference is not None and not (is_lazy and ALL in reference.attributes):
                    references.add(reference)
                computed |= reference is None and not is_lazy  # for lazy ones, see `Source.tables`
            elif isinstance(node, ast.Import | ast.ImportFrom):
                references |= {reference for _, reference in imported(node, package)}
                computed |= any(alias.name in IMPORTERS and alias.asname for alias in node.names)
    chains.discard(())
    for root, *rest in chains:
        names.add(root)
        computed |= (rest or [root])[-1] in (*OPENERS, "import_module", "__import__")  # unknown arguments
        for module, attributes in aliases.get(root, ()):
            references.add(Reference(module, (*attributes, *rest, ALL)))
    text = "\n".join(map(ast.dump, nodes))
    digest = hashlib.sha256(text.encode("utf8", "surrogatepass")).hexdigest()
    sets = frozenset(names), frozenset(chains), frozenset(texts), frozenset(references)
    return Code(digest, *sets, computed)


def _live(*roots: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes that may run: not what is for type checkers only, nor the inner part of a dotted name."""
    stack = list(roots)
    while stack:
        node = stack.pop()
        yield node
        if isinstance(node, ast.Attribute) and dotted(node):
            continue
        if isinstance(node, ast.If) and last_name(node.test) == "TYPE_CHECKING":
            stack.extend(node.orelse)
        elif isinstance(node, ast.Call) and last_name(node.func) in IMPORTERS:
            stack.extend((*node.args, *node.keywords))
        else:
            stack.extend(ast.iter_child_nodes(node))


def dotted(node: ast.AST) -> tuple[str, ...]:
    """Return a dotted name as its parts, or () if it does not begin with a name."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return (node.id, *reversed(parts)) if isinstance(node, ast.Name) else ()


def last_name(node: ast.AST) -> str:
    """Return the last part of a dotted expression, or "" for other code."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def imported(node: ast.AST, package: str) -> Iterator[tuple[str, Reference]]:
    """Yield each name that an import binds, and what it stands for."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            top, *rest = alias.name.split(".")
            if alias.asname is None and rest:
                yield "", Reference(alias.name)  # is imported, while the name below stands for its package
            yield alias.asname or top, Reference(alias.name if alias.asname else top)
    elif isinstance(node, ast.ImportFrom):
        module = node.module or ""
        if node.level:
            module = importlib.util.resolve_name("." * node.level + module, package) if package else module
        for alias in node.names:
            yield alias.asname or alias.name, Reference(module, (alias.name,))


def _called(node: ast.Call, package: str) -> Reference | None:
    """Return what a call such as `import_module("name")` imports, or None if the name is computed."""
    argument: Any = node.args[0] if node.args else None
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        name = argument.value
        if name.startswith("."):
            return Reference(importlib.util.resolve_name(name, package)) if package else None
        return Reference(name)
    if isinstance(argument, ast.JoinedStr) and argument.values and isinstance(argument.values[0], ast.Constant):
        start, dot, _ = str(argument.values[0].value).rpartition(".")
        if dot and not start.startswith("."):
            return Reference(start, (ALL,))  # any module of that package
    return None


def bound_by(node: ast.stmt) -> set[str]:
    """Return the names that a statement at the top level of a module binds."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    targets = [part.target for part in _live(node) if isinstance(part, ast.comprehension)]  # bound inside only
    inner = {part for target in targets for part in ast.walk(target)}
    names = set()
    for part in _live(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store) and part not in inner:
            names.add(part.id)
        elif isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(part.name)
        elif isinstance(part, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name.partition(".")[0] for alias in part.names}
    return names


def _tables(nodes: Iterable[ast.stmt]) -> Iterator[dict[Any, Any]]:
    for node in nodes:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Dict):
            try:
                yield ast.literal_eval(node.value)
            except (ValueError, TypeError):
                continue


def _drop_docstrings(body: list[ast.stmt]) -> None:
    """Remove all statements that are nothing but text, at any depth."""
    for node in body:
        for name in ("body", "orelse", "finalbody"):
            if isinstance(inner := getattr(node, name, None), list):
                _drop_docstrings(inner)
        for part in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
            _drop_docstrings(part.body)
    kept = [node for node in body if not (isinstance(node, ast.Expr) and _is_text(node.value))]
    body[:] = kept or [ast.Pass()]


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)
