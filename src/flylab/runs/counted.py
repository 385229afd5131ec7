"""The part of a study's file that counts for its results: all but what only its presentation reaches.

The presentation are the names and the fields of `STUDY = Study(…)` in `BESIDE`. What it reaches by names is left out if
nothing that counts uses it and it only binds names: an import, a function without decorators, or an assignment without
calls (the presentation's own names may have decorators and calls). Every other statement counts. Everything counts
where names are computed, or the study itself is used.
"""

import ast
import re
from collections.abc import Iterable, Sequence

ALL, STUDY_NAME = "*", "STUDY"
# fields of a study that do not change what a member is: members are named by protocol, condition and digest themselves
BESIDE = {"question", "presets", "conditions", "claims", "figure", "table", "n_steps", "resources", "minutes",
          "input_digest", "image_sets"}  # fmt: skip
_BY_CONVENTION = BESIDE | {name.upper() for name in BESIDE}
_DYNAMIC = {"globals", "vars", "locals", "eval", "exec", "modules", "getmodule", "currentframe", "_getframe",
            "f_globals", "__globals__", "__dict__"}  # fmt: skip


def counted(body: Sequence[ast.stmt], requested: set[str]) -> Sequence[ast.AST]:
    """Return the statements of a study's file that count, or the parts of them that do, in order.

    Args:
        body: the file's statements.
        requested: names that other modules use of it, `ALL` if they use the module as a value.
    """
    parts = [part for node in body for part in _parts(node)]
    optional, uses = [_optional(part) for part in parts], [_uses(part) for part in parts]

    def closure(start: Iterable[int]) -> set[int]:
        """Return some parts, and all optional ones that they reach by names."""
        reached, stack = set(), list(start)
        while stack:
            if (i := stack.pop()) not in reached:
                reached.add(i)
                stack += [j for j, names in enumerate(optional) if names and names & uses[i]]
        return reached

    beside = closure(i for i, names in enumerate(optional) if names == set() or (names or set()) & _BY_CONVENTION)
    chosen = closure(i for i, names in enumerate(optional) if i not in beside or (names or set()) & requested)
    counting = [parts[i] for i in sorted(chosen)]
    everything = requested & {ALL, STUDY_NAME} or any(map(_may_use_all, counting))
    return body if everything else counting


def is_study(body: Iterable[ast.stmt]) -> bool:
    """Return whether a module defines or imports `STUDY`."""
    return any(STUDY_NAME in _binds(node) for node in body)


def last_name(node: ast.AST) -> str:
    """Return the last part of a dotted name, or "" for other code."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _parts(node: ast.stmt) -> list[ast.AST]:
    """Return a statement, or the fields of the study if it defines it."""
    call = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
    if isinstance(call, ast.Call) and (_binds(node), last_name(call.func)) == ({STUDY_NAME}, "Study"):
        return [ast.copy_location(ast.Call(call.func, call.args, []), call.func), *call.keywords]
    return [node]


def _optional(node: ast.AST) -> set[str] | None:
    """Return the names that a part binds if it may be left out (none for a field of the study), or else None."""
    if isinstance(node, ast.keyword):
        return set() if node.arg in BESIDE else None
    names = _binds(node)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        is_plain = not node.decorator_list and not _runs(node.args)
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        is_plain = node.value is None or not _runs(node.value)
    else:
        is_plain = isinstance(node, ast.Import | ast.ImportFrom) and ALL not in names
    return names if names and (is_plain or names <= _BY_CONVENTION) else None


def _runs(node: ast.AST) -> bool:
    """Return whether an expression may do more than make a value."""
    return any(isinstance(part, ast.Call | ast.NamedExpr) for part in ast.walk(node))


def _binds(node: ast.AST) -> set[str]:
    """Return the names that an import, a definition or an assignment binds, none if it sets anything else."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    parts = [part for target in targets for part in ast.walk(target)]
    if any(isinstance(part, ast.Attribute | ast.Subscript) for part in parts):
        return set()
    return {part.id for part in parts if isinstance(part, ast.Name)}


def _uses(node: ast.AST) -> set[str]:
    """Return the names that a part reads, those in annotations that are text among them."""
    parts = list(ast.walk(node))
    quoted = [getattr(part, name, None) for part in parts for name in ("annotation", "returns")]
    texts = [part.value for text in quoted if text for part in ast.walk(text) if isinstance(part, ast.Constant)]
    names = {part.id for part in parts if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Store)}
    return names.union(*(re.findall(r"\w+", text) for text in texts if isinstance(text, str)))


def _may_use_all(node: ast.AST) -> bool:
    """Return whether a part that counts may use any name of the file; what only a script runs may use the study."""
    if isinstance(node, ast.If) and "'__main__'" in ast.dump(node.test):
        return False
    words = {last_name(part) for part in ast.walk(node) if not isinstance(getattr(part, "ctx", None), ast.Store)}
    return not words.isdisjoint({*_DYNAMIC, STUDY_NAME})
