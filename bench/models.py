"""Measure microseconds per model-step of every network of the continuum: `python bench/models.py`.

A model-step is an optimiser step of one member with a batch of 100, on all cores; evaluations every 1000 steps are
included. Work is counted in FLOPs of the matrix products (see `flylab.models.flops`), as three times the forward pass
of a batch. Run it on an idle machine.
"""

import argparse
import statistics
import time

from flylab.base import runtime
from flylab.data import MNIST1D, published
from flylab.models import Model, get_model, model_title, n_params
from flylab.models.flops import forward_flops
from flylab.studies.continuum import NETWORKS
from flylab.training.objectives import supervised
from flylab.training.population import train_members
from flylab.training.step import Plan
from run import matmul_peak


def seconds(model: Model, splits, n_steps: int) -> float:
    """Return the wall time of training two members per device."""
    plan = Plan(n_steps, eval_every=1000)
    grid = {"learning_rate": [1e-2], "seed": range(2 * len(runtime.devices()))}
    start = time.perf_counter()
    train_members(supervised(model), splits, plan, grid)
    return time.perf_counter() - start


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=2000)
    options = parser.parse_args()
    runtime.initialise()
    splits = published(MNIST1D())
    models = {name: get_model(name) for name in NETWORKS}
    for model in models.values():
        seconds(model, splits, 1)  # compile
    times: dict[str, list[float]] = {name: [] for name in models}
    peaks = []
    for _ in range(options.rounds):  # in turn
        peaks.append(max(matmul_peak().values()))
        for name, model in models.items():
            times[name].append(seconds(model, splits, options.steps))
    peak, n_members = statistics.median(peaks), 2 * len(runtime.devices())
    print("| network | parameters | µs/model-step | MFLOP/step | share of peak |\n|---|---|---|---|---|")
    for name, model in models.items():
        us = statistics.median(times[name]) / options.steps / n_members * 1e6
        work = 300 * forward_flops(model, (40,))
        share = work / us / 1e3 / peak
        print(f"| {model_title(name)} | {n_params(model)} | {us:.4g} | {work / 1e6:.3g} | {share:.0%} |")
    print(f"\nMatmul peak {peak:.0f} GFLOP/s on {len(runtime.devices())} cores; median of {options.rounds} rounds.")


if __name__ == "__main__":
    main()
