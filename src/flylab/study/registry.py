"""Studies by name: every module of `flylab.studies` that defines `STUDY`, and those that other packages register.

Another package registers a study by an entry point of the group `flylab.studies`, which names the study, or a module
that defines `STUDY`.
"""

import difflib
import functools
import importlib
import importlib.util
import pkgutil
import re
import sys
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from flylab.study.study import Study

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
        return study_of_file(Path(name))
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


def study_of_file(path: Path) -> Study:
    """Return the study that a file defines, as `STUDY` or by the names that `Study.of` takes. Its code is run.

    Raises:
        ValueError: if there is no such file, it cannot be imported, or it defines no study.
    """
    path = path.absolute()
    name = re.sub(r"\W", "_", path.stem)
    module = sys.modules.get(name)
    if getattr(module, "__file__", None) != str(path):
        if not path.is_file():
            raise ValueError(f"there is no file {path}; flylab new study {name} writes one")
        if module is not None or importlib.util.find_spec(name) is not None:
            raise ValueError(f"{path.name} is named as another module is: rename it")
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        sys.path.insert(0, str(path.parent))  # modules beside it
        try:
            spec.loader.exec_module(module)
        except BaseException as error:
            del sys.modules[name]
            if not isinstance(error, Exception):
                raise
            raise ValueError(f"{path} cannot be imported ({type(error).__name__}: {error})") from error
    study: Any = getattr(module, "STUDY", None)
    study = Study.of(vars(module)) if study is None else study
    return replace(study, name=name, place=str(path))


def _entries() -> dict[str, EntryPoint]:
    """Return the studies that other packages register, by name with underscores."""
    return {entry.name.replace("-", "_"): entry for entry in entry_points(group=_PACKAGE)}


def _hyphenated(name: str) -> str:
    return name.replace("_", "-")
