"""Measure flylab on an accelerator: one command, a bounded time, results after each part.

    python bench/gpu.py [--budget 500] [--out gpu.json] [--parts machine,cpu,...] [--quick]

Parts, the most valuable first: the machine, and packages that it lacks; time per model-step against the number of
networks that train at once, for every published network in both formulations, with compile time and memory; parity
with NumPy and with the machine's CPU, and bits in another place and company; the headline table (the published networks
of the study `architectures`, 100 seeds); 10 000 MLPs; `torch.func` ensembles on the same device; compiler options and
TF32. The CPU is restricted to two cores by `taskset`, in a process beside the others, on cores that nothing else uses.
The JSON is written after each measurement, so that a cut loses nothing.

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
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PARTS = ("machine", "cpu", "products", "speed", "parity", "table", "many", "torch", "options")
NEEDED = {
    name: name.replace("_", "-")
    for name in (
        "jax", "jaxlib", "numpy", "scipy", "optax", "xarray", "msgspec", "jaxtyping", "safetensors", "h5py", "h5netcdf",
        "cyclopts", "docstring_parser", "rich", "rich_rst", "jinja2", "markupsafe", "matplotlib", "threadpoolctl",
        "torch", "triton",
    )
} | {"sklearn": "scikit-learn"}  # fmt: skip  # distributions by module


class Report:
    """What has been measured, written to a file after each measurement.

    Attributes:
        path: the file.
        values: values by part and name.
    """

    def __init__(self, path: Path, budget: float) -> None:
        self.path, self.values = path, {}
        self._began, self._budget = time.monotonic(), budget

    @property
    def seconds(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self._budget - self.seconds

    def note(self, part: str, name: str, value: Any) -> None:
        """Record a value, and print it."""
        self.values.setdefault(part, {})[name] = value
        self.path.write_text(json.dumps(self.values | {"seconds": round(self.seconds, 1)}, indent=1, default=str))
        print(f"[{self.seconds:6.1f}] {part}: {name}: {json.dumps(value, default=str)}", flush=True)


def cores() -> tuple[list[int], list[int]]:
    """Return two cores for the comparison, on physical cores of their own if there are several, and the others."""
    mine = sorted(os.sched_getaffinity(0))
    if len(mine) < 6:
        return mine[:2], mine
    threads = {core: _threads_of(core) for core in mine}
    second = mine[-1]
    first = next((core for core in reversed(mine) if core not in threads[second]), mine[-2])
    taken = threads[first] | threads[second]
    return [first, second], [core for core in mine if core not in taken]


def _threads_of(core: int) -> set[int]:
    """Return the numbers of the hardware threads of a physical core."""
    try:
        text = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list").read_text()
    except OSError:
        return {core}
    ends = [part.split("-") for part in text.strip().split(",")]
    return {core}.union(*(range(int(ends[0]), int(ends[-1]) + 1) for ends in ends))


def machine(report: Report) -> None:
    """Note versions, devices and what is missing."""
    import jax

    lacking = [distribution for module, distribution in NEEDED.items() if importlib.util.find_spec(module) is None]
    report.note("machine", "lacks", lacking)
    present = [distribution for distribution in NEEDED.values() if distribution not in lacking]
    report.note("machine", "versions", {"python": platform.python_version()} | {
        distribution: importlib.metadata.version(distribution) for distribution in present
    })  # fmt: skip
    names = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
             if line.startswith("model name")]  # fmt: skip
    report.note("machine", "processors", dict.fromkeys(names, len(names)))
    report.note("machine", "two cores, and the others", cores())
    report.note("machine", "devices", [f"{device}, {device.device_kind}" for device in jax.devices()])
    if shutil.which("nvidia-smi"):
        query = "name,driver_version,memory.total,clocks.sm,clocks.max.sm,power.limit"
        command = ["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        report.note("machine", "nvidia-smi", done.stdout.strip())


def torch_peers(report: Report, seconds: float, quick: bool) -> None:
    """Time `torch.func` ensembles in a process of their own."""
    path = report.path.with_suffix(".torch.json")
    path.unlink(missing_ok=True)
    command = [sys.executable, str(HERE / "gpu_torch.py"), "--budget", f"{seconds:.0f}", "--out", str(path)]
    with open(report.path.with_suffix(".torch.log"), "w") as log:
        try:
            subprocess.run([*command, *quick * ["--quick"]], timeout=seconds + 20, stdout=log, stderr=log, check=False)
        except subprocess.TimeoutExpired:
            report.note("torch", "cut", f"after {seconds + 20:.0f} s")
    for name, value in json.loads(path.read_text()).items() if path.exists() else ():
        report.note("torch", name, value)


def ratios(report: Report, cpu: Path) -> None:
    """Note the ratios of the CPU's and torch.func's times to the best ones on the accelerator."""
    for name, value in json.loads(cpu.read_text()).items() if cpu.exists() else ():
        report.note("cpu", name, value)
    times: dict[str, dict[str, dict]] = {}
    for part in ("speed", "torch"):
        for key, value in report.values.get(part, {}).items():
            if isinstance(value, dict) and "us" in value:
                times.setdefault(value.get("model", key.split()[0]), {})[f"{part}: {key}"] = value
    for model, of_model in times.items():
        best, peer = (
            min((key for key in of_model if key.startswith(part)), key=lambda key: of_model[key]["us"], default=None)
            for part in ("speed", "torch")
        )
        if best is None:
            continue
        row: dict[str, Any] = {"best": best, "us": of_model[best]["us"]}
        row |= {"us, evaluations included": of_model[best].get("us_with_evaluations")}
        if (on_cpu := report.values.get("cpu", {}).get(model)) is not None:
            row |= {
                "two cores": on_cpu,
                "two cores ÷ accelerator": on_cpu / (row["us, evaluations included"] or row["us"]),
            }
        if peer is not None:
            row |= {"best of torch": peer, "torch ÷ flylab": of_model[peer]["us"] / row["us"]}
        report.note("ratios", model, row)


def main() -> None:
    """Run the parts in turn, each if there is time for it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=float, default=500, help="seconds in all")
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    parser.add_argument("--parts", default=",".join(PARTS), help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--widths", default="128,1024,32,512,1", help="members at once; the first two in both forms")
    parser.add_argument("--models", nargs="*", help="networks whose speed is measured, by default all")
    parser.add_argument("--quick", action="store_true", help="small numbers, for a trial on a CPU")
    given = parser.parse_args()
    report, parts, quick = Report(given.out, given.budget), given.parts.split(","), given.quick
    cpu, background = given.out.with_suffix(".cpu.json"), None
    two, others = cores()
    if "cpu" in parts:
        command = [sys.executable, str(HERE / "gpu_parity.py"), str(cpu), *quick * ["--quick"]]
        pinned = ["taskset", "-c", ",".join(map(str, two)), *command]
        with open(given.out.with_suffix(".cpu.log"), "w") as log:
            background = subprocess.Popen(pinned, env=os.environ | {"JAX_PLATFORMS": "cpu"}, stdout=log, stderr=log)
        if others[:2] == two:
            background.wait()  # there are no others
    os.sched_setaffinity(0, others)
    from flylab.base import runtime  # JAX starts on these cores

    runtime.initialise()
    import gpu_parity
    import gpu_parts

    def part(name: str, needed: float, function: Callable, *arguments: Any) -> None:
        """Run a part if it is asked for and `needed` seconds are left; an error ends this part only."""
        if name not in parts or report.left < needed:
            return
        began = report.seconds
        try:
            function(report, *arguments)
        except Exception as error:
            report.note("errors", name, f"{type(error).__name__}: {str(error)[:500]}")
        report.note("took", name, round(report.seconds - began, 1))

    part("machine", 0, machine)
    part("products", 60, gpu_parts.products, 8 if quick else 1024)
    widths = tuple(map(int, given.widths.split(",")))
    models = given.models or gpu_parts.MODELS[: 3 if quick else None]
    part("speed", 60, gpu_parts.speed, 0.4 * given.budget, (4, 8) if quick else widths, models, quick)
    ratios(report, cpu)
    if background is not None:
        try:
            background.wait(timeout=max(min(60, report.left - 150), 1))
        except subprocess.TimeoutExpired:
            report.note("errors", "cpu", "not ready in time")
    if quick:
        os.environ["FLYLAB_GROUP"] = "4"
    n_seeds, n_steps = (6, 250) if quick else (100, 6000)
    part("parity", 60, gpu_parity.parity, cpu.with_suffix(".npz"))
    part("table", 60, gpu_parts.table, n_seeds, n_steps, cpu.with_suffix(".npz"))
    part("many", 60, gpu_parts.many, 20 if quick else 10_000, n_steps)
    part("torch", 40, torch_peers, min(max(report.left - 40, 30), 110), quick)
    ratios(report, cpu)
    part("options", 30, gpu_parts.options, 8 if quick else 1024, quick)
    import jax

    for device in jax.devices():
        report.note("memory", str(device), {k: v for k, v in (device.memory_stats() or {}).items() if "bytes" in k})
    if background is not None and background.poll() is None:
        background.terminate()


if __name__ == "__main__":
    main()
