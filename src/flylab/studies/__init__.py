"""The studies: every module here that defines `STUDY`, and those that other packages register as `flylab.studies`."""

import functools
import importlib
import pkgutil
from dataclasses import replace
from importlib.metadata import entry_points
from typing import Any

from flylab.study import Study


@functools.cache
def names() -> tuple[str, ...]:
    """Every study's name, ours first."""
    ours = [module.name for module in pkgutil.iter_modules(__path__)]
    return (*ours, *(entry.name for entry in entry_points(group="flylab.studies") if entry.name not in ours))


def find(name: str) -> Study:
    """The study called `name`; hyphens stand for underscores.

    Raises:
        ValueError: if there is none, naming those there are.
    """
    name = name.replace("-", "_")
    if name not in names():
        raise ValueError(f"there is no study {name!r}; there are {', '.join(names())}")
    entries = entry_points(group="flylab.studies", name=name)
    module = next(iter(entries)).load() if entries else importlib.import_module(f"{__name__}.{name}")
    study: Any = getattr(module, "STUDY", module)  # an entry point may name the study itself
    return replace(study, name=name)
