"""Studies by name: every module of `flylab.studies` that defines `STUDY`, and those that other packages register.

Another package registers a study by an entry point of the group `flylab.studies`, which names the study, or a module
that defines `STUDY`.
"""

import contextlib
import difflib
import functools
import importlib
import importlib.util
import os
import pkgutil
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from flylab.base import loaded
from flylab.base.files import user_cache, user_path, write_atomic
from flylab.base.usercode import user_code
from flylab.study.study import Study

KNOWN = user_cache("studies") / "files"  # the studies' files that the user has run, one a line
_PACKAGE = "flylab.studies"


@functools.cache
def list_studies() -> tuple[str, ...]:
    """Return the names of all studies, flylab's own first."""
    names = [module.name for module in pkgutil.iter_modules(importlib.import_module(_PACKAGE).__path__)]
    return tuple(dict.fromkeys((*names, *_entries())))


def get_study(name: str) -> Study:
    """Return the study of a name, in which hyphens may stand for underscores; or that of a file, such as `my_study.py`.

    Raises:
        ValueError: if there is no such study (the message suggests similar names), or its package or file is broken.
    """
    if name.endswith(".py"):
        study = study_of_file(user_path(name))
        _make_known(study.place)
        return study
    name = name.replace("-", "_")
    if name not in list_studies():
        close = difflib.get_close_matches(name, list_studies(), n=1)
        hint = f"did you mean {_hyphenated(close[0])!r}? There are" if close else "there are"
        known = ", ".join(map(_hyphenated, list_studies()))
        raise ValueError(f"there is no study {_hyphenated(name)!r}; {hint} {known}")
    if (entry := _entries().get(name)) is None:
        module = importlib.import_module(f"{_PACKAGE}.{name}")
    else:
        try:
            module = entry.load()
        except Exception as error:  # another package's
            raise ValueError(f"the study {_hyphenated(name)!r} of {entry.value} cannot be imported: {error}") from error
    study: Any = getattr(module, "STUDY", module)
    return replace(study, name=name)


def study_in(attrs: Mapping[str, Any]) -> Study:
    """Return the study that made results with these attributes.

    Raises:
        ValueError: if there is none; or if it is a file that the user has not run here, since to read results must not
            run code that they name.
    """
    if not (place := str(attrs.get("place", ""))):
        return get_study(str(attrs.get("study", "(none)")).removesuffix(".py"))
    require_known(place)
    return study_of_file(Path(place))


def require_known(file: str) -> None:
    """Refuse a study's file that has never been run here by its user.

    Raises:
        ValueError: if it has not.
    """
    if file not in _known_files():
        raise ValueError(f"it is a study of {file}, which has not been run here: flylab run {file} smoke runs it")


def _known_files() -> list[str]:
    try:
        return KNOWN.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []


def _make_known(file: str) -> None:
    if file not in (known := _known_files()):
        with contextlib.suppress(OSError):
            write_atomic(KNOWN, "".join(f"{line}\n" for line in (*known[-1000:], file)))


def study_of_file(path: Path) -> Study:
    """Return the study that a file defines, as `STUDY` or by the names that `Study.of` takes. Its code is run.

    Its module stays imported under the file's name, and its folder on the path, so that classes of it can be unpickled
    and worker processes, which begin with this path, find it.

    Raises:
        ValueError: if there is no such file, its code fails, or it defines no study.
    """
    path, name = Path(os.path.abspath(path)), re.sub(r"\W", "_", path.stem)
    loaded.forget_changed(path)
    module = sys.modules.get(name)
    if getattr(module, "__file__", None) != str(path):
        if not path.is_file():
            raise ValueError(f"there is no file {path}; flylab new study {name} writes one")
        if module is not None or _is_other(name, path):
            raise ValueError(f"{path} is named as another module is: rename it")
        folder = os.path.dirname(os.path.realpath(path))
        sys.path.insert(0, folder)  # modules beside it
        try:
            module = _executed(path, name)
        except BaseException:
            sys.path.remove(folder)
            sys.modules.pop(name, None)
            raise
    study: Any = getattr(module, "STUDY", None)
    try:
        study = Study.of(vars(module)) if study is None else study
    except ValueError as error:
        raise ValueError(f"{path} is no study: {error}") from error
    return replace(study, name=name, place=str(path))


def _is_other(name: str, path: Path) -> bool:
    """Return whether an import of the name would not find this file."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return False
    return spec is not None and os.path.realpath(spec.origin or "") != os.path.realpath(path)


def _executed(path: Path, name: str) -> ModuleType:
    """Return the module that a file is, run under a name; unless there is a module of this name, it stays imported."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    loaded.note(module)
    with user_code(str(path)):
        sys.modules.setdefault(name, module)
        spec.loader.exec_module(module)
    loaded.note_beside(path)
    return module


def load_object(place: str) -> tuple[str, Any, ModuleType]:
    """Load the object at `file.py:Name` or `package.module:Name`; a file's module does not stay imported.

    Returns:
        Its name, the object, and the module.

    Raises:
        ValueError: if there is no such file or name, or the file's own code fails.
    """
    where, _, name = place.rpartition(":")
    if not where or not name:
        raise ValueError(f"{place!r} names nothing: give FILE.py:NAME, e.g. my_model.py:Net, or package.module:NAME")
    module = _import_file(Path(where)) if where.endswith(".py") else _import_name(where)
    if not hasattr(module, name):
        defined = [key for key, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
        raise ValueError(f"{where} has no {name!r}; it defines {', '.join(defined) or 'nothing'}")
    return name, getattr(module, name), module


@contextlib.contextmanager
def finding_neighbours(path: Path) -> Iterator[None]:
    """Let a file find the modules beside it, as when it is run as a script."""
    folder = str(path.parent.resolve())
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        loaded.note_beside(path)  # what has been imported late
        with contextlib.suppress(ValueError):  # its code has removed it
            sys.path.remove(folder)


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise ValueError(f"{path} does not exist; give the file that defines it")
    loaded.forget_changed(path)
    before = sys.modules.get(path.stem)
    try:
        with finding_neighbours(path):
            return _executed(path, path.stem)
    finally:
        if before is None:
            sys.modules.pop(path.stem, None)


def _import_name(name: str) -> ModuleType:
    try:
        spec = importlib.util.find_spec(name)
    except (ModuleNotFoundError, ValueError):
        spec = None
    if spec is None:
        raise ValueError(f"there is no module {name!r}; give a file, e.g. my_model.py:Net, or an installed module")
    with user_code(name):
        return importlib.import_module(name)


def _entries() -> dict[str, EntryPoint]:
    """Return the studies that other packages register, by name with underscores."""
    return {entry.name.replace("-", "_"): entry for entry in entry_points(group=_PACKAGE)}


def _hyphenated(name: str) -> str:
    return name.replace("_", "-")
