"""`flylab doctor`: examine the machine, and test its devices against NumPy.

Compilers for accelerators have been silently wrong, so a device is tested by training on it.
"""

import importlib.metadata
import json as json_
import os
import platform
import shutil
import statistics
import time
import timeit
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import flylab
from flylab.base import compilation_cache, files, filesystem, runtime
from flylab.cli.options import Json
from flylab.cli.terminal import print_json, say
from flylab.data import MNIST1D, published
from flylab.models import dense
from flylab.training.dispatch import run_members
from flylab.training.inputs import as_arrays
from flylab.training.objectives import supervised
from flylab.training.step import Member, Plan
from flylab.training.train import train, training_run

PACKAGES = ("jax", "jaxlib", "numpy", "scipy", "optax", "xarray", "h5netcdf", "scikit-learn")
N_SEEDS, N_STEPS, BATCH, RATE, WIDTH = 4, 40, 50, 0.1, 20  # the parity test's population
TOLERANCE = 1e-3  # relative error of a loss; correct devices agree to about 1e-6, low-precision products to 1e-2
LOW_DISK, LOW_MEMORY = 1e9, 2e9  # bytes


class Finding(NamedTuple):
    """The result of one check."""

    what: str
    value: str
    is_good: bool = True


def examine() -> list[Finding]:
    """Run all checks, and save the result of the parity test for the provenance of later runs."""
    devices = runtime.devices()
    findings = [Finding("flylab", flylab.__version__), Finding("python", platform.python_version())]
    findings += [Finding(name, importlib.metadata.version(name)) for name in PACKAGES]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    findings.append(Finding("cores", f"{cores} of {os.cpu_count()}"))
    if (memory := _free_memory()) is not None:
        findings.append(Finding("free memory", f"{memory / 1e9:.1f} GB", memory > LOW_MEMORY))
    findings.append(
        Finding("devices", ", ".join(map(str, devices)), devices[0].platform != "cpu" or len(devices) == cores)
    )
    findings.append(
        Finding("matmul peak", f"{peak(devices[0]) / 1e9:.0f} GFLOP/s on one device (float32, 1024 × 1024)")
    )
    kind = filesystem.kind(Path())
    stored = "one database per process" if filesystem.is_network(Path()) else "one database for all processes"
    findings.append(Finding("file system here", f"{kind}: {stored}"))
    findings += [_folder(compilation_cache.CACHE, "compiled programs"), _folder(files.user_cache("data"), "data sets")]
    return findings + parities()


def doctor(*, json: Json = False) -> int:
    """Run `flylab doctor`; return exit code 1 if a check fails."""
    findings = examine()
    if json:
        print_json([finding._asdict() for finding in findings])
    else:
        for finding in findings:
            say(f"{'ok  ' if finding.is_good else 'BAD '} {finding.what:<24} {finding.value}")
    return 0 if all(finding.is_good for finding in findings) else 1


def _free_memory() -> int | None:
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None


def _folder(path: Path, what: str) -> Finding:
    """Check that a cache folder is writable, and return its size and the free space on its disk."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        files.writable(path)
        broken = len(compilation_cache.delete_broken(path))
        sizes = [entry.stat().st_size for entry in path.rglob("*") if entry.is_file()]
        free = shutil.disk_usage(path).free
    except OSError as error:
        return Finding(what, f"{path}: {error.strerror or error}", is_good=False)
    deleted = f", {broken} broken entries deleted" if broken else ""
    return Finding(what, f"{path}: {sum(sizes) / 1e6:.0f} MB, {free / 1e9:.0f} GB free{deleted}", free > LOW_DISK)


def peak(device: Any, n: int = 1024) -> float:
    """Return the floating-point operations per second of an n × n matrix product, the median of five runs."""
    x = jax.device_put(np.ones((n, n), np.float32), device)
    product = jax.jit(lambda a: a @ a)
    product(x).block_until_ready()
    seconds = timeit.repeat(lambda: product(x).block_until_ready(), repeat=5, number=1)
    return 2 * n**3 / statistics.median(seconds)


@runtime.pinned()
def parities() -> list[Finding]:
    """Train a small population on each device, compare its losses with NumPy's, and save the verdicts."""
    expected, findings, verdicts = reference(), [], {}
    for device in dict.fromkeys([*runtime.devices(), jax.devices("cpu")[0]]):
        error = worst(trained(device), expected)
        is_good = error <= TOLERANCE
        value = f"losses of {N_SEEDS} networks over {N_STEPS} steps within {error:.1e} (allowed {TOLERANCE:g})"
        findings.append(Finding(f"parity of {device}", value, is_good))
        kind = runtime.kind_of(device)
        verdicts[kind] = "passed" if is_good and verdicts.get(kind) != "failed" else "failed"
    if runtime.most_at_once() > 1:
        findings.append(_of_groups(expected))
        if not findings[-1].is_good:
            verdicts[runtime.kind_of(runtime.devices()[0])] = "failed"
    try:
        files.write_atomic(runtime.PARITY, json_.dumps(verdicts, indent=2))
    except OSError as error:
        findings.append(Finding("parity", f"cannot be saved: {error}", is_good=False))
    return findings


