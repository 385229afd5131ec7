"""Measure flylab on an accelerator: one command, a bounded time, results after each part.

    python bench/gpu.py [--budget 500] [--out gpu.json] [--parts machine,cpu,...] [--quick]

Parts, the most valuable first: the machine, and packages that it lacks; time per model-step against the number of
networks that train at once, of every published network in both formulations, with compile time and memory; parity with
NumPy and with the same machine's CPU, and bits in any place and company; the headline table (the published networks of
the study `architectures`, 100 seeds); 10 000 MLPs; `torch.func` ensembles on the same device; compiler options and TF32.
The CPU is restricted to two cores by `taskset`, in a process of its own beside the first part, on cores that nothing
else uses. The JSON is written anew after each measurement, so that a cut loses nothing.

It runs under Python 3.12 without a network. `--quick` tries everything on a CPU, with small numbers.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
NEEDED = (
    "jax", "jaxlib", "numpy", "scipy", "optax", "xarray", "msgspec", "jaxtyping", "safetensors", "sklearn", "h5py",
    "h5netcdf", "cyclopts", "docstring_parser", "rich", "rich_rst", "jinja2", "markupsafe", "matplotlib",
    "threadpoolctl", "torch", "triton",
)  # fmt: skip
WIDTHS = (128, 1024, 32, 512, 4096, 8, 1)  # the first two in both formulations
MODELS = ("mlp", "cnn", "logistic", "gru", "masked mlp")


def cores() -> tuple[list[int], list[int]]:
    """Return two cores for the comparison, on physical cores of their own where there are any, and the others."""
    mine = sorted(os.sched_getaffinity(0))
    if len(mine) < 4:
        return mine[:2], mine
    siblings = []
    for core in mine:
        path = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
        text = path.read_text().strip() if path.exists() else str(core)
        siblings.append(
            {int(n) for part in text.split(",") for n in range(int(part.split("-")[0]), int(part.split("-")[-1]) + 1)}
        )
    second = mine.index(mine[-1])
    first = next((i for i in range(second - 1, -1, -1) if not siblings[i] & siblings[second]), second - 1)
    taken = siblings[first] | siblings[second]
    return [mine[first], mine[second]], [core for core in mine if core not in taken] or mine[:first]


class Report:
    """What has been measured, written to a file after each measurement."""

    def __init__(self, path: Path, budget: float) -> None:
        self.path, self.began, self.budget, self.values = path, time.monotonic(), budget, {}

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.budget - (time.monotonic() - self.began)

    def note(self, part: str, name: str | None, value) -> None:
        """Record a value, and print it."""
        if name is None:
            self.values[part] = value
        else:
            self.values.setdefault(part, {})[name] = value
        self.values["seconds"] = round(time.monotonic() - self.began, 1)
        self.path.write_text(json.dumps(self.values, indent=1, default=str))
        print(f"[{self.values['seconds']:6.1f}] {part} {name or ''} {json.dumps(value, default=str)}", flush=True)


def machine(report: Report) -> None:
    """Note versions, devices and what is missing."""
    import jax

    def version(name: str) -> str:
        try:
            return importlib.metadata.version({"sklearn": "scikit-learn", "rich_rst": "rich-rst"}.get(name, name))
        except importlib.metadata.PackageNotFoundError:
            return "?"

    lacking = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    report.note("machine", "lacks", lacking)
    report.note("machine", "python", platform.python_version())
    report.note("machine", "versions", {name: version(name) for name in NEEDED if name not in lacking})
    with_model = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    report.note(
        "machine", "processor", f"{len(with_model)} × {with_model[0].partition(':')[2].strip()}" if with_model else "?"
    )
    report.note("machine", "cores of the comparison and the others", cores())
    report.note("machine", "devices", [f"{device} {device.device_kind}" for device in jax.devices()])
    if shutil.which("nvidia-smi"):
        query = [
            "nvidia-smi",
            "--query-gpu=name,driver_version,memory.total,clocks.sm,clocks.max.sm",
            "--format=csv,noheader",
        ]
        report.note(
            "machine", "nvidia-smi", subprocess.run(query, capture_output=True, text=True, check=False).stdout.strip()
        )


def products(report: Report, n_members: int) -> None:
    """Time the batched products of the MLP's and the CNN's steps alone, the floor of a step, in full precision."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    shapes = {"mlp forward": (100, 100, 100), "mlp first layer": (100, 40, 100), "cnn forward": (25, 75, 1000),
              "cnn gradient": (25, 1000, 75), "1024 × 1024": (1024, 1024, 1024)}  # fmt: skip
    rng = np.random.default_rng(0)
    for name, (m, k, n) in shapes.items():
        n_batch = n_members if m < 1024 else 16
        a, b = (jnp.asarray(rng.normal(size=(n_batch, *shape)).astype(np.float32)) for shape in ((m, k), (k, n)))
        run = jax.jit(lambda a, b: jnp.einsum("nij,njk->nik", a, b, precision="highest"))
        run(a, b).block_until_ready()
        times = []
        for _ in range(5):
            began = time.perf_counter()
            for _ in range(10):
                out = run(a, b)
            out.block_until_ready()
            times.append((time.perf_counter() - began) / 10)
        report.note("products", name, {"batch": n_batch, "GFLOP/s": round(2 * n_batch * m * k * n / min(times) / 1e9)})


