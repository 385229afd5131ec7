"""Measure metagradients: time beside PyTorch, memory, and growth with the length of the inner run.

    python bench/metagradients.py [--memory] [--growth docs/images/metagradient.png]

Without options, it times an outer step of both metalearning studies, in turn with PyTorch loops in the style of the
published notebooks. `bench/run.py` puts the same rows into its table.
"""

import argparse
import resource
import statistics
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import torch

import torch_meta
from flylab.base import runtime
from flylab.data import MNIST1D, published
from flylab.models import dense
from flylab.studies import activation, learning_rate
from flylab.study import Context
from flylab.training.metalearning import MetaPlan, metalearn
from flylab.training.objectives import supervised
from flylab.training.step import Plan
from flylab.training.train import train

N_THREADS = torch.get_num_threads()
TORCH_STEPS = 60  # inner steps that PyTorch is timed for: the graph of all 301 would not fit into memory


def rate_seconds(n_outer: int) -> float:
    """Return the wall time of an outer step on the learning rate, per member, with two members per device."""
    protocol, n = learning_rate.STUDY.presets["quick"], 2 * len(runtime.devices())
    plan = replace(learning_rate._meta_plan(protocol), n_steps=n_outer, save_hparams_at=())
    start = time.perf_counter()
    metalearn(supervised(dense.shallow(40, 10, protocol.width)), published(), plan, [{"learning_rate": 0.15}], range(n))
    return (time.perf_counter() - start) / n_outer / n


def activation_seconds(n_outer: int) -> float:
    """Return the wall time of an outer step on the activation, per member, with one member per device."""
    protocol, n = replace(activation.STUDY.presets["quick"], n_outer_steps=n_outer), len(runtime.devices())
    start = time.perf_counter()
    activation.metalearned(protocol, Context(range(n), jax.random.key(0)))
    return (time.perf_counter() - start) / n_outer / n


METHODS = {
    "torch learning rate": lambda splits: min(torch_meta.learning_rate_seconds(splits, 3, n) for n in {1, N_THREADS}),
    "learning rate": lambda splits: rate_seconds(50),
    "torch activation": lambda splits: min(
        torch_meta.activation_seconds(splits, n, TORCH_STEPS) * 301 / TORCH_STEPS for n in {1, N_THREADS}
    ),
    "activation": lambda splits: activation_seconds(4),
}


def warm_up() -> None:
    """Compile the programs that will be timed."""
    rate_seconds(1)
    rate_seconds(50)
    activation_seconds(4)


def measure(n_rounds: int) -> dict[str, list[float]]:
    """Return the seconds per outer step of all methods, measured in turn, `n_rounds` times."""
    splits = published(MNIST1D(n_train=8000))
    warm_up()
    rounds = [{name: seconds(splits) for name, seconds in METHODS.items()} for _ in range(n_rounds)]
    return {name: [seconds[name] for seconds in rounds] for name in METHODS}


def memory(n_steps: int = 10_000) -> None:
    """Print the memory of a reverse-mode metagradient through the MLP (15 210 parameters), planned and measured."""
    objective, splits = supervised(dense.mlp()), published()
    plan, params = Plan(n_steps, eval_every=n_steps, optimizer=scheduled), objective.init(jax.random.key(0), {})

    def value(schedule, remat):
        hparams = {"schedule": schedule}
        trained = train(objective, params, splits, plan, hparams, key=jax.random.key(0), remat=remat)
        return trained.history["loss"].mean()

    schedule = np.full(n_steps, 0.05, np.float32)
    for remat in (False, True):
        compiled = jax.jit(jax.grad(value), static_argnums=1).lower(schedule, remat).compile()
        analysis: Any = compiled.memory_analysis()
        planned = analysis.temp_size_in_bytes / 1e9
        print(f"{n_steps} inner steps, remat={remat}: {planned:.2f} GB planned")
    start = time.perf_counter()
    norm = np.linalg.norm(compiled(schedule))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"run with remat: {time.perf_counter() - start:.1f} s, peak of the process {peak:.2f} GB, norm {norm:.3g}")


def scheduled(hparams):
    """Return gradient descent with a learning rate for every step."""
    return optax.sgd(lambda step: hparams["schedule"][step])


def growth(path: Path) -> None:
    """Plot the norm of the metagradient against the number of inner steps, for several learning rates."""
    from matplotlib.figure import Figure

    from flylab.results.plots import COLOURS, style

    lengths, rates = np.unique(np.geomspace(5, 2000, 14, dtype=int)), (0.1, 0.5, 1.0, 2.0, 4.0)
    objective, splits, seeds = supervised(dense.shallow()), published(), range(5)
    norms = np.empty((len(lengths), len(rates), len(seeds)))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the metagradient")
        for i, n_steps in enumerate(lengths):
            inner = Plan(int(n_steps), 50, eval_every=int(n_steps), optimizer="sgd")
            plan = MetaPlan(inner, 1, optax.sgd(0.0), outer=last_loss)
            metalearned = metalearn(objective, splits, plan, [{"learning_rate": rate} for rate in rates], seeds)
            norms[i] = metalearned.results.gradient_norm.isel(outer_step=0).values
    with style():
        figure = Figure(figsize=(6.4, 4))
        ax = figure.subplots()
        for j, rate in enumerate(rates):
            ax.plot(lengths, np.median(norms[:, j], -1), "o-", color=COLOURS[j], markersize=3, label=f"{rate:g}")
            ax.fill_between(lengths, norms[:, j].min(-1), norms[:, j].max(-1), color=COLOURS[j], alpha=0.15, lw=0)
        ax.set(xscale="log", yscale="log", xlabel="inner steps", ylabel="|d last loss / d learning rate|")
        ax.set_title("Norm of the metagradient: median and range of 5 seeds")
        ax.legend(title="learning rate", fontsize=8, title_fontsize=8)
        figure.savefig(path)


def last_loss(history):
    """Return the loss of the last inner step's batch."""
    return history["loss"][-1]


def main() -> None:
    """Measure what the options select, and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--growth", type=Path)
    options = parser.parse_args()
    runtime.initialise()
    if options.memory:
        memory()
    if options.growth:
        growth(options.growth)
    if not options.memory and not options.growth:
        medians = {name: statistics.median(values) for name, values in measure(3).items()}
        for name in ("learning rate", "activation"):
            ours, theirs = medians[name], medians[f"torch {name}"]
            print(f"{name}: {ours * 1e3:.1f} ms an outer step, PyTorch {theirs * 1e3:.0f} ms, {theirs / ours:.1f}×")


if __name__ == "__main__":
    main()
