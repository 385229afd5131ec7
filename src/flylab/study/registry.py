"""Studies by name: every module of `flylab.studies` that defines `STUDY`, and those that other packages register.

Another package registers a study by an entry point of the group `flylab.studies`, which names the study, or a module
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
    """Return the names of all studies, flylab's own first."""
    names = [module.name for module in pkgutil.iter_modules(importlib.import_module(_PACKAGE).__path__)]
    return (*names, *(entry.name for entry in entry_points(group=_PACKAGE) if entry.name not in names))


def get_study(name: str) -> Study:
    """Return the study of a name; hyphens may stand for underscores.

    Raises:
        ValueError: if there is no such study; the message suggests similar names.
    """
    name = name.replace("-", "_")
    if name not in list_studies():
        close = difflib.get_close_matches(name, list_studies(), n=1)
        hint = f"did you mean {_hyphenated(close[0])!r}? There are" if close else "there are"
        known = ", ".join(map(_hyphenated, list_studies()))
        raise ValueError(f"there is no study {_hyphenated(name)!r}; {hint} {known}")
    entries = entry_points(group=_PACKAGE, name=name)
    module = next(iter(entries)).load() if entries else importlib.import_module(f"{_PACKAGE}.{name}")
    study: Any = getattr(module, "STUDY", module)
    return replace(study, name=name)


def _hyphenated(name: str) -> str:
    return name.replace("_", "-")
