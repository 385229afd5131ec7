"""What planning up to a million members costs, and a shard's overhead: `python bench/sweeps.py -o scaling.png`."""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
from matplotlib.figure import Figure

from flylab import Sweep, files, runtime, store, sweeping
from flylab.plot import style
from flylab.reporting import image
from flylab.studies import train
from flylab.sweeps import jobs, shard_path

SIZES = (1_000, 10_000, 100_000, 1_000_000)
N_SEEDS = 10


def planned(n: int) -> None:
    """Plan and name n members; print seconds, megabytes and the fullest of the store's folders."""
    runtime.devices()
    begun = time.perf_counter()
    sweep = Sweep("train", {"learning_rate": {"linear": [0.001, 0.1, n // N_SEEDS]}}, n_seeds=N_SEEDS)
    counts: dict[Path, int] = {}
    for job in jobs(sweep):
        for name in job.names:
            parent = shard_path(Path("store"), name).parent
            counts[parent] = counts.get(parent, 0) + 1
    seconds = time.perf_counter() - begun
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, max(counts.values()), len(counts))


def overhead() -> None:
    """What a shard costs beside its training."""
    with tempfile.TemporaryDirectory() as folder:
        fixed = {"n_steps": 1, "model": "logistic"}
        sweep = Sweep("train", {"learning_rate": {"linear": [0.001, 0.1, 50]}}, fixed=fixed, n_seeds=2)
        for job in jobs(sweep):  # compile
            train.run(job.protocol, job.cell, [0, 1], key=jax.random.key(0))
            break
        begun = time.perf_counter()
        done = sweeping.run(sweep, Path(folder))
        whole = time.perf_counter() - begun
        begun = time.perf_counter()
        for job in jobs(sweep):
            train.run(job.protocol, job.cell, [0, 1], key=jax.random.key(0))
        bare = time.perf_counter() - begun
        paths = sorted(done.folder.glob("shards/*/*.nc"))
        begun = time.perf_counter()
        for path in paths:
            store.open_checked(path)
        reading = (time.perf_counter() - begun) / len(paths)
    n = done.n_trained
    alone, swept = 1e3 * bare / n, 1e3 * whole / n
    print(f"a member of one step: {alone:.2f} ms by `run` alone, {swept:.2f} ms in a sweep ({swept / alone:.2f} times)")
    print(f"reading a shard {1e3 * reading:.2f} ms")


def main() -> None:
    """Measure, and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--planned", type=int, help=argparse.SUPPRESS)
    parser.add_argument("-o", "--output", type=Path, default=Path("scaling.png"))
    asked = parser.parse_args()
    if asked.planned:
        planned(asked.planned)
        return
    overhead()
    rows = []
    for n in SIZES:
        said = subprocess.run(
            [sys.executable, __file__, "--planned", str(n)], capture_output=True, text=True, check=True
        )
        rows.append([float(word) for word in said.stdout.split()])
        seconds, megabytes, fullest, folders = rows[-1]
        where = f"{fullest:.0f} files in the fullest of {folders:.0f} folders"
        print(f"{n:>9} members: {seconds:.2f} s, {megabytes:.0f} MB, {where}", flush=True)
    with style():
        figure = Figure(figsize=(8, 3.4))
        for ax, column, label in zip(figure.subplots(1, 2), (0, 1), ("time (s)", "peak memory (MB)"), strict=True):
            ax.loglog(SIZES, [row[column] for row in rows], marker="o")
            ax.set(xlabel="members planned and named", ylabel=label)
    files.write_atomic(asked.output, image(figure, "png"))


if __name__ == "__main__":
    main()
