"""Say where the time of a training step goes: `python bench/hotspots.py mlp [--steps 60000]`.

Samples a run with Linux's `perf` (Debian: linux-perf) after a first one has compiled everything, and adds up samples by
kind: kernels of matrix products, compiled elementwise kernels, and the work between them. Evaluations are left out.
"""

import argparse
import collections
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

STEPS = {"logistic": 400_000, "mlp": 60_000, "cnn": 25_000, "gru": 12_000}
SAMPLE = re.compile(r"\s*.+?\s+[0-9a-f]+\s+(?P<symbol>.*?)\s+\((?P<library>[^)]*)\)\s*$")


def kind(symbol: str, library: str) -> str:
    """Return the kind of work that a sample belongs to."""
    if "perf-" in library or "anon" in library or "JIT" in library:
        return "elementwise kernels"
    if "jax" not in library:
        return "memory and system"
    if re.search(r"ynn::(dot|transpose|.*run_dot|.*make_dot)|interleave", symbol) or "Eigen" in symbol:
        return "products"
    return "dispatch"


def train(name: str, n_steps: int) -> None:
    """Train two members per device; wait for a signal between the run that compiles and the one that is sampled."""
    from flylab.base import runtime
    from flylab.data import MNIST1D, published
    from flylab.models.registry import get_model
    from flylab.training.objectives import supervised
    from flylab.training.population import train_members
    from flylab.training.step import Plan

    n = runtime.initialise()
    splits, objective = published(MNIST1D(n_valid=0, n_test=10)), supervised(get_model(name))
    plan, grid = Plan(n_steps, eval_every=n_steps), {"learning_rate": [1e-2], "seed": range(n)}
    train_members(objective, splits, plan, grid)
    print("ready", flush=True)
    sys.stdin.readline()
    train_members(objective, splits, plan, grid)


def samples(name: str, n_steps: int) -> list[tuple[str, str]]:
    """Return the symbol and library of each sample of a training run."""
    command = [sys.executable, __file__, name, "--steps", str(n_steps), "--trained"]
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "perf.data"
        run = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert run.stdout is not None
        run.stdout.readline()
        perf = subprocess.Popen(
            ["perf", "record", "-q", "-o", str(data), "-e", "cpu-clock", "-F", "2000", "-p", str(run.pid)]
        )
        run.communicate("\n")
        perf.send_signal(signal.SIGINT)
        perf.wait()
        lines = subprocess.run(
            ["perf", "script", "-i", str(data), "-F", "comm,ip,sym,dso"], capture_output=True, text=True, check=False
        ).stdout.splitlines()
    return [(match["symbol"], match["library"]) for line in lines if (match := SAMPLE.match(line))]


def main() -> None:
    """Print the shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", choices=STEPS)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--trained", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    n_steps = options.steps or STEPS[options.network]
    if options.trained:
        return train(options.network, n_steps)
    shares = collections.Counter(
        kind(symbol, os.path.basename(library))
        for symbol, library in samples(options.network, n_steps)
        if "libpython" not in library and "openblas" not in library
    )
    print(options.network + ": " + ", ".join(f"{name} {n / shares.total():.0%}" for name, n in shares.most_common()))
    return None


if __name__ == "__main__":
    main()
