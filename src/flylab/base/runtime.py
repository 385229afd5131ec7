"""The setup of JAX for training populations: devices, and members at once on each."""

import contextlib
import functools
import os
import sys
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import jax

from flylab.base import compilation_cache, settings
from flylab.base.files import read_json, user_cache

PARITY = user_cache("doctor") / "parity.json"
MOST_DEVICES = 1024
_ASKING = ("jax_platforms", "jax_platform_name", "jax_num_cpu_devices")


def _setting(name: str) -> Any:
    return getattr(jax.config, name)  # JAX adds these attributes at run time, unseen by type checkers


def devices() -> tuple[Any, ...]:
    """Set JAX up, once per process, and return the devices that train members: all CPU cores, or all accelerators.

    If JAX has started already, its devices are kept. Results are the same, and a warning says how to reach full speed.

    Raises:
        ValueError: if JAX cannot start, as its settings ask for what is not there; if flylab cannot train under them;
            or if this process is a fork of one in which JAX had started.
    """
    settings.check()
    if _forked:
        raise ValueError(
            "this process was forked after JAX had started, and training would hang: start processes by spawn, e.g. "
            "multiprocessing.get_context('spawn')"
        )
    return _started()


@functools.cache
def _started() -> tuple[Any, ...]:
    compilation_cache.use()
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = {name: jax.config.values.get(name) for name in _ASKING}
    with contextlib.suppress(RuntimeError):  # the backend is running already
        if _setting("jax_num_cpu_devices") < 0:  # not set by the user
            jax.config.update("jax_num_cpu_devices", n_cores)
    if not _has_started():
        settings.check_flags()
    try:
        _require_few(_setting("jax_num_cpu_devices"))  # JAX ends the process that cannot have so many threads
        jax_devices = tuple(jax.devices())
        _require_few(len(jax_devices))
    except Exception as error:  # JAX raises many kinds of them, even failed assertions
        said = " and ".join(f"{name.upper()}={value}" for name, value in asked.items() if value not in (None, "", -1))
        reason = str(error).partition("\n")[0] or "there is no such device"
        raise ValueError(f"JAX cannot start{said and f' with {said}'}: {reason}") from error
    try:
        jax.jit(lambda x: x).lower(0.0)
    except Exception as error:  # by a setting that is read only now, such as a regular expression
        given = " or ".join(name for name in sorted(os.environ) if name.startswith("JAX_")) or "jax.config"
        raise ValueError(f"JAX cannot make programs with its settings, see {given}: {error}") from error
    if jax_devices[0].platform == "cpu" and len(jax_devices) < n_cores and _setting("jax_num_cpu_devices") < 0:
        warnings.warn(
            f"JAX started before flylab, with {len(jax_devices)} CPU device for {n_cores} cores: results are the same, "
            f"but training is about {n_cores // len(jax_devices)}× slower; call flylab.initialise() before using JAX",
            stacklevel=3,
        )
    return jax_devices


def _require_few(n_devices: int) -> None:
    if n_devices > MOST_DEVICES:
        raise ValueError(f"{n_devices} devices are too many; the most are {MOST_DEVICES}")


def _has_started() -> bool:
    """Return whether JAX has started; of its functions that would say so, some would hang in a fork."""
    return bool(getattr(sys.modules.get("jax._src.xla_bridge"), "_backends", None))


def _note_fork() -> None:
    """Note in a new process whether JAX had started before the fork."""
    global _forked
    _forked = _forked or _has_started()


_forked = False
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_note_fork)


def initialise() -> int:
    """Prepare JAX for training at full speed, and return the number of devices.

    Training calls this itself. Call it first in a program that uses JAX for something else before training.
    """
    return len(devices())


# Members that an accelerator trains at once, by the largest size of a member in numbers: its parameters, and the inputs
# that an evaluation reads at once. Width 2 is excluded: there, results depend on the place in a group.
_WIDTHS = ((1 << 17, 128), (1 << 20, 32), (sys.maxsize, 8))


def group_width(size: int) -> int:
    """Return how many members one device trains at once; the environment variable FLYLAB_GROUP sets another number.

    Args:
        size: of a member, in numbers.

    Raises:
        ValueError: for a FLYLAB_GROUP that is not allowed.
    """
    if chosen := os.environ.get("FLYLAB_GROUP"):
        if not chosen.isdecimal() or int(chosen) in (0, 2, 3):
            raise ValueError(f"FLYLAB_GROUP={chosen!r} must be 1 or an integer ≥ 4")
        return int(chosen)
    if devices()[0].platform == "cpu":
        return 1
    return next(width for largest, width in _WIDTHS if size <= largest)


def most_at_once() -> int:
    """Return the largest number of members that one device trains at once."""
    return group_width(0)


@contextlib.contextmanager
def pinned() -> Iterator[None]:
    """Compute as `settings.pinned` says; on accelerators in full precision, unless the user chose another.

    JAX's own choice is TF32 on GPUs and bfloat16 on TPUs. This holds within a `with` block, or within a function that
    it decorates.
    """
    with settings.pinned():
        if devices()[0].platform == "cpu":
            yield
        else:
            with jax.default_matmul_precision(_precision()):
                yield


def _precision() -> str:
    return jax.config.values.get("jax_default_matmul_precision") or "highest"


def grouping() -> dict[str, str]:
    """Return what results of groups of several members depend on; nothing if there are no such groups."""
    if most_at_once() == 1:
        return {}
    words = devices()[0].device_kind, os.environ.get("FLYLAB_GROUP"), _precision()
    return {"groups": " ".join(filter(None, words))}


# One thread per member: XLA's shared pool gains nothing at these sizes. This is an option of each program, not of
# XLA_FLAGS, so that it also holds, with the same results, in a process that has started JAX before.
_CPU_OPTIONS = {"xla_cpu_multi_thread_eigen": False}
# Neither what a process measured to be fastest nor the order of atomic additions may change bits. Tuning gains nothing
# at these sizes and takes four fifths of the time to compile; without such additions the CNN takes 15 % longer.
_GPU_OPTIONS = {"xla_gpu_autotune_level": 0, "xla_gpu_exclude_nondeterministic_ops": True}


@functools.cache
def compiler_options(more: tuple[tuple[str, bool | str | int], ...] = ()) -> dict[str, bool | str | int]:
    """Return options of `jax.jit` for small programs, as far as the installed XLA knows them.

    Args:
        more: further options on a CPU.
    """
    platform, known = devices()[0].platform, {}
    wanted = {"cpu": _CPU_OPTIONS | dict(more), "gpu": _GPU_OPTIONS}.get(platform, {})
    for name, value in wanted.items():
        try:
            jax.jit(lambda x: x, compiler_options={name: value}).lower(0.0).compile()
        except jax.errors.JaxRuntimeError:  # this version has no such option
            continue
        known[name] = value
    return known


def parity() -> str:
    """Return the last verdict of `flylab doctor` on these devices and versions: "passed", "failed" or "not tested"."""
    try:
        verdict_by_kind = read_json(PARITY)
        verdicts = {str(verdict_by_kind.get(kind_of(device), "not tested")) for device in devices()}
    except (OSError, ValueError, AttributeError):
        return "not tested"
    return next((verdict for verdict in ("failed", "not tested") if verdict in verdicts), "passed")


def kind_of(device: Any) -> str:
    """Return a text with the kind of a device and the versions of JAX and jaxlib."""
    return f"{device.device_kind}, jax {jax.__version__}, jaxlib {version('jaxlib')}"
