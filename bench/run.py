"""Time flylab beside its best peers, the floor, and a plain PyTorch loop, in one run on one machine.

    python bench/run.py [--quick] [--no-sweeps]

First come the peers (see peers.py) and what a run costs besides its steps (see startup.py).

Each round times every method once, in turn, so that all see the same noise; ratios are of medians over rounds. PyTorch
runs with its better number of threads. Work is counted in FLOPs of the matrix products (two per multiply-add, twice as
many backward as forward, evaluations forward only), and compared with the machine's measured matmul peak.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import torch
from mnist1d.data import get_dataset_args, make_dataset

import metagradients
import peers
import startup
import sweep
import torch_loop
from flylab.base import runtime
from flylab.data import MNIST1D, published
from flylab.data.generator import sample
from flylab.data.views import view
from flylab.models import Model, convolutional, dense, layers, masks
from flylab.models.registry import PUBLISHED, get_model
from flylab.runs.provenance import origin
from flylab.training.dispatch import run_members
from flylab.training.inputs import as_arrays
from flylab.training.objectives import contrastive, info_nce, supervised, under_mask
from flylab.training.population import train_members
from flylab.training.step import Member, Plan
from flylab.training.train import training_run

EVAL_EVERY = 250
N_THREADS = torch.get_num_threads()  # PyTorch's default: all cores
# multiply-adds of the published networks' matrix products, for one example forward
MACS = {
    "logistic": 40 * 10,
    "mlp": 40 * 100 + 100 * 100 + 100 * 10,
    "masked mlp": 40 * 500 + 500 * 500 + 500 * 10,
    "cnn": 25 * (5 * 19 + 75 * 10 + 75 * 5) + 125 * 10,
    "gru": 2 * 40 * (18 * 1 + 18 * 6) + 480 * 10,
    "pooling": 3 * 20 * (40 + 20 * 40)
    + 800 * 10
    + 3 * 20 * (20 + 20 * 10)
    + 200 * 10
    + 3 * (3 * 20 * (40 + 20 * 20) + 200 * 10),  # all five poolings together
}
FIRST = {
    "logistic": 40 * 10,
    "mlp": 40 * 100,
    "masked mlp": 40 * 500,
    "cnn": 25 * 5 * 19,
    "gru": 0,
    "pooling": 3 * 20 * (4 * 40 + 20),
}  # those of the first layer, which needs no gradient with respect to its input
SWEEP_STEPS, SWEEP_ROUNDS = {"mlp": 3200, "cnn": 3200}, 1  # one round is enough: a sweep sums over 19 networks
STEPS = {"logistic": 6000, "mlp": 2000, "cnn": 1000, "gru": 500, "masked mlp": 500}
TORCH_STEPS = {"logistic": 1000, "mlp": 1000, "cnn": 500, "gru": 250, "masked mlp": 500}
POOLING = [f"pooling {name}" for name in convolutional.POOLINGS]
STEPS |= dict.fromkeys(POOLING, 1000)
TORCH_STEPS |= dict.fromkeys(POOLING, 500)
EPOCH = 40  # steps
WANTED = {
    "logistic": (75, 150), "mlp": (9, 14), "cnn": (14, 22), "gru": (20, 40), "table": (22, 35), "generator": (20, 30),
    "generator (JAX)": (200, 400), "mlp sweep": (7, 12), "cnn sweep": (15, 30),
    "naive mlp": (9, None), "naive cnn": (6, None), "masked mlp": (3.5, 5), "learning rate": (12, 22),
    "activation": (15, 30), "pooling": (8, 14), "contrastive": (15, 28),
}  # fmt: skip


def naive_mlp() -> Model:
    """Return the MLP as a newcomer writes it: for one example, in plain JAX."""

    def apply(params, x):
        h = jax.nn.relu(params["w1"] @ x + params["b1"])
        h = h + jax.nn.relu(params["w2"] @ h + params["b2"])
        return params["w3"] @ h + params["b3"]

    def init(key):
        shapes = {"w1": (100, 40), "w2": (100, 100), "w3": (10, 100)}
        keys = jax.random.split(key, 3)
        weights = {n: layers.uniform(k, s, s[1]) for k, (n, s) in zip(keys, shapes.items(), strict=True)}
        return weights | {"b1": jnp.zeros(100), "b2": jnp.zeros(100), "b3": jnp.zeros(10)}

    return Model(init, apply)


def naive_cnn() -> Model:
    """Return the published CNN, for one example and without a batched `apply`."""
    return Model(convolutional.cnn().init, convolutional.cnn().apply)


def flops_per_step(name: str, eval_examples: int) -> float:
    """Return the FLOPs of one optimiser step with a batch of 100, including its share of the evaluations."""
    return 100 * 2 * (3 * MACS[name] - FIRST[name]) + 2 * MACS[name] * eval_examples / EVAL_EVERY


def matmul_peak() -> dict[str, float]:
    """Measure PyTorch's single-precision matmul rate in GFLOP/s at n = 1024, on one thread and on all."""
    rates = {}
    a = torch.randn(1024, 1024)
    for n_threads in sorted({1, N_THREADS}):
        torch.set_num_threads(n_threads)
        times = []
        for _ in range(30):
            start = time.perf_counter()
            _ = a @ a
            times.append(time.perf_counter() - start)
        rates[str(n_threads)] = 2 * 1024**3 / statistics.median(times) / 1e9
    return rates


