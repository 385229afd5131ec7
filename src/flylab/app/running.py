"""Studies that are run from the page, in processes of their own."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

from flylab.results.tables import html_table
from flylab.runs.assembly import assemble
from flylab.runs.plan import plan_of_study
from flylab.runs.store import Store, stored
from flylab.study.registry import get_study
from flylab.study.study import protocol_of


class Running:
    """A study that runs in its own process and ends with the thread that started it, when its page is closed.

    Raises:
        ValueError: for an unknown study or preset.
    """

    def __init__(self, study: str, preset: str, out: Path) -> None:
        self.study, self.preset, self.out = get_study(study), preset, out
        protocol = protocol_of(self.study, preset)
        command = [sys.executable, "-m", "flylab", "run", study, preset, "--out", str(out)]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        self._owner, self._output = threading.current_thread(), ""
        self._names: set[str] = set()  # of the members, once they are known
        self._n_seen, self._table = 0, ""
        self._watching = threading.Thread(target=self._watch, args=(protocol,), daemon=True, name="flylab-study")
        self._watching.start()

    def _plan_members(self, protocol: Any) -> None:
        """Find out which members the process trains; it takes seconds, in which the page should say that it runs."""
        self._plan = plan_of_study(self.study, self.preset, protocol)
        self._groups = list(self._plan.groups())
        self._names = {name for group in self._groups for name in group.names}

    def _watch(self, protocol: Any) -> None:
        planning = threading.Thread(target=self._plan_members, args=(protocol,), daemon=True, name="flylab-study-plan")
        planning.start()
        reading = threading.Thread(target=self._read, daemon=True, name="flylab-study-output")
        reading.start()
        while reading.is_alive():
            reading.join(1)
            if not self._owner.is_alive():
                self.stop()
        self._process.wait()
        planning.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._output = (self._output + line)[-20_000:]

    @property
    def is_over(self) -> bool:
        """Whether the process has ended."""
        return not self._watching.is_alive()

    @property
    def error(self) -> str:
        """The end of the output of a process that failed; empty if it did not fail or was stopped."""
        code = self._process.returncode
        return self._output.strip()[-500:] if self.is_over and code not in (0, -signal.SIGTERM, None) else ""

    @property
    def said(self) -> str:
        """What the process says of its progress, such as the remaining time."""
        lines = [line for line in self._output.splitlines() if " left" in line]
        return lines[-1].rpartition(", ")[2] if lines and not self.is_over else ""

    def partial(self) -> str:
        """Return the study's table of the members that are finished, as HTML; nothing if it needs more of them."""
        done = stored(self.out, self._names)
        if len(done) != self._n_seen:
            self._n_seen = len(done)
            with contextlib.suppress(Exception), warnings.catch_warnings(action="ignore"):  # tables of halves may fail
                self._table = self._tabulated(done)
        return self._table

    def _tabulated(self, done: set[str]) -> str:
        groups = [group.only(done) for group in self._groups if done.intersection(group.names)]
        with Store(self.out) as store:
            contents = dict(store.get(name for group in groups for name in group.names))
        members = [(place, contents[name]) for group in groups
                   for name, place in zip(group.names, group.places(), strict=True) if name in contents]  # fmt: skip
        results = assemble(iter(members), iter([place for place, _ in members])).assign_coords(self._plan.coords)
        table = self.study.table(results.assign_attrs(self._plan.attrs))
        return html_table(table._replace(title=f"So far: {table.title}"))

    @property
    def share(self) -> float:
        """The share of the members that are in the store, 0 … 1."""
        return len(stored(self.out, self._names)) / max(len(self._names), 1)

    def stop(self) -> None:
        """End the process; finished members are on disk."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)  # SIGINT would be ignored where our server's is

    def join(self, timeout: float | None = None) -> None:
        """Wait until the process has ended."""
        self._watching.join(timeout)
