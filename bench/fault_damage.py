"""Faults of disks: full and read-only ones, and databases of which bits are flipped, or pages or files are gone."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fault_lab import Fault, Lab, Outcome, n_trained, stored

PAGE = 4096
Damage = Callable[[Path, np.random.Generator], None]  # changes the file at a path


def flip(path: Path, rng: np.random.Generator) -> None:
    """One to eight flipped bits"""
    data = bytearray(path.read_bytes())
    for place in rng.integers(len(data), size=rng.integers(1, 9)):
        data[place] ^= 1 << int(rng.integers(8))
    _overwrite(path, data)


def blank(path: Path, rng: np.random.Generator) -> None:
    """A page of zeros"""
    data = bytearray(path.read_bytes())
    place = PAGE * int(rng.integers(max(len(data) // PAGE, 1)))
    data[place : place + PAGE] = bytes(len(data[place : place + PAGE]))
    _overwrite(path, data)


def cut_out(path: Path, rng: np.random.Generator) -> None:
    """A page cut out"""
    data = path.read_bytes()
    place = PAGE * int(rng.integers(max(len(data) // PAGE, 1)))
    _overwrite(path, data[:place] + data[place + PAGE :])


def truncate(path: Path, rng: np.random.Generator) -> None:
    """An end cut off"""
    data = path.read_bytes()
    _overwrite(path, data[: int(rng.integers(len(data)))])


def replace(path: Path, rng: np.random.Generator) -> None:
    """Noise instead of all content"""
    _overwrite(path, rng.bytes(path.stat().st_size))


def delete(path: Path, rng: np.random.Generator) -> None:
    """No file"""
    path.unlink()


def _overwrite(path: Path, data: bytes | bytearray) -> None:
    """Write into the same file, as a failing disk would."""
    with path.open("r+b") as file:
        file.write(data)
        file.truncate()


DATABASE, LOG = "flylab.sqlite", "flylab.sqlite-wal"
DAMAGES: dict[str, tuple[tuple[str, Damage], int]] = {  # the number that the tally asks for
    "flip": ((DATABASE, flip), 8), "blank": ((DATABASE, blank), 5), "cut-out": ((DATABASE, cut_out), 5),
    "truncate": ((DATABASE, truncate), 4), "replace": ((DATABASE, replace), 1), "delete": ((DATABASE, delete), 1),
    "log-flip": ((LOG, flip), 8), "log-blank": ((LOG, blank), 4), "log-cut-out": ((LOG, cut_out), 3),
    "log-truncate": ((LOG, truncate), 4), "log-replace": ((LOG, replace), 1), "log-delete": ((LOG, delete), 2),
}  # fmt: skip


def fault(name: str) -> Fault:
    """Return the fault of a kind of damage, done to the database of a finished run, or to the log of a killed one."""
    (file, damage), _ = DAMAGES[name]

    def damaged(lab: Lab, rng: np.random.Generator, n: int) -> Outcome:
        out = lab.folder()
        if file == LOG:
            run = lab.start(out)
            lab.wait(run, out, len(lab.members) // 3)
            run.kill()
            run.end()
        else:
            shutil.copytree(lab.work / "whole", out)
            (out / "sweeps" / "grid" / "results.nc").unlink()
        if not (out / file).exists():  # the run was over before it was killed
            return Outcome(0)
        n_before = len(stored(out))
        damage(out / file, rng)
        trained = lab.finish(out)
        return Outcome(1, n_before + trained - len(lab.members))

    where = "the log of a killed run" if file == LOG else "the database of a finished run"
    damaged.__doc__ = f"{damage.__doc__} in {where}"
    return damaged


def under_way(lab: Lab, rng: np.random.Generator, n: int) -> Outcome:
    """Any of these damages while the run is training"""
    (file, damage), _ = list(DAMAGES.values())[rng.integers(len(DAMAGES))]
    out = lab.folder()
    run = lab.start(out)
    lab.wait(run, out, int(rng.integers(1, len(lab.members) // 2)))
    if not run.is_alive() or not (out / file).exists():
        run.end()
        return Outcome(0)
    damage(out / file, rng)
    code, said = run.end()
    assert code in (0, 2), (code, said)
    if code == 2:
        assert len(said.strip().splitlines()) == 1, said
    before = stored(out)
    (out / "sweeps" / "grid" / "results.nc").unlink(missing_ok=True)  # the members are read again
    again = lab.finish(out)
    n_more = n_trained(said) - len(lab.members) + again if code == 0 else again + len(before) - len(lab.members)
    return Outcome(1, n_more, {f"{damage.__doc__} in {file}" + (": one line" if code else ""): 1})


def _on_a_disk(lab: Lab, size: str, change: str) -> Outcome:
    """Run on a file system of some size, changed after the first members, and then with room."""
    disk = lab.folder()
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        return Outcome(1, 0, {"not tested: no right to mount": 1})
    try:
        run = lab.start(disk / "runs")
        if change:
            lab.wait(run, disk / "runs", 2)
            subprocess.run(["mount", "-o", change, disk], check=False, capture_output=True)  # busy while it is written
        code, said = run.end()
        assert code == 2 or (change and code == 0), (code, said)
        before = lab.check_part(disk / "runs", {})
        if code:
            assert len(said.strip().splitlines()) == 1, said
            assert "cannot" in said, said
        if change:
            subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
            (disk / "runs").exists()
            code, said = lab.start(disk / "runs").end()
            assert code == 2, (code, said)
            assert "cannot write" in said, said
            assert len(said.strip().splitlines()) == 1, said
        subprocess.run(["mount", "-o", "remount,rw,size=100m", disk], check=True)
        trained = lab.finish(disk / "runs")
        assert trained == len(lab.members) - len(before), f"{len(before)} were stored, {trained} were trained again"
    finally:
        subprocess.run(["umount", disk], check=True)
    return Outcome(1, 0, {"one line each": 1})


def full_disk(lab: Lab, rng: np.random.Generator, n: int) -> Outcome:
    """A disk that is full sooner or later"""
    return _on_a_disk(lab, f"{rng.integers(20, 200)}k", "")


def read_only_disk(lab: Lab, rng: np.random.Generator, n: int) -> Outcome:
    """A disk that becomes read-only"""
    return _on_a_disk(lab, "100m", "remount,ro")
