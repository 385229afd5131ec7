"""The part of a study's file that counts for its results: all but what only claims, tables and figures reach.

A statement is left out only if it defines names, the presentation reaches it, and nothing that counts uses its names.
Whatever may do more than define names counts.
"""

import ast
import copy
import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from flylab.runs.sources import Code, Source, bound_by, code_of, dotted, parsed

STUDY_NAME = "STUDY"
# fields of a study that do not change what a member is: members are named by protocol, condition and digest themselves
BESIDE = ("question", "presets", "conditions", "claims", "figure", "table", "n_steps", "resources", "minutes",
          "input_digest")  # fmt: skip
_BY_CONVENTION = {*BESIDE, *(name.upper() for name in BESIDE)}
_PURE = {
    "tuple", "list", "dict", "set", "frozenset", "range", "zip", "enumerate", "sorted", "len", "min", "max", "sum",
    "abs", "round", "int", "float", "str", "bool", "map", "filter", "reversed", "partial", "cache", "lru_cache",
    "dataclass", "field", "get_args", "jit", "vmap", "wraps", "property", "staticmethod", "classmethod",
    "contextmanager", "MappingProxyType", "namedtuple", "style",
}  # fmt: skip
_BASES = {"object", "NamedTuple", "Protocol", "Enum", "IntEnum", "StrEnum", "Generic", "Exception", "ValueError"}
_MUTATORS = {"update", "append", "extend", "insert", "add", "setdefault", "pop", "popitem", "remove", "discard",
             "clear", "register", "sort", "reverse", "setattr", "__setitem__"}  # fmt: skip
_DYNAMIC = {"globals", "vars", "locals", "eval", "exec", "modules", "__globals__", "__dict__", "_getframe", "getmodule",
            "f_globals", "__name__", "currentframe"}  # fmt: skip
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp,
           ast.GeneratorExp)  # fmt: skip


class Statement(NamedTuple):
    """A statement at the top level of a module, or the part of one that binds one name or sets one field."""

    node: ast.AST
    code: Code
    binds: frozenset[str]
    uses: frozenset[str]
    only_defines: bool
    is_main: bool = False
    field: str = ""  # of the study

    @property
    def lines(self) -> range:
        """The lines of the file that it takes, decorators included."""
        nodes = [self.node, *getattr(self.node, "decorator_list", ())]
        first = min(getattr(node, "lineno", 0) for node in nodes)
        return range(first, (getattr(self.node, "end_lineno", 0) or 0) + 1)


def counted(source: Source, requested: Iterable[str] = ()) -> list[Statement]:
    """Return the statements of a study's file that count, in order.

    Args:
        source: the study's file.
        requested: names that other modules use of it.
    """
    statements = _statements(source)
    requested = set(requested)
    by_name: dict[str, list[int]] = {}
    for i, statement in enumerate(statements):
        for name in statement.binds:
            by_name.setdefault(name, []).append(i)
    beside = [
        i for i, statement in enumerate(statements) if statement.field in BESIDE or statement.binds & _BY_CONVENTION
    ]
    reached = _closure(beside, statements, by_name)
    kept = [i for i in range(len(statements)) if i not in reached or not statements[i].only_defines]
    kept += [i for name in requested for i in by_name.get(name, ()) if statements[i].field not in BESIDE]
    chosen = _closure(kept, statements, by_name, skipped=BESIDE)
    if _may_use_all([statements[i] for i in sorted(chosen)], requested):
        return statements
    return [statement for i, statement in enumerate(statements) if i in chosen]


def _closure(start: Iterable[int], statements: Sequence[Statement], by_name: dict[str, list[int]],
             skipped: Sequence[str] = ()) -> set[int]:  # fmt: skip
    """Return all statements that some statements reach by names, themselves included."""
    reached, stack = set(), list(start)
    while stack:
        if (i := stack.pop()) in reached:
            continue
        reached.add(i)
        for name in statements[i].uses:
            stack.extend(j for j in by_name.get(name, ()) if statements[j].field not in skipped)
    return reached


def _may_use_all(chosen: Sequence[Statement], requested: set[str]) -> bool:
    """Return whether the statements that count may reach others by names that are computed, or through the study."""
    if STUDY_NAME in requested:
        return True
    for statement in chosen:
        if statement.field or statement.is_main:
            continue
        for chain in statement.code.chains:
            through_study = chain[0] == STUDY_NAME and (len(chain) < 2 or chain[1] in BESIDE)
            if through_study or set(chain) & _DYNAMIC:
                return True
    return False


@functools.lru_cache(maxsize=256)
def _statements(source: Source) -> list[Statement]:
    package = source.name if source.is_package else source.name.rpartition(".")[0]
    parts = [part for node in parsed(source).body for part in _parts(node)]
    top = {name for node, *_ in parts if isinstance(node, ast.stmt) for name in bound_by(node)}
    statements = []
    for node, field, is_main in parts:
        code = code_of([node], package, source.aliases)
        binds = frozenset({STUDY_NAME} if field else bound_by(node) if isinstance(node, ast.stmt) else ())
        own = {STUDY_NAME} if field else _locals(node) if isinstance(node, ast.FunctionDef) else set()
        uses = (code.names - own) | (_quoted(node) & top)
        only_defines = bool(field) or (_only_defines(node, binds) and not _changes(node, top, code))
        statements.append(Statement(node, code, binds, frozenset(uses), only_defines, is_main, field))
    return statements


