"""The cache of compiled programs: where it is, whole entries, and broken ones."""

import os
import subprocess
import sys
import textwrap
import threading
import time

import jax
import pytest

from flylab.base import compilation_cache, runtime
from flylab.base.compilation_cache import delete_broken

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


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_folder_that_the_user_has_set_is_honoured(tmp_path):
    assert run(JAX_COMPILATION_CACHE_DIR=str(tmp_path / "own"), XDG_CACHE_HOME=str(tmp_path)) == str(tmp_path / "own")
    assert not (tmp_path / "flylab").exists()


def test_nothing_is_deleted_in_a_folder_that_the_user_has_set(tmp_path):
    (tmp_path / "notes-cache").write_text("mine")
    before = jax.config.jax_compilation_cache_dir
    try:
        jax.config.update("jax_compilation_cache_dir", str(tmp_path))
        compilation_cache.use()
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
    assert [path.name for path in tmp_path.iterdir()] == ["notes-cache"]


def test_an_unwritable_cache_folder_does_not_stop_anything(tmp_path):
    (tmp_path / "file").touch()
    assert run(XDG_CACHE_HOME=str(tmp_path / "file")) == "None"


def test_other_processes_see_only_whole_entries(tmp_path):
    from jax._src.lru_cache import LRUCache

    runtime.initialise()
    entry, sizes, content = tmp_path / "key-cache", set(), bytes(50_000_000)
    writing = threading.Thread(target=LRUCache(str(tmp_path), max_size=-1).put, args=("key", content))
    writing.start()
    while writing.is_alive():
        if entry.exists():
            sizes.add(entry.stat().st_size)
    assert sizes | {entry.stat().st_size} == {len(content)}
    assert [path.name for path in tmp_path.iterdir()] == ["key-cache"]


def test_whole_entries_stay(tmp_path):
    import zlib

    (tmp_path / "good-cache").write_bytes(zlib.compress(b"program"))
    (tmp_path / "bad-cache").write_bytes(zlib.compress(b"program" * 100)[:-3])
    (tmp_path / "other").write_bytes(b"untouched")
    os.mkfifo(tmp_path / "pipe-cache")  # reading it would never end
    assert [path.name for path in delete_broken(tmp_path)] == ["bad-cache"]
    assert {path.name for path in tmp_path.iterdir()} == {"good-cache", "other", "pipe-cache", "flylab-checked"}
