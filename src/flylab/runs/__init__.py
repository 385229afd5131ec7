"""The execution of studies and sweeps: grids, planning of members, the store, executors, provenance."""

from flylab.runs.runner import Run, Watcher, execute, run
from flylab.runs.sweeps import Sweep

__all__ = ["Run", "Sweep", "Watcher", "execute", "run"]
