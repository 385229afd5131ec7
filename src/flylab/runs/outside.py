"""What users' code may read besides its source, such as files, the environment and chance: no fingerprint holds that.

Sound before fine: only modules that are known to read nothing may be used, of some of them only the names that do. So
what a library reads is found by the library's name. What values can do, such as `path.read_text()`, is found by the
names of methods.
"""

import ast
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from flylab.runs.counted import last_name
from flylab.runs.fingerprint import gathered
from flylab.runs.reach import imports

_ALLOWED = {
    *("__future__", "abc", "array", "base64", "bisect", "builtins", "cmath", "collections", "contextlib", "copy"),
    *("dataclasses", "decimal", "enum", "fractions", "functools", "heapq", "itertools", "json", "logging", "math"),
    *("numbers", "operator", "random", "re", "statistics", "string", "struct", "textwrap", "types", "typing"),
    *("typing_extensions", "warnings", "weakref", "zlib"),
    *("beartype", "chex", "einops", "equinox", "jaxtyping", "numpy", "numpy.lib.stride_tricks", "optax", "scipy"),
    *("sklearn", "torch", "torch.utils.checkpoint"),
    *(f"jax.{name}" for name in (
        "Array", "ShapeDtypeStruct", "checkpoint", "closure_convert", "custom_batching", "custom_derivatives",
        "custom_gradient", "custom_jvp", "custom_vjp", "debug", "dtypes", "eval_shape", "flatten_util", "grad",
        "hessian", "image", "jacfwd", "jacobian", "jacrev", "jit", "jvp", "lax", "linear_transpose", "linearize",
        "make_jaxpr", "named_call", "named_scope", "nn", "numpy", "ops", "pure_callback", "random", "remat", "scipy",
        "tree", "tree_util", "typing", "value_and_grad", "vjp", "vmap",
    )),
    *(f"flylab.{name}" for name in (
        "MNIST1D", "Dataset", "Model", "Objective", "Plan", "Splits", "Training", "adapters.equinox", "adapters.torch",
        "base.constraints", "base.rng", "base.types", "data.MNIST1D", "get_model", "models", "n_params",
        "register_model", "study.Slot", "supervised", "training",
    )),
}  # fmt: skip
_DENIED = {
    *("builtins.open", "logging.config", "logging.handlers", "operator.attrgetter", "operator.methodcaller"),
    *("equinox.tree_deserialise_leaves", "jax.numpy.load", "jax.numpy.fromfile", "numpy.core", "numpy.ctypeslib"),
    *("numpy.DataSource", "numpy.distutils", "numpy.f2py", "numpy.fromfile", "numpy.fromregex", "numpy.genfromtxt"),
    *("numpy.get_include", "numpy.lib", "numpy.load", "numpy.loadtxt", "numpy.memmap", "numpy.show_config"),
    *("numpy.testing", "scipy.datasets", "scipy.io", "scipy.misc", "sklearn.datasets", "sklearn.externals"),
    *("sklearn.get_config", "sklearn.show_versions", "flylab.models.tickets"),
    *(f"torch.{name}" for name in (
        "accelerator", "backends", "classes", "cpu", "cuda", "distributed", "export", "from_file", "get_default_device",
        "get_default_dtype", "get_num_interop_threads", "get_num_threads", "hub", "initial_seed", "jit", "library",
        "load", "mps", "mtia", "multiprocessing", "onnx", "ops", "package", "random", "seed", "serialization", "utils",
        "xpu",
    )),
}  # fmt: skip
_BUILTIN = {
    "open", "input", "eval", "exec", "compile", "__import__", "globals", "locals", "breakpoint", "hash", "id", "help",
    "__builtins__", "__loader__", "__spec__", "__file__", "__path__", "__cached__",
}  # fmt: skip
_METHODS = {  # of values, and ways from one module to another
    "open", "read", "load", "environ", "environb", "getenv", "argv", "stdin", "fromfile", "memmap", "genfromtxt",
    "fromregex", "File", "ZipFile", "TarFile", "ImageFolder", "listdir", "scandir", "glob", "iglob", "rglob", "iterdir",
    "exists", "isfile", "is_file", "isdir", "is_dir", "stat", "getmtime", "urlopen", "urlretrieve", "from_pretrained",
    "get_data", "addsitedir", "popen", "system", "urandom", "uuid4", "from_file", "os", "_os", "sys", "_sys",
    "builtins", "importlib", "__builtins__", "__globals__", "__subclasses__", "__loader__", "__spec__", "__file__",
}  # fmt: skip
_PREFIXES = ("read_", "load_", "open_", "fetch_", "loadtxt")
_HARMLESS = {"load_state_dict"}
_SEEDED = {"default_rng", "RandomState", "Random", "SystemRandom", "SeedSequence", "PCG64", "PCG64DXSM", "MT19937",
           "Philox", "SFC64"}  # without an argument they take what nobody knows  # fmt: skip
