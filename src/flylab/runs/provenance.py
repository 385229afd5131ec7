"""The provenance of results: time, command, commit, machine, devices and versions."""

import functools
import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flylab.base import runtime, settings
from flylab.runs.fingerprint import versions


def origin() -> dict[str, Any]:
    """Return when, where and how this process runs; what of it changes results is part of their names, too."""
    packages = versions()
    return {
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "commit": _commit(),
        "host": platform.node(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "devices": [_title(device) for device in runtime.devices()],
        "settings": settings.unusual(),
        "parity": runtime.parity(),
        "python": packages.pop("python"),
        "versions": packages,
    }


def _title(device: Any) -> str:
    return str(device) if device.platform == "cpu" else f"{device} ({device.device_kind})"


@functools.cache
def _commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


@functools.cache
def processor_class() -> str:
    """Return the class of the processor: between classes, results differ within rounding."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return "unknown"
    classes = {"avx512f": "AVX-512", "avx2": "AVX2", "asimd": "NEON"}
    return next((name for flag, name in classes.items() if flag in flags), "other")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
