"""What the API reference documents: one list, from which pages are made and by which `tests/test_reference.py` goes.

Every module of flylab is on a page or in `INTERNAL`. Public are, in a module on a page, the names in its `__all__`, or
else the functions and classes defined there that do not begin with an underscore, with their public methods.
"""

import functools
import importlib
import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from flylab import studies

PAGES: dict[str, tuple[str, ...]] = {
    "Everyday": ("flylab",),
    "Data": ("flylab.data", "flylab.data.generator", "flylab.data.transforms", "flylab.data.views"),
    "Networks": (
        "flylab.models", "flylab.models.zoo", "flylab.models.priors", "flylab.models.layers", "flylab.models.conv",
        "flylab.models.gru", "flylab.models.masks", "flylab.models.padding", "flylab.models.flops",
        "flylab.activations", "flylab.objectives",
    ),
    "Training": ("flylab.training", "flylab.members", "flylab.meta", "flylab.learners", "flylab.runtime"),
    "Studies and verdicts": (
        "flylab.study", "flylab.studies", "flylab.ledger", "flylab.stats", "flylab.api", "flylab.reporting",
        "flylab.plot", "flylab.charts", "flylab.show",
        "flylab.labels", "flylab.store", "flylab.tickets", "flylab.provenance",
    ),
    "Sweeps": ("flylab.sweeps", "flylab.designs", "flylab.sweeping", "flylab.clusters", "flylab.slurm"),
    "Your own models": ("flylab.evaluation", "flylab.contestants"),
    "Other tools": (
        "flylab.adapters.torch", "flylab.adapters.sklearn", "flylab.adapters.pandas", "flylab.adapters.huggingface",
        "flylab.adapters.equinox", "flylab.adapters.torch_training", "flylab.adapters.weights",
        "flylab.compat.mnist1d", "flylab.compat.mnist1d.data", "flylab.compat.mnist1d.transform",
        "flylab.compat.mnist1d.utils",
    ),
    "Words": ("flylab.types", "flylab.keys", "flylab.config", "flylab.doctor"),
    "Each study": tuple(f"flylab.studies.{name}" for name in studies.names()),
}  # fmt: skip
INTERNAL = {
    "flylab.app", "flylab.app.board", "flylab.app.downloads", "flylab.app.drawing", "flylab.app.explorer",
    "flylab.app.keys", "flylab.app.look", "flylab.app.quiz", "flylab.app.server", "flylab.app.settings",
    "flylab.app.svg", "flylab.app.training", "flylab.app.pages.leaderboard", "flylab.app.pages.playground",
    "flylab.app.pages.quiz", "flylab.app.pages.studies",
    "flylab.__main__", "flylab.adapters", "flylab.adapters.core", "flylab.assembly", "flylab.cli", "flylab.cli_sweeps",
    "flylab.compat", "flylab.compat.mnist1d.cache", "flylab.compat.pickles", "flylab.data.arrangements",
    "flylab.data.downloads", "flylab.data.formats", "flylab.data.imagefiles", "flylab.data.images",
    "flylab.data.mnist1d", "flylab.data.published", "flylab.data.splits", "flylab.data.templates", "flylab.extras",
    "flylab.files", "flylab.loop", "flylab.models.model", "flylab.terminal",
}  # fmt: skip
ALIASES = "flylab.types"  # types have no docstrings: its page shows the file
MODULES = tuple(module for group in PAGES.values() for module in group)


def public(module: ModuleType) -> dict[str, Any]:
    """The public names of a module, in the order of `__all__` or of the file."""
    if hasattr(module, "__all__"):
        found = {name: getattr(module, name) for name in module.__all__}
        return {name: value for name, value in found.items() if not isinstance(value, ModuleType)}
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
        and callable(value) and hasattr(value, "__qualname__")
    }  # fmt: skip


