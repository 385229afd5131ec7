"""flylab: the fruit-fly lab of deep learning.

Everything is imported on first use, so that `import flylab` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flylab.api import load, run
    from flylab.data import MNIST1D, Dataset, Source, Splits, Templates, digits, published
    from flylab.data.generator import endless, generated
    from flylab.evaluation import Evaluation, evaluate
    from flylab.ledger import Claim, Verdict
    from flylab.loop import Plan
    from flylab.members import Population, train_members, watch_members
    from flylab.models import Model, n_params
    from flylab.objectives import Objective, supervised
    from flylab.reporting import verdicts
    from flylab.runtime import setup
    from flylab.study import Study
    from flylab.sweeps import Sweep
    from flylab.training import Trained, train

_HOMES = {
    "api": ("load", "run"),
    "data": ("MNIST1D", "Dataset", "Source", "Splits", "Templates", "digits", "published"),
    "data.generator": ("endless", "evaluate", "generated"),
    "evaluation": ("Evaluation", "evaluate"),
    "sweeps": ("Sweep",),
    "ledger": ("Claim", "Verdict"),
    "loop": ("Plan",),
    "members": ("Population", "train_members", "watch_members"),
    "models": ("Model", "n_params"),
    "objectives": ("Objective", "supervised"),
    "reporting": ("verdicts",),
    "runtime": ("setup",),
    "study": ("Study",),
    "training": ("Trained", "train"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__version__ = "0.1.0"
__all__ = [
    "MNIST1D", "Claim", "Dataset", "Evaluation", "Model", "Objective", "Plan", "Population", "Source", "Splits",
    "Study", "Sweep", "Templates", "Trained", "Verdict", "digits", "endless", "evaluate", "generated", "load",
    "n_params", "published", "run", "setup", "supervised", "train", "train_members", "verdicts", "watch_members",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        return getattr(importlib.import_module(f"flylab.{_HOME_OF[name]}"), name)
    try:
        return importlib.import_module(f"flylab.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"flylab.{name}":
            raise
        raise AttributeError(f"module 'flylab' has no attribute {name!r}") from None


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_HOMES})
