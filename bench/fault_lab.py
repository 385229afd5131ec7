"""Runs of one sweep for `faults.py`: real processes, and what they must leave in the store."""

import contextlib
import multiprocessing as mp
import os
import re
import signal
import sqlite3
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from flylab.base import netcdf
from flylab.runs.content import digest

TOML = """
study = "train"
preset = "smoke"
n_seeds = 4
[fixed]
n_steps = 500
[axes]
learning_rate = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2]
model = ["logistic", "mlp"]
"""
PATIENCE = 300.0  # seconds for which a run may take
IMPORTED = ["flylab.cli.sweeps", "flylab.cli.main", "flylab.reporting", "flylab.runs.sweeps", "flylab.studies.train",
            "flylab.runs.parquet", "pyarrow.parquet", "pandas", "sklearn", "distributed"]  # fmt: skip


class Outcome(NamedTuple):
    """What some faults of one kind did.

    Attributes:
        n: number of faults.
        n_retrained: members that had been stored, or were being trained, and were trained again.
        notes: what else is worth saying, and how often it was so.
    """

    n: int
    n_retrained: int = 0
    notes: Mapping[str, int] = {}


class Running:
    """A run of the sweep in a process of its own, which leads a process group."""

    def __init__(self, process: Any, output: Path) -> None:
        self.process, self._output = process, output

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self.process.pid

    def is_alive(self) -> bool:
        """Return whether it still runs."""
        return self.process.is_alive()

    def kill(self, number: int = signal.SIGKILL) -> bool:
        """Send a signal to the process; return whether it was still running."""
        with contextlib.suppress(ProcessLookupError):
            if self.is_alive():
                os.kill(self.pid, number)
                return True
        return False

    def end(self) -> tuple[int, str]:
        """Wait for the end; return the exit code and the output, which must have no traceback."""
        self.process.join(PATIENCE)
        said = self._output.read_text()
        if self.is_alive():
            os.killpg(self.pid, signal.SIGKILL)
            raise AssertionError(f"still running after {PATIENCE:g} s: {said}")
        assert "Traceback" not in said, said
        return self.process.exitcode, said

    def workers(self) -> list[int]:
        """Return the numbers of its worker processes."""
        with contextlib.suppress(FileNotFoundError):
            children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
            return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]
        return []


class Lab:
    """The sweep, what an undisturbed run of it leaves, and folders for disturbed ones."""

    def __init__(self, work: Path) -> None:
        self.work, self._n = work, 0
        self._runs: list[Running] = []
        self._context = mp.get_context("forkserver")  # runs start at once: all is imported, and JAX not yet started
        self._context.set_forkserver_preload(IMPORTED)
        self.toml = work / "grid.toml"
        self.toml.write_text(TOML)
        self.seconds = PATIENCE  # that a run takes from its start
        for name in ("compiled", "again", "whole"):
            began = time.monotonic()
            code, said = self.start(work / name).end()
            self.seconds = min(time.monotonic() - began, self.seconds)
            assert code == 0, said
        self.members = stored(work / "whole")
        self.checksum = netcdf.open_checked(work / "whole" / "sweeps" / "grid" / "results.nc").checksum

    def folder(self) -> Path:
        """Return the path of a new output folder."""
        self._n += 1
        return self.work / f"out{self._n}"

    def start(self, out: Path, *options: str, network: bool = False, lease: float = 60.0) -> Running:
        """Start the sweep.

        Args:
            out: the output folder.
            options: of the command line.
            network: whether the folder passes for one of a network file system, without locks and shared memory.
            lease: seconds for which reservations hold.
        """
        self._n += 1
        output = self.work / f"said{self._n}"
        words = ["sweep", str(self.toml), "--out", str(out), *options]
        process = self._context.Process(target=_carry_out, args=(words, output, network, lease))
        process.start()
        self._runs.append(Running(process, output))
        return self._runs[-1]

    def end_all(self) -> None:
        """End the runs that a fault that failed has left."""
        for run in self._runs:
            if run.is_alive():
                os.killpg(run.pid, signal.SIGKILL)
        self._runs.clear()

    def finish(self, out: Path, *options: str, network: bool = False) -> int:
        """Run the sweep to its end, check all that it leaves, and return the number of members that it trained."""
        code, said = self.start(out, *options, network=network).end()
        assert code == 0, said
        self.check(out)
        return n_trained(said)

    def check(self, out: Path) -> None:
        """Assert that results and members are those of the undisturbed run."""
        results = netcdf.open_checked(out / "sweeps" / "grid" / "results.nc")
        assert results.checksum == self.checksum, f"results in {out} differ"
        found = stored(out)
        assert found == self.members, f"members in {out}: {len(found)} of {len(self.members)}, or they differ"

    def check_part(self, out: Path, before: dict[str, bytes]) -> dict[str, bytes]:
        """Assert that an unfinished store has lost nothing and has nothing wrong; return its members."""
        found = stored(out)
        assert before.items() <= found.items(), f"{out} had {len(before)} members, and has {len(found)}"
        assert found.items() <= self.members.items(), f"members in {out} differ"
        return found

    def wait(self, run: Running, out: Path, n: int = 1) -> bool:
        """Wait until n members are stored; return whether the run is still at work."""
        while run.is_alive() and len(names(out)) < n:
            time.sleep(0.02)
        return run.is_alive()


def _carry_out(words: list[str], output: Path, network: bool, lease: float) -> None:
    """Carry out a command in this process, which was forked for it."""
    os.setsid()
    with output.open("wb", 0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    from flylab.base import filesystem
    from flylab.cli.main import main
    from flylab.runs import store

    if network:
        filesystem.is_network = lambda path: True
    store.LEASE, store.BEAT = lease, lease / 6
    raise SystemExit(main(words))


def _rows(out: Path, sql: str) -> list[tuple]:
    """Return rows of all databases in a folder; none of those that cannot be read."""
    rows = []
    for path in out.glob("flylab*.sqlite"):
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60)
        with contextlib.closing(connection), contextlib.suppress(sqlite3.Error):
            rows += connection.execute(sql).fetchall()
    return rows


def names(out: Path) -> set[str]:
    """Return the names of the members in a store."""
    return {name for (name,) in _rows(out, "SELECT name FROM member")}


def stored(out: Path) -> dict[str, bytes]:
    """Return the digests of the members in a store that are whole."""
    rows = _rows(out, "SELECT name, content, digest FROM member")
    return {name: expected for name, content, expected in rows if digest(name, content) == expected}


def n_trained(said: str) -> int:
    """Return how many members a run says it has trained."""
    if "found finished, nothing to train" in said:
        return 0
    found = re.search(r"trained (\d+) members", said)
    assert found is not None, said
    return int(found[1])


Fault = Callable[[Lab, np.random.Generator, int], Outcome]  # carries out at most n faults on a new store
