"""Commands for sweeps: `flylab sweep | merge | slurm | plot`."""

import contextlib
import re
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.filesize import decimal

from flylab.cli.options import RUNS, Out, Switch
from flylab.cli.terminal import Bar

Declaration = Annotated[Path, Parameter(help="Declaration of the sweep, e.g. sweep.toml.")]


def sweep(
    file: Declaration, /, *, out: Out = RUNS, dry_run: Switch = False,
    part: str | None = None, workers: int | None = None, scheduler: str | None = None,
) -> None:  # fmt: skip
    """Train a grid of conditions, or random ones, from a TOML file.

    Args:
        dry_run: Only print what would be trained.
        part: Train one of several parts, K/N, e.g. 1/4; `flylab merge` joins them.
        workers: Train in this many processes, by a Dask cluster on this machine.
        scheduler: Train on a running Dask cluster: the address of its scheduler, e.g. tcp://host:8786.
    """
    n_part, n_parts = _part(part)
    if workers is not None and scheduler is not None:
        raise ValueError("--workers starts a cluster, --scheduler uses one that runs: give one of the two")
    from flylab.runs import cluster, sweeping, sweeps

    declared = sweeps.from_toml(file)
    if dry_run:
        _print_summary(sweeps.summary(declared, out), declared.preset, declared.folder(out))
        return
    with contextlib.ExitStack() as stack:
        executor = None
        if workers is not None or scheduler is not None:
            started = stack.enter_context(cluster.dask(scheduler, workers))
            print(f"Dask's dashboard: {started.dashboard}", file=sys.stderr)
            executor = started.executor
        watcher = stack.enter_context(Bar())
        done = sweeping.run(declared, out, part=(n_part, n_parts), executor=executor, watcher=watcher)
    trained = f"trained {done.n_trained} members" if done.n_trained else "nothing was left to train"
    if part is not None and n_parts > 1:
        print(f"{trained} of part {part}; when all parts are done: flylab merge {file} --out {out}")
    else:
        print(f"{trained}; results.nc and members.parquet are in {done.folder}")


def _part(text: str | None) -> tuple[int, int]:
    match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text or "1/1")
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise ValueError(f"--part {text} must be K/N with 1 ≤ K ≤ N, e.g. 1/4")
    return int(match[1]), int(match[2])


def _print_summary(summary, preset: str, folder: Path) -> None:
    print(f"conditions {summary.n_conditions}")
    print(f"members    {summary.n_members}; {summary.n_finished} are finished")
    print(f"steps      {summary.n_steps:_} to train".replace("_", " "))
    unknown = "not known for this study"
    print(f"FLOPs      {unknown if summary.flops is None else f'{summary.flops:.3g} in training (products only)'}")
    minutes = unknown if summary.minutes is None else f"about {summary.minutes:.3g} minutes on two cores"
    print(f"time       {minutes}, by the study's own minutes for {preset}")
    size = "not known before the first member is done" if summary.n_bytes is None else decimal(int(summary.n_bytes))
    print(f"disk       {size}")
    memory = unknown if summary.memory is None else f"{decimal(int(summary.memory))} for data and networks"
    print(f"memory     {memory}")
    print(f"store      {folder}")


def merge(file: Declaration, /, *, out: Out = RUNS) -> None:
    """Join the members of a sweep into results.nc and members.parquet."""
    from flylab.runs import sweeping, sweeps

    print(f"results.nc and members.parquet are in {sweeping.merge(sweeps.from_toml(file), out).folder}")


def slurm(
    file: Declaration, /, *, out: Path = RUNS, jobs: int = 8, cpus: int = 2, mem: str = "4G", time: str = "01:00:00",
    option: Annotated[tuple[str, ...], Parameter(alias="-O", show_default=False)] = (), output: Path | None = None,
) -> None:  # fmt: skip
    """Write a script that trains a sweep as an array of Slurm jobs.

    Args:
        out: Folder of all runs, on a file system that all nodes share.
        jobs: Number of jobs; each trains one part.
        cpus: Cores of a job.
        mem: Memory of a job.
        time: Time limit of a job. One that is cut off resumes when it is submitted again.
        option: Further options of sbatch, each as one word, e.g. -O=--partition=long.
        output: The script; by default the sweep's name with .sbatch.
    """
    from flylab.base import files
    from flylab.runs import slurm, sweeps

    declared = sweeps.from_toml(file)
    target = output or Path(f"{file.stem}.sbatch")
    text = slurm.script(
        file, out, target, jobs=jobs, cpus=cpus, mem=mem, time=time, python=sys.executable, options=option
    )
    files.write_atomic(target, text)
    print(f"{declared.n_members} members in {jobs} jobs; submit them by: sbatch {target}")


def plot(
    results: Path, /, *, x: str, y: str | None = None, value: str = "test_accuracy", lines: str | None = None,
    panels: str | None = None, at: Annotated[tuple[str, ...], Parameter(show_default=False)] = (),
    output: Annotated[Path, Parameter(alias="-o")] = Path("plot.png"),
) -> None:  # fmt: skip
    """Draw results: lines with bands over seeds, or a heat map.

    Args:
        results: Folder of a run or a sweep, or the results.nc in it.
        x: Dimension along the horizontal axis.
        y: Dimension along the vertical axis of a heat map.
        value: Variable to draw.
        lines: Dimension with one line for each value.
        panels: Dimension with one panel for each value.
        at: Where to cut the other dimensions: NAME=VALUE …
        output: Picture to write, .png or .svg.
    """
    from flylab.base import files
    from flylab.reporting import chart, image, load

    kind = output.suffix.lstrip(".")
    if kind not in ("png", "svg"):
        raise ValueError(f"--output {output} has no ending .png or .svg; give it one")
    if wrong := [text for text in at if "=" not in text]:
        raise ValueError(f"--at {wrong[0]} must be NAME=VALUE")
    cuts = dict(text.split("=", 1) for text in at)
    drawn = chart(load(results), value, x, y=y, lines=lines, panels=panels, at=cuts)
    files.write_atomic(output, image(drawn, kind))
    print(output)
