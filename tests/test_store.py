import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import xarray as xr

from flylab import store


@pytest.fixture
def data():
    return xr.Dataset(
        {"x": (("model", "seed"), np.random.rand(2, 3).astype("f4")), "p": ("seed", np.arange(3, dtype="u1"))},
        {"model": ["mlp", "größer"], "seed": [0, 1, 2]},
        {"study": "s"},
    )


def test_round_trip(tmp_path, data):
    store.save(tmp_path / "a.nc", data)
    back = store.open_checked(tmp_path / "a.nc")
    xr.testing.assert_identical(back.drop_attrs(deep=False), data.drop_attrs(deep=False))
    assert back.x.dtype == np.float32
    assert os.listdir(tmp_path) == ["a.nc"]


@pytest.mark.parametrize("damage", ["truncated", "flipped", "foreign", "empty", "other"])
def test_damage_is_found(tmp_path, data, damage):
    path = tmp_path / "a.nc"
    store.save(path, data)
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        content = content[:-100]
    elif damage == "flipped":
        content[content.find(data.x.values.tobytes()) + 5] ^= 16
    elif damage == "foreign":
        content = bytearray(b"not a netCDF file")
    elif damage == "empty":
        content = bytearray()
    path.write_bytes(content)
    if damage == "other":
        (data + 1).to_netcdf(path, engine="h5netcdf")
    with pytest.raises(store.CorruptedError, match=r"a\.nc"):
        store.open_checked(path)


def test_checksum_sees_values_names_and_attributes(data):
    one = store.checksum(data)
    assert store.checksum(data.copy(deep=True)) == one
    for other in (
        data.assign(x=data.x + 1),
        data.rename(x="y"),
        data.assign_attrs(study="t"),
        data.isel(seed=[1, 0, 2]),
    ):
        assert store.checksum(other) != one


def test_failed_write_leaves_the_old(tmp_path, monkeypatch):
    path = tmp_path / "a"
    store.write_atomic(path, "old")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        store.write_atomic(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]


def test_killed_writers_leave_no_half_file(tmp_path):
    """A process writes two contents in turn and is killed: one of them stands there, whole."""
    code = """
        import sys, pathlib
        from flylab.store import write_atomic
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
    store.remove_leftovers(tmp_path)
    assert os.listdir(tmp_path) == ["a"]


def test_leftovers_of_living_writers_stay(tmp_path):
    (tmp_path / f".{os.getpid()}-x.tmp").touch()
    store.remove_leftovers(tmp_path)
    assert len(os.listdir(tmp_path)) == 1


def test_unwritable_folder_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"cannot write to .*file.*--out"):
        store.writable(tmp_path / "file" / "runs")