def own_methods(class_: type) -> dict[str, Any]:
    """Public methods and properties that a class defines itself."""
    fields = inspect.get_annotations(class_)
    return {
        name: value
        for name, value in vars(class_).items()
        if not name.startswith("_")
        and name not in fields
        and isinstance(value, property | staticmethod | classmethod | type(own_methods))
    }


def has_docstring(value: Any) -> bool:
    """Whether somebody wrote one (data classes and named tuples make up their own)."""
    doc = inspect.unwrap(value).__doc__ if callable(value) else getattr(value, "__doc__", None)
    return doc is not None and bool(doc.strip()) and not doc.startswith(f"{getattr(value, '__name__', '')}(")


def entries(module_name: str) -> Iterator[tuple[str, Any, str]]:
    """Name, object, and the page that documents it: its first among `MODULES`."""
    for name, value in public(importlib.import_module(module_name)).items():
        named = ((home, _known(home).get(id(value))) for home in MODULES)
        homes = (home for home, found in named if found and f"{home}.{found}" not in MODULES)  # no module's own name
        first = next(homes, module_name)
        yield name, value, first


def page(module_name: str) -> str:
    """The page of a module, with the directives for Sphinx's autodoc."""
    module = importlib.import_module(module_name)
    blocks, elsewhere, rows = [], [], []
    if module_name == ALIASES:
        blocks.append(f".. literalinclude:: /../src/{module_name.replace('.', '/')}.py\n   :start-at: Params =\n")
    for name, value, home in entries(module_name) if module_name != ALIASES else ():
        if home != module_name:
            there = _known(home)[id(value)]
            elsewhere.append(f"[`{name}`](#{home}.{there})")
        else:
            blocks.append(_directive(f"{module_name}.{name}", value))
            rows.append(f"| [`{name}`](#{module_name}.{name}) | {_first(value)} |")
    lead = inspect.cleandoc(module.__doc__ or "")
    table = "{.names}\n| name | |\n| --- | --- |\n" + "\n".join(rows) + "\n" if len(rows) > 3 else ""
    text = f"# {module_name}\n\n```{{eval-rst}}\n.. py:module:: {module_name}\n\n{lead}\n```\n\n{table}\n"
    text += f"```{{eval-rst}}\n.. py:currentmodule:: {module_name}\n\n{chr(10).join(blocks)}\n```\n"
    return text + (f"\nHere too: {', '.join(elsewhere)}.\n" if elsewhere else "")


def index() -> str:
    """The pages by group, each with the first sentence of its module's docstring."""
    parts = [
        "# API reference\n\nEvery public name, from its docstring. `import flylab` costs nothing: modules are\n"
        "imported on first use.\n"
    ]
    for group, modules in PAGES.items():
        lines = []
        for module in modules:
            lines.append(f"| [{module}]({module}.md) | {_first(importlib.import_module(module))} |")
        tree = "\n".join(modules)
        parts.append(f"## {group}\n\n{{.names}}\n| module | |\n| --- | --- |\n" + "\n".join(lines) + "\n")
        parts.append(f"```{{toctree}}\n:hidden:\n\n{tree}\n```\n")
    return "\n".join(parts)


@functools.cache
def _known(module_name: str) -> dict[int, str]:
    return {id(value): name for name, value in public(importlib.import_module(module_name)).items()}


def _first(value: Any) -> str:
    """The first sentence of a docstring, for a cell of a table."""
    doc = inspect.cleandoc(value.__doc__ or "").split("\n\n")[0].replace("\n", " ")
    return (doc.split(". ")[0].rstrip(".:") + ".").replace("|", r"\|")


def _directive(path: str, value: Any) -> str:
    if not isinstance(value, type):
        return f".. autofunction:: {path}\n" if callable(value) else f".. autodata:: {path}\n"
    kind = "autoexception" if issubclass(value, BaseException) else "autoclass"
    return f".. {kind}:: {path}\n   :members:\n   :member-order: bysource\n"
