import os
import re
import socket
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

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


def test_leftovers_of_living_writers_stay(tmp_path, monkeypatch):
    """Also of those whose process number means nothing here, such as in another container: their locks are held."""
    replace, seen = os.replace, []

    def meanwhile(*paths):
        files.remove_leftovers(tmp_path)
        seen.append(os.listdir(tmp_path))
        replace(*paths)

    monkeypatch.setattr(os, "replace", meanwhile)
    files.write_atomic(tmp_path / "a", "content")
    assert re.fullmatch(r"\.flylab-\w+\.tmp", seen[0][0])
    assert (tmp_path / "a").read_text() == "content"


def test_nothing_is_removed_that_flylab_did_not_make(tmp_path):
    (tmp_path / ".flylab-dead.tmp").write_text("half")
    (tmp_path / "target").write_text("mine")
    (tmp_path / ".flylab-link.tmp").symlink_to(tmp_path / "target")
    os.mkfifo(tmp_path / ".flylab-pipe.tmp")
    (tmp_path / ".flylab-folder.tmp").mkdir()
    for name in (".4194305-x.tmp", ".1-other.tmp", "notes.tmp", ".hidden.tmp"):
        (tmp_path / name).touch()
    before = set(os.listdir(tmp_path))
    files.remove_leftovers(tmp_path)
    assert before - set(os.listdir(tmp_path)) == {".flylab-dead.tmp"}
    assert (tmp_path / "target").read_text() == "mine"


def test_a_leftover_that_is_taken_for_one_in_time_is_made_again(tmp_path, monkeypatch):
    """Another process may lock a temporary file between its creation and its own lock, and delete it."""
    lock, n = files._locked, []

    def late(handle):
        if not n:
            n.append(1)
            files.remove_leftovers(tmp_path)
        return lock(handle)

    monkeypatch.setattr(files, "_locked", late)
    files.write_atomic(tmp_path / "a", "content")
    assert (tmp_path / "a").read_text() == "content"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_umask_is_honoured_and_permissions_are_kept(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        files.write_atomic(tmp_path / "new", "a")
        files.write_atomic(tmp_path / "secret", "a", mode=0o600)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == mode
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
    (tmp_path / "new").chmod(0o640)
    files.write_atomic(tmp_path / "new", "b")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


def special(folder):
    """Paths that are no files, by what they are."""
    os.mkfifo(folder / "pipe")
    (folder / "file").write_text("mine")
    (folder / "link").symlink_to(folder / "file")
    (folder / "dangling").symlink_to(folder / "none")
    (folder / "folder").mkdir()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "socket"))
    listener.close()
    links = {folder / "link": "a link", folder / "dangling": "a link"}
    return links | {Path(os.devnull): "a device", folder / "pipe": "a pipe", folder / "folder": "a folder",
                    folder / "socket": "a socket"}  # fmt: skip


def test_only_files_are_written_and_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # paths of sockets must be short
    for path, kind in special(Path()).items():
        with pytest.raises(OSError, match=f"cannot write {path}: it is {kind}"):
            files.write_atomic(path, "content")
        if kind != "a link":
            with pytest.raises(OSError, match=f"{path} is {kind}, not a file"):
                files.read_bytes(path)
    assert Path("link").is_symlink()
    assert files.read_bytes(Path("link")) == b"mine"
    assert not Path(os.devnull).is_file()


def test_a_tilde_is_the_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert files.user_path("~/a") == tmp_path / "a"
    assert files.user_path("a~/~") == Path("a~/~")
    for chosen in ("~/cache", "cache", ""):  # not absolute, and so invalid
        monkeypatch.setenv("XDG_CACHE_HOME", chosen)
        assert files.user_cache("x") == tmp_path / ".cache/flylab/x"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "c"))
    assert files.user_cache("x") == tmp_path / "c/flylab/x"


def test_a_taken_name_gets_a_number(tmp_path):
    assert files.free(tmp_path / "a") == tmp_path / "a"
    (tmp_path / "a").symlink_to("nowhere")
    (tmp_path / "a-2").touch()
    assert files.free(tmp_path / "a") == tmp_path / "a-3"


def test_unwritable_folder_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"cannot write to .*file.*--out"):
        files.writable(tmp_path / "file" / "runs")


def test_unwritable_path_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"cannot write .*file/x\.npz"):
        files.write_atomic(tmp_path / "file" / "x.npz", "")
