"""Studies by name: every module of `flylab.studies` that defines `STUDY`, and those that other packages register.

Another package registers a study by an entry point of the group `flylab.studies`; its value is the study, or a module
that defines `STUDY`.
"""

import difflib
import functools
import importlib
import pkgutil
from dataclasses import replace
from importlib.metadata import entry_points
from typing import Any

from flylab.study.study import Study

_PACKAGE = "flylab.studies"


@functools.cache
def list_studies() -> tuple[str, ...]:
    """The names of all studies, flylab's own first."""
    own = [module.name for module in pkgutil.iter_modules(importlib.import_module(_PACKAGE).__path__)]
    return (*own, *(entry.name for entry in entry_points(group=_PACKAGE) if entry.name not in own))


def get_study(name: str) -> Study:
    """The study of a name; hyphens stand for underscores.

    Raises:
        ValueError: if there is none, with those there are.
    """
    name = name.replace("-", "_")
    if name not in list_studies():
        close = difflib.get_close_matches(name, list_studies(), n=1)
        hint = f"did you mean {_written(close[0])}? " if close else ""
        known = ", ".join(map(_written, list_studies()))
        raise ValueError(f"there is no study {_written(name)!r}; {hint}there are {known}")
    entries = entry_points(group=_PACKAGE, name=name)
    module = next(iter(entries)).load() if entries else importlib.import_module(f"{_PACKAGE}.{name}")
    study: Any = getattr(module, "STUDY", module)
    return replace(study, name=name)


def _written(name: str) -> str:
    return name.replace("_", "-")
