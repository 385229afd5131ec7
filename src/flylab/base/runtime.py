"""How JAX is set up for populations, at first training: a device per core, and a compilation cache that lasts."""

import contextlib
import functools
import os
import warnings
import zlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

from flylab.base.files import read_json, user_cache

CACHE = user_cache("jax")
PARITY = user_cache("doctor") / "parity.json"
_CHECKED = "flylab-checked"  # stamps the last look for broken entries


def _setting(name: str) -> Any:
    return getattr(jax.config, name)  # JAX makes these attributes as it starts, unseen by type checkers


@functools.cache
def devices() -> tuple[Any, ...]:
    """The devices that train members, one each: every core of the CPU, or the accelerators there are.

    Set up once per process. Where JAX has started already, the devices there are do, with the same results, and a
    warning says what to do for full speed.
    """
    use_cache()
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        if _setting("jax_num_cpu_devices") < 0:  # not set by the user
            jax.config.update("jax_num_cpu_devices", n_cores)
    except RuntimeError:  # the backend runs already
        pass
    found = tuple(jax.devices())
    if found[0].platform == "cpu" and len(found) < n_cores and _setting("jax_num_cpu_devices") < 0:
        warnings.warn(
            f"JAX had started before flylab, with {len(found)} CPU device for {n_cores} cores: results are the same, "
            f"training is about {n_cores // len(found)}× slower. Call flylab.initialise() before the first use of JAX.",
            stacklevel=2,
        )
    return found


def initialise() -> int:
    """Prepare JAX for training at full speed, and return the number of devices.

    Training does this by itself; call it first only in a program that uses JAX for something else before.
    """
    return len(devices())


# One thread per member: XLA's shared pool gains nothing at these sizes. As an option of each program, not in XLA_FLAGS,
# it holds in a process that has started JAX before, so that results are the same there.
_CPU_OPTIONS = {"xla_cpu_multi_thread_eigen": False}


@functools.cache
def compiler_options(more: tuple[tuple[str, bool | str], ...] = ()) -> dict[str, bool | str]:
    """Options for `jax.jit` that make small programs fast on a CPU: those that the installed XLA knows."""
    if devices()[0].platform != "cpu":
        return {}
    known = {}
    for name, value in (*_CPU_OPTIONS.items(), *more):
        try:
            jax.jit(lambda x: x, compiler_options={name: value}).lower(0.0).compile()
        except jax.errors.JaxRuntimeError:  # no such option in this version
            continue
        known[name] = value
    return known


def use_cache() -> None:
    """Keep compiled programs in the user's cache folder, unless a folder is set; delete entries that cannot be read."""
    if _setting("jax_compilation_cache_dir") is None:
        try:
            CACHE.mkdir(parents=True, exist_ok=True)
        except OSError:
            return  # nowhere to keep them: compile anew in each process
        jax.config.update("jax_compilation_cache_dir", str(CACHE))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    folder = Path(str(_setting("jax_compilation_cache_dir")))
    if folder.is_dir():
        delete_broken(folder)


def parity() -> str:
    """What `flylab doctor` found of the devices that train: "passed", "failed", or "not tested" with these versions."""
    try:
        found = read_json(PARITY)
        words = {str(found.get(kind_of(device), "not tested")) for device in devices()}
    except (OSError, ValueError, AttributeError):
        return "not tested"
    return next((word for word in ("failed", "not tested") if word in words), "passed")


def kind_of(device: Any) -> str:
    """A kind of device with the versions of JAX that compile for it."""
    return f"{device.device_kind}, jax {jax.__version__}, jaxlib {version('jaxlib')}"


def delete_broken(folder: Path) -> list[Path]:
    """Delete the compiled programs in `folder` that were cut short, and return them.

    JAX writes an entry in place, so that a crash can leave half of one, and never repairs it. Only entries written
    since the last look are read.
    """
    stamp = folder / _CHECKED
    since = stamp.stat().st_mtime if stamp.exists() else 0.0
    broken = []
    for entry in folder.glob("*-cache"):
        try:
            if entry.stat().st_mtime >= since and not _whole(entry.read_bytes()):
                entry.unlink()
                broken.append(entry)
        except OSError:
            continue  # another process was faster, or the folder is read-only
    with contextlib.suppress(OSError):
        stamp.touch()
    return broken


def _whole(entry: bytes) -> bool:
    if entry[:4] == b"\x28\xb5\x2f\xfd":  # Zstandard, which JAX takes where it is installed
        try:
            import zstandard  # type: ignore[import-not-found]
        except ImportError:
            return True
        try:
            zstandard.ZstdDecompressor().decompress(entry)
        except zstandard.ZstdError:
            return False
        return True
    try:
        zlib.decompress(entry)
    except zlib.error:
        return False
    return True
