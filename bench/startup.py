"""Measure what a run costs besides its steps: compilation, and evaluations: `python bench/startup.py`.

For each published network, in a process of its own, as in the study `architectures`: seconds to trace and compile with
an empty cache and, in a second process, with what the first has cached; and the milliseconds of an evaluation of all
6000 examples, on one core.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

N_EVALUATIONS = 40


def one(name: str) -> dict[str, float]:
    """Measure a network in this process."""
    from flylab.base import runtime
    from flylab.data import MNIST1D, published
    from flylab.models.registry import get_model
    from flylab.training.objectives import supervised
    from flylab.training.population import train_members
    from flylab.training.step import Plan

    n = runtime.initialise()
    splits, objective = published(MNIST1D()), supervised(get_model(name))
    grid = {"learning_rate": [1e-2], "seed": range(n)}

    def seconds(plan: Plan) -> float:
        began = time.perf_counter()
        train_members(objective, splits, plan, grid)
        return time.perf_counter() - began

    seldom = Plan(2 * N_EVALUATIONS, eval_every=2 * N_EVALUATIONS)
    often = Plan(2 * N_EVALUATIONS, eval_every=2)
    first = seconds(seldom)
    seconds(often)
    each = statistics.median(seconds(often) - seconds(seldom) for _ in range(7)) / (N_EVALUATIONS - 1)
    return {"compile": first - seconds(seldom), "evaluation": each * 1e3}


def measure(names: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """Return seconds to compile cold and cached, and milliseconds of an evaluation, by network."""
    measured = {}
    for name in names:
        with tempfile.TemporaryDirectory() as empty:
            environment = {key: value for key, value in os.environ.items() if key != "JAX_COMPILATION_CACHE_DIR"}
            environment["XDG_CACHE_HOME"] = empty
            cold, cached = (
                json.loads(
                    subprocess.run(
                        [sys.executable, __file__, name], env=environment, capture_output=True, text=True, check=True
                    ).stdout
                )
                for _ in range(2)
            )
        measured[name] = {"cold": cold["compile"], "cached": cached["compile"], "evaluation": cached["evaluation"]}
    return measured


def markdown(measured: dict[str, dict[str, float]]) -> str:
    """Return the table."""
    lines = ["| | compile (s) | from the cache (s) | an evaluation (ms) |", "|---|---|---|---|"]
    for name, row in measured.items():
        lines.append(f"| {name} | {row['cold']:.2f} | {row['cached']:.2f} | {row['evaluation']:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(one(sys.argv[1])))
    else:
        print(markdown(measure(("logistic", "mlp", "cnn", "gru"))))
