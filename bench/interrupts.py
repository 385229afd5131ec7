"""Ctrl-C at random instants: does it end a command within three seconds? `python bench/interrupts.py --times 100`.

Each command is started anew and gets SIGINT at a random instant from the moment on at which flylab's own code runs:
when its thread that listens has started. Every third instant lies in the first half second, with its imports.
"""

import argparse
import collections
import contextlib
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from flylab.cli.interrupts import MESSAGE

LIMIT = 3.0  # seconds
COMMANDS = {
    "run pooling smoke": ["run", "pooling", "smoke"],
    "run architectures smoke": ["run", "architectures", "smoke", "--n-steps", "100000"],
    "run continuum smoke, two workers": ["run", "continuum", "smoke", "--workers", "2"],
    "sweep": ["sweep", "sweep.toml"],
    "run lottery smoke": ["run", "lottery", "smoke"],
    "doctor": ["doctor"],
}

SWEEP = """
study = "train"
n_seeds = 2
[axes]
learning_rate = [0.001, 0.01]
[fixed]
n_steps = 100000
"""


class Interrupted(NamedTuple):
    """What one Ctrl-C did: the seconds until the process and its workers had ended, the exit code, what was wrong."""

    seconds: float
    code: int
    wrong: str


def interrupt(words: list[str], delay: float, folder: Path) -> Interrupted:
    """Start a command, send it SIGINT `delay` seconds after its own code runs, and wait for its end."""
    (folder / "sweep.toml").write_text(SWEEP)
    process = subprocess.Popen(
        [sys.executable, "-m", "flylab", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        cwd=folder, start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    while process.poll() is None and len(os.listdir(f"/proc/{process.pid}/task")) < 2:  # the thread that listens
        time.sleep(0.001)
    time.sleep(delay)
    has_ended = process.poll() is not None
    began = time.monotonic()
    if not has_ended:
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all processes of the command
    try:
        said, _ = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return Interrupted(60, 0, "went on")
    while (is_left := is_group_alive(process.pid)) and time.monotonic() - began < 2 * LIMIT:
        time.sleep(0.01)
    seconds = time.monotonic() - began
    ended = has_ended or "report are in" in said  # and Python, ending, lets the signal have its way
    wrong = [
        "workers outlive it" if is_left else "",
        "" if has_ended or seconds <= LIMIT else f"took {seconds:.1f} s",
        "traceback" if "Traceback" in said else "",
        "" if ended or process.returncode in (0, 130) else f"exit code {process.returncode}",
        "" if process.returncode != 130 or said.count(MESSAGE.strip()) == 1 else "does not say so once",
    ]
    return Interrupted(0.0 if has_ended else seconds, process.returncode, "; ".join(filter(None, wrong)))


def is_group_alive(group: int) -> bool:
    """Return whether a process of a group is left, which has not ended and only waits to be noticed."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, its_group = path.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                return True
    return False


def main() -> int:
    """Interrupt all commands in turn, print the tally, and return 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=100, help="how often (100)")
    parser.add_argument("--seconds", type=float, default=15.0, help="the latest instant (15)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    by_command: dict[str, list[Interrupted]] = collections.defaultdict(list)
    for i in range(options.times):
        name = list(COMMANDS)[i % len(COMMANDS)]
        delay = rng.uniform(0, options.seconds if i // len(COMMANDS) % 3 else 0.5)
        with tempfile.TemporaryDirectory() as folder:
            done = interrupt(COMMANDS[name], delay, Path(folder))
        by_command[name].append(done)
        if done.wrong:
            print(f"{name}, at {delay:.2f} s: {done.wrong}", flush=True)
    print(f"{'':<34} {'times':>5} {'amid it':>7} {'median s':>8} {'longest s':>9} {'wrong':>5}")
    for name, some in by_command.items():
        seconds = [one.seconds for one in some if one.code == 130] or [0.0]
        n_wrong = sum(bool(one.wrong) for one in some)
        numbers = f"{statistics.median(seconds):>8.2f} {max(seconds):>9.2f} {n_wrong:>5}"
        print(f"{name:<34} {len(some):>5} {sum(one.code == 130 for one in some):>7} {numbers}")
    return int(any(one.wrong for some in by_command.values() for one in some))


if __name__ == "__main__":
    sys.exit(main())
