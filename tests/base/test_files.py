import os
import subprocess
import sys
import textwrap

import pytest

from flylab.base import files


def test_failed_write_leaves_the_old(tmp_path, monkeypatch):
    path = tmp_path / "a"
    files.write_atomic(path, "old")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        files.write_atomic(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]


def test_killed_writers_leave_no_half_file(tmp_path):
    """A process writes two contents in turn and is killed: one of them stands there, whole."""
    code = """
        import sys, pathlib
        from flylab.base.files import write_atomic
        path = pathlib.Path(sys.argv[1])
        write_atomic(path, "a" * 300_000); print("ready", flush=True)
        while True:
            for letter in "ab":
                write_atomic(path, letter * 300_000)
    """
    path = tmp_path / "a"
    for round_ in range(5):
        writer = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), str(path)], stdout=subprocess.PIPE)
        writer.stdout.readline()
        try:
            writer.wait(0.02 * (round_ + 1))
        except subprocess.TimeoutExpired:
            writer.kill()
        writer.wait()
        writer.stdout.close()
        assert path.read_text() in ("a" * 300_000, "b" * 300_000)
    files.remove_leftovers(tmp_path)
    assert os.listdir(tmp_path) == ["a"]


def test_leftovers_of_living_writers_stay(tmp_path):
    (tmp_path / f".{os.getpid()}-x.tmp").touch()
    files.remove_leftovers(tmp_path)
    assert len(os.listdir(tmp_path)) == 1


def test_unwritable_folder_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"cannot write to .*file.*--out"):
        files.writable(tmp_path / "file" / "runs")


def test_unwritable_path_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"cannot write .*file/x\.npz"):
        files.write_atomic(tmp_path / "file" / "x.npz", "")
