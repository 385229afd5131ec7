"""Measure store and runner beside the first edition: `python bench/store.py --first CHECKOUT`.

The first edition, commit 7019aa0, stored a netCDF file for each member; `CHECKOUT` is a folder that has it, and without
one its column is empty. Each number comes from a process of its own, whose peak memory is its own. What would take the
first edition hours is extrapolated from fewer members, as its times are in proportion to them.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from flylab import Plan, Sweep
from flylab.base import runtime
from flylab.runs import runner
from flylab.runs.content import Content, encode
from flylab.runs.plan import RunPlan
from flylab.runs.store import NewMember, Store
from flylab.runs.sweeps import plan_of_sweep
from flylab.studies import train

FEW = 1000  # members from which the first edition's times are extrapolated


def plan_of(n: int, n_seeds: int) -> RunPlan:
    """Return the plan of n members of logistic regression, trained for one step."""
    axes = {"learning_rate": {"linear": [0.001, 0.1, max(n // n_seeds, 1)]}}
    return plan_of_sweep(Sweep("train", axes, fixed={"n_steps": 1, "model": "logistic"}, n_seeds=n_seeds))


def overhead(n: int, n_seeds: int) -> dict[str, float]:
    """Return milliseconds per member of bare training, of a sweep and of reading, and bytes per member."""
    plan = plan_of(n, n_seeds)

    def bare() -> None:
        for group in plan.groups():
            train.STUDY.run(group.protocol, group.condition, list(group.seeds), key=jax.random.key(0))

    with tempfile.TemporaryDirectory() as folder:
        runner.run(plan_of(4 * n_seeds, n_seeds), Path(folder))  # compile, and import what is imported late
    with tempfile.TemporaryDirectory() as folder:
        before, _ = timed(bare)
        swept, done = timed(lambda: runner.run(plan, Path(folder)))
        after, _ = timed(bare)
        names = [name for group in plan.groups() for name in group.names]
        n_bytes = sum(path.stat().st_size for path in Path(folder).glob("flylab.sqlite*"))
        with Store(Path(folder)) as store:
            reading, found = timed(lambda: sum(1 for _ in store.get(names)))
    assert found == done.n_trained == len(names)
    bare_seconds = (before + after) / 2  # before and after, as other work on the machine comes and goes
    return {"bare": 1e3 * bare_seconds / found, "swept": 1e3 * swept / found, "read": 1e3 * reading / found,
            "bytes": n_bytes / found}  # fmt: skip


def trained(n: int, n_seeds: int) -> dict[str, float]:
    """Train, store and merge n members; return seconds."""
    with tempfile.TemporaryDirectory() as folder:
        seconds, done = timed(lambda: runner.run(plan_of(n, n_seeds), Path(folder)))
    assert done.n_trained == n
    return {"seconds": seconds}


def merged(n: int, n_seeds: int, n_steps: int) -> dict[str, float]:
    """Store n members that are not trained, of as many evaluations as n_steps steps have; return seconds of a merge."""
    plan, steps = plan_of(n, n_seeds), np.array(Plan(n_steps).evaluated)
    names = [f"{on}_{what}" for on in ("train", "valid", "test") for what in ("loss", "accuracy")]
    variables = {name: (("step",), np.zeros(len(steps), np.float32)) for name in names}
    content = encode(Content(variables, {"step": steps}, {}))
    with tempfile.TemporaryDirectory() as folder:
        with Store(Path(folder)) as store:
            for some in _chunks(plan):
                store.put(NewMember(name, "train", protocol, content) for name, protocol in some)
        seconds, done = timed(lambda: runner.run(plan, Path(folder)))
    assert done.n_trained == 0
    assert done.results.sizes["learning_rate"] * n_seeds == n
    return {"seconds": seconds}


def _chunks(plan: RunPlan, size: int = 10_000) -> Iterator[list[tuple[str, str]]]:
    some: list[tuple[str, str]] = []
    for group in plan.groups():
        some += [(name, group.protocol_hash) for name in group.names]
        if len(some) >= size:
            yield some
            some = []
    yield some


def timed(act: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds that a function takes, and its result."""
    began = time.perf_counter()
    result = act()
    return time.perf_counter() - began, result


