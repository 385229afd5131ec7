"""Faults of a Dask cluster: kill its workers while they train a member, and kill its scheduler."""

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

PATIENCE = 120  # seconds to wait for a start or an end

Start = Callable[..., subprocess.Popen]  # (toml, out, *options) → a process that runs the sweep


class Cluster(NamedTuple):
    """A scheduler, and the nannies of its workers, which restart a worker that died."""

    address: str
    scheduler: subprocess.Popen
    nanny: subprocess.Popen


@contextlib.contextmanager
def cluster(work: Path, n_workers: int = 2) -> Iterator[Cluster]:
    """Run a cluster on this machine within a `with` block."""
    scheduler_file = work / f"scheduler-{time.monotonic_ns()}.json"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True, "cwd": work}
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    scheduler = subprocess.Popen([*command, "--no-dashboard", "--scheduler-file", str(scheduler_file)], **quiet)
    more = ["--nworkers", str(n_workers), "--nthreads", "1", "--no-dashboard", "--death-timeout", "10"]
    command = [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(scheduler_file), *more]
    nanny = subprocess.Popen(command, env=os.environ | WORKER, **quiet)
    try:
        with Client(scheduler_file=str(scheduler_file), timeout=PATIENCE) as client:
            client.wait_for_workers(n_workers, PATIENCE)
            address = json.loads(scheduler_file.read_text())["address"]
        yield Cluster(address, scheduler, nanny)
    finally:
        for process in (nanny, scheduler):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def kill_workers(start: Start, toml: Path, out: Path, work: Path, rng: np.random.Generator, n: int) -> tuple[int, int]:
    """Kill up to n workers while they train a member of a sweep; return the number killed and the sweep's exit code."""
    client: Any  # distributed's types do not tell synchronous clients from asynchronous ones
    with cluster(work) as dask, Client(dask.address, timeout=PATIENCE) as client:
        run = start(toml, out, "--scheduler", dask.address)
        n_killed = 0
        while run.poll() is None and n_killed < n:
            time.sleep(rng.uniform(0.2, 1.5))
            with contextlib.suppress(Exception):  # a worker that is restarting does not answer
                busy = [address for address, tasks in client.processing().items() if tasks]
                pids = client.run(os.getpid, workers=busy, on_error="ignore")
                pid = pids[busy[rng.integers(len(busy))]]
                os.kill(pid, signal.SIGKILL)
                n_killed += 1
        output, _ = run.communicate(timeout=600)
    assert "Traceback" not in output, output
    return n_killed, run.returncode


def kill_scheduler(start: Start, toml: Path, out: Path, work: Path, rng: np.random.Generator) -> bool:
    """Kill the scheduler of a sweep, which must end with one clear line; return whether it ended the sweep early."""
    with cluster(work) as dask:
        run = start(toml, out, "--scheduler", dask.address)
        time.sleep(rng.uniform(4.0, 9.0))
        alive = run.poll() is None
        os.killpg(dask.scheduler.pid, signal.SIGKILL)
        output, _ = run.communicate(timeout=PATIENCE)
    assert "Traceback" not in output, output
    assert run.returncode in (0, 2), output
    return alive and run.returncode == 2