def network(name: str, formulation: str = "batch"):
    """Return a network's objective and its hyper-parameters."""
    import jax
    import numpy as np

    from flylab.models import dense, get_model, masks
    from flylab.studies import lottery
    from flylab.training.objectives import supervised

    hparams = {"learning_rate": np.float32(1e-2)}
    model = dense.mlp(width=500) if name == "masked mlp" else get_model(name)
    params = jax.device_get(model.init(jax.random.key(0))) if name == "masked mlp" else None
    if formulation == "example":
        model = model._replace(apply_batch=None)
    if name != "masked mlp":
        return supervised(model), hparams, None
    mask = masks.random_mask(params, 0.92, np.random.default_rng(0))
    return lottery.objective_of(model), hparams | {"mask": mask}, params


def prepared(name: str, formulation: str, width: int):
    """Compile a network's training and start a group of members; return all that timing takes, and seconds."""
    import jax

    from flylab.base import runtime
    from flylab.data import MNIST1D, published
    from flylab.training import population
    from flylab.training.step import Member, Plan, as_arrays
    from flylab.training.train import training_run

    began = time.perf_counter()
    objective, hparams, params = network(name, formulation)
    data, root = as_arrays(published(MNIST1D())), jax.random.key(0)
    n = width * len(runtime.devices())
    members = ((data, Member(jax.random.fold_in(root, i), hparams, params)) for i in range(n))
    run = training_run(objective, Plan(6000))
    program, members = population._program_for(run, members, one_data_set=True)
    n, state, advance = next(population._started(program, members))
    jax.block_until_ready(state)
    return n, state, advance, time.perf_counter() - began


def timed(state, advance, n: int, quick: bool) -> dict:
    """Return µs per model-step, without and with an evaluation of 6000 examples every 250 steps, and the memory."""
    import jax
    import numpy as np

    def to(stop: int) -> float:
        nonlocal state
        began = time.perf_counter()
        state = advance(state, np.int32(stop))
        jax.block_until_ready(state)
        return time.perf_counter() - began

    to(2)
    steps = 20 if quick else 100
    plain = to(2 + steps) / steps
    between = to(249) if not quick else 0.0
    values = {"us": round(plain / n * 1e6, 4), "ms_per_step": round(plain * 1e3, 3)}
    if not quick and between < 10:
        values["us_with_evaluations"] = round(to(499) / 250 / n * 1e6, 4)
    analysis = advance.func.memory_analysis()
    if analysis is not None:
        total = analysis.temp_size_in_bytes + analysis.argument_size_in_bytes
        values["megabytes"] = round(total / 2**20)
    return values


