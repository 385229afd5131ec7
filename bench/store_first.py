"""What `store.py` measures of the first edition, whose source must be on PYTHONPATH; its names are those of then."""

import argparse
import json
import tempfile
import time
from pathlib import Path

import jax
import numpy as np
import xarray as xr

import flylab.runtime as runtime
import flylab.store as store
import flylab.sweeping as sweeping
from flylab import Plan, Sweep
from flylab.studies import train
from flylab.sweeps import jobs, shard_path


def sweep_of(n: int, n_seeds: int) -> Sweep:
    """Return the sweep of n members of logistic regression, trained for one step."""
    axes = {"learning_rate": {"linear": [0.001, 0.1, max(n // n_seeds, 1)]}}
    return Sweep("train", axes, fixed={"n_steps": 1, "model": "logistic"}, n_seeds=n_seeds)


def bare(sweep: Sweep) -> float:
    """Return the seconds that training takes alone."""
    began = time.perf_counter()
    for job in jobs(sweep):
        vars(train)["run"](job.protocol, job.cell, list(job.seeds), key=jax.random.key(0))
    return time.perf_counter() - began


def overhead(n: int, n_seeds: int) -> dict[str, float]:
    """Return milliseconds per member of bare training, of a sweep and of reading, and bytes per member."""
    sweep = sweep_of(n, n_seeds)
    with tempfile.TemporaryDirectory() as folder:
        sweeping.run(sweep_of(4 * n_seeds, n_seeds), Path(folder))  # compile, and import what is imported late
    with tempfile.TemporaryDirectory() as folder:
        before = bare(sweep)
        began = time.perf_counter()
        done = sweeping.run(sweep, Path(folder))
        swept = time.perf_counter() - began
        bare_seconds = (before + bare(sweep)) / 2
        paths = sorted(done.folder.glob("shards/*/*.nc"))
        n_bytes = sum(path.stat().st_size for path in paths)
        began = time.perf_counter()
        for path in paths:
            store.open_checked(path)
        reading = time.perf_counter() - began
    n = done.n_trained
    return {"bare": 1e3 * bare_seconds / n, "swept": 1e3 * swept / n, "read": 1e3 * reading / n, "bytes": n_bytes / n}


def merged(n: int, n_seeds: int, n_steps: int) -> dict[str, float]:
    """Store n members that are not trained, of as many evaluations as n_steps steps have; return seconds of a merge."""
    sweep, steps = sweep_of(n, n_seeds), list(Plan(n_steps).evaluated)
    names = [f"{on}_{what}" for on in ("train", "valid", "test") for what in ("loss", "accuracy")]
    values = {name: (("seed", "step"), np.zeros((1, len(steps)), np.float32)) for name in names}
    with tempfile.TemporaryDirectory() as folder:
        for job in jobs(sweep):
            for seed, name in zip(job.seeds, job.names, strict=True):
                path = shard_path(Path(folder) / "sweeps" / sweep.name, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                data = xr.Dataset(values, {"seed": [seed], "step": steps}, {"shard": name})
                path.write_bytes(store.encoded(data))
        began = time.perf_counter()
        done = sweeping.merge(sweep, Path(folder))
        seconds = time.perf_counter() - began
    assert done.results.sizes["learning_rate"] * n_seeds == n
    return {"seconds": seconds}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", nargs="+", required=True)
    what, *numbers = parser.parse_args().measure
    runtime.devices()
    print(json.dumps({"overhead": overhead, "merged": merged}[what](*map(int, numbers))))
