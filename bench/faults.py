"""Kill, race and damage a sweep in real processes, and check its results: `python bench/faults.py --kills 50`.

After each fault, the sweep runs again. Its results and its set of members must equal those of an undisturbed run, bit
for bit.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import fault_clusters
from flylab.base import netcdf

TOML = """
study = "train"
preset = "smoke"
n_seeds = 4
[fixed]
n_steps = 1500
[axes]
learning_rate = [0.001, 0.01, 0.1]
model = ["logistic", "mlp"]
"""


def start(toml: Path, out: Path, *more: str) -> subprocess.Popen:
    """Start the sweep in a process of its own."""
    command = [sys.executable, "-m", "flylab", "sweep", str(toml), "--out", str(out), *more]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def finished(toml: Path, out: Path, *more: str) -> None:
    """Run the sweep to its end."""
    run = start(toml, out, *more)
    output, _ = run.communicate(timeout=600)
    assert run.returncode == 0, output


def content(out: Path) -> tuple[str, dict[str, str]]:
    """Return the checksums of the results and of every member; a damaged file raises an error.

    A checksum covers all values, names and attributes, not the bytes of the file: HDF5's layout of a file depends on
    when Python frees objects, which Dask's profiler delays.
    """
    folder = out / "sweeps" / "grid"
    members = {path.name: netcdf.open_checked(path).attrs["checksum"] for path in folder.glob("members/*/*.nc")}
    return netcdf.open_checked(folder / "results.nc").attrs["checksum"], members


def killed(toml: Path, out: Path, rng: np.random.Generator, *more: str) -> bool:
    """Kill the sweep and its child processes at a random instant; return whether it was still running."""
    run = start(toml, out, *more)
    time.sleep(rng.uniform(0.5, SECONDS))
    alive = run.poll() is None
    if alive:
        os.killpg(run.pid, signal.SIGKILL)
    run.communicate()
    return alive


def kills(work: Path, toml: Path, rng: np.random.Generator, n: int, *more: str) -> tuple[int, Path]:
    """Kill the sweep n times, on a new store whenever it has finished; return the number of kills and the store."""
    out, n_kills = work / "killed0", 0
    while n_kills < n:
        n_kills += killed(toml, out, rng, *more)
        if (out / "sweeps" / "grid" / "results.nc").exists() and n_kills < n:
            finished(toml, out)
            check(out)
            shutil.rmtree(out)
    finished(toml, out)
    return n_kills, out


WHOLE: tuple[str, dict[str, str]] = "", {}
SECONDS = 7.0  # duration of the undisturbed run


def check(out: Path) -> None:
    """Assert that results and members equal those of the undisturbed run."""
    results, members = content(out)
    assert results == WHOLE[0], f"results in {out} differ"
    assert members == WHOLE[1], f"members in {out} differ"


def races(work: Path, toml: Path, n: int) -> int:
    """Run n processes at once on one store; return the number of members that were trained more than once."""
    out = work / f"raced{n}"
    outputs = [run.communicate(timeout=600)[0] for run in [start(toml, out) for _ in range(n)]]
    trained = sum(int(text.split("trained ")[1].split()[0]) for text in outputs if "trained " in text)
    check(out)
    return trained - len(WHOLE[1])


def damages(work: Path, toml: Path, rng: np.random.Generator, n: int) -> int:
    """Truncate a member's file, flip one of its bits or replace it, n times, and run the sweep again each time."""
    out = work / "damaged"
    finished(toml, out)
    for i in range(n):
        paths = sorted((out / "sweeps" / "grid").glob("members/*/*.nc"))
        path = paths[rng.integers(len(paths))]
        data = bytearray(path.read_bytes())
        if i % 3 == 0:
            data = data[: rng.integers(len(data))]
        elif i % 3 == 1:
            data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        else:
            data = bytearray(paths[0].read_bytes() if path != paths[0] else b"foreign")
        path.write_bytes(bytes(data))
        (out / "sweeps" / "grid" / "results.nc").unlink()
        finished(toml, out)
        assert content(out)[0] == WHOLE[0]  # the members may differ: a flipped bit in padding is not damage
    return n


def full_disk(work: Path, toml: Path) -> str:
    """Run on a file system of 200 kB, which must give a clear error; with more space, the sweep must resume."""
    disk = work / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", disk], capture_output=True).returncode:
        return "not tested: no permission to mount"
    try:
        run = start(toml, disk)
        output, _ = run.communicate(timeout=600)
        assert run.returncode == 2, output
        assert "Traceback" not in output, output
        assert "cannot write" in output, output
        subprocess.run(["mount", "-o", "remount,size=100m", disk], check=True)
        finished(toml, disk)
        check(disk)
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        run = start(toml, disk)
        output, _ = run.communicate(timeout=600)
        assert run.returncode == 2, output
        assert "cannot write" in output, output
    finally:
        subprocess.run(["umount", disk], check=True)
    return "one clear error each, full and read-only; resumed with more space"


def cluster_faults(work: Path, toml: Path, rng: np.random.Generator, n: int, n_schedulers: int) -> tuple[int, int]:
    """Kill workers that train a member, then schedulers; run the sweep again each time, and return both numbers."""
    n_killed = 0
    while n_killed < n:
        out = work / f"workers{n_killed}"
        killed_now, code = fault_clusters.kill_workers(start, toml, out, work, rng, min(5, n - n_killed))
        n_killed += killed_now
        assert code in (0, 2), code
        finished(toml, out)
        check(out)
    hits = 0
    while hits < n_schedulers:
        out = work / f"schedulers{time.monotonic_ns()}"
        hits += fault_clusters.kill_scheduler(start, toml, out, work, rng)
        finished(toml, out)
        check(out)
    return n_killed, hits


def main() -> None:
    """Cause all faults, and print the tally."""
    global WHOLE, SECONDS
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--workers", type=int, default=20)
    parser.add_argument("--schedulers", type=int, default=5)
    parser.add_argument("--damages", type=int, default=15)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        toml = work / "grid.toml"
        toml.write_text(TOML)
        started = time.monotonic()
        finished(toml, work / "whole")
        SECONDS = time.monotonic() - started
        WHOLE = content(work / "whole")
        print(f"undisturbed: {len(WHOLE[1])} members")
        n, out = kills(work, toml, rng, options.kills)
        check(out)
        print(f"kill -9 of the run: {n} times; no member lost or trained twice, same bits", flush=True)
        print(f"full disk, read-only store: {full_disk(work, toml)}", flush=True)
        for k in (2, 4):
            print(f"{k} processes on one store: {races(work, toml, k)} members trained twice, same bits", flush=True)
        print(f"damaged files: {damages(work, toml, rng, options.damages)} times repaired, same bits", flush=True)
        n_workers, n_schedulers = cluster_faults(work, toml, rng, options.workers, options.schedulers)
        print(f"kill -9 of Dask workers that train a member: {n_workers} times, same bits", flush=True)
        print(f"kill -9 of the Dask scheduler: {n_schedulers} times, one clear line each, same bits", flush=True)
        for k in range(1, 5):
            finished(toml, work / "parts", "--part", f"{k}/4")
        subprocess.run([sys.executable, "-m", "flylab", "merge", toml, "--out", work / "parts"], check=True)
        check(work / "parts")
        finished(toml, work / "dask", "--workers", "2")
        check(work / "dask")
        print("four parts merged, and two Dask workers: same bits", flush=True)


if __name__ == "__main__":
    main()