def peak() -> float:
    """Return the peak memory of this process in gigabytes. (`ru_maxrss` would be at least the parent's.)"""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024**2


MEASURES = {"overhead": overhead, "trained": trained, "merged": merged}


def measured(what: str, *numbers: int, first: Path | None = None) -> dict[str, float]:
    """Measure in a process of its own, which prints JSON: of this edition, or of the first in a checkout."""
    folder = Path(__file__).parent
    script = folder / ("store.py" if first is None else "store_first.py")
    environment = os.environ if first is None else os.environ | {"PYTHONPATH": str(first / "src")}
    command = [sys.executable, str(script), "--measure", what, *map(str, numbers)]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment).stdout
    return json.loads(said.splitlines()[-1])


def print_table(rows: list[tuple[str, str, float | None, float, float | None]]) -> None:
    """Print rows of a name, a form of numbers, the first edition's number, this one's and the reach."""
    print(f"{'':<50} {'first edition':>13} {'now':>10} {'ratio':>7} {'reach':>12}")
    for name, form, before, now, reach in rows:
        ratio = "" if before is None else f"{before / now:.3g}×"
        old = "" if before is None else form.format(before)
        aim = "" if reach is None else ("≤ " if now <= reach else "not ≤ ") + form.format(reach)
        print(f"{name:<50} {old:>13} {form.format(now):>10} {ratio:>7} {aim:>12}")


def main() -> None:
    """Measure both editions, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--first", type=Path, help="a checkout of the first edition")
    parser.add_argument("--members", type=int, default=5000, help="members whose overhead is measured (5000)")
    parser.add_argument("--trained", type=int, default=100_000, help="members to train, store and merge (100 000)")
    parser.add_argument("--merged", type=int, default=1_000_000, help="stored members to merge (1 000 000)")
    parser.add_argument("--seeds", type=int, default=10, help="seeds of each condition (10)")
    parser.add_argument("--steps", type=int, default=1, help="steps whose evaluations merged members have (1)")
    options = parser.parse_args()
    if options.measure:
        what, *numbers = options.measure
        runtime.initialise()
        print(json.dumps(MEASURES[what](*map(int, numbers)) | {"peak": peak()}))
        return
    seeds, steps = options.seeds, options.steps
    old: dict[str, dict[str, float]] = {}
    if options.first:
        old["one"] = measured("overhead", min(FEW, options.members), seeds, first=options.first)
        old["merged"] = measured("merged", FEW, seeds, steps, first=options.first)
        old["merged"] = {name: value * options.merged / FEW for name, value in old["merged"].items()}
    one = measured("overhead", options.members, seeds)
    many = measured("trained", options.trained, seeds)
    million = measured("merged", options.merged, seeds, steps)

    def before(what: str, value: Callable[[dict[str, float]], float]) -> float | None:
        return value(old[what]) if what in old else None

    print_table([
        ("overhead per member (ms)", "{:.2f}", before("one", lambda t: t["swept"] - t["bare"]),
         one["swept"] - one["bare"], 0.5),
        ("read and verify a member (ms)", "{:.3f}", before("one", lambda t: t["read"]), one["read"], 0.1),
        ("bytes per member (kB)", "{:.1f}", before("one", lambda t: t["bytes"] / 1e3), one["bytes"] / 1e3, 3.0),
        (f"{options.trained:_} members trained and merged (min)".replace("_", " "), "{:.1f}",
         before("one", lambda t: t["swept"] * options.trained / 60e3), many["seconds"] / 60, 10.0),
        ("    peak memory (GB)", "{:.2f}", None, many["peak"], 1.5),
        (f"{options.merged:_} stored members merged (min)".replace("_", " "), "{:.1f}",
         before("merged", lambda t: t["seconds"] / 60), million["seconds"] / 60, 3.0),
        ("    peak memory (GB)", "{:.2f}", None, million["peak"], None),
    ])  # fmt: skip


if __name__ == "__main__":
    main()
