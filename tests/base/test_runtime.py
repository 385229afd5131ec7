"""Setting up JAX: the compilation cache, and devices that are not there."""

import os
import re
import subprocess
import sys
import textwrap
import time
import warnings

import jax
import pytest

from flylab.base import runtime, settings
from flylab.base.runtime import delete_broken, use_cache

CODE = """
    import sys, jax
    from flylab.base import runtime
    runtime.initialise()
    jax.jit(lambda x: jax.numpy.sin(x) @ jax.numpy.cos(x))(jax.numpy.ones((9, 9))).block_until_ready()
    print(jax.config.jax_compilation_cache_dir)
"""


def run(**environment):
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(CODE)]
    clean = {name: value for name, value in os.environ.items() if "CACHE" not in name}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=clean | environment)
    return done.stdout.strip()


def test_cache_is_in_the_users_folder_and_a_broken_entry_is_deleted(tmp_path):
    folder = run(XDG_CACHE_HOME=str(tmp_path))
    assert folder == str(tmp_path / "flylab" / "jax")
    entries = sorted((tmp_path / "flylab" / "jax").glob("*-cache"))
    assert entries
    content = entries[0].read_bytes()
    entries[0].write_bytes(content[: len(content) // 2])
    os.utime(entries[0], (time.time() + 5,) * 2)
    run(XDG_CACHE_HOME=str(tmp_path))  # warnings are errors: JAX warns of what it cannot read
    assert len(entries[0].read_bytes()) >= len(content) // 2 + 1


def test_a_folder_that_the_user_has_set_is_honoured(tmp_path):
    assert run(JAX_COMPILATION_CACHE_DIR=str(tmp_path / "own"), XDG_CACHE_HOME=str(tmp_path)) == str(tmp_path / "own")
    assert not (tmp_path / "flylab").exists()


def test_nothing_is_deleted_in_a_folder_that_the_user_has_set(tmp_path):
    (tmp_path / "notes-cache").write_text("mine")
    before = jax.config.jax_compilation_cache_dir
    try:
        jax.config.update("jax_compilation_cache_dir", str(tmp_path))
        use_cache()
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
    assert [path.name for path in tmp_path.iterdir()] == ["notes-cache"]


def test_an_unwritable_cache_folder_does_not_stop_anything(tmp_path):
    (tmp_path / "file").touch()
    assert run(XDG_CACHE_HOME=str(tmp_path / "file")) == "None"


def test_whole_entries_stay(tmp_path):
    import zlib

    (tmp_path / "good-cache").write_bytes(zlib.compress(b"program"))
    (tmp_path / "bad-cache").write_bytes(zlib.compress(b"program" * 100)[:-3])
    (tmp_path / "other").write_bytes(b"untouched")
    os.mkfifo(tmp_path / "pipe-cache")  # reading it would never end
    assert [path.name for path in delete_broken(tmp_path)] == ["bad-cache"]
    assert {path.name for path in tmp_path.iterdir()} == {"good-cache", "other", "pipe-cache", "flylab-checked"}


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
