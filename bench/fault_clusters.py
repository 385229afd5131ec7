"""Faults of a Dask cluster: workers are killed while they train members, and schedulers."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from distributed import Client

from fault_lab import Lab, Outcome, n_trained

PATIENCE = 120  # seconds to wait for a cluster


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
    nanny = subprocess.Popen(command, **quiet)
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


def kill_workers(lab: Lab, rng: np.random.Generator, n: int) -> Outcome:
    """`kill -9` of Dask workers while they train members"""
    out, n_hit = lab.folder(), 0
    client: Any  # distributed's types do not tell synchronous clients from asynchronous ones
    with cluster(lab.work) as dask, Client(dask.address, timeout=PATIENCE) as client:
        run = lab.start(out, "--scheduler", dask.address)
        while run.is_alive() and n_hit < min(n, 5):
            time.sleep(rng.uniform(0.2, 1.5))
            with contextlib.suppress(Exception):  # a worker that is restarting does not answer
                busy = [address for address, tasks in client.processing().items() if tasks]
                pids = client.run(os.getpid, workers=busy, on_error="ignore")
                os.kill(pids[busy[rng.integers(len(busy))]], signal.SIGKILL)
                n_hit += 1
        code, said = run.end()
    assert code in (0, 2), (code, said)
    before = lab.check_part(out, {})
    return Outcome(n_hit, len(before) + lab.finish(out) - len(lab.members), {"given up in one line": int(code == 2)})


def kill_scheduler(lab: Lab, rng: np.random.Generator, n: int) -> Outcome:
    """`kill -9` of the Dask scheduler"""
    out = lab.folder()
    with cluster(lab.work) as dask:
        run = lab.start(out, "--scheduler", dask.address)
        if not lab.wait(run, out):
            return Outcome(0)
        time.sleep(rng.uniform(0.0, 1.0))
        os.killpg(dask.scheduler.pid, signal.SIGKILL)
        code, said = run.end()
    before = lab.check_part(out, {})
    assert code == 2 or (code == 0 and n_trained(said)), (code, said)
    if code:
        assert len(said.strip().splitlines()) == 1, said
    return Outcome(int(code == 2), len(before) + lab.finish(out) - len(lab.members), {"one line": int(code == 2)})
