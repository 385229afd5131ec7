"""Options and output that all commands share which train members: `flylab run` and `flylab sweep`."""

import contextlib
import re
from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.filesize import decimal

from flylab.cli.options import Switch
from flylab.cli.terminal import say

if TYPE_CHECKING:
    from flylab.runs.plan import RunPlan
    from flylab.runs.runner import Run

DryRun = Annotated[Switch, Parameter(help="Only print what would be trained, and about how long it takes.")]
Part = Annotated[
    str | None, Parameter(help="Train one of several parts, K/N, e.g. 1/4; the command without it joins them.")
]
Workers = Annotated[int | None, Parameter(help="Train in this many processes on this machine.")]
Scheduler = Annotated[
    str | None,
    Parameter(help="Train on a running Dask cluster: the address of its scheduler, e.g. tcp://host:8786."),
]


def carry_out(
    plan: "RunPlan", out: Path, *, dry_run: bool, part: str | None, workers: int | None, scheduler: str | None,
    force: bool = False,
) -> "Run | None":  # fmt: skip
    """Run a plan with a progress bar, and print what is left to do; return the run if it is finished.

    Raises:
        ValueError: if options contradict each other, or `part` is not K/N.
    """
    which = _part(part)
    if workers is not None and scheduler is not None:
        raise ValueError("--workers starts processes, --scheduler uses a cluster: give one of the two")
    if dry_run:
        _print_estimate(plan, out, which, force)
        return None
    from flylab.reporting import run_and_publish
    from flylab.runs.progress import Bar

    with _executor(workers, scheduler) as executor, Bar() as watcher:
        done = run_and_publish(plan, out, part=which, executor=executor, force=force, watcher=watcher)
    if which != (1, 1):
        say(f"{trained(done)} of part {part}; when all parts are done, run the command without --part")
        return None
    return done


def trained(run: "Run") -> str:
    """Return who trained a run's members, as text."""
    if not run.n_trained and not run.n_elsewhere:
        return "found finished, nothing to train"
    elsewhere = f", {run.n_elsewhere} by another process" if run.n_elsewhere else ""
    return f"trained {run.n_trained} members{elsewhere}"


@contextlib.contextmanager
def _executor(workers: int | None, scheduler: str | None) -> Iterator[Executor | None]:
    from flylab.runs import executors

    if scheduler is not None:
        with executors.dask(scheduler) as executor:
            yield executor
    elif workers is not None:
        with executors.Processes(workers) as executor:
            yield executor
    else:
        yield None


def _part(text: str | None) -> tuple[int, int]:
    match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text or "1/1")
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise ValueError(f"--part {text} must be K/N with 1 ≤ K ≤ N, e.g. 1/4")
    return int(match[1]), int(match[2])


def _print_estimate(plan: "RunPlan", out: Path, part: tuple[int, int], force: bool) -> None:
    from flylab.runs.estimate import estimate
    from flylab.runs.progress import duration

    found = estimate(plan, out, part=part, force=force)
    unknown = "not known for this study"
    seconds = unknown if found.seconds is None else f"about {duration(found.seconds)} on this machine, by a short trial"
    flops = unknown if found.flops is None else f"{found.flops:.3g} in training (products only)"
    memory = unknown if found.memory is None else f"{decimal(int(found.memory))} for data and networks"
    say(f"conditions {found.n_conditions}")
    say(f"members    {found.n_members}; {found.n_finished} are finished")
    say(f"steps      {found.n_steps:_} to train".replace("_", " "))
    say(f"FLOPs      {flops}")
    say(f"time       {seconds}")
    say(f"memory     {memory}")
    say(f"results    {out / plan.folder}")
