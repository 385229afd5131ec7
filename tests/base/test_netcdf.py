import hashlib
import json
import os

import h5py
import numpy as np
import pytest
import xarray as xr

from flylab.base import bounds, netcdf


@pytest.fixture
def data():
    return xr.Dataset(
        {"x": (("model", "seed"), np.random.rand(2, 3).astype("f4")), "p": ("seed", np.arange(3, dtype="u1"))},
        {"model": ["mlp", "größer"], "seed": [0, 1, 2]},
        {"study": "s"},
    )


def test_round_trip(tmp_path, data):
    netcdf.save(tmp_path / "a.nc", data)
    back = netcdf.open_checked(tmp_path / "a.nc")
    xr.testing.assert_identical(back.drop_attrs(deep=False), data.drop_attrs(deep=False))
    assert back.x.dtype == np.float32
    assert os.listdir(tmp_path) == ["a.nc"]


@pytest.mark.parametrize("damage", ["truncated", "flipped", "foreign", "empty", "other"])
def test_damage_is_found(tmp_path, data, damage):
    path = tmp_path / "a.nc"
    netcdf.save(path, data)
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
    with pytest.raises(netcdf.CorruptedError, match=r"a\.nc"):
        netcdf.open_checked(path)


def test_checksums_are_those_of_earlier_files():
    """Texts are hashed in parts; a checksum that changed would make stored results damaged."""
    words = np.array([["a", "größer", "\x01"], ["", "😀", "b"]], dtype=object)
    for texts in (words, words[0], words[:0], words[:, :0], np.array("a"), np.array([f"{i}" for i in range(20_001)])):
        values = np.arange(6).reshape(2, 3)[:, ::-1]
        data = xr.Dataset({"x": (("i", "j")[: texts.ndim], texts), "n": (("k", "l"), values)}, attrs={"a": 1})
        content = [
            (["n", ["k", "l"], [2, 3], values.dtype.str], np.ascontiguousarray(values).tobytes()),
            (["x", ["i", "j"][: texts.ndim], list(texts.shape), "text"],
             json.dumps(np.atleast_1d(texts).tolist()).encode()),
        ]  # fmt: skip
        whole = b"".join(json.dumps(about).encode() + data for about, data in content) + b'{"a": "1"}'
        assert netcdf.checksum(data) == hashlib.sha256(whole).hexdigest()


def test_times_and_durations_are_the_numbers_that_were_saved(tmp_path):
    numbers = {"t": ("i", [1, 2], {"units": "seconds"}), "d": ("i", [3, 4], {"units": "days since 2000-01-01"})}
    data = xr.Dataset(numbers)
    netcdf.save(tmp_path / "a.nc", data)
    assert netcdf.open_checked(tmp_path / "a.nc").d.values.tolist() == [3, 4]


def test_checksum_sees_values_names_and_attributes(data):
    one = netcdf.checksum(data)
    assert netcdf.checksum(data.copy(deep=True)) == one
    for other in (
        data.assign(x=data.x + 1),
        data.rename(x="y"),
        data.assign_attrs(study="t"),
        data.isel(seed=[1, 0, 2]),
    ):
        assert netcdf.checksum(other) != one


def test_damage_is_found_before_hdf5_reads_it(tmp_path, data, monkeypatch):
    """A damaged heap can keep HDF5 busy for ever, where no signal is heard."""
    path = tmp_path / "a.nc"
    netcdf.save(path, data)
    content = bytearray(path.read_bytes())
    content[content.find(b"GCOL") + 40] ^= 1
    path.write_bytes(content)
    monkeypatch.setattr(netcdf, "_read", lambda path: pytest.fail("HDF5 reads it"))
    with pytest.raises(netcdf.CorruptedError, match="does not match its checksum"):
        netcdf.open_checked(path)


def test_a_file_without_a_seal_is_read_and_one_with_it_is_plain_netcdf(tmp_path, data):
    path = tmp_path / "a.nc"
    netcdf.save(path, data)
    with xr.open_dataset(path, engine="h5netcdf") as file:
        assert file.identical(netcdf.open_checked(path))
    path.write_bytes(path.read_bytes().rpartition(netcdf.SEAL)[0])
    assert netcdf.checksum(netcdf.open_checked(path)) == netcdf.checksum(data)


def test_text_of_any_size_and_shape_is_read_back(tmp_path, data, monkeypatch):
    """Also where it has to be read in pieces, since each text might be as long as the file."""
    monkeypatch.setattr(bounds, "MOST_BYTES", 2**16)
    words = np.array([[f"{i}-{j}" for j in range(7)] for i in range(40)], dtype=object)
    data = data.assign(words=(("i", "j"), words), word=((), "a" * 500))
    netcdf.save(tmp_path / "a.nc", data)
    back = netcdf.open_checked(tmp_path / "a.nc")
    assert back.words.values.tolist() == words.tolist()
    assert back.word.item() == "a" * 500


def test_many_places_of_one_text_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(bounds, "MOST_BYTES", 2**16)
    path = tmp_path / "a.nc"
    for kind, kwargs in {"shape": {"shape": (300,)}, "attribute": {"shape": ()}}.items():
        with h5py.File(path, "w") as file:
            array = file.create_dataset("model", dtype=h5py.string_dtype(), fillvalue="a" * 2000, **kwargs)
            if kind == "attribute":
                array.attrs["words"] = ["a" * 30] * 2000
        with pytest.raises(netcdf.CorruptedError, match=r"a\.nc .*TooLargeError: its \d+ bytes would take"):
            netcdf.open_checked(path)