def _of_groups(expected: np.ndarray) -> Finding:
    """Train the same networks as members of groups, in both orders."""
    began, ahead, back = time.perf_counter(), trained_in_groups(), trained_in_groups(-1)
    error, is_same = worst(ahead, expected), np.array_equal(ahead, back)
    value = f"within {error:.1e} in {time.perf_counter() - began:.0f} s, " + (
        "the same bits in another order" if is_same else "but other bits in another order"
    )
    return Finding(f"groups of {runtime.most_at_once()}", value, error <= TOLERANCE and is_same)


def worst(losses: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest relative error; infinity if a loss is not finite."""
    errors = np.abs(losses - expected) / np.abs(expected)
    return float(errors.max()) if np.isfinite(errors).all() else float("inf")


def trained(device: Any) -> np.ndarray:
    """Train by flylab on a device in single precision, and return the losses `(seed, step)`."""
    objective, splits = supervised(dense.shallow(width=WIDTH)), _splits()
    plan = Plan(N_STEPS, BATCH, N_STEPS, optimizer="sgd")

    def losses(params):
        run = train(objective, params, splits, plan, {"learning_rate": RATE}, key=jax.random.key(0))
        return run.history["loss"]

    with jax.default_device(device):
        return np.stack([np.asarray(jax.jit(losses)(jax.device_put(params, device))) for params in _starts()])


def trained_in_groups(order: int = 1) -> np.ndarray:
    """Train by flylab as populations are, on all devices, and return the losses `(seed, step)`.

    Args:
        order: 1, or −1 for the last member first.
    """
    plan, hparams = Plan(N_STEPS, BATCH, N_STEPS, optimizer="sgd", record_loss=True), {"learning_rate": RATE}
    run, data = training_run(supervised(dense.shallow(width=WIDTH)), plan), as_arrays(_splits())
    members = ((data, Member(jax.random.key(0), hparams, params)) for params in _starts()[::order])
    return np.stack([member.history["loss"] for member in run_members(run, members, one_data_set=True)])[::order]


def reference() -> np.ndarray:
    """Train by NumPy in double precision, in independent code, and return the losses `(seed, step)`."""
    x, y = (np.asarray(part) for part in _splits().train)
    x = x.astype(np.float64)
    starts = [jax.tree.map(lambda leaf: leaf.astype(np.float64), params) for params in _starts()]
    return np.stack([_descended(params, x, y) for params in starts])


def _descended(params: Any, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    (w, b), (v, c) = ((params[name]["w"], params[name]["b"]) for name in ("hidden", "output"))
    losses = []
    for step in range(N_STEPS):
        rows = np.arange(step * BATCH, (step + 1) * BATCH) % len(x)
        signals, labels = x[rows], y[rows]
        h = np.tanh(signals @ w.T + b)
        logits = h @ v.T + c
        logits = logits - logits.max(axis=1, keepdims=True)
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        losses.append(-np.log(p[np.arange(BATCH), labels]).mean())
        p[np.arange(BATCH), labels] -= 1
        d = p / BATCH
        dh = (d @ v) * (1 - h**2)
        w, b = w - RATE * dh.T @ signals, b - RATE * dh.sum(axis=0)
        v, c = v - RATE * d.T @ h, c - RATE * d.sum(axis=0)
    return np.array(losses)


def _starts() -> list[Any]:
    """Return the networks' initial parameters, drawn on the CPU."""
    with jax.default_device(jax.devices("cpu")[0]):
        init = jax.jit(dense.shallow(width=WIDTH).init)
        return [jax.tree.map(np.asarray, init(jax.random.key(jnp.uint32(seed)))) for seed in range(N_SEEDS)]


def _splits():
    return published(MNIST1D(n_train=500, n_valid=100, n_test=100))
