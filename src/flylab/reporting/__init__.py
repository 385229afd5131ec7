"""Reports from saved results: figures, verdicts, HTML pages, and what notebooks show."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flylab.reporting.charts import chart
    from flylab.reporting.figures import figure
    from flylab.reporting.finished import load, runs_in, warning_of
    from flylab.reporting.judging import claims_json, study_of, verdicts
    from flylab.reporting.page import image, publish, run_and_publish
    from flylab.reporting.repeating import repeat_command
    from flylab.reporting.reproduction import reproduce

_MODULES = {  # imported on first use, since they import matplotlib and JAX
    "charts": ("chart",),
    "figures": ("figure",),
    "finished": ("load", "runs_in", "warning_of"),
    "judging": ("claims_json", "study_of", "verdicts"),
    "page": ("image", "publish", "run_and_publish"),
    "repeating": ("repeat_command",),
    "reproduction": ("reproduce",),
}
__all__ = [
    "chart", "claims_json", "figure", "image", "load", "publish", "repeat_command", "reproduce", "run_and_publish",
    "runs_in", "study_of", "verdicts", "warning_of",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(f"flylab.reporting.{module}"), name)
    raise AttributeError(f"module 'flylab.reporting' has no attribute {name!r}")
