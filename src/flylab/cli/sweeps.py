"""The commands around sweeps: `flylab sweep | merge | slurm | plot`."""

import contextlib
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from flylab.cli.terminal import Bar, parse

_FLAGS = (tyro.conf.FlagCreatePairsOff,)


@dataclass
class _Sweep:
    """Train every point of a grid, or random samples, that a TOML file declares."""

    file: Annotated[Path, tyro.conf.Positional]
    """The sweep, e.g. sweep.toml."""
    out: Path = Path("runs")
    """The folder of all runs."""
    dry_run: bool = False
    """Only say what would be trained."""
    part: str | None = None
    """Train only one part of several, K/N: then `flylab merge` joins them."""
    workers: int | None = None
    """Train in so many processes, by a Dask cluster on this machine."""
    scheduler: str | None = None
    """Train on the Dask cluster whose scheduler is there, e.g. tcp://host:8786."""


def sweep(words: list[str]) -> None:
    """`flylab sweep`."""
    asked = parse(_Sweep, prog="flylab sweep", args=words, config=_FLAGS)
    part = _part(asked.part)
    if asked.workers is not None and asked.scheduler is not None:
        raise ValueError("--workers starts a cluster, --scheduler uses one that runs: give one of the two")
    from flylab.runs import cluster, sweeping, sweeps

    declared = sweeps.from_toml(asked.file)
    if asked.dry_run:
        _say(declared, asked.out)
        return
    with contextlib.ExitStack() as stack:
        executor = None
        if asked.workers is not None or asked.scheduler is not None:
            cluster = stack.enter_context(cluster.dask(asked.scheduler, asked.workers))
            print(f"Dask's dashboard: {cluster.dashboard}", file=sys.stderr)
            executor = cluster.executor
        watcher = stack.enter_context(Bar())
        done = sweeping.run(declared, asked.out, part=part, executor=executor, watcher=watcher)
    said = f"trained {done.n_trained} members" if done.n_trained else "nothing was left to train"
    if part != (1, 1):
        print(f"{said} of part {asked.part}; when all parts are done: flylab merge {asked.file} --out {asked.out}")
        return
    print(f"{said}; results.nc and members.parquet are in {done.folder}")


def _part(text: str | None) -> tuple[int, int]:
    if text is None:
        return 1, 1
    found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise ValueError(f"--part {text} is not allowed: give K/N with 1 ≤ K ≤ N, e.g. 1/4")
    return int(found[1]), int(found[2])


def _say(declared, out: Path) -> None:
    from flylab.runs.sweeps import summary

    found = summary(declared, out)
    print(f"points    {found.n_points}")
    print(f"members   {found.n_members}; {found.n_finished} are finished")
    print(f"steps     {found.n_steps:_} to train".replace("_", " "))
    flops = "not known for this study" if found.flops is None else f"{found.flops:.3g} in training (products only)"
    print(f"FLOPs     {flops}")
    minutes = "not known for this study" if found.minutes is None else f"about {found.minutes:.3g} minutes on two cores"
    print(f"time      {minutes}, by the study's own minutes for {declared.preset}")
    size = "not known before the first member is done" if found.n_bytes is None else _bytes(found.n_bytes)
    print(f"disk      {size}")
    memory = "not known for this study" if found.memory is None else f"{_bytes(found.memory)} for data and networks"
    print(f"memory    {memory}")
    print(f"store     {declared.folder(out)}")


def _bytes(n: float) -> str:
    power = min(len(str(int(n))) - 1, 12) // 3
    return f"{n / 1000**power:.3g} {('B', 'kB', 'MB', 'GB', 'TB')[power]}"


@dataclass
class _Merge:
    """Join the members of a sweep into results.nc and members.parquet."""

    file: Annotated[Path, tyro.conf.Positional]
    """The sweep, e.g. sweep.toml."""
    out: Path = Path("runs")
    """The folder of all runs."""


def merge(words: list[str]) -> None:
    """`flylab merge`."""
    asked = parse(_Merge, prog="flylab merge", args=words)
    from flylab.runs import sweeping, sweeps

    declared = sweeps.from_toml(asked.file)
    done = sweeping.merge(declared, asked.out)
    print(f"results.nc and members.parquet are in {done.folder}")


@dataclass
class _Slurm:
    """Write a script that trains a sweep as an array of Slurm jobs."""

    file: Annotated[Path, tyro.conf.Positional]
    """The sweep, e.g. sweep.toml."""
    out: Path = Path("runs")
    """The folder of all runs, on a file system that all nodes share."""
    jobs: int = 8
    """Parts, one a job."""
    cpus: int = 2
    """Cores of each."""
    mem: str = "4G"
    """Memory of each."""
    time: str = "01:00:00"
    """Limit of each. A job that is cut off goes on where it was when it is run again."""
    option: Annotated[tuple[str, ...], tyro.conf.arg(aliases=["-O"])] = ()
    """Further options of sbatch, each in one word, e.g. -O=--partition=long"""
    output: Path | None = None
    """The script; by default the sweep's name with .sbatch."""


def slurm(words: list[str]) -> None:
    """`flylab slurm`."""
    asked = parse(_Slurm, prog="flylab slurm", args=words)
    from flylab.base import files
    from flylab.runs import slurm, sweeps

    declared = sweeps.from_toml(asked.file)
    target = asked.output or Path(f"{asked.file.stem}.sbatch")
    text = slurm.script(asked.file, asked.out, target, jobs=asked.jobs, cpus=asked.cpus, mem=asked.mem, time=asked.time,
                        python=sys.executable, options=asked.option)  # fmt: skip
    files.write_atomic(target, text)
    print(f"{declared.n_members} members in {asked.jobs} jobs; submit them by: sbatch {target}")


@dataclass
class _Plot:
    """Draw results by the names of their dimensions: lines with bands over seeds, or a heat map."""

    results: Annotated[Path, tyro.conf.Positional]
    """A folder of results, or the results.nc in it."""
    x: str
    """The dimension to draw against."""
    y: str | None = None
    """A second one, for a heat map."""
    value: str = "test_accuracy"
    """The variable to draw."""
    lines: str | None = None
    """A dimension, one line for each value."""
    panels: str | None = None
    """A dimension, one panel for each value."""
    at: tuple[str, ...] = ()
    """Where to cut the other dimensions: NAME=VALUE …"""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("plot.png")
    """The picture: .png or .svg."""


def plot(words: list[str]) -> None:
    """`flylab plot`."""
    asked = parse(_Plot, prog="flylab plot", args=words)
    from flylab import reporting
    from flylab.base import files

    kind = asked.output.suffix.lstrip(".")
    if kind not in ("png", "svg"):
        raise ValueError(f"--output {asked.output} has no ending .png or .svg; give it one")
    if wrong := [text for text in asked.at if "=" not in text]:
        raise ValueError(f"--at {wrong[0]} is not allowed: give NAME=VALUE")
    at = dict(text.split("=", 1) for text in asked.at)
    drawn = reporting.chart(
        reporting.load(asked.results), asked.value, asked.x, y=asked.y, lines=asked.lines, panels=asked.panels, at=at
    )
    files.write_atomic(asked.output, reporting.image(drawn, kind))
    print(asked.output)
