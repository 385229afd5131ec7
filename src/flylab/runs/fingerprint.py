"""A fingerprint of the code behind a result: the syntax trees of all functions of flylab and the study that it reaches.

Docstrings, comments, formatting and unreachable code do not count, so editing a claim, a figure or another model
retrains nothing. Names and attributes are followed to functions, classes and constants of flylab and of the study's
package. Of a table (a dict), only the entries that the condition names are followed, or all if it names none.
"""

import ast
import functools
import hashlib
import importlib
import inspect
import sys
import textwrap
import types
from collections.abc import Callable, Mapping
from typing import Any

from flylab.base.config import to_json
from flylab.models.registry import list_models


def code_fingerprint(function: Callable, condition: Mapping[str, Any] | None = None, length: int = 12) -> str:
    """Return the first hexadecimal digits of the SHA-256 of the code that `function` reaches.

    Args:
        function: the function to start from.
        condition: the condition that it will be called with, which picks entries from tables.
        length: number of digits.
    """
    list_models()  # registers all models, so that the registry does not depend on earlier imports
    walk = _Walk({value for value in (condition or {}).values() if isinstance(value, str)}, _packages(function))
    walk.visit(function)
    text = "\n".join(sorted(walk.code_by_name.values()))
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def _packages(function: Callable) -> frozenset[str]:
    return frozenset({"flylab", (inspect.unwrap(function).__module__ or "").partition(".")[0]})


class _Walk:
    def __init__(self, picks: set[str], packages: frozenset[str]) -> None:
        self.picks, self.packages = picks, packages
        self.code_by_name: dict[str, str] = {}

    def visit(self, value: Any, place: str = "") -> None:
        """Add the code or constant that `value` is, and all that it reaches."""
        if isinstance(value, functools.partial):
            self.visit((value.func, value.args, value.keywords), place)
        elif isinstance(value, types.FunctionType | type) or hasattr(value, "__wrapped__"):
            self._visit_definition(inspect.unwrap(value))
            for part in ("fwd", "bwd", "jvp"):  # the rules of a jax.custom_vjp or custom_jvp
                if part_value := getattr(value, part, None):
                    self.visit(part_value)
        elif isinstance(value, Mapping):
            picked = self.picks & set(value) or set(value)
            for name in sorted(picked, key=str):
                self.visit(value[name], f"{place}[{name!r}]")
        elif isinstance(value, tuple | list) and not hasattr(type(value), "__dataclass_fields__"):
            for i, item in enumerate(value):
                self.visit(item, f"{place}[{i}]")
        elif place and not isinstance(value, types.ModuleType):
            try:
                self.code_by_name[place] = f"{place}={to_json(value)}"
            except (TypeError, ValueError):
                self.code_by_name[place] = f"{place}={type(value).__qualname__}"

    def _visit_definition(self, definition: Any) -> None:
        module = sys.modules.get(getattr(definition, "__module__", None) or "")
        if module is None or module.__name__.partition(".")[0] not in self.packages:
            return
        name = f"{module.__name__}.{definition.__qualname__}"
        if name in self.code_by_name:
            return
        text, paths = _parsed(definition)
        self.code_by_name[name] = f"{name}:{text}"
        for path in paths:
            self._follow(module, path)

    def _follow(self, module: types.ModuleType, path: tuple[str, ...]) -> None:
        """Follow `name.attribute.…` from a module's globals through modules of the walk's packages."""
        if path[0] not in vars(module):
            return
        value, place = vars(module)[path[0]], f"{module.__name__}.{path[0]}"
        for attribute in path[1:]:
            if not isinstance(value, types.ModuleType):
                break
            if value.__name__.partition(".")[0] not in self.packages or not hasattr(value, attribute):
                return
            place, value = f"{value.__name__}.{attribute}", getattr(value, attribute)
        self.visit(value, place)


@functools.cache
def _parsed(definition: Any) -> tuple[str, list[tuple[str, ...]]]:
    """Return a definition's syntax tree as text, and the dotted names in it; both are empty if it has no source."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(definition)))
    except (OSError, TypeError, SyntaxError):
        return "", []
    _drop_docstrings(tree)
    return ast.dump(tree), _paths(tree)


def _paths(tree: ast.AST) -> list[tuple[str, ...]]:
    """Return all dotted names in the tree, including annotations, which name the types that hold fields."""
    paths = set()
    for node in ast.walk(tree):
        path, inner = (), node
        while isinstance(inner, ast.Attribute):
            path, inner = (inner.attr, *path), inner.value
        if isinstance(inner, ast.Name):
            paths.add((inner.id, *path))
    return sorted(paths)


def _drop_docstrings(tree: ast.AST) -> None:
    for node in ast.walk(tree):
        match getattr(node, "body", None):
            case [ast.Expr(value=ast.Constant(value=str()) as text), *_]:
                text.value = ""


def versions() -> dict[str, str]:
    """Return the versions of the packages on whose arithmetic results depend."""
    return {name: importlib.import_module(name).__version__ for name in ("jax", "jaxlib", "numpy", "optax", "sklearn")}