def microseconds(model: Model, splits, n_steps: int) -> float:
    """Return the wall time per optimiser step and member, with two members per device."""
    n = 2 * len(runtime.devices())
    plan, grid = Plan(n_steps, eval_every=EVAL_EVERY), {"learning_rate": [1e-2], "seed": range(n)}
    start = time.perf_counter()
    train_members(supervised(model), splits, plan, grid)
    return (time.perf_counter() - start) / n_steps / n * 1e6


def masked_microseconds(splits, n_steps: int) -> float:
    """Return the same time for a lottery ticket: the MLP of 500 units, with a random 92 % of its weights held at 0."""
    n, model, data = 2 * len(runtime.devices()), dense.mlp(width=500), as_arrays(splits)
    params = jax.device_get(model.init(jax.random.key(0)))
    mask = masks.random_mask(params, 0.92, np.random.default_rng(0))
    hparams = {"learning_rate": np.float32(1e-2), "mask": mask}
    members = ((data, Member(jax.random.key(i), hparams, params)) for i in range(n))
    start = time.perf_counter()
    list(run_members(training_run(under_mask(model), Plan(n_steps, eval_every=EVAL_EVERY)), members))
    return (time.perf_counter() - start) / n_steps / n * 1e6


def contrastive_milliseconds(splits, n_epochs: int) -> float:
    """Return the wall time per epoch and member of SimCLR, with two members per device."""
    n = 2 * len(runtime.devices())
    objective = contrastive(convolutional.cnn(hidden=(125,), n_outputs=16), view, info_nce)
    plan, grid = Plan(n_epochs * EPOCH, eval_every=n_epochs * EPOCH, shuffle=True), {"learning_rate": [1e-2]}
    start = time.perf_counter()
    train_members(objective, splits, plan, grid | {"seed": range(n)})
    return (time.perf_counter() - start) / n_epochs / n * 1e3


def sweep_minutes(name: str, n_steps: int) -> float:
    """Return flylab's minutes for all widths and seeds of double descent, in a new process with nothing compiled."""
    with tempfile.TemporaryDirectory() as empty:
        environment = {key: value for key, value in os.environ.items() if key != "JAX_COMPILATION_CACHE_DIR"}
        environment["XDG_CACHE_HOME"] = empty
        command = [sys.executable, str(Path(__file__).parent / "sweep.py"), name, str(n_steps)]
        process = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(process.stdout.split()[0])


