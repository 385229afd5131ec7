"""Whether an accelerator computes what NumPy and a CPU do, for `gpu.py`; and the CPU's part of the comparison.

    JAX_PLATFORMS=cpu taskset -c 0,1 python bench/gpu_parity.py cpu.json [--quick]

times every network on two cores, and writes losses and accuracies to compare with to cpu.npz.
"""

import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from flylab.base import runtime
from flylab.cli import doctor
from flylab.data import MNIST1D, published
from flylab.models.registry import PUBLISHED
from flylab.training.dispatch import run_members
from flylab.training.inputs import as_arrays
from flylab.training.population import train_members
from flylab.training.step import Member, Plan
from flylab.training.train import training_run
from gpu_parts import GRID, MODELS, network

N_SEEDS, STEPS = 16, 101
SHORT = Plan(STEPS, eval_every=STEPS, record_loss=True)
TOLERANCES = {0: 1e-5, 1: 1e-4, 10: 1e-2}  # of losses after some steps; later, Adam's training is chaotic
US_STEPS = {"logistic": 6000, "mlp": 2000, "cnn": 1000, "gru": 500, "masked mlp": 250}


def parity(report: Any, reference: Path) -> None:
    """Compare losses with NumPy's and the CPU's, and members with themselves in another place and company."""
    expected = doctor.reference()
    for device in runtime.devices():
        error = doctor.worst(doctor.trained(device), expected)
        report.note("parity", f"NumPy, {device}", {"error": error, "ok": error <= doctor.TOLERANCE})
    finding = doctor._of_groups(expected)
    report.note("parity", f"NumPy, {finding.what}", {"finding": finding.value, "ok": finding.is_good})
    on_cpu = dict(np.load(reference)) if reference.exists() else {}
    n = runtime.most_at_once() * len(runtime.devices())
    for name in PUBLISHED:
        full, turned = losses(name, range(n)), losses(name, [*range(n // 3, n), *range(n // 3)])
        same = np.array_equal(np.roll(turned, n // 3, axis=0), full)
        values: dict[str, Any] = {"same bits in another place": same}
        values["same bits alone"] = np.array_equal(losses(name, [n - 1])[0], full[-1])
        if f"{name} losses" in on_cpu:
            theirs = on_cpu[f"{name} losses"]
            both = min(len(theirs), n)
            errors = np.abs(full[:both] / theirs[:both] - 1).max(0)
            values |= {f"CPU, error after {step} steps": float(errors[step]) for step in TOLERANCES}
            values["ok"] = all(errors[step] <= allowed for step, allowed in TOLERANCES.items())
        report.note("parity", name, values)


def losses(name: str, seeds: Any) -> np.ndarray:
    """Return each step's loss `(seed, step)` in training a published network."""
    population = train_members(network(name)[0], published(MNIST1D()), SHORT, GRID | {"seed": seeds})
    return population.results.loss.values[0]


def microseconds(name: str, n_steps: int) -> float:
    """Return the time per model-step with two members per core, as `run.py` does."""
    objective, hparams, params = network(name)
    data, n = as_arrays(published(MNIST1D())), 2 * len(runtime.devices())
    members = ((data, Member(jax.random.key(i), hparams, params)) for i in range(n))
    began = time.perf_counter()
    list(run_members(training_run(objective, Plan(n_steps)), members, one_data_set=True))
    return (time.perf_counter() - began) / n_steps / n * 1e6


def main() -> None:
    """Measure on this CPU, and write both files, the first after each network."""
    path, quick = Path(sys.argv[1]), "--quick" in sys.argv
    times: dict[str, Any] = {"devices": runtime.initialise()}
    for name in MODELS[:3] if quick else MODELS:
        n_steps = 250 if quick else US_STEPS[name]
        microseconds(name, n_steps)  # compile
        times[name] = round(statistics.median(microseconds(name, n_steps) for _ in range(3)), 2)
        path.write_text(json.dumps(times))
    arrays, plan = {}, Plan(250 if quick else 6000)
    for name in PUBLISHED:
        arrays[f"{name} losses"] = losses(name, range(N_SEEDS))
        whole = train_members(network(name)[0], published(MNIST1D()), plan, GRID | {"seed": range(N_SEEDS)})
        arrays[f"{name} accuracy"] = whole.results.test_accuracy.values[0, :, -1]
    partly = path.with_suffix(".part.npz")
    np.savez(partly, **arrays)
    os.replace(partly, path.with_suffix(".npz"))


if __name__ == "__main__":
    main()
