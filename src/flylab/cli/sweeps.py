"""Commands for sweeps and clusters: `flylab sweep | slurm | plot`."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flylab.cli.options import EXPANDED, RUNS, File, Force, Out
from flylab.cli.running import DryRun, Part, Scheduler, Workers, carry_out, trained
from flylab.cli.terminal import say

Declaration = Annotated[File, Parameter(help="Declaration of the sweep, e.g. sweep.toml.")]


def sweep(
    file: Declaration, /, *, out: Out = RUNS, force: Force = False, dry_run: DryRun = False, part: Part = None,
    workers: Workers = None, scheduler: Scheduler = None,
) -> None:  # fmt: skip
    """Train a grid of conditions, or random ones, from a TOML file."""
    from flylab.runs import sweeps

    plan = sweeps.plan_of_sweep(sweeps.from_toml(file))
    options = {"dry_run": dry_run, "part": part, "workers": workers, "scheduler": scheduler}
    if (done := carry_out(plan, out, force=force, **options)) is not None:
        say(f"{trained(done)}; results.nc and members.parquet are in {done.folder}")


def slurm(
    *command: Annotated[str, Parameter(allow_leading_hyphen=True)], jobs: int = 8, cpus: int = 2, mem: str = "4G",
    time: str = "01:00:00",
    option: Annotated[tuple[str, ...], Parameter(alias="-O", consume_multiple=False, show_default=False)] = (),
    output: Annotated[Path | None, EXPANDED] = None,
) -> None:  # fmt: skip
    """Write a script that carries out a command as an array of Slurm jobs.

    Args:
        command: The command, without flylab: run STUDY PRESET …, or sweep FILE …. Its --out must be on a file system
            that all nodes share.
        jobs: Number of jobs; each trains one part.
        cpus: Cores of a job.
        mem: Memory of a job.
        time: Time limit of a job. One that is cut off resumes when it is submitted again.
        option: Further options of sbatch, each as one word, e.g. -O=--partition=long.
        output: The script; by default the command's name with .sbatch.
    """
    from flylab.base import files
    from flylab.runs import slurm

    if command[:1] not in (("run",), ("sweep",)):
        raise ValueError(f"flylab slurm {' '.join(command)} must be followed by run STUDY PRESET, or by sweep FILE")
    if refused := [word for word in command if word.partition("=")[0] in ("--part", "--dry-run")]:
        raise ValueError(f"leave out {refused[0]}: each job trains a part of its own")
    name = "-".join(Path(word).stem for word in command[1:3] if not word.startswith("-"))
    target = output or Path(f"{name}.sbatch")
    files.check_target(target)
    text = slurm.script(
        command, name, target, jobs=jobs, cpus=cpus, mem=mem, time=time, python=sys.executable, options=option
    )
    files.write_atomic(target, text)
    say(f"{target} has {jobs} jobs; submit them by: sbatch {target}")


def plot(
    results: File, /, *, x: str, y: str | None = None, value: str = "test_accuracy", lines: str | None = None,
    panels: str | None = None, at: Annotated[tuple[str, ...], Parameter(show_default=False)] = (),
    width: str | None = None, output: Annotated[File, Parameter(alias="-o")] = Path("plot.png"),
) -> None:  # fmt: skip
    """Draw results: lines with bands over seeds, or a heat map with its numbers.

    Args:
        results: Folder of a run or a sweep, or the results.nc in it.
        x: Dimension along the horizontal axis.
        y: Dimension along the vertical axis of a heat map.
        value: Variable to draw.
        lines: Dimension with one line for each value.
        panels: Dimension with one panel for each value.
        at: Where to cut the other dimensions: NAME=VALUE …
        width: For paper, with text of 7 points and more: full or column (6.75 or 3.25 inches), or inches.
        output: Picture to write, .png, .svg or .pdf; PDF holds TrueType fonts.
    """
    from flylab.base import files
    from flylab.reporting import chart, image, load

    kind = output.suffix.lstrip(".")
    if kind not in ("png", "svg", "pdf"):
        raise ValueError(f"--output {output} has no ending .png, .svg or .pdf; give it one")
    if wrong := [text for text in at if "=" not in text]:
        raise ValueError(f"--at {wrong[0]} must be NAME=VALUE")
    files.check_target(output)
    cuts = dict(text.split("=", 1) for text in at)
    drawn = chart(load(results), value, x, y=y, lines=lines, panels=panels, at=cuts, width=width)
    files.write_atomic(output, image(drawn, kind))
    say(output)
