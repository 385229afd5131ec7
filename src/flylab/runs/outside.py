"""What users' code may read besides its source, such as files, the environment and chance: no fingerprint holds that.

It is found by the names of what reads, so code that reads through a library's function of another name is not.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from flylab.runs.counted import last_name
from flylab.runs.reach import Reached

_READING = {
    "open", "read", "load", "environ", "environb", "getenv", "argv", "stdin", "fromfile", "memmap", "genfromtxt",
    "fromregex", "File", "ZipFile", "TarFile", "ImageFolder", "listdir", "scandir", "glob", "iglob", "rglob", "iterdir",
    "exists", "isfile", "is_file", "isdir", "is_dir", "stat", "getmtime", "urlopen", "urlretrieve", "from_pretrained",
    "get_data", "addsitedir", "popen", "system", "urandom", "uuid4",
}  # fmt: skip
_PREFIXES = ("read_", "load_", "open_", "loadtxt")
_HARMLESS = {"load_state_dict"}
_MODULES = {"subprocess", "ctypes", "socket", "urllib", "requests", "httpx", "sqlite3", "shelve", "secrets"}
_UNSEEDED = {"default_rng", "RandomState", "Random", "SystemRandom"}  # without arguments they draw their seed


def read_outside(reached: Reached) -> str:
    """Return the first place in users' code that may read more than source, such as "open (mine.py, line 3)", or ""."""
    for name, part in sorted(reached.parts.items()):
        if name.partition(".")[0] != "flylab" and part.path.endswith(".py"):
            tree = ast.parse(Path(part.path).read_bytes())
            found = ((node.lineno, what) for node in ast.walk(tree) for what in _read_by(node))  # type: ignore[attr-defined]
            for line, what in sorted(found):
                return f"{what} ({Path(part.path).name}, line {line})"
    return ""


def _read_by(node: ast.AST) -> Iterator[str]:
    """Yield what an expression or import may read."""
    match node:
        case ast.Attribute(value=ast.Name("sys"), attr="path"):
            yield "sys.path"
        case ast.Attribute(attr=name) | ast.Call(func=ast.Name("getattr"), args=[_, ast.Constant(name), *_]):
            yield from filter(_reads, [str(name)])
        case ast.Name("open"):
            yield "open"
        case ast.Call(args=[], keywords=[]) if last_name(node.func) in _UNSEEDED:
            yield f"{last_name(node.func)}()"
        case ast.Import(names) | ast.ImportFrom(names=names):
            modules = [alias.name for alias in names] if isinstance(node, ast.Import) else [node.module or ""]
            yield from (module for module in modules if module.partition(".")[0] in _MODULES)
            if isinstance(node, ast.ImportFrom):
                yield from (alias.name for alias in names if _reads(alias.name) or node.module == "sys")


def _reads(name: str) -> bool:
    return name in _READING or (name.startswith(_PREFIXES) and name not in _HARMLESS)