def speed(report: Report, until: float, quick: bool) -> None:
    """Time every network at every width, until the time is up."""
    widths = (4, 8) if quick else WIDTHS
    models = MODELS[:3] if quick else MODELS
    better: dict[str, str] = {}
    for width in widths:
        os.environ["FLYLAB_GROUP"] = str(width)
        both = width in widths[:2]
        wanted = [
            (name, form) for name in models for form in (("batch", "example") if both else (better.get(name, "batch"),))
        ]
        if width >= 4096:
            wanted = [(name, form) for name, form in wanted if name != "masked mlp"]
        if report.left < until:
            report.note("speed", f"width {width}", "no time left")
            continue
        with ThreadPoolExecutor(6) as pool:  # XLA compiles beside others
            began = time.perf_counter()
            compiling = {key: pool.submit(prepared, *key, width) for key in wanted}
            ready = {key: _outcome(future) for key, future in compiling.items()}
        report.note(
            "speed", f"width {width}: compiled {len(ready)} programs in s", round(time.perf_counter() - began, 1)
        )
        for (name, form), outcome in ready.items():
            if isinstance(outcome, str):
                report.note("speed", f"{name} {form} {width}", outcome)
                continue
            n, state, advance, seconds = outcome
            try:
                values = timed(state, advance, n, quick) | {"compile_s": round(seconds, 1)}
            except Exception as error:  # out of memory, at one width
                values = f"{type(error).__name__}: {str(error)[:200]}"
            report.note("speed", f"{name} {form} {width}", values)
            if isinstance(values, dict):
                others = (
                    report.values["speed"].get(f"{name} example {width}"),
                    report.values["speed"].get(f"{name} batch {width}"),
                )
                if all(isinstance(other, dict) for other in others):
                    better[name] = "example" if others[0]["us"] < others[1]["us"] else "batch"
        ready.clear()
    os.environ.pop("FLYLAB_GROUP")


def _outcome(future):
    try:
        return future.result()
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:300]}"


def parity(report: Report, reference: Path, n_seeds: int) -> None:
    """Compare with NumPy and with the CPU, and a member with itself in another place and company."""
    import jax
    import numpy as np

    from flylab.cli import doctor

    for finding in doctor.parities():
        report.note("parity", finding.what, f"{'ok' if finding.is_good else 'BAD'} {finding.value}")
    expected = dict(np.load(reference)) if reference.exists() else {}
    for name in MODELS[:4]:
        short, whole = trainings(name, n_seeds, expected.get("n_steps", 6000))
        values = {}
        for step in (0, 1, 10, 100):
            if f"{name} loss" in expected:
                a, b = short["loss"][:, step], expected[f"{name} loss"][:, step]
                values[f"worst relative difference of losses after {step} steps"] = float(np.abs(a / b - 1).max())
        values["test accuracy"] = [round(float(x), 2) for x in (whole.mean(), whole.std(ddof=1) / n_seeds**0.5)]
        if f"{name} accuracy" in expected:
            on_cpu = expected[f"{name} accuracy"]
            values["CPU"] = [round(float(x), 2) for x in (on_cpu.mean(), on_cpu.std(ddof=1) / n_seeds**0.5)]
            values["difference in standard errors"] = round(
                float(
                    (whole.mean() - on_cpu.mean()) / (whole.var(ddof=1) / n_seeds + on_cpu.var(ddof=1) / n_seeds) ** 0.5
                ),
                2,
            )
        values["same bits in another place and company"] = same_bits(name)
        report.note("parity", name, values)
    del jax


