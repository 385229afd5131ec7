"""Kill, race and damage a sweep in real processes, and count what was lost: `python bench/faults.py --kills 50`.

After each fault the sweep is run again, and its results must be those of an undisturbed run, bit for bit, with no member
more or fewer.
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
    """The sweep in a process of its own."""
    command = [sys.executable, "-m", "flylab", "sweep", str(toml), "--out", str(out), *more]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def finished(toml: Path, out: Path, *more: str) -> None:
    """Run it to the end."""
    run = start(toml, out, *more)
    said, _ = run.communicate(timeout=600)
    assert run.returncode == 0, said


def content(out: Path) -> tuple[str, dict[str, str]]:
    """The results' checksum, and every member's, over all values, names and attributes; damage is refused.

    Not the files' bytes: where HDF5 puts what in a file depends on when Python lets objects go, which Dask's profiler
    delays.
    """
    folder = out / "sweeps" / "grid"
    members = {path.name: netcdf.open_checked(path).attrs["checksum"] for path in folder.glob("members/*/*.nc")}
    return netcdf.open_checked(folder / "results.nc").attrs["checksum"], members


def killed(toml: Path, out: Path, rng: np.random.Generator, *more: str) -> bool:
    """Kill it, and all that it started, at a random instant."""
    run = start(toml, out, *more)
    time.sleep(rng.uniform(0.5, SECONDS))
    alive = run.poll() is None
    if alive:
        os.killpg(run.pid, signal.SIGKILL)
    run.communicate()
    return alive


def kills(work: Path, toml: Path, rng: np.random.Generator, n: int, *more: str) -> tuple[int, Path]:
    """So many kills, one after the other on one store; where it had finished, on a new one."""
    out, done = work / "killed0", 0
    while done < n:
        done += killed(toml, out, rng, *more)
        if (out / "sweeps" / "grid" / "results.nc").exists() and done < n:
            finished(toml, out)
            check(out)
            shutil.rmtree(out)
    finished(toml, out)
    return done, out


WHOLE: tuple[str, dict[str, str]] = "", {}
SECONDS = 7.0  # that the undisturbed run takes


def check(out: Path) -> None:
    """Refuse what differs from the undisturbed run."""
    found = content(out)
    assert found[0] == WHOLE[0], f"results in {out} differ"
    assert found[1] == WHOLE[1], f"members in {out} differ"


def races(work: Path, toml: Path, n: int) -> int:
    """So many processes at once; how many members were trained more than once."""
    out = work / f"raced{n}"
    said = [run.communicate(timeout=600)[0] for run in [start(toml, out) for _ in range(n)]]
    trained = sum(int(text.split("trained ")[1].split()[0]) for text in said if "trained " in text)
    check(out)
    return trained - len(WHOLE[1])


def damages(work: Path, toml: Path, rng: np.random.Generator, n: int) -> int:
    """Cut, flip or replace files of the store, then run again."""
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
        assert content(out)[0] == WHOLE[0]  # a flipped bit of padding is no damage: the file may stay
    return n


def full_disk(work: Path, toml: Path) -> str:
    """On a file system of 200 kB: a clear error; then, with room, it goes on."""
    disk = work / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", disk], capture_output=True).returncode:
        return "not tried: no right to mount"
    try:
        run = start(toml, disk)
        said, _ = run.communicate(timeout=600)
        assert run.returncode == 2, said
        assert "Traceback" not in said, said
        assert "cannot write" in said, said
        subprocess.run(["mount", "-o", "remount,size=100m", disk], check=True)
        finished(toml, disk)
        check(disk)
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        run = start(toml, disk)
        said, _ = run.communicate(timeout=600)
        assert run.returncode == 2, said
        assert "cannot write" in said, said
    finally:
        subprocess.run(["umount", disk], check=True)
    return "one clear error each, full and read-only; went on with room"


def cluster_faults(work: Path, toml: Path, rng: np.random.Generator, n: int, n_schedulers: int) -> tuple[int, int]:
    """Workers killed with a member in hand, and schedulers; after each, the sweep is run again."""
    killed = 0
    while killed < n:
        out = work / f"workers{killed}"
        done, code = fault_clusters.kill_workers(start, toml, out, work, rng, min(5, n - killed))
        killed += done
        assert code in (0, 2), code
        finished(toml, out)
        check(out)
    hits = 0
    while hits < n_schedulers:
        out = work / f"schedulers{time.monotonic_ns()}"
        hits += fault_clusters.kill_scheduler(start, toml, out, work, rng)
        finished(toml, out)
        check(out)
    return killed, hits


def main() -> None:
    """Try all, and print the tally."""
    global WHOLE, SECONDS
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--workers", type=int, default=20)
    parser.add_argument("--schedulers", type=int, default=5)
    parser.add_argument("--damages", type=int, default=15)
    asked = parser.parse_args()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        toml = work / "grid.toml"
        toml.write_text(TOML)
        begun = time.monotonic()
        finished(toml, work / "whole")
        SECONDS = time.monotonic() - begun
        WHOLE = content(work / "whole")
        print(f"undisturbed: {len(WHOLE[1])} members")
        n, out = kills(work, toml, rng, asked.kills)
        check(out)
        print(f"kill -9 of the run: {n} times; nothing lost, nothing twice, same bits", flush=True)
        print(f"full disk, read-only store: {full_disk(work, toml)}", flush=True)
        for k in (2, 4):
            print(f"{k} processes on one store: {races(work, toml, k)} members trained twice, same bits", flush=True)
        print(f"damaged files: {damages(work, toml, rng, asked.damages)} times mended, same bits", flush=True)
        done = cluster_faults(work, toml, rng, asked.workers, asked.schedulers)
        print(f"kill -9 of Dask workers with a member in hand: {done[0]} times, same bits", flush=True)
        print(f"kill -9 of the Dask scheduler: {done[1]} times, one clear line each, same bits", flush=True)
        for k in range(1, 5):
            finished(toml, work / "parts", "--member", f"{k}/4")
        subprocess.run([sys.executable, "-m", "flylab", "merge", toml, "--out", work / "parts"], check=True)
        check(work / "parts")
        finished(toml, work / "dask", "--workers", "2")
        check(work / "dask")
        print("four parts merged, and two Dask workers: same bits", flush=True)


if __name__ == "__main__":
    main()
