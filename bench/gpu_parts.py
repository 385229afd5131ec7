"""What `gpu.py` times: batched products, training in groups, the headline table, thousands of networks, options."""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from contenders import IMAGES, WIDTHS, training_set
from flylab.base import runtime
from flylab.data import MNIST1D, Dataset, published
from flylab.models import dense, get_model, masks
from flylab.models.convolutional import cnn2d
from flylab.models.registry import PUBLISHED
from flylab.studies.architectures import STUDY
from flylab.training import dispatch
from flylab.training.inputs import as_arrays
from flylab.training.objectives import Objective, supervised, under_mask
from flylab.training.population import train_members
from flylab.training.step import Hparams, Member, Params, Plan
from flylab.training.train import training_run

MODELS = ("mlp", "cnn", "logistic", "gru", "masked mlp", *IMAGES)
FORMULATIONS = ("batch", "example")  # `apply_batch`, written for CPUs, or `apply` under vmap
PLAN = Plan(6000)
GRID = {"learning_rate": [1e-2]}


def products(report: Any, n_members: int) -> None:
    """Time the batched products of the MLP's and the CNN's steps alone, the floor of a step, in full precision."""
    shapes = {"MLP, forward": (100, 100, 100), "MLP, first layer": (100, 40, 100), "CNN, forward": (25, 75, 1000),
              "CNN, gradient": (25, 1000, 75), "1024 × 1024": (1024, 1024, 1024)}  # fmt: skip
    rng = np.random.default_rng(0)
    run = jax.jit(lambda a, b: jnp.einsum("nij,njk->nik", a, b, precision="highest"))
    for name, (m, k, n) in shapes.items():
        n_batch = n_members if m < 1024 else 16
        a, b = (jnp.asarray(rng.normal(size=(n_batch, *shape)).astype(np.float32)) for shape in ((m, k), (k, n)))
        run(a, b).block_until_ready()
        times = []
        for _ in range(5):
            began = time.perf_counter()
            jax.block_until_ready([run(a, b) for _ in range(5)])
            times.append((time.perf_counter() - began) / 5)
        report.note("products", name, {"batch": n_batch, "GFLOP/s": round(2 * n_batch * m * k * n / min(times) / 1e9)})


def network(name: str, formulation: str = "batch") -> tuple[Objective, Hparams, Params | None]:
    """Return a network's objective, its hyper-parameters and, of a lottery ticket, initial parameters."""
    if name in IMAGES:
        model = cnn2d(IMAGES[name], width=WIDTHS[name])
    else:
        model = dense.mlp(width=500) if name == "masked mlp" else get_model(name)
    model = model if formulation == "batch" else model._replace(apply_batch=None)
    hparams = {"learning_rate": np.float32(1e-2)}
    if name != "masked mlp":
        return supervised(model), hparams, None
    params = jax.device_get(model.init(jax.random.key(0)))
    mask = masks.random_mask(params, 0.92, np.random.default_rng(0))
    return under_mask(model), hparams | {"mask": mask}, params


def started(name: str, formulation: str, width: int) -> tuple[Any, Callable, int, float]:
    """Compile a network's training and start a group; return state, advance, number of members and seconds."""
    began = time.perf_counter()
    objective, hparams, params = network(name, formulation)
    splits, root, n = published(MNIST1D()), jax.random.key(0), width * len(runtime.devices())
    if name in IMAGES:
        images = Dataset(*training_set(name))
        splits = splits._replace(train=images, valid=Dataset(images.x[:0], images.y[:0]), test=images)
    data = as_arrays(splits)
    members = ((data, Member(jax.random.fold_in(root, i), hparams, params)) for i in range(n))
    program, members = dispatch.program_for(training_run(objective, PLAN), members, one_data_set=True)
    n, state, advance = next(dispatch.started(program, members))
    jax.block_until_ready(state)
    return state, advance, n, time.perf_counter() - began


def timed(state: Any, advance: Any, n: int, seconds: float, quick: bool = False) -> dict[str, float]:
    """Return µs per model-step, without and with an evaluation of 6000 examples every 250 steps, and the memory."""

    def to(stop: int) -> float:
        nonlocal state
        began = time.perf_counter()
        state = jax.block_until_ready(advance(state, np.int32(stop)))
        return time.perf_counter() - began

    to(2)
    steps = 20 if quick else 100
    plain = to(2 + steps) / steps
    values = {"us": round(plain / n * 1e6, 4), "ms_per_step": round(plain * 1e3, 3), "compile_s": round(seconds, 1)}
    if not quick and plain < 0.05:
        to(249)
        values["us_with_evaluations"] = round(to(499) / 250 / n * 1e6, 4)
    memory = advance.func.memory_analysis()
    if memory is not None:
        values["megabytes"] = round((memory.temp_size_in_bytes + memory.argument_size_in_bytes) / 2**20)
    return values


