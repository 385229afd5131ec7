"""The definitions of claims as digests, so that a claim that was changed after the results were seen is found out.

A digest is over the statement, source, region and the rest of a claim, and over the code of its effect: the functions
and classes that it reaches by name in its own package, in `flylab.studies` and in `flylab.results`, without docstrings
and comments. It is of the syntax tree, so that all versions of Python give the same.
"""

import ast
import dataclasses
import functools
import hashlib
import inspect
import json
import sys
import textwrap
import types
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from flylab.base.files import read_json
from flylab.results.claims import Claim

FROZEN = Path(__file__).parents[1] / "artifacts" / "claims.json"
_LATER = ("unseen_from",)  # fields that count where they are set, since digests are older than they
_FOLLOWED = ("flylab.studies.", "flylab.results.")


def digests(claims: Iterable[Claim]) -> dict[str, str]:
    """Return the digest of each claim's definition, by its id; a claim whose code cannot be read has none.

    >>> one, other = (Claim("a", "a", "here", "–", "%", len, above=bound) for bound in (0, 1))
    >>> digests([one]) == digests([other])
    False
    """
    return {claim.id: digest for claim in claims if (digest := _digest(claim))}


def frozen(study: str) -> dict[str, str]:
    """Return the digests with which a study's claims were frozen, in `flylab/artifacts/claims.json`."""
    return read_json(FROZEN).get(study, {})


def _digest(claim: Claim) -> str:
    seen: dict[int, Any] = {}
    try:
        form = [[field.name, _form(getattr(claim, field.name), seen)] for field in dataclasses.fields(claim)
                if field.name not in _LATER or getattr(claim, field.name)]  # fmt: skip
    except (OSError, SyntaxError, LookupError):
        return ""
    return hashlib.sha256(json.dumps(form).encode()).hexdigest()[:16]


def _form(value: Any, seen: dict[int, Any]) -> Any:
    """Return what determines a value, as JSON has it; of a function that was met before, only its place."""
    if isinstance(value, str | int | float | bool | None):
        return repr(value)
    if isinstance(value, dict | types.MappingProxyType):
        return [[_form(part, seen) for part in item] for item in value.items()]
    if isinstance(value, tuple | list | range):
        return [_form(part, seen) for part in value]
    if isinstance(value, functools.partial):
        return ["partial", *(_form(part, seen) for part in (value.func, value.args, value.keywords))]
    value = inspect.unwrap(value) if callable(value) else value
    if isinstance(value, types.FunctionType | type) and _is_followed(value.__module__):
        if id(value) in seen:
            return f"again {list(seen).index(id(value))}"
        seen[id(value)] = value
        return [value.__qualname__.rpartition(".")[2], *_code(value, seen)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [_form(getattr(value, field.name), seen) for field in dataclasses.fields(value)]
    name = getattr(value, "__qualname__", None)
    return f"{value.__module__}.{name}" if name else type(value).__qualname__


def _is_followed(module: str) -> bool:
    """Return whether code counts by its source: that of studies and of what they measure with, but no libraries'."""
    if module.startswith("flylab."):
        return module.startswith(_FOLLOWED)
    file = getattr(sys.modules.get(module), "__file__", None)
    return file is not None and not {"site-packages", "dist-packages"} & {*Path(file).parts}


def _code(value: Any, seen: dict[int, Any]) -> Iterator[Any]:
    """Yield the syntax of a function or class, and the form of all that a function reads by name."""
    if isinstance(value, type):
        yield _syntax(ast.parse(textwrap.dedent(inspect.getsource(value))))
        return
    yield _syntax(_node(value))
    yield _form([value.__defaults__, value.__kwdefaults__], seen)
    names = sorted(set(_names(value.__code__)) & value.__globals__.keys())
    for name in names:
        if not isinstance(value.__globals__[name], types.ModuleType):
            yield [name, _form(value.__globals__[name], seen)]
    for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
        yield [name, _form(cell.cell_contents, seen)]


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _node(function: types.FunctionType) -> ast.AST:
    """Return a function's definition in its file; of several lambdas of a line, the one that holds its code."""
    code = function.__code__
    nodes = [node for node in ast.walk(_tree(code.co_filename)) if isinstance(node, ast.FunctionDef | ast.Lambda)]
    places = {(line, column) for line, _, column, _ in code.co_positions() if column and line}
    for node in nodes:
        first = min(getattr(part, "lineno", node.lineno) for part in (node, *getattr(node, "decorator_list", ())))
        if first != code.co_firstlineno or getattr(node, "name", "<lambda>") != code.co_name:
            continue
        body = node.body if isinstance(node, ast.Lambda) else None
        ends = (0, 0), (sys.maxsize, 0)
        if body is not None:
            ends = (body.lineno, body.col_offset), (body.end_lineno, body.end_col_offset)
        if all(ends[0] <= place <= ends[1] for place in places if place != (code.co_firstlineno, 0)):
            return node
    raise LookupError(f"{function.__qualname__} is not in its file")


@functools.lru_cache(maxsize=64)
def _tree(path: str) -> ast.Module:
    return ast.parse(Path(path).read_bytes())


def _syntax(node: Any) -> Any:
    """Return a syntax tree as lists, without text that does nothing and without what only some versions have."""
    if isinstance(node, list):
        return [_syntax(part) for part in node if not _is_text(part)]
    if isinstance(node, ast.AST):
        fields = [[name, _syntax(part)] for name, part in ast.iter_fields(node) if part not in (None, [])]
        return [type(node).__name__, *fields]
    return repr(node)


def _is_text(node: Any) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
