"""JAX's settings: those that flylab's programs pin, those that they refuse, and those that names of results hold."""

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.experimental

# how flylab's own programs compute, whatever the environment or `jax.config` say
_PINNED: dict[str, Any] = {
    "enable_x64": False, "default_prng_impl": "threefry2x32", "threefry_partitionable": True,
    "default_matmul_precision": None,
}  # fmt: skip
# where they would fail, each in a way of its own
_ALLOWED: dict[str, tuple[Any, ...]] = {
    "jax_disable_jit": (False,), "jax_no_tracing": (False,), "jax_no_execution": (False,),
    "jax_numpy_dtype_promotion": ("standard",), "jax_numpy_rank_promotion": ("allow", "warn"),
    **dict.fromkeys(
        ("jax_transfer_guard", "jax_transfer_guard_host_to_device", "jax_transfer_guard_device_to_host",
         "jax_transfer_guard_device_to_device"), (None, "allow", "log", "log_explicit"),
    ),
}  # fmt: skip
_NAMED = {  # what can change results, and what it usually is
    "jax_enable_x64": "False", "jax_default_prng_impl": "threefry2x32", "jax_enable_custom_prng": "False",
    "jax_threefry_partitionable": "True", "jax_threefry_gpu_kernel_lowering": "False", "jax_random_seed_offset": "0",
    "jax_default_matmul_precision": "None", "jax_numpy_dtype_promotion": "standard", "jax_explicit_x64_dtypes": "1",
    "jax_allow_f16_reductions": "True", "jax_high_dynamic_range_gumbel": "False", "jax_softmax_custom_jvp": "False",
    "jax_disable_jit": "False", "jax_optimization_level": "UNKNOWN", "jax_exec_time_optimization_effort": "0.0",
    "jax_memory_fitting_effort": "0.0", "jax_memory_fitting_level": "O2", "jax_compiler_enable_remat_pass": "True",
}  # fmt: skip
_NAMED_IF_OTHER = {  # the same, named only where they are not as usual
    "jax_disable_most_optimizations": False, "jax_use_direct_linearize": True, "jax_custom_vjp3": False,
    "jax_scan3": False, "jax_remat3": False, "jax_refs_to_pins": False, "jax_use_simplified_jaxpr_constants": False,
    "eager_constant_folding": False, "jax_use_shardy_partitioner": True, "jax_bcoo_cusparse_lowering": False,
    "jax_ragged_dot_use_ragged_dot_instruction": True, "jax_ragged_dot_use_gpu_pallas_triton_lowering": False,
    "jax_use_magma": "auto", "jax_pjrt_client_create_options": None, "jax_xla_profile_version": 0,
    "jax_enable_pgle": False,
}  # fmt: skip
_VARIABLES = ("XLA_FLAGS", "LIBTPU_INIT_ARGS", "NVIDIA_TF32_OVERRIDE")
_VARIABLES_IF_SET = (  # which instructions NumPy, BLAS and PyTorch take
    "NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES", "OPENBLAS_CORETYPE", "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS", "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA",
    "ONEDNN_DEFAULT_FPMATH_MODE", "CUBLAS_WORKSPACE_CONFIG",
)  # fmt: skip
_HARMLESS = ("--xla_force_host_platform_device_count", "--xla_dump_")  # results do not depend on the number of devices


@contextlib.contextmanager
def pinned() -> Iterator[None]:
    """Compute in single precision, with random numbers of one kind, whatever the user's settings of JAX are.

    This holds within a `with` block, or within a function that it decorates.
    """
    with contextlib.ExitStack() as stack:
        for name, value in _PINNED.items():
            if getattr(jax.config, f"jax_{name}") != value:
                stack.enter_context(_setting(name)(value))
        yield


def _setting(name: str) -> Any:
    return getattr(jax, name) if hasattr(jax, name) else getattr(jax.experimental, name)  # enable_x64 before JAX 0.8


def check() -> None:
    """Refuse settings of JAX under which flylab's programs cannot run.

    Raises:
        ValueError: naming the setting, its value and what is allowed.
    """
    for name, allowed in _ALLOWED.items():
        if (value := getattr(jax.config, name, allowed[0])) not in allowed:
            words = " or ".join(str(option) for option in allowed if option is not None)
            raise ValueError(f"{name}={value} must be {words}: flylab cannot train otherwise")


def check_flags() -> None:
    """Try XLA's flags in a process of its own, since XLA ends the process that has flags which it cannot read.

    Raises:
        ValueError: with the flags and XLA's reason.
    """
    if not (flags := os.environ.get("XLA_FLAGS")):
        return
    code = "from jaxlib import xla_client; xla_client.CompileOptions()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, errors="replace")
    if done.returncode:
        reason = re.search(r"^[EF]\d{4} .*?\] (.*)", done.stderr, re.MULTILINE)
        raise ValueError(f"XLA cannot start with XLA_FLAGS={flags}: {reason[1] if reason else 'it ends the process'}")


def named() -> dict[str, str]:
    """Return the settings of JAX, XLA and other libraries that change results, as they are for flylab's programs."""
    with pinned():
        values = {name: str(getattr(jax.config, name)) for name in _NAMED if hasattr(jax.config, name)}
    for name, usual in _NAMED_IF_OTHER.items():
        if (value := getattr(jax.config, name, jax.config.values.get(name, usual))) != usual:
            values[name] = str(value)
    for name in _VARIABLES:
        values[name] = " ".join(flag for flag in _flags(name) if not flag.startswith(_HARMLESS))
    return values | {name: os.environ[name] for name in _VARIABLES_IF_SET if os.environ.get(name)}


def unusual() -> dict[str, str]:
    """Return those of the settings that change results which are not as usual."""
    return {name: value for name, value in named().items() if value != _NAMED.get(name, "")}


def _flags(variable: str) -> list[str]:
    """Return the flags in an environment variable, or in the file that it names instead."""
    text = os.environ.get(variable, "")
    if variable == "XLA_FLAGS" and text and not text.lstrip().startswith("-"):
        with contextlib.suppress(OSError):
            text = Path(text).read_text(encoding="utf-8", errors="replace")
    return text.split()