def _quoted(node: ast.AST) -> set[str]:
    """Return the names in annotations that are written as text."""
    parts = (getattr(part, name, None) for part in ast.walk(node) for name in ("annotation", "returns"))
    texts = (text for part in parts if part is not None for text in ast.walk(part) if isinstance(text, ast.Constant))
    return {name for text in texts if isinstance(text.value, str) for name in re.findall(r"\w+", text.value)}


def _locals(function: ast.FunctionDef) -> set[str]:
    """Return names that are surely local wherever a function uses them; not all local names are."""
    arguments = function.args
    names = {part.arg for part in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    stack: list[ast.AST] = list(function.body)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif not isinstance(node, _SCOPES):
            stack.extend(ast.iter_child_nodes(node))
    if any(isinstance(node, ast.Global) for node in ast.walk(function)):
        return set()
    around = (arguments, *function.decorator_list, *((function.returns,) if function.returns else ()))
    return names - {part.id for node in around for part in ast.walk(node) if isinstance(part, ast.Name)}


def _parts(node: ast.stmt) -> Iterator[tuple[ast.AST, str, bool]]:
    """Yield the parts of a statement that count by themselves, the field of the study, and whether a script runs it."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        for alias in node.names:
            single = copy.copy(node)
            single.names = [alias]
            yield single, "", False
    elif (call := _study_call(node)) is not None:
        head = ast.copy_location(ast.Call(call.func, call.args, []), call.func)
        yield head, "run", False
        for keyword in call.keywords:
            yield keyword, keyword.arg or "run", False
    elif isinstance(node, ast.If) and ast.dump(node.test).count("'__main__'") and not node.orelse:
        yield node, "", True
    elif not isinstance(node, ast.If) or dotted(node.test)[-1:] != ("TYPE_CHECKING",):
        yield node, "", False


def _study_call(node: ast.stmt) -> ast.Call | None:
    """Return the call of `STUDY = Study(…)` or `STUDY = Study.of_module(…)`, with fields by name only, or None."""
    value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
    if not isinstance(value, ast.Call) or bound_by(node) != {STUDY_NAME} or "Study" not in dotted(value.func)[-2:]:
        return None
    is_plain = dotted(value.func)[-1] != "Study" or not value.args
    return value if is_plain and all(keyword.arg for keyword in value.keywords) else None


def _only_defines(node: ast.AST, binds: frozenset[str]) -> bool:
    """Return whether a statement does nothing but bind names."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return all(alias.name != "*" for alias in node.names)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        run_now = [*node.decorator_list, *node.args.defaults, *node.args.kw_defaults]
        return all(dotted(part) or _calls_are_pure(part) for part in run_now if part is not None) and all(
            _name_of(part) in _PURE for part in node.decorator_list
        )
    if isinstance(node, ast.ClassDef):
        bases_known = all(_name_of(base) in _BASES for base in node.bases) and not node.keywords
        decorated = all(_name_of(part) in _PURE for part in node.decorator_list)
        return bases_known and decorated and all(_only_defines(part, binds) for part in node.body)
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign):
        targets = [node.target]
    else:
        return isinstance(node, ast.Pass)
    names = [part for target in targets for part in (target.elts if isinstance(target, ast.Tuple) else [target])]
    is_beside = bool(binds & _BY_CONVENTION)
    return all(isinstance(name, ast.Name) for name in names) and (is_beside or _calls_are_pure(node))


def _calls_are_pure(node: ast.AST) -> bool:
    """Return whether all that runs now, which bodies of lambdas do not, is known to do nothing but return a value."""
    stack = [node]
    while stack:
        part = stack.pop()
        if isinstance(part, ast.Call) and _name_of(part) not in _PURE:
            return False
        if not isinstance(part, ast.Lambda):
            stack.extend(ast.iter_child_nodes(part))
    return True


def _name_of(node: ast.AST) -> str:
    """Return the last name of a dotted name, of what a call calls, or of what a subscript is of."""
    while isinstance(node, ast.Call | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    return (dotted(node) or ("",))[-1]


def _changes(node: ast.AST, top: set[str], code: Code) -> bool:
    """Return whether a statement contains code that may change what another binds, or register something."""
    if any("register" in part for chain in code.chains for part in chain):
        return True
    own = {part.arg for part in ast.walk(node) if isinstance(part, ast.arg)}
    own |= {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
    for part in ast.walk(node):
        if isinstance(part, ast.Global | ast.Delete | ast.AugAssign) and not _is_local(part, own):
            return True
        if isinstance(part, ast.Attribute | ast.Subscript) and isinstance(part.ctx, ast.Store | ast.Del):
            if _root(part) in top - own:
                return True
        elif isinstance(part, ast.Call):
            chain = dotted(part.func)
            if chain == ("setattr",) or (len(chain) > 1 and chain[0] in top - own and chain[-1] in _MUTATORS):
                return True
    return False


def _is_local(node: ast.AST, own: set[str]) -> bool:
    targets = [node.target] if isinstance(node, ast.AugAssign) else getattr(node, "targets", ())
    return bool(targets) and all(_root(target) in own for target in targets)


def _root(node: ast.AST) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call | ast.Starred):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""