def speed(report: Any, kept: float, widths: tuple[int, ...], models: Sequence[str], quick: bool) -> None:
    """Time networks at every width, as long as more than `kept` seconds are left; at two widths in both forms."""
    times: dict[tuple[str, str], float] = {}
    for width in widths:
        forms: dict[str, tuple[str, ...]] = dict.fromkeys(models, FORMULATIONS)
        if width not in (128, 1024):
            forms = {name: (min(FORMULATIONS, key=lambda form, name=name: times.get((name, form), 1e9)),)
                     for name in models if width < 4096 or name != "masked mlp"}  # fmt: skip
        if report.left < kept:
            report.note("speed", f"width {width}", "no time left")
            continue
        wanted = [(name, form) for name in forms for form in forms[name]]
        for (name, form), values in _all_timed(report, wanted, width, quick):
            report.note("speed", f"{name}, {form}, {width}", values)
            if isinstance(values, dict):
                times[name, form] = values["us"]


def _all_timed(report: Any, wanted: list[tuple[str, str]], width: int, quick: bool) -> Iterable[tuple]:
    """Compile some programs side by side, then time one after the other; an error takes the place of its times."""
    os.environ["FLYLAB_GROUP"] = str(width)
    began = time.perf_counter()
    with ThreadPoolExecutor(2 if quick else 10) as pool:
        futures = {(name, form): pool.submit(started, name, form, width) for name, form in wanted}
    report.note("speed", f"width {width}, s to compile {len(wanted)}", round(time.perf_counter() - began, 1))
    del os.environ["FLYLAB_GROUP"]
    for key in wanted:
        yield key, _or_error(lambda key=key: {"model": key[0]} | timed(*futures.pop(key).result(), quick))


def _or_error(function: Callable) -> Any:
    try:
        return function()
    except Exception as error:  # e.g. out of memory, at one width
        return f"{type(error).__name__}: {str(error)[:300]}"


def table(report: Any, n_seeds: int, n_steps: int, reference: Path) -> None:
    """Train the published networks of the study `architectures`, on plain and shuffled signals.

    The first seeds' accuracies on plain signals are compared with those on the CPU, if `reference` has them.
    """
    expected = dict(np.load(reference)) if reference.exists() else {}
    protocol, whole = replace(STUDY.presets["quick"], n_steps=n_steps, n_seeds=n_seeds), time.perf_counter()
    for condition in STUDY.conditions(protocol):
        model, arrangement = condition["model"], condition["arrangement"]
        if condition["source"] != "published" or model not in PUBLISHED:
            continue
        began = time.perf_counter()
        results = STUDY.run(protocol, condition, list(range(n_seeds)), key=jax.random.key(0))
        values: dict[str, Any] = {"s": round(time.perf_counter() - began, 2)} | _mean(
            results.test_accuracy.values[:, -1]
        )
        if arrangement == "plain" and f"{model} accuracy" in expected:
            values["CPU"] = _mean(expected[f"{model} accuracy"])
        report.note("table", f"{model}, {arrangement}", values)
    report.note("table", "all", {"s": round(time.perf_counter() - whole, 1), "seeds": n_seeds, "steps": n_steps})


def _mean(accuracies: np.ndarray) -> dict[str, float]:
    error = accuracies.std(ddof=1) / len(accuracies) ** 0.5
    return {"accuracy": round(float(accuracies.mean()), 2), "standard error": round(float(error), 2)}


def many(report: Any, n_members: int, n_steps: int) -> None:
    """Train many MLPs in one call; with fewer steps, if there is no time for all."""
    per_step = report.values.get("speed", {}).get("mlp, batch, 128", {"us": 1.0})["us"] * 1e-6 * n_members
    n_steps = min(n_steps, max(int(0.4 * report.left / per_step), 250))
    began = time.perf_counter()
    results = train_members(network("mlp")[0], published(MNIST1D()), Plan(n_steps), GRID | {"seed": range(n_members)})
    seconds = time.perf_counter() - began
    values = {"s": round(seconds, 1), "us": round(seconds / n_members / n_steps * 1e6, 3), "steps": n_steps}
    report.note("many", f"{n_members} MLPs", values | _mean(results.results.test_accuracy.values[0, :, -1]))


def options(report: Any, width: int, quick: bool) -> None:
    """Time the MLP and the CNN with TF32 products, and with options of XLA."""
    default, plain = runtime.compiler_options, jax.config.jax_default_matmul_precision  # pyright: ignore
    variants: dict[str, tuple[dict, str | None]] = {
        "full precision": ({}, plain),
        "TF32": ({}, "tensorfloat32"),
        "deterministic": ({"xla_gpu_exclude_nondeterministic_ops": True}, plain),
        "not tuned": ({"xla_gpu_autotune_level": 0}, plain),
        "deterministic, not tuned": (
            {"xla_gpu_exclude_nondeterministic_ops": True, "xla_gpu_autotune_level": 0},
            plain,
        ),
    }
    for name, (chosen, precision) in variants.items():
        runtime.compiler_options = lambda options, chosen=chosen: chosen  # pyright: ignore
        jax.config.update("jax_default_matmul_precision", precision)
        dispatch.let_go()
        if report.left > 30:
            for (model, _), values in _all_timed(report, [("mlp", "batch"), ("cnn", "batch")], width, quick):
                report.note("options", f"{model}, {width}, {name}", values)
    runtime.compiler_options = default
    jax.config.update("jax_default_matmul_precision", plain)
