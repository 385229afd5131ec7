"""Run flylab under hostile settings and on hostile input, and print what held.

    python bench/hostile.py [--only TEXT] [--list]

Each case is a process of its own, in a folder of its own, with bounded memory. It must end as it should: with the right
output, or with one clear line on standard error and exit code 2, without a traceback, and within its time. The cases
stand in the tables `CASES` of `hostile_*.py` beside this file.
"""

import argparse
import importlib
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Case:
    """One thing that must not go wrong.

    Attributes:
        name: what is tried, e.g. "evaluate: labels that are floats".
        run: the arguments of `flylab`, or Python source text.
        ends: "well" (exit code 0), "refused" (exit code 2 and one line on standard error; in Python source: the
            expression `refused(error)` may print the error and exit so), or "either".
        says: a regular expression found in standard output and error together.
        never: a regular expression that must not be found there.
        env: environment variables, beside the usual ones.
        files: contents of files to write into the case's folder first, by name.
        seconds: longest time that the case may take.
        gigabytes: address space that the process may have.
    """

    name: str
    run: Sequence[str] | str
    ends: str = "refused"
    says: str = ""
    never: str = r"Traceback|Segmentation|core dumped"
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    seconds: float = 120
    gigabytes: float = 12


PREAMBLE = "def refused(error):\n    import sys\n    print(error, file=sys.stderr)\n    sys.exit(2)\n"


def tried(case: Case) -> str:
    """Run a case and return what is wrong, or ""."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in case.files.items():
            path = Path(folder, name)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        if isinstance(case.run, str):
            command = [sys.executable, "-c", PREAMBLE + case.run]
        else:
            command = [sys.executable, "-m", "flylab", *case.run]
        limit = int(case.gigabytes * 2**30)
        try:
            ended = subprocess.run(
                command, cwd=folder, env={**os.environ, **case.env}, capture_output=True, timeout=case.seconds,
                stdin=subprocess.DEVNULL, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return f"still running after {case.seconds:g} s"
    text = (ended.stdout + b"\n" + ended.stderr).decode(errors="replace")
    last = text.strip().splitlines()[-1:] or [""]
    if ended.returncode not in {"well": [0], "refused": [2], "either": [0, 2]}[case.ends]:
        return f"exit code {ended.returncode}: {last[0][:200]}"
    if re.search(case.never, text):
        return f"{case.never!r} in its output: {last[0][:200]}"
    if case.says and not re.search(case.says, text):
        return f"no {case.says!r} in its output: {last[0][:200]}"
    return ""


def cases() -> dict[str, list[Case]]:
    """Return all cases, by table."""
    tables = sorted(path.stem for path in HERE.glob("hostile_*.py"))
    return {table.removeprefix("hostile_"): list(importlib.import_module(table).CASES) for table in tables}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="run only cases whose table or name contains this text")
    parser.add_argument("--list", action="store_true", help="print the names of the cases")
    args = parser.parse_args()
    n_failed, begun = 0, time.perf_counter()
    for table, its_cases in cases().items():
        chosen = [case for case in its_cases if args.only in f"{table}: {case.name}"]
        failed = 0
        for case in chosen:
            wrong = "" if args.list else tried(case)
            failed += bool(wrong)
            if wrong or args.list:
                print(f"  {table}: {case.name}" + f": {wrong}" * bool(wrong), flush=True)
        if chosen:
            print(f"{table}: {len(chosen) - failed} of {len(chosen)} held", flush=True)
        n_failed += failed
    print(f"{n_failed} failed, {time.perf_counter() - begun:.0f} s")
    return bool(n_failed)


if __name__ == "__main__":
    sys.modules.setdefault("hostile", sys.modules["__main__"])  # so that the tables' Case is this one
    sys.exit(main())
