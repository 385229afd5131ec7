"""Time the planning of up to a million members, and a member's overhead: `python bench/sweeps.py -o scaling.png`."""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from flylab import Plan, Sweep
from flylab.base import files, netcdf, runtime
from flylab.reporting import image
from flylab.results.plots import style
from flylab.runs import sweeping
from flylab.runs.sweeps import member_groups, member_path
from flylab.studies import train

PLANNED = (1_000, 10_000, 100_000, 1_000_000)
MERGED = (1_000, 3_000, 10_000, 30_000)
N_SEEDS = 10


def _peak() -> float:
    """Return the peak memory of this process in megabytes. (`ru_maxrss` would be at least the parent's.)"""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def planned(n: int) -> None:
    """Plan and name n members; print seconds, megabytes and the fullest of the store's folders."""
    runtime.initialise()
    start = time.perf_counter()
    sweep = Sweep("train", {"learning_rate": {"linear": [0.001, 0.1, n // N_SEEDS]}}, n_seeds=N_SEEDS)
    counts: dict[Path, int] = {}
    for group in member_groups(sweep):
        for name in group.names:
            parent = member_path(Path("store"), name).parent
            counts[parent] = counts.get(parent, 0) + 1
    seconds = time.perf_counter() - start
    print(seconds, _peak(), max(counts.values()), len(counts))


def merged(n: int) -> None:
    """Merge n members from files; print seconds and megabytes."""
    runtime.initialise()
    sweep = Sweep("train", {"learning_rate": {"linear": [0.001, 0.1, n // N_SEEDS]}}, n_seeds=N_SEEDS)
    with tempfile.TemporaryDirectory() as folder:
        _write_untrained(sweep, Path(folder))
        start = time.perf_counter()
        run = sweeping.merge(sweep, Path(folder))
        seconds = time.perf_counter() - start
        assert run.results.sizes["learning_rate"] * N_SEEDS == n
    print(seconds, _peak())


def _write_untrained(sweep: Sweep, out: Path) -> None:
    """Write a file for each member without training: copies of one file with another name and checksum."""
    names = [f"{on}_{what}" for on in ("train", "valid", "test") for what in ("loss", "accuracy")]
    steps = Plan(6000).evaluated
    values = {name: (("seed", "step"), np.zeros((1, len(steps)), np.float32)) for name in names}
    for group in member_groups(sweep):
        for seed, name in zip(group.seeds, group.names, strict=True):
            if seed == len(_FILES):
                data = xr.Dataset(values, {"seed": [seed], "step": list(steps)}, {"member": "0" * 24})
                _FILES.append((data, netcdf.encoded(data).rpartition(netcdf.SEAL)[0], netcdf.checksum(data)))
            data, content, old = _FILES[seed]
            new = netcdf.checksum(data.assign_attrs(member=name))
            path = member_path(sweep.folder(out), name)
            path.parent.mkdir(parents=True, exist_ok=True)
            renamed = content.replace(b"0" * 24, name.encode()).replace(old.encode(), new.encode())
            path.write_bytes(netcdf.sealed(renamed))


_FILES: list[tuple[xr.Dataset, bytes, str]] = []  # by seed


def overhead() -> None:
    """Print the cost of a member beside its training."""
    runtime.initialise()
    with tempfile.TemporaryDirectory() as folder:
        fixed = {"n_steps": 1, "model": "logistic"}
        sweep = Sweep("train", {"learning_rate": {"linear": [0.001, 0.1, 50]}}, fixed=fixed, n_seeds=2)
        for group in member_groups(sweep):  # compile
            train.STUDY.run(group.protocol, group.condition, [0, 1], key=jax.random.key(0))
            break
        start = time.perf_counter()
        run = sweeping.run(sweep, Path(folder))
        whole = time.perf_counter() - start
        start = time.perf_counter()
        for group in member_groups(sweep):
            train.STUDY.run(group.protocol, group.condition, [0, 1], key=jax.random.key(0))
        bare = time.perf_counter() - start
        paths = sorted(run.folder.glob("members/*/*.nc"))
        start = time.perf_counter()
        for path in paths:
            netcdf.open_checked(path)
        reading = (time.perf_counter() - start) / len(paths)
    n = run.n_trained
    alone, swept = 1e3 * bare / n, 1e3 * whole / n
    print(f"a member of one step: {alone:.2f} ms by `run` alone, {swept:.2f} ms in a sweep ({swept / alone:.2f} times)")
    print(f"reading a member {1e3 * reading:.2f} ms")


def main() -> None:
    """Measure, and plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--planned", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--merged", type=int, help=argparse.SUPPRESS)
    parser.add_argument("-o", "--output", type=Path, default=Path("scaling.png"))
    options = parser.parse_args()
    if options.planned or options.merged:
        (planned if options.planned else merged)(options.planned or options.merged)
        return
    overhead()
    planning, merging = [], []
    for n in PLANNED:
        planning.append(_measured("--planned", n))
        seconds, megabytes, fullest, folders = planning[-1]
        where = f"{fullest:.0f} files in the fullest of {folders:.0f} folders"
        print(f"{n:>9} members planned: {seconds:.2f} s, {megabytes:.0f} MB, {where}", flush=True)
    for n in MERGED:
        merging.append(_measured("--merged", n))
        print(f"{n:>9} members merged: {merging[-1][0]:.2f} s, {merging[-1][1]:.0f} MB", flush=True)
    with style():
        figure = Figure(figsize=(8, 3.4))
        for ax, column, label in zip(figure.subplots(1, 2), (0, 1), ("time (s)", "peak memory (MB)"), strict=True):
            for sizes, rows, legend in ((PLANNED, planning, "plan and name"), (MERGED, merging, "merge from files")):
                ax.loglog(sizes, [row[column] for row in rows], marker="o", label=legend)
            ax.set(xlabel="members", ylabel=label)
            if column == 0:
                slope = [planning[-1][0] * n / PLANNED[-1] for n in PLANNED]
                ax.loglog(PLANNED, slope, color="black", linestyle=":", linewidth=1, label="in proportion")
            else:
                ax.set_ylim(100, 10_000)
            ax.legend()
    files.write_atomic(options.output, image(figure, "png"))


def _measured(option: str, n: int) -> list[float]:
    """Measure in a process of its own, whose peak memory is its own."""
    process = subprocess.run([sys.executable, __file__, option, str(n)], capture_output=True, text=True, check=True)
    return [float(word) for word in process.stdout.split()]


if __name__ == "__main__":
    main()
