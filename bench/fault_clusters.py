"""Faults of a Dask cluster with processes of its own: workers killed in mid-member, and the scheduler."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from distributed import Client

from flylab.runs.cluster import WORKER

PATIENCE = 120  # seconds for anything to begin or end

Start = Callable[..., subprocess.Popen]  # (toml, out, *options) → the sweep in a process of its own


class Cluster(NamedTuple):
    """A scheduler and its workers' nannies, who start a worker again that died."""

    address: str
    scheduler: subprocess.Popen
    nanny: subprocess.Popen


@contextlib.contextmanager
def cluster(work: Path, n_workers: int = 2) -> Iterator[Cluster]:
    """One on this machine, for as long as it is needed."""
    told = work / f"scheduler-{time.monotonic_ns()}.json"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True, "cwd": work}
    begin = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    scheduler = subprocess.Popen([*begin, "--no-dashboard", "--scheduler-file", str(told)], **quiet)
    more = ["--nworkers", str(n_workers), "--nthreads", "1", "--no-dashboard", "--death-timeout", "10"]
    begin = [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(told), *more]
    nanny = subprocess.Popen(begin, env=os.environ | WORKER, **quiet)
    try:
        with Client(scheduler_file=str(told), timeout=PATIENCE) as client:
            client.wait_for_workers(n_workers, PATIENCE)
            address = json.loads(told.read_text())["address"]
        yield Cluster(address, scheduler, nanny)
    finally:
        for one in (nanny, scheduler):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(one.pid, signal.SIGKILL)
            one.wait()


def kill_workers(start: Start, toml: Path, out: Path, work: Path, rng: np.random.Generator, n: int) -> tuple[int, int]:
    """Kill up to n workers that have a member in hand while a sweep runs; how many were, and the sweep's exit code."""
    client: Any  # its methods answer at once, or later, by how it was made
    with cluster(work) as one, Client(one.address, timeout=PATIENCE) as client:
        run = start(toml, out, "--scheduler", one.address)
        done = 0
        while run.poll() is None and done < n:
            time.sleep(rng.uniform(0.2, 1.5))
            with contextlib.suppress(Exception):  # a worker that is being started again answers nothing
                busy = [address for address, tasks in client.processing().items() if tasks]
                pids = client.run(os.getpid, workers=busy, on_error="ignore")
                pid = pids[busy[rng.integers(len(busy))]]
                os.kill(pid, signal.SIGKILL)
                done += 1
        said, _ = run.communicate(timeout=600)
    assert "Traceback" not in said, said
    return done, run.returncode


def kill_scheduler(start: Start, toml: Path, out: Path, work: Path, rng: np.random.Generator) -> bool:
    """Kill the scheduler while a sweep runs on it; it must end by itself, with one clear line. Whether it was hit."""
    with cluster(work) as one:
        run = start(toml, out, "--scheduler", one.address)
        time.sleep(rng.uniform(4.0, 9.0))
        alive = run.poll() is None
        os.killpg(one.scheduler.pid, signal.SIGKILL)
        said, _ = run.communicate(timeout=PATIENCE)
    assert "Traceback" not in said, said
    assert run.returncode in (0, 2), said
    return alive and run.returncode == 2
