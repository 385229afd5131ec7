"""A sweep as an array of Slurm jobs: no server, each trains its part on a shared file system."""

import shlex
from pathlib import Path

SCRIPT = """#!/bin/bash
#SBATCH --job-name={name}
#SBATCH --array=1-{jobs}
#SBATCH --cpus-per-task={cpus}
#SBATCH --mem={mem}
#SBATCH --time={time}
#SBATCH --output={log}
{more}# Each job trains its part; a job that died is run again by: sbatch --array=K {script}
# When all are done:  {merge}
set -euo pipefail
cd {here}
srun {python} -m flylab sweep {toml} --out {out} --part "$SLURM_ARRAY_TASK_ID/{jobs}"
"""


def script(
    toml: Path,
    out: Path,
    target: Path,
    *,
    jobs: int,
    cpus: int,
    mem: str,
    time: str,
    python: str,
    options: tuple[str, ...],
) -> str:
    """The text of an sbatch script.

    Args:
        toml: the sweep.
        out: the folder of all runs.
        target: where the script will stand.
        jobs: parts.
        cpus: cores of each.
        mem: memory of each, as Slurm writes it.
        time: limit, as Slurm writes it.
        python: interpreter with flylab.
        options: further ones of sbatch, such as `--partition=gpu`.

    Raises:
        ValueError: for what cannot stand in a script.
    """
    if jobs < 1 or cpus < 1:
        raise ValueError(f"jobs={jobs}, cpus={cpus}: give whole numbers ≥ 1")
    for word in (mem, time, *options):
        if not word or any(character.isspace() or not character.isprintable() for character in word):
            raise ValueError(f"{word!r} cannot stand in an #SBATCH line: give one word")
    if wrong := [option for option in options if not option.startswith("-")]:
        raise ValueError(f"{wrong[0]!r} is not an option of sbatch: it begins with --")
    quoted = {name: shlex.quote(str(path)) for name, path in {
        "toml": toml.resolve(), "out": out.resolve(), "here": Path.cwd(), "script": target.resolve(), "python": python,
    }.items()}  # fmt: skip
    if any("\n" in text for text in quoted.values()):
        raise ValueError("a path with a line break cannot stand in a script")
    name = "".join(c if c.isalnum() or c in "-_." else "_" for c in toml.stem)
    merge = f"{quoted['python']} -m flylab merge {quoted['toml']} --out {quoted['out']}"
    more = "".join(f"#SBATCH {option}\n" for option in options)
    return SCRIPT.format(
        **quoted, name=name, jobs=jobs, cpus=cpus, mem=mem, time=time, log=f"{name}-%A_%a.log", more=more, merge=merge
    )
