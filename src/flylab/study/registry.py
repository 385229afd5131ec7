"""Studies by name: every module of `flylab.studies` that defines `STUDY`, and those that other packages register.

Another package registers a study by an entry point of the group `flylab.studies`, which names the study, or a module
that defines `STUDY`.
"""

import difflib
import functools
import importlib
import pkgutil
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from flylab.study.study import Study

_PACKAGE = "flylab.studies"


@functools.cache
def list_studies() -> tuple[str, ...]:
    """Return the names of all studies, flylab's own first."""
    names = [module.name for module in pkgutil.iter_modules(importlib.import_module(_PACKAGE).__path__)]
    return tuple(dict.fromkeys((*names, *_entries())))


def get_study(name: str) -> Study:
    """Return the study of a name; hyphens may stand for underscores.

    Raises:
        ValueError: if there is no such study (the message suggests similar names), or its package is broken.
    """
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


def _entries() -> dict[str, EntryPoint]:
    """Return the studies that other packages register, by name with underscores."""
    return {entry.name.replace("-", "_"): entry for entry in entry_points(group=_PACKAGE)}


def _hyphenated(name: str) -> str:
    return name.replace("_", "-")
