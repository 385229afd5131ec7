"""flylab: the fruit-fly lab of deep learning.

Names and folders are imported on first use, so that `import flylab` is fast.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flylab.adapters.estimator import FlylabClassifier
    from flylab.api import figure, load, run, verdicts
    from flylab.base.runtime import initialise
    from flylab.data import MNIST1D, Dataset, Source, Splits, Templates, class_splits, digits, fresh, published
    from flylab.data.generator import endless, generated
    from flylab.evaluation import Evaluation, evaluate
    from flylab.models import Model, get_model, list_models, n_params, register_model
    from flylab.results.claims import Claim
    from flylab.results.verdicts import Verdict
    from flylab.runs.sweeps import Sweep
    from flylab.study import Study, list_studies
    from flylab.training.networks import Population
    from flylab.training.objectives import Objective, multilabel, regression, supervised
    from flylab.training.population import train_members, watch_members
    from flylab.training.step import Plan
    from flylab.training.train import Trained, train
    from flylab.training.training import Training

_PUBLIC = {
    "adapters.estimator": ("FlylabClassifier",),
    "api": ("figure", "load", "run", "verdicts"),
    "base.runtime": ("initialise",),
    "data": ("MNIST1D", "Dataset", "Source", "Splits", "Templates", "class_splits", "digits", "fresh", "published"),
    "data.generator": ("endless", "generated"),
    "evaluation": ("Evaluation", "evaluate"),
    "models": ("Model", "get_model", "list_models", "n_params", "register_model"),
    "results.claims": ("Claim",),
    "results.verdicts": ("Verdict",),
    "runs.sweeps": ("Sweep",),
    "study": ("Study", "list_studies"),
    "training.networks": ("Population",),
    "training.objectives": ("Objective", "multilabel", "regression", "supervised"),
    "training.population": ("train_members", "watch_members"),
    "training.step": ("Plan",),
    "training.train": ("Trained", "train"),
    "training.training": ("Training",),
}
_MODULE_OF = {name: module for module, names in _PUBLIC.items() for name in names}
_FOLDERS = ("adapters", "analysis", "base", "compat", "data", "evaluation", "models", "reporting", "results", "runs",
            "studies", "study", "training")  # fmt: skip

__version__: str
__all__ = [
    "MNIST1D", "Claim", "Dataset", "Evaluation", "FlylabClassifier", "Model", "Objective", "Plan", "Population",
    "Source", "Splits", "Study", "Sweep", "Templates", "Trained", "Training", "Verdict", "class_splits", "digits",
    "endless", "evaluate", "figure", "fresh", "generated", "get_model", "initialise", "list_models", "list_studies",
    "load", "multilabel", "n_params", "published", "register_model", "regression", "run", "supervised", "train",
    "train_members", "verdicts", "watch_members",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _version()
    if name in _MODULE_OF:
        return getattr(importlib.import_module(f"flylab.{_MODULE_OF[name]}"), name)
    if name in _FOLDERS:
        return importlib.import_module(f"flylab.{name}")
    import difflib  # not on top, as it takes as long as all of flylab

    close = difflib.get_close_matches(name, (*__all__, *_FOLDERS), n=1)
    raise AttributeError(
        f"module 'flylab' has no attribute {name!r}" + "".join(f"; did you mean {c!r}?" for c in close)
    )


def _version() -> str:
    """Return the version of the installed package, which comes from the last git tag."""
    from importlib import metadata  # not on top, for speed

    try:
        return metadata.version("flylab")
    except metadata.PackageNotFoundError:  # the sources are on the path, and nothing is installed
        return "0.1.0"


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_FOLDERS})