def torch_sweep_minutes(name: str, n_steps: int, n_threads: int) -> float:
    """Return PyTorch's minutes for the same, one network after the other, extrapolated from short runs."""
    splits, n_steps = published(sweep.PROTOCOL.data), min(n_steps // 2, sweep.EVERY)

    def seconds(n: int, width: int) -> float:  # evaluated before, between and after
        return torch_loop.seconds(name, splits, n, n_steps, n_threads, width)

    per_step = sum(seconds(n_steps + 1, width) - seconds(1, width) for width in sweep.WIDTHS[name]) / n_steps
    return per_step * sweep.PROTOCOL.n_steps * sweep.N_SEEDS / 60


def measure(n_rounds: int, share: float, sweeps: bool) -> dict:
    """Time all methods in turn, `n_rounds` times; return medians, all times, matmul peaks and threads, by name."""
    runtime.initialise()
    splits = published(MNIST1D())
    models = {name: get_model(name) for name in PUBLISHED} | {
        "naive mlp": naive_mlp(),
        "naive cnn": naive_cnn(),
    }
    models |= {f"pooling {name}": convolutional.pooling_cnn(pooling=name) for name in convolutional.POOLINGS}
    best_threads = {}
    times: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        times.setdefault(name, []).append(value)

    for name, model in models.items():
        microseconds(model, splits, 10)  # compile
        print(f"compiled {name}", flush=True)
    masked_microseconds(splits, 10)
    jax.block_until_ready(sample(MNIST1D(), jax.random.key(0), 5000))
    metagradients.warm_up()
    larger = published(MNIST1D(n_train=8000))
    for name, n_steps in TORCH_STEPS.items():
        seconds = {n: torch_loop.seconds(name, splits, n_steps // 2, EVAL_EVERY, n) for n in (1, N_THREADS)}
        best_threads[name] = min(seconds, key=lambda n, seconds=seconds: seconds[n])
    contrastive_milliseconds(splits, max(int(40 * share), 4))  # compile
    best_threads["contrastive"] = min((1, N_THREADS), key=lambda n: torch_loop.contrastive_seconds(splits, n))
    peaks = []
    for round_ in range(n_rounds):
        peaks.append(matmul_peak())
        for name, n_steps in TORCH_STEPS.items():
            n_steps = max(int(n_steps * share), EVAL_EVERY)
            torch_seconds = torch_loop.seconds(name, splits, n_steps, EVAL_EVERY, best_threads[name])
            note(f"torch {name}", torch_seconds / n_steps * 1e6)
        for name, model in models.items():
            n_steps = max(int(STEPS[name.removeprefix("naive ")] * share), EVAL_EVERY)
            note(name, microseconds(model, splits, n_steps))
        note("masked mlp", masked_microseconds(splits, max(int(STEPS["masked mlp"] * share), EVAL_EVERY)))
        note("contrastive", contrastive_milliseconds(splits, max(int(40 * share), 4)))
        note("torch contrastive", torch_loop.contrastive_seconds(splits, best_threads["contrastive"]) * 1e3)
        for name, n_steps in SWEEP_STEPS.items() if round_ < SWEEP_ROUNDS and sweeps else ():
            n_steps = max(int(n_steps * share), 60)
            note(f"{name} sweep", sweep_minutes(name, n_steps))
            note(f"torch {name} sweep", min(torch_sweep_minutes(name, n_steps, n) for n in {1, N_THREADS}))
        for name, outer_step in metagradients.METHODS.items():
            note(name, outer_step(larger) * 1e3)
        start = time.perf_counter()
        published(MNIST1D(n_valid=0))
        note("generator", (time.perf_counter() - start) * 1e3)
        for _ in range(20):
            start = time.perf_counter()
            jax.block_until_ready(sample(MNIST1D(), jax.random.key(round_), 5000))
            note("generator (JAX)", (time.perf_counter() - start) * 1e3)
        start = time.perf_counter()
        make_dataset(get_dataset_args())
        note("reference generator", (time.perf_counter() - start) * 1e3)
        print(f"round {round_ + 1} of {n_rounds} done", flush=True)
    medians = {name: statistics.median(values) for name, values in times.items()}
    peak = {n: statistics.median(rates[n] for rates in peaks) for n in peaks[0]}
    return {"medians": medians, "all": times, "peak_gflops": peak, "torch_threads": best_threads}


def rows_of(measured: dict) -> list[dict]:
    """Return a row for each method: its time, PyTorch's, the ratio, and the share of the peak."""
    medians, peak = measured["medians"], max(measured["peak_gflops"].values())
    rows = []
    for name in ("logistic", "mlp", "cnn", "gru", "naive mlp", "naive cnn", "masked mlp"):
        base = name.removeprefix("naive ")
        work = flops_per_step(base, 6000)
        rows.append({
            "what": name, "flylab": medians[name], "torch": medians[f"torch {base}"], "unit": "µs/model-step",
            "mflop": work / 1e6, "share": work / medians[name] / 1e3 / peak,
        })  # fmt: skip
    table = [sum(6000e-6 * 2 * medians[f"{prefix}{name}"] for name in PUBLISHED) for prefix in ("", "torch ")]
    rows.append({"what": "table", "flylab": table[0], "torch": table[1], "unit": "s/seed"})
    work = flops_per_step("pooling", 6000)
    pooled = [sum(medians[f"{prefix}{name}"] for name in POOLING) for prefix in ("", "torch ")]
    rows.append({
        "what": "pooling", "flylab": pooled[0], "torch": pooled[1], "unit": "µs/model-step", "mflop": work / 1e6,
        "share": work / pooled[0] / 1e3 / peak,
    })  # fmt: skip
    rows.append({
        "what": "contrastive", "flylab": medians["contrastive"], "torch": medians["torch contrastive"],
        "unit": "ms/epoch",
    })  # fmt: skip
    for name in ("mlp sweep", "cnn sweep"):  # double descent, including compilation
        if name not in medians:
            continue
        rows.append({"what": name, "flylab": medians[name], "torch": medians[f"torch {name}"], "unit": "min/sweep"})
    for name in ("learning rate", "activation"):  # metalearning
        rows.append({"what": name, "flylab": medians[name], "torch": medians[f"torch {name}"], "unit": "ms/outer step"})
    for name in ("generator", "generator (JAX)"):  # 5000 examples; compared with the reference package
        rows.append({"what": name, "flylab": medians[name], "torch": medians["reference generator"], "unit": "ms"})
    for row in rows:
        row["ratio"] = row["torch"] / row["flylab"]
        row["done_at"], row["aim"] = WANTED[row["what"]]
    return rows


def markdown(rows: list[dict], measured: dict) -> str:
    """Return the table as README shows it."""
    lines = [
        "| | flylab | PyTorch loop (generators: reference package) | ratio | done at | aim | work | share of peak |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        share = f"{row['share']:.0%}" if "share" in row else "–"
        work = f"{row['mflop']:.2f} MFLOP" if "mflop" in row else "–"
        numbers = f"{row['flylab']:.4g} {row['unit']} | {row['torch']:.4g} | **{row['ratio']:.1f}×**"
        aim = "–" if row["aim"] is None else f"{row['aim']}×"
        lines.append(f"| {row['what']} | {numbers} | {row['done_at']}× | {aim} | {work} | {share} |")
    peak = ", ".join(f"{rate:.0f} on {n} thread(s)" for n, rate in measured["peak_gflops"].items())
    threads = ", ".join(f"{name} {n}" for name, n in measured["torch_threads"].items())
    lines += ["", f"Matmul peak (GFLOP/s): {peak}. PyTorch's better number of threads: {threads}."]
    return "\n".join(lines)


def report(record: dict) -> str:
    """Return what was measured as Markdown, for the terminal and the documentation."""
    machine = record["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    parts = [
        f"Measured by `python bench/run.py --rounds {record['rounds']}` on {machine['processor']}, {machine['cores']} "
        f"cores, {machine['finished'][:10]}; {versions}.",
        "## Peers and the floor: µs per model-step (networks at once; threads)",
        peers.markdown(record["peers"]),
        "## Start-up and evaluations",
        startup.markdown(record["startup"]),
        "## Beside a plain PyTorch loop, evaluations included",
        markdown(record["rows"], record),
    ]
    return "\n\n".join(parts) + "\n"


def write(record: dict, path: Path) -> None:
    """Write what was measured as JSON, and its tables beside it."""
    path.write_text(json.dumps(record, indent=1) + "\n")
    path.with_suffix(".md").write_text(report(record))


def main() -> None:
    """Measure, print the tables, and write them and the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two short rounds")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--no-sweeps", action="store_true", help="leave out the sweeps, which take most of the time")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results.json")
    options = parser.parse_args()
    n_rounds = 2 if options.quick else options.rounds
    by_network = {name: peers.measure(name, n_rounds) for name in peers.NETWORKS}
    costs = startup.measure(PUBLISHED)
    measured = measure(n_rounds, 0.25 if options.quick else 1.0, not options.no_sweeps)
    machine = {name: value for name, value in origin().items() if name != "host"}
    machine["versions"] |= {"torch": torch.__version__}
    record = {
        "machine": machine, "rounds": n_rounds, "peers": by_network, "startup": costs, "rows": rows_of(measured),
        **measured,
    }  # fmt: skip
    print(report(record))
    write(record, options.out)


if __name__ == "__main__":
    main()
