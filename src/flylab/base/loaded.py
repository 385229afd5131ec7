"""The source that modules of this process were loaded from, which their files may not hold any more.

A module that has been edited since its import still runs as it was: in a notebook, say. What it computes must not be
taken for what its file says by now.
"""

import functools
import os
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

State = tuple[int, int]  # a file's time of change and size
_BEGAN = time.time_ns()
_known: dict[str, tuple[Any, State]] = {}  # by file: the module's spec, which a reload replaces, and the file's state


def state_of(path: str) -> State:
    """Return what changes when a file is edited.

    Raises:
        OSError: if there is no such file.
    """
    found = os.stat(path)
    return found.st_mtime_ns, found.st_size


def is_current(module: ModuleType) -> bool:
    """Return whether a module's file is as it was when the module was loaded.

    A change between the import and the first question is known from the bytecode that Python has written, if it has.
    """
    path = getattr(module, "__file__", None)
    try:
        state = state_of(path or "")
    except OSError:
        return path is None  # built in, or else deleted
    spec, known = _known.get(str(path), (None, state))
    if spec is None or spec is not module.__spec__:
        compiled = _compiled_from(module)
        if state[0] >= _BEGAN and compiled not in (None, (state[0] // 10**9 & 0xFFFFFFFF, state[1] & 0xFFFFFFFF)):
            return False
        note(module)
        return True
    return known == state


def note(module: ModuleType) -> None:
    """Remember that a module has just been loaded from its file."""
    if path := getattr(module, "__file__", None):
        _known[path] = module.__spec__, state_of(path)


def note_beside(path: Path) -> None:
    """Remember this of all modules in a file's folder of which nothing is known yet."""
    for module in _beside(path).values():
        if _known.get(str(module.__file__), (None,))[0] is not module.__spec__:
            note(module)


def forget_changed(path: Path) -> None:
    """Let the modules in a file's folder be imported anew, if one of them has changed."""
    beside = _beside(path)
    if not all(map(is_current, beside.values())):
        for name in beside:
            del sys.modules[name]


def _beside(path: Path) -> dict[str, ModuleType]:
    """Return the modules in a file's folder, and in those below it, that are neither installed nor run as a script."""
    folder = f"{os.path.dirname(os.path.realpath(path))}{os.sep}"
    own = str(Path(__file__).parents[1])
    script = sys.modules.get("__main__")
    modules = {name: module for name, module in [*sys.modules.items()] if module is not script}
    real_folder = functools.cache(os.path.realpath)  # a process has thousands of modules, in a tenth as many folders

    def real(path: str) -> str:
        path = os.path.join(real_folder(os.path.dirname(path)), os.path.basename(path))
        return os.path.realpath(path) if os.path.islink(path) else path

    files = {name: real(getattr(module, "__file__", None) or "") for name, module in modules.items()}
    return {
        name: modules[name] for name, file in files.items()
        if file.startswith(folder) and not file.startswith(own) and "-packages" not in file and os.path.isfile(file)
    }  # fmt: skip


def _compiled_from(module: ModuleType) -> State | None:
    """Return the time in seconds and the size of the source that a module's bytecode was compiled from."""
    try:
        head = Path(module.__cached__ or "").read_bytes()[:16]
    except (OSError, AttributeError):
        return None
    return int.from_bytes(head[8:12], "little"), int.from_bytes(head[12:16], "little")
