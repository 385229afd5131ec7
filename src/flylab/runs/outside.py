"""What users' code may read besides its source, such as files and the environment: no fingerprint holds that."""

import ast
from collections.abc import Iterator
from pathlib import Path

from flylab.runs.reach import Reached

_READING = {
    "open", "read", "load", "environ", "environb", "getenv", "argv", "stdin", "fromfile", "memmap", "genfromtxt",
    "fromregex", "File", "ZipFile", "TarFile", "ImageFolder", "listdir", "scandir", "glob", "iglob", "rglob", "iterdir",
    "urlopen", "urlretrieve", "from_pretrained", "get_data", "addsitedir",
}  # fmt: skip
_PREFIXES = ("read_", "load_", "open_", "loadtxt")
_HARMLESS = {"load_state_dict"}
_MODULES = {"subprocess", "ctypes", "socket", "urllib", "requests", "httpx", "sqlite3", "shelve"}


def read_outside(reached: Reached) -> str:
    """Return the first place in users' code that may read more than source, such as "open (mine.py, line 3)", or ""."""
    for name, part in sorted(reached.parts.items()):
        if name.partition(".")[0] != "flylab" and part.path.endswith(".py"):
            for line, what in sorted(_reading(ast.parse(Path(part.path).read_bytes()))):
                return f"{what} ({Path(part.path).name}, line {line})"
    return ""


def _reading(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            is_path = node.attr == "path" and isinstance(node.value, ast.Name) and node.value.id == "sys"
            if is_path or _reads(node.attr):
                yield node.lineno, f"sys.{node.attr}" if is_path else node.attr
        elif isinstance(node, ast.Name) and node.id == "open":
            yield node.lineno, node.id
        elif isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            names = [] if isinstance(node, ast.Import) else [alias.name for alias in node.names if _reads(alias.name)]
            names += [module for module in modules if module.partition(".")[0] in _MODULES]
            yield from ((node.lineno, name) for name in names)


def _reads(name: str) -> bool:
    return name in _READING or (name.startswith(_PREFIXES) and name not in _HARMLESS)
