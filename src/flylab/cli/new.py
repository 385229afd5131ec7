"""`flylab new study NAME`: write a file to begin with."""

import importlib.util
import keyword
import sys
from pathlib import Path

from cyclopts import App

import flylab
from flylab.base.files import write_new
from flylab.cli.terminal import say

TEMPLATE = Path(flylab.__file__).parent / "template.py"
new = App(name="new", usage="Usage: flylab new study NAME")


@new.command
def study(name: str, /) -> None:
    """Write NAME.py, a small study that runs as it is; its comments say what to change.

    Args:
        name: Name of the study, and of the file, e.g. my_study.
    """
    module = name.removesuffix(".py").replace("-", "_")
    if not module.isidentifier() or keyword.iskeyword(module):
        raise ValueError(f"{name!r} is no name for a study: give letters, digits and _, e.g. my_study")
    path = Path(f"{module}.py")
    if not path.exists() and (module in sys.modules or importlib.util.find_spec(module) is not None):
        raise ValueError(f"{module!r} is the name of an installed module: give another one")
    from flylab.study.registry import list_studies

    if module in list_studies():
        raise ValueError(f"{module!r} is the name of a study of flylab: give another one")
    write_new(path, TEMPLATE.read_text(encoding="utf-8"))
    say(f"{path} is a study; try it: flylab run {path} smoke")
