"""A command as an array of Slurm jobs, each of which trains a part of its members on a shared file system."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from flylab.base.constraints import PositiveInt, check

SCRIPT = """#!/bin/bash
#SBATCH --job-name={name}
#SBATCH --array=1-{jobs}
#SBATCH --cpus-per-task={cpus}
#SBATCH --mem={mem}
#SBATCH --time={time}
#SBATCH --output={log}
{more}# Each job trains its part. Run job K again, if it has failed, by: sbatch --array=K {script}
# When all jobs are done, this joins their results:  {python} -m flylab {command}
set -euo pipefail
cd {here}
srun {python} -m flylab {command} --part "$SLURM_ARRAY_TASK_ID/{jobs}"
"""


def script(
    command: Sequence[str],
    name: str,
    target: Path,
    *,
    jobs: int,
    cpus: int,
    mem: str,
    time: str,
    python: str,
    options: tuple[str, ...],
) -> str:
    """Return the text of an sbatch script.

    Args:
        command: the words of the command, such as `("run", "architectures", "paper")`.
        name: the name of the jobs.
        target: the path of the script.
        jobs: number of jobs, each of which trains one part.
        cpus: cores per job.
        mem: memory per job, in Slurm's notation.
        time: time limit per job, in Slurm's notation.
        python: the interpreter that has flylab.
        options: further options of sbatch, such as `--partition=gpu`.

    Raises:
        ValueError: if a value is out of range or cannot be written in a script.
    """
    check("jobs", jobs, PositiveInt)
    check("cpus", cpus, PositiveInt)
    for word in (mem, time, *options):
        if not word or any(character.isspace() or not character.isprintable() for character in word):
            raise ValueError(f"{word!r} must be one printable word, as it stands in an #SBATCH line")
    if invalid := [option for option in options if not option.startswith("-")]:
        raise ValueError(f"option={invalid[0]!r} must begin with -, as sbatch's options do")
    words = {"here": Path.cwd(), "script": target.resolve(), "python": python}
    quoted = {word: shlex.quote(str(path)) for word, path in words.items()} | {"command": shlex.join(command)}
    if any("\n" in text for text in quoted.values()):
        raise ValueError("paths and words must have no line breaks, as they stand in a script")
    name = "".join(c if c.isalnum() or c in "-_." else "_" for c in name)
    more = "".join(f"#SBATCH {option}\n" for option in options)
    log = f"{name}-%A_%a.log"
    return SCRIPT.format(**quoted, name=name, jobs=jobs, cpus=cpus, mem=mem, time=time, log=log, more=more)