_GIVEN = {"seed", "vars"}  # so do these, but their names are often others'
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def read_outside(code: Callable | types.ModuleType) -> str:
    """Return the first place in users' code that may read more than source, such as "open (mine.py, line 3)", or "".

    Args:
        code: a module, which is looked at with all that it can import; or a function, with the functions that it holds
            or reads: other values count by what they are.

    Raises:
        UnhashableError: if it has no fingerprint.
    """
    held, reached = gathered(code)
    theirs = {name: part.path for name, part in sorted(reached.parts.items())
              if name.partition(".")[0] != "flylab" and part.path.endswith(".py")}  # fmt: skip
    trees = {name: ast.parse(Path(path).read_bytes()) for name, path in theirs.items()}
    nodes: dict[str, list[ast.AST]] = {
        name: [tree] if theirs[name] in held.whole else _functions(tree, held.starts.get(theirs[name], set()))
        for name, tree in trees.items()
    }
    inner = [(part, name) for name, some in nodes.items() for node in some for part in ast.walk(node)]
    if any(module in trees for part, name in inner for module, _ in imports([part], name.rpartition(".")[0])):
        nodes = {name: [tree] for name, tree in trees.items()}  # what they import when they run counts whole
    names = _imported(trees)
    for name, some in nodes.items():
        found = [item for node in some for item in _reads(node, names[name], _bound(trees[name]))]
        for line, what in sorted(found):
            return f"{what} ({Path(theirs[name]).name}, line {line})"
    return ""


def _functions(tree: ast.AST, lines: set[int]) -> list[ast.AST]:
    """Return the functions that begin in some lines."""
    functions = (node for node in ast.walk(tree) if isinstance(node, _SCOPES))
    first = {node: min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))]) for node in functions}
    return [node for node, line in first.items() if line in lines]


def _imported(trees: Mapping[str, ast.AST]) -> dict[str, dict[str, str]]:
    """Return by module the names that imports bind to what is not users' own, with what each is."""
    tops = {name.partition(".")[0] for name in trees}
    names: dict[str, dict[str, str]] = {name: {} for name in trees}
    passed_on = []
    for name, tree in trees.items():
        for node, alias in ((part, alias) for part in ast.walk(tree) for alias in getattr(part, "names", ())):
            if isinstance(node, ast.Import):
                what = alias.name if alias.asname else alias.name.partition(".")[0]
                bound = alias.asname or what
            elif isinstance(node, ast.ImportFrom):
                one = ast.ImportFrom(node.module, [alias], node.level)
                module, used = next(imports([one], name.rpartition(".")[0]))
                what, bound = f"{module}.{used}", alias.asname or used
                passed_on += [(name, bound, module, used)] if module in trees else []
            else:
                continue  # global names
            if what.partition(".")[0] not in tops:
                names[name][bound] = what
    for _ in trees:
        for name, bound, module, used in passed_on:
            if used in names[module]:
                names[name][bound] = names[module][used]
    return names


