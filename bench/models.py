"""Microseconds per model-step of every network of the continuum: `python bench/models.py`.

A step is an optimiser step of one member at batch 100, evaluations every 1000 steps included, with all cores at work.
Work is counted in FLOPs of the matrix products (see `flylab.models.flops`): three times the forward pass of a batch.
Run it on an idle machine.
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
    """Wall time of two members per device."""
    plan = Plan(n_steps, eval_every=1000)
    grid = {"learning_rate": [1e-2], "seed": range(2 * len(runtime.devices()))}
    begun = time.perf_counter()
    train_members(supervised(model), splits, plan, grid)
    return time.perf_counter() - begun


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=2000)
    asked = parser.parse_args()
    runtime.initialise()
    splits = published(MNIST1D())
    models = {name: get_model(name) for name in NETWORKS}
    for model in models.values():
        seconds(model, splits, 1)  # compile
    taken: dict[str, list[float]] = {name: [] for name in models}
    peaks = []
    for _ in range(asked.rounds):  # in turn
        peaks.append(max(matmul_peak().values()))
        for name, model in models.items():
            taken[name].append(seconds(model, splits, asked.steps))
    peak, n_members = statistics.median(peaks), 2 * len(runtime.devices())
    print("| network | parameters | µs/model-step | MFLOP/step | share of peak |\n|---|---|---|---|---|")
    for name in TITLES:
        if name in models:
            us = statistics.median(taken[name]) / asked.steps / n_members * 1e6
            work = 300 * forward_flops(models[name], (40,))
            share = work / us / 1e3 / peak
            print(f"| {model_title(name)} | {n_params(models[name])} | {us:.4g} | {work / 1e6:.3g} | {share:.0%} |")
    print(f"\nMatmul peak {peak:.0f} GFLOP/s on {len(runtime.devices())} cores; median of {asked.rounds} rounds.")


if __name__ == "__main__":
    main()
