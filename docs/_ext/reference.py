"""Write the API reference, which documents every module, folder by folder, except those in `INTERNAL`.

The public names of a module are those in its `__all__`, or else its functions and classes that do not begin with an
underscore, with their public methods.
"""

import functools
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import flylab

SOURCE = Path(flylab.__file__).parent
FOLDERS = {
    "Data": "data", "Networks": "models", "Training": "training", "Analysis of networks": "analysis",
    "Results": "results", "What a study is": "study", "Each study": "studies", "Runs and sweeps": "runs",
    "Reports": "reporting", "Your own models": "evaluation", "Other tools": "adapters",
    "The mnist1d package": "compat", "Foundations": "base",
}  # fmt: skip
INTERNAL = ("flylab.__main__", "flylab.app", "flylab.cli", "flylab.template")  # a module, or a folder with all in it


def _modules(folder: str) -> tuple[str, ...]:
    """Return a folder's modules, the folder itself first."""
    paths = sorted((SOURCE / folder).rglob("*.py"), key=lambda path: (path.name != "__init__.py", path))
    names = (".".join(("flylab", *path.relative_to(SOURCE).with_suffix("").parts)) for path in paths)
    return tuple(name.removesuffix(".__init__") for name in names)


PAGES: dict[str, tuple[str, ...]] = {"Everyday": ("flylab", "flylab.api")}
PAGES |= {title: _modules(folder) for title, folder in FOLDERS.items()}
ALIASES = "flylab.base.types"  # types have no docstrings, so this page shows the file
MODULES = tuple(module for group in PAGES.values() for module in group)


def public(module: ModuleType) -> dict[str, Any]:
    """Return the public names of a module, in the order of `__all__` or of the file."""
    if hasattr(module, "__all__"):
        exported = {name: getattr(module, name) for name in module.__all__}
        return {name: value for name, value in exported.items() if not isinstance(value, ModuleType)}
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
        and callable(value) and hasattr(value, "__qualname__")
    }  # fmt: skip


def own_methods(class_: type) -> dict[str, Any]:
    """Return the public methods and properties that a class defines itself."""
    fields = inspect.get_annotations(class_)
    return {
        name: value
        for name, value in vars(class_).items()
        if not name.startswith("_")
        and name not in fields
        and isinstance(value, property | staticmethod | classmethod | type(own_methods))
    }


def has_docstring(value: Any) -> bool:
    """Return whether a docstring was written by hand (data classes and named tuples generate one)."""
    doc = inspect.unwrap(value).__doc__ if callable(value) else getattr(value, "__doc__", None)
    return doc is not None and bool(doc.strip()) and not doc.startswith(f"{getattr(value, '__name__', '')}(")


def entries(module_name: str) -> Iterator[tuple[str, Any, str]]:
    """Yield name, object, and the page that documents the object: its first among `MODULES`."""
    for name, value in public(importlib.import_module(module_name)).items():
        named = ((home, _known(home).get(id(value))) for home in MODULES)
        homes = (home for home, entry in named if entry and f"{home}.{entry}" not in MODULES)  # names of modules aside
        first = next(homes, module_name)
        yield name, value, first


def page(module_name: str) -> str:
    """Return the page of a module, with the directives for Sphinx's autodoc."""
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
    return text + (f"\nAlso available here: {', '.join(elsewhere)}.\n" if elsewhere else "")


def index() -> str:
    """Return the list of pages by group, each with the first sentence of its module's docstring."""
    parts = [
        "# API reference\n\nEvery public name, with its docstring. `import flylab` costs nothing: modules are\n"
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
    """Return the first sentence of a docstring, for a table."""
    doc = inspect.cleandoc(value.__doc__ or "").split("\n\n")[0].replace("\n", " ")
    return (doc.split(". ")[0].rstrip(".:") + ".").replace("|", r"\|")


def _directive(path: str, value: Any) -> str:
    if not isinstance(value, type):
        return f".. autofunction:: {path}\n" if callable(value) else f".. autodata:: {path}\n"
    kind = "autoexception" if issubclass(value, BaseException) else "autoclass"
    return f".. {kind}:: {path}\n   :members:\n   :member-order: bysource\n"