def _reads(tree: ast.AST, names: Mapping[str, str], bound: set[str]) -> Iterator[tuple[int, str]]:
    """Yield the line and the name of all that some code may read."""
    called = {node.func for node in ast.walk(tree) if isinstance(node, ast.Call) and _has_argument(node)}
    chains = {node.value for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    chains |= {node.args[0] for node in ast.walk(tree) if isinstance(node, ast.Call) and _attribute(node)}
    for node in ast.walk(tree):
        line, parts = getattr(node, "lineno", 0), []
        if isinstance(node, ast.Attribute) and _is_method(node.attr):
            parts.append(node.attr)
        if isinstance(node, ast.Attribute | ast.Name) and node not in chains and isinstance(node.ctx, ast.Load):
            if (what := _dotted(node, names)) and not _is_allowed(what):
                parts.append(what)
            if (what or last_name(node)).rpartition(".")[2] in _SEEDED and node not in called:
                parts.append(f"{last_name(node)}()")
        if isinstance(node, ast.Call) and last_name(node.func) in _GIVEN and node.func not in called:
            parts.append(f"{last_name(node.func)}()")
        if isinstance(node, ast.Call) and (value := _attribute(node)):
            what = ".".join(filter(None, [_dotted(node.args[0], names), value]))
            parts += [what] if _is_method(value) or ("." in what and not _is_allowed(what)) else []
        if isinstance(node, ast.ImportFrom) and not node.level and node.names[0].name == "*":
            parts += [] if _is_allowed(str(node.module)) else [f"{node.module}.*"]
        yield from ((line, part) for part in parts[-1:])
    yield from ((node.lineno, node.id) for node in _free([tree], set(), bound) if node.id in _BUILTIN)


def _attribute(call: ast.Call) -> str:
    """Return the attribute that a call such as `getattr(nn, "relu")` gives, "" for another call."""
    given = call.args[1] if last_name(call.func) == "getattr" and len(call.args) > 1 else None
    return given.value if isinstance(given, ast.Constant) and isinstance(given.value, str) else ""


def _is_method(name: str) -> bool:
    return name in _METHODS or (name.startswith(_PREFIXES) and name not in _HARMLESS)


def _has_argument(call: ast.Call) -> bool:
    values = [*call.args, *(keyword.value for keyword in call.keywords)]
    return any(not (isinstance(value, ast.Constant) and value.value is None) for value in values)


def _dotted(node: ast.AST, names: Mapping[str, str]) -> str:
    """Return what a dotted name that begins with an imported one is, or ""."""
    if isinstance(node, ast.Attribute):
        above = _dotted(node.value, names)
        return above and f"{above}.{node.attr}"
    return names.get(node.id, "") if isinstance(node, ast.Name) else ""


def _is_allowed(what: str) -> bool:
    """Return whether nothing is read by a dotted name, or by any name below it."""
    words = what.split(".")
    above = [".".join(words[:i]) for i in range(len(words), 0, -1)]
    known = next((name for name in above if name in _ALLOWED or name in _DENIED), "")
    is_private = any(word.startswith("_") and not word.startswith("__") for word in words)
    return known in _ALLOWED and not is_private and not any(name.startswith(f"{what}.") for name in _DENIED)


def _bound(scope: ast.AST) -> set[str]:
    """Return the names that a function or module binds itself."""
    arguments = getattr(scope, "args", None)
    names = {node.arg for node in ast.walk(arguments) if isinstance(node, ast.arg)} if arguments else set()
    stack: list[ast.AST] = list(ast.iter_child_nodes(scope))
    while stack:
        node = stack.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        elif not isinstance(node, ast.Lambda):
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                names.add(node.id)
            stack += ast.iter_child_nodes(node)
    return names


def _free(nodes: Iterable[ast.AST], inner: set[str], module: set[str]) -> Iterator[ast.Name]:
    """Yield the names in some code that neither a function around them nor, in functions, the module binds."""
    for node in nodes:
        if isinstance(node, ast.Name):
            if node.id not in inner:
                yield node
        elif isinstance(node, _SCOPES):
            before = [*getattr(node, "decorator_list", []), *node.args.defaults, *filter(None, node.args.kw_defaults)]
            yield from _free(before, inner, module)
            body = node.body if isinstance(node.body, list) else [node.body]
            yield from _free(body, inner | module | _bound(node), module)
        else:
            yield from _free(ast.iter_child_nodes(node), inner, module)
