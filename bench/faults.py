"""Kill, race and damage a sweep in real processes, and check what it leaves: `python bench/faults.py --kill 50`.

After each fault the sweep runs again. Its results and its set of members must equal those of an undisturbed run, bit
for bit; nothing that was stored may be lost, and nothing be trained twice, but for what damage has deleted. Each kind
of fault is an option that takes the number of faults; without options, all kinds are carried out.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

import fault_clusters
import fault_damage
import fault_kills
from fault_lab import Fault, Lab

KINDS: dict[str, tuple[Fault, int]] = {  # the number that the tally asks for
    "kill": (fault_kills.kill, 50),
    "terminate": (fault_kills.terminate, 5),
    "interrupt": (fault_kills.interrupt, 5),
    "stop": (fault_kills.stop, 3),
    "lapse": (fault_kills.lapse, 1),
    "workers": (fault_kills.kill_workers, 25),
    "workers-run": (fault_kills.workers_run_killed, 2),
    "dask-workers": (fault_clusters.kill_workers, 10),
    "dask-scheduler": (fault_clusters.kill_scheduler, 5),
    "parts": (fault_kills.parts, 1),
    "race": (fault_kills.race, 2),
    "race-killed": (fault_kills.race_killed, 2),
    "network-kill": (fault_kills.network_kill, 5),
    "network-race": (fault_kills.network_race, 2),
    "network-race-killed": (fault_kills.network_race_killed, 2),
    "full-disk": (fault_damage.full_disk, 3),
    "read-only-disk": (fault_damage.read_only_disk, 1),
    **{f"damage-{name}": (fault_damage.fault(name), n) for name, (_, n) in fault_damage.DAMAGES.items()},
    "damage-under-way": (fault_damage.under_way, 5),
}


def tally(lab: Lab, name: str, n: int, rng: np.random.Generator) -> tuple[str, bool]:
    """Carry out n faults of a kind; return a line of the table, and whether all went well."""
    fault, _ = KINDS[name]
    began, done, again, notes, failures = time.monotonic(), 0, 0, Counter(), []
    for _ in range(2 * n + 2):  # some come too late: the run has ended
        try:
            outcome = fault(lab, rng, n - done)
        except AssertionError as error:
            failures.append(str(error))
            print(f"{name} FAILED: {error}", file=sys.stderr, flush=True)
            lab.end_all()
            done += 1
        else:
            done, again = done + outcome.n, again + outcome.n_retrained
            notes.update(outcome.notes)
        if done >= n:
            break
    seconds = time.monotonic() - began
    said = "; ".join(f"{n} × {note}" for note, n in notes.items())
    line = f"{name:<22} {done:>5} {len(failures):>8} {again:>14} {seconds:>6.0f} s  {said}"
    return line, not failures and done >= n and (again == 0 or name.startswith("damage"))


def main() -> int:
    """Carry out the faults, and print the tally."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, (fault, n) in KINDS.items():
        parser.add_argument(f"--{name}", type=int, metavar="N", help=f"{fault.__doc__} ({n})")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random instants")
    parser.add_argument("--keep", type=Path, help="folder for the stores, which are then kept")
    options = vars(parser.parse_args())
    asked = {name: options[name.replace("-", "_")] for name in KINDS}
    if all(n is None for n in asked.values()):
        asked = {name: n for name, (_, n) in KINDS.items()}
    rng = np.random.default_rng(options["seed"])
    with tempfile.TemporaryDirectory() as folder:
        work = options["keep"] or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        lab = Lab(work)
        print(f"undisturbed: {len(lab.members)} members in {lab.seconds:.1f} s")
        print(f"{'fault':<22} {'times':>5} {'failures':>8} {'trained again':>14} {'time':>8}", flush=True)
        is_well = True
        try:
            for name, n in asked.items():
                if n:
                    line, good = tally(lab, name, n, rng)
                    is_well &= good
                    print(line, flush=True)
        finally:
            lab.end_all()
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
