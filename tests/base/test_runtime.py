"""Setting up JAX: devices that are not there, forks and flags."""

import os
import re
import subprocess
import sys
import warnings

import jax
import pytest

from flylab.base import runtime, settings


@pytest.mark.parametrize(("setting", "value", "reason"), [("platforms", "cuda", ""), ("num_cpu_devices", 0, "of XLA")])
def test_devices_that_are_not_there_are_one_clear_line(monkeypatch, setting, value, reason):
    def devices():
        raise AssertionError(reason)

    monkeypatch.setattr(type(jax.config), "values", {f"jax_{setting}": value})
    monkeypatch.setattr(jax, "devices", devices)
    expected = f"JAX cannot start with JAX_{setting.upper()}={value}: {reason or 'there is no such device'}$"
    with pytest.raises(ValueError, match=expected):
        runtime._started.__wrapped__()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")
def test_a_fork_of_a_process_that_had_started_jax_is_refused():
    runtime.initialise()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # JAX's own
        child = os.fork()
    if child == 0:
        try:
            runtime.initialise()
        except ValueError as error:
            os._exit(42 if "spawn" in str(error) else 1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 42
    runtime.initialise()


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        (
            "XLA_FLAGS",
            "--nonsense",
            "XLA cannot start with XLA_FLAGS=--nonsense: Unknown flag in XLA_FLAGS: --nonsense",
        ),
        (
            "XLA_FLAGS",
            "--xla_cpu_enable_fast_math=abc",
            "Couldn't interpret value abc for flag xla_cpu_enable_fast_math",
        ),
        ("XLA_FLAGS", "nowhere", 'XLA_FLAGS=nowhere: Could not open file "nowhere"'),
        (
            "JAX_HLO_SOURCE_FILE_CANONICALIZATION_REGEX",
            "(",
            "see .*JAX_HLO_SOURCE_FILE_CANONICALIZATION_REGEX.*: missing",
        ),
    ],
)
def test_settings_under_which_nothing_starts_are_one_clear_line(tmp_path, name, value, reason):
    code = "from flylab.base import runtime\ntry: runtime.initialise()\nexcept ValueError as error: print(error)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=os.environ | {name: value}
    )
    assert done.returncode == 0, done.stderr
    assert re.search(reason, done.stdout)
    assert done.stdout.count("\n") == 1


def test_flags_that_xla_reads_are_no_problem(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=false --xla_force_host_platform_device_count=2")
    settings.check_flags()