def trainings(name: str, n_seeds: int, n_steps: int):
    """Return losses of the first 101 steps, and final test accuracies, of a published network."""
    import numpy as np

    from flylab.data import MNIST1D, published
    from flylab.training.population import train_members
    from flylab.training.step import Plan

    splits, grid = published(MNIST1D()), {"learning_rate": [1e-2], "seed": range(n_seeds)}
    objective = network(name)[0]
    short = train_members(objective, splits, Plan(101, eval_every=101, record_loss=True), grid).results
    whole = train_members(objective, splits, Plan(int(n_steps)), grid).results
    return {"loss": np.asarray(short.loss[0])}, np.asarray(whole.test_accuracy[0, :, -1])


def same_bits(name: str) -> bool:
    """Return whether members have the same bits alone and in a full group, in other places."""
    import numpy as np

    from flylab.base import runtime
    from flylab.data import MNIST1D, published
    from flylab.training.population import train_members
    from flylab.training.step import Plan

    def losses(seeds):
        grid = {"learning_rate": [1e-2], "seed": seeds}
        return train_members(network(name)[0], published(MNIST1D()), Plan(101, eval_every=50), grid)

    n = runtime.most_at_once() * len(runtime.devices())
    full, turned = losses(range(n)), losses([*range(n // 3, n), *range(n // 3)])
    alone = losses([n - 1])
    same = np.array_equal(full.results.valid_loss.sel(seed=n - 1), alone.results.valid_loss.sel(seed=n - 1))
    for seed in range(n):
        same &= np.array_equal(full.results.test_loss.sel(seed=seed), turned.results.test_loss.sel(seed=seed))
    return bool(same)


def cpu_reference(out: Path, quick: bool) -> None:
    """On two cores: time per model-step of every network, and losses and accuracies to compare with. Writes files."""
    import statistics

    import jax
    import numpy as np

    from flylab.base import runtime
    from flylab.data import MNIST1D, published
    from flylab.training.population import run_members
    from flylab.training.step import Member, Plan, as_arrays
    from flylab.training.train import training_run

    data, values, arrays = as_arrays(published(MNIST1D())), {"devices": runtime.initialise()}, {}

    def us(name: str, n_steps: int) -> float:
        objective, hparams, params = network(name)
        n = 2 * len(runtime.devices())
        members = ((data, Member(jax.random.key(i), hparams, params)) for i in range(n))
        began = time.perf_counter()
        list(run_members(training_run(objective, Plan(n_steps, eval_every=250)), members, one_data_set=True))
        return (time.perf_counter() - began) / n_steps / n * 1e6

    steps = {"logistic": 6000, "mlp": 2000, "cnn": 1000, "gru": 500, "masked mlp": 250}
    for name in MODELS[:3] if quick else MODELS:
        n_steps = 250 if quick else steps[name]
        us(name, n_steps)  # compile
        values[name] = round(statistics.median(us(name, n_steps) for _ in range(3)), 2)
        out.write_text(json.dumps(values))
    n_seeds, arrays["n_steps"] = (4, 250) if quick else (16, 6000)
    for name in MODELS[:4]:
        short, whole = trainings(name, n_seeds, arrays["n_steps"])
        arrays |= {f"{name} loss": short["loss"], f"{name} accuracy": whole}
        np.savez(out.with_suffix(".part.npz"), **arrays)
    os.replace(out.with_suffix(".part.npz"), out.with_suffix(".npz"))


def table(report: Report, n_seeds: int, n_steps: int) -> None:
    """Train the published networks of the study `architectures`, on plain and shuffled signals."""
    from dataclasses import replace

    import jax

    from flylab.studies.architectures import STUDY

    protocol, whole = replace(STUDY.presets["quick"], n_steps=n_steps, n_seeds=n_seeds), time.perf_counter()
    for condition in STUDY.conditions(protocol):
        if condition["source"] != "published" or condition["model"] not in MODELS:
            continue
        began = time.perf_counter()
        results = STUDY.run(protocol, condition, list(range(n_seeds)), key=jax.random.key(0))
        last = results.test_accuracy.isel(step=-1)
        report.note("table", f"{condition['model']} {condition['arrangement']}", {
            "s": round(time.perf_counter() - began, 2), "test accuracy": round(float(last.mean()), 2),
            "standard error": round(float(last.std(ddof=1)) / n_seeds**0.5, 2),
        })  # fmt: skip
    report.note("table", "all", {"s": round(time.perf_counter() - whole, 1), "seeds": n_seeds, "steps": n_steps})


def many(report: Report, n_members: int, n_steps: int) -> None:
    """Train many MLPs in one call."""
    from flylab.data import MNIST1D, published
    from flylab.training.population import train_members
    from flylab.training.step import Plan

    began = time.perf_counter()
    grid = {"learning_rate": [1e-2], "seed": range(n_members)}
    results = train_members(network("mlp")[0], published(MNIST1D()), Plan(n_steps), grid).results
    seconds = time.perf_counter() - began
    accuracy = results.test_accuracy.isel(step=-1)
    report.note("many", None, {
        "members": n_members, "steps": n_steps, "s": round(seconds, 1), "us": round(seconds / n_members / n_steps * 1e6, 3),
        "test accuracy": round(float(accuracy.mean()), 2), "standard deviation": round(float(accuracy.std()), 2),
    })  # fmt: skip


def options(report: Report, width: int, quick: bool) -> None:
    """Time the MLP and the CNN with TF32 products, and with XLA's options that exclude what is not deterministic."""
    import jax

    from flylab.base import runtime
    from flylab.training import population

    os.environ["FLYLAB_GROUP"] = str(width)
    default, plain = runtime.compiler_options, jax.config.jax_default_matmul_precision
    variants = {
        "full precision": ({}, plain),
        "TF32": ({}, "tensorfloat32"),
        "exclude nondeterministic": ({"xla_gpu_exclude_nondeterministic_ops": True}, plain),
        "deterministic": ({"xla_gpu_deterministic_ops": True}, plain),
        "no Triton products": ({"xla_gpu_enable_triton_gemm": False}, plain),
        "more graphs": ({"xla_gpu_graph_min_graph_size": 1}, plain),
    }
    for name, (more, precision) in variants.items():
        for model in ("mlp", "cnn"):
            if report.left < 25:
                return
            try:
                runtime.compiler_options = lambda options, more=more: more
                jax.config.update("jax_default_matmul_precision", precision)
                population.let_go()
                n, state, advance, seconds = prepared(model, "batch", width)
                values = timed(state, advance, n, quick) | {"compile_s": round(seconds, 1)}
            except Exception as error:
                values = f"{type(error).__name__}: {str(error)[:200]}"
            report.note("options", f"{model} {width} {name}", values)
    runtime.compiler_options = default
    jax.config.update("jax_default_matmul_precision", plain)
    os.environ.pop("FLYLAB_GROUP")


def torch_peers(report: Report, seconds: float, quick: bool) -> None:
    """Time `torch.func` ensembles in a process of their own."""
    path = report.path.with_suffix(".torch.json")
    command = [sys.executable, str(HERE / "gpu_torch.py"), "--budget", str(round(seconds)), "--out", str(path)]
    with open(report.path.with_suffix(".torch.log"), "w") as log:
        try:
            subprocess.run([*command, *(["--quick"] if quick else [])], timeout=seconds + 15, stderr=log, check=False)
        except subprocess.TimeoutExpired:
            report.note("torch", "cut", f"after {seconds + 15:.0f} s")
    for name, value in json.loads(path.read_text()).items() if path.exists() else ():
        report.note("torch", name, value)


def ratios(report: Report, cpu: Path) -> None:
    """Note the ratio of the best time on the accelerator to the CPU's and to torch.func's."""
    on_cpu = json.loads(cpu.read_text()) if cpu.exists() else {}
    report.note("cpu", None, on_cpu)
    for name in MODELS:
        times = {key: value for key, value in report.values.get("speed", {}).items()
                 if key.rsplit(" ", 2)[0] == name and isinstance(value, dict)}  # fmt: skip
        if not times:
            continue
        best = min(times, key=lambda key: times[key]["us"])
        mine = times[best].get("us_with_evaluations", times[best]["us"])
        row = {"best": best, "us": mine}
        if name in on_cpu:
            row["CPU, two cores"] = on_cpu[name]
            row["CPU ÷ accelerator"] = round(on_cpu[name] / mine, 1)
        peers = {key: value["us"] for key, value in report.values.get("torch", {}).items()
                 if key.startswith(f"{name} ") and isinstance(value, dict)}  # fmt: skip
        if peers:
            peer = min(peers, key=lambda key: peers[key])
            row |= {
                "best torch": peer,
                "its us": peers[peer],
                "torch ÷ flylab": round(peers[peer] / times[best]["us"], 1),
            }
        report.note("ratios", name, row)


def main() -> None:
    """Run the parts in turn, each if there is time for it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=float, default=500, help="seconds in all")
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    parser.add_argument("--parts", default="machine,cpu,products,speed,parity,table,many,torch,options")
    parser.add_argument("--quick", action="store_true", help="small numbers, for a trial on a CPU")
    parser.add_argument("--cpu-reference", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.cpu_reference:
        return cpu_reference(given.out, given.quick)
    report, parts, quick = Report(given.out, given.budget), given.parts.split(","), given.quick
    cpu, background = given.out.with_suffix(".cpu.json"), None
    two, others = cores()
    if "cpu" in parts:
        command = [sys.executable, __file__, "--cpu-reference", "--out", str(cpu), *(["--quick"] if quick else [])]
        pinned = ["taskset", "-c", ",".join(map(str, two)), *command]
        environment = os.environ | {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
        with open(given.out.with_suffix(".cpu.log"), "w") as log:
            background = subprocess.Popen(pinned, env=environment, stdout=log, stderr=log)
    os.sched_setaffinity(0, others)
    if background is not None and len(others) < 4:
        background.wait()  # the cores are shared
    from flylab.base import runtime

    runtime.initialise()
    steps = 250 if quick else 6000
    if "machine" in parts:
        _tried(report, machine)
    if "products" in parts:
        _tried(report, products, 8 if quick else 1024)
    if "speed" in parts:
        _tried(report, speed, 0.55 * given.budget, quick)
    ratios(report, cpu)
    if background is not None:
        try:
            report.note("cpu", "exit", background.wait(timeout=max(min(60, report.left - 150), 1)))
        except subprocess.TimeoutExpired:
            report.note("cpu", "exit", "not ready in time")
    os.environ.update({"FLYLAB_GROUP": "4"} if quick else {})
    if "parity" in parts and report.left > 60:
        _tried(report, parity, cpu.with_suffix(".npz"), 4 if quick else 16)
    if "table" in parts and report.left > 60:
        _tried(report, table, 6 if quick else 100, steps)
    if "many" in parts and report.left > 60:
        per_step = report.values.get("speed", {}).get("mlp batch 128", {}).get("us", 1.0) * 1e-2  # s for 10 000
        _tried(report, many, 20 if quick else 10_000, steps if quick else int(min(6000, 0.4 * report.left / per_step)))
    if "torch" in parts and report.left > 40:
        _tried(report, torch_peers, min(0.7 * report.left, 120), quick)
    ratios(report, cpu)
    if "options" in parts and report.left > 30:
        _tried(report, options, 8 if quick else 1024, quick)
    import jax

    report.note(
        "memory", None, [{k: v for k, v in (d.memory_stats() or {}).items() if "bytes" in k} for d in jax.devices()]
    )
    if background is not None and background.poll() is None:
        background.terminate()


def _tried(report: Report, part, *arguments) -> None:
    began = time.monotonic()
    try:
        part(report, *arguments)
    except Exception as error:
        report.note("errors", part.__name__, f"{type(error).__name__}: {str(error)[:500]}")
    report.note("took", part.__name__, round(time.monotonic() - began, 1))


if __name__ == "__main__":
    main()
