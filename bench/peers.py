"""Time flylab beside its best peers, and beside the floor, in one run: `python bench/peers.py [--rounds 5]`.

`--networks "mnist cnn" "cifar cnn" --into bench/results.json` measures these rows only and puts them among stored ones.

Every contender (see contenders.py) runs in a process of its own, with the numbers of members and threads at which it
was fastest in a short trial. Each round times all of them once, in turn; the table has medians over rounds.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from contenders import IMAGES, chunk

FOLDER = Path(__file__).parent
N_CORES = len(os.sched_getaffinity(0))
NETWORKS = ("logistic", "mlp", "cnn", "gru", *IMAGES)
ONE, ENSEMBLE = (1,), (10, 32)
MEMBERS: dict[str, tuple[int, ...]] = {  # to try
    "PyTorch loop": ONE,
    "torch.compile": ONE,
    "torch.func": ENSEMBLE,
    "torch.func compiled": ENSEMBLE,
    "JAX vmap": (1, 10, 32),
    "flylab": (2 * N_CORES,),
}
CHOOSES_THREADS = ("JAX vmap", "flylab")
SECONDS = 1.5  # of each timing


class Contender:
    """A contender's process, which trains when asked to."""

    def __init__(self, network: str, command: list[str], n_members: int, n_threads: int) -> None:
        self.n_members, self.n_threads = n_members, n_threads
        self.n_steps = fewest = chunk(network)
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            [sys.executable, *command], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
        )
        try:
            if self._answer(self.n_steps) != "ready":
                raise RuntimeError(f"{command[1]} cannot train {network}")
            seconds = self.microseconds() * self.n_steps * n_members / 1e6
            self.n_steps = max(fewest, round(self.n_steps * SECONDS / seconds / fewest) * fewest)
        except BaseException:
            self.end()
            raise

    def _answer(self, n_steps: int) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(f"{n_steps}\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return ""
        return self.process.stdout.readline().strip()

    def microseconds(self) -> float:
        """Return the wall time per step and member."""
        return float(self._answer(self.n_steps)) / self.n_steps / self.n_members * 1e6

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()


def fastest(contender: str, network: str, settings: Sequence[tuple[int, int]] = ()) -> Contender | None:
    """Try numbers of members and threads; return the fastest, or None if the network cannot be trained so."""
    best, best_time = None, float("inf")
    threads = (N_CORES,) if contender in CHOOSES_THREADS else sorted({1, N_CORES})
    most = 10 if network in IMAGES else 32  # larger ensembles of image networks take minutes
    members = [n for n in MEMBERS[contender] if n <= most]
    for n_members, n_threads in settings or itertools.product(members, threads):
        command = [str(FOLDER / "contenders.py"), contender, network, str(n_members), str(n_threads)]
        try:
            tried = Contender(network, command, n_members, n_threads)
        except (RuntimeError, ValueError):
            continue
        time = min(tried.microseconds() for _ in range(2))
        if time < best_time:
            if best is not None:
                best.end()
            best, best_time = tried, time
        else:
            tried.end()
    return best


def measure(network: str, n_rounds: int, chosen: Mapping[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    """Return each contender's median and all times, and its numbers of members and threads, with the floor's.

    Args:
        network: the network's name.
        n_rounds: rounds.
        chosen: what an earlier call returned, whose numbers of members and threads are taken.
    """
    settings = {name: [(one["members"], one["threads"])] for name, one in (chosen or {}).items()}
    contenders = {name: fastest(name, network, settings.get(name, ())) for name in MEMBERS}
    contenders["floor"] = Contender(network, [str(FOLDER / "floor.py"), network], 1, N_CORES)
    present = {name: contender for name, contender in contenders.items() if contender is not None}
    times: dict[str, list[float]] = {name: [] for name in present}
    for _ in range(n_rounds):
        for name, contender in present.items():
            times[name].append(contender.microseconds())
    for contender in present.values():
        contender.end()
    return {
        name: {
            "us": statistics.median(times[name]),
            "all": times[name],
            "members": contender.n_members,
            "threads": contender.n_threads,
        }
        for name, contender in present.items()
    }


def best_peer(row: dict[str, dict[str, Any]]) -> str:
    """Return the name of the fastest contender but flylab."""
    return min(set(row) & set(MEMBERS) - {"flylab"}, key=lambda name: row[name]["us"])


def markdown(measured: dict[str, dict[str, dict[str, Any]]]) -> str:
    """Return the table: microseconds per model-step, ratios, and the share of the floor."""
    titles = ["", *MEMBERS, "best peer ÷ flylab", "loop ÷ flylab", "floor", "share of floor"]
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for network, row in measured.items():
        cells = [_cell(row.get(name)) for name in MEMBERS]
        own, floor = row["flylab"]["us"], row["floor"]["us"]
        ratios = f"**{row[best_peer(row)]['us'] / own:.1f}×** | {row['PyTorch loop']['us'] / own:.1f}×"
        lines.append(f"| {network} | {' | '.join(cells)} | {ratios} | {floor:.3g} | {floor / own:.0%} |")
    return "\n".join(lines)


def _cell(contender: dict[str, Any] | None) -> str:
    if contender is None:
        return "–"
    us = contender["us"]
    return f"{us:.{0 if us >= 100 else 3}{'f' if us >= 100 else 'g'}} ({contender['members']}; {contender['threads']})"


def main() -> None:
    """Measure, and print the table: times, with the numbers of members and threads."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--chosen", type=Path, help="JSON of run.py, whose numbers of members and threads are taken")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--into", type=Path, help="JSON of run.py, where these rows are put, and in its tables")
    options = parser.parse_args()
    chosen = json.loads(options.chosen.read_text())["peers"] if options.chosen else {}
    measured = {}
    for network in options.networks:
        measured[network] = measure(network, options.rounds, chosen.get(network))
        print(markdown({network: measured[network]}), flush=True)
    print(f"\n{markdown(measured)}")
    if options.out:
        options.out.write_text(json.dumps(measured, indent=1) + "\n")
    if options.into:
        import run  # which imports this module

        record = json.loads(options.into.read_text())
        run.write(record | {"peers": record["peers"] | measured}, options.into)


if __name__ == "__main__":
    main()
