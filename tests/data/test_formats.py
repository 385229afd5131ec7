"""Data sets as files: all four formats hold the same, and bad files get a clear error."""

import json
import pickle

import numpy as np
import pytest

from flylab.base import optional
from flylab.data import MNIST1D, DataFileError, Dataset, Templates, formats, load, published, save
from flylab.data.generator import generated
from flylab.data.splits import SETS

SMALL = MNIST1D(n_train=30, n_valid=10, n_test=20)
EVERY = pytest.mark.parametrize("kind", formats.FORMATS)
FEW = Templates.of([[0, 1, 2], [1, 0, 1]], y=[3, 1])


def assert_same(got, want):
    for name in ("train", "valid", "test"):
        for a, b in zip(getattr(got, name), getattr(want, name), strict=True):
            assert np.asarray(a).dtype == np.asarray(b).dtype
            np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(got.t, want.t)
    assert got.config == want.config
    assert got.templates == want.templates


@EVERY
@pytest.mark.parametrize(
    "splits",
    [
        published(SMALL),
        generated(MNIST1D(n_train=7, n_valid=0, n_test=3, final_seq_length=25)),
        published(MNIST1D(n_train=4, n_valid=2, n_test=4, templates=FEW, classes=(3,), permutation=range(39, -1, -1))),
    ],
    ids=["published", "generated", "templates"],
)
def test_round_trip(kind, splits, tmp_path):
    path = save(tmp_path / f"data.{kind}", splits)
    assert_same(load(path), splits)


@EVERY
def test_images_without_config(kind, tmp_path):
    rng = np.random.default_rng(0)
    sets = [Dataset(rng.normal(size=(n, 4, 3, 2)).astype("f4"), np.arange(n, dtype="u1")) for n in (5, 1, 2)]
    splits = published(SMALL)._replace(train=sets[0], valid=sets[1], test=sets[2], config=None, templates=None)
    assert_same(load(save(tmp_path / f"data.{kind}", splits)), splits)


@EVERY
def test_ending_may_be_anything(kind, tmp_path):
    path = save(tmp_path / "data", published(SMALL), format=kind)
    assert load(str(path)).config == SMALL


def test_others_can_read_them(tmp_path):
    import pandas as pd
    import safetensors.numpy

    splits = published(SMALL)
    paths = {kind: save(tmp_path / f"data.{kind}", splits) for kind in formats.FORMATS}
    for table in (pd.read_csv(paths["csv"], comment="#"), pd.read_parquet(paths["parquet"])):
        train = table[table.split == "train"]
        np.testing.assert_array_equal(train.filter(regex="^x").to_numpy(), splits.train.x)
        np.testing.assert_array_equal(train.label, splits.train.y)
    with np.load(paths["npz"], allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["x_test"], splits.test.x)
    np.testing.assert_array_equal(safetensors.numpy.load_file(paths["safetensors"])["t"], splits.t)


@EVERY
def test_truncated(kind, tmp_path):
    path = save(tmp_path / f"data.{kind}", published(SMALL))
    whole = path.read_bytes()
    for n in (0, 5, len(whole) // 2, len(whole) - 3):
        path.write_bytes(whole[:n])
        with pytest.raises(DataFileError, match=str(path)):
            load(path)


@EVERY
def test_a_flipped_bit_is_noticed(kind, tmp_path):
    path = save(tmp_path / f"data.{kind}", published(SMALL))
    content = bytearray(path.read_bytes())
    content[-200 if kind == "csv" else len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataFileError):
        load(path)


def test_changed_value_fails_the_checksum(tmp_path):
    path = save(tmp_path / "data.csv", published(SMALL))
    path.write_text(path.read_text().replace("\ntrain,", "\ntest,", 1))
    with pytest.raises(DataFileError, match=r"does not match its checksum.*write it again"):
        load(path)


def test_other_version(tmp_path):
    path = save(tmp_path / "data.csv", published(SMALL))
    path.write_text(path.read_text().replace("flylab data 1", "flylab data 2"))
    with pytest.raises(DataFileError, match="version 2, this flylab reads 1"):
        load(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"\x89PNG\r\n",
        json.dumps({"a": 1}).encode(),
        pickle.dumps({"x": 1}),
        b"# flylab {}\n",
        b"PAR1PAR1",
    ],
)
def test_foreign(content, tmp_path):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(DataFileError, match="not a data file of flylab"):
        load(tmp_path / "file")


def test_foreign_npz(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.ones(3))
    np.savez(tmp_path / "b.npz", flylab=np.array([print], dtype=object))  # a pickle inside: never run
    for name in ("a.npz", "b.npz"):
        with pytest.raises(DataFileError):
            load(tmp_path / name)


def test_sets_that_a_file_cannot_hold(tmp_path):
    splits = published(SMALL)
    for bad in (
        splits._replace(test=Dataset(splits.test.x.astype("f4"), splits.test.y)),
        splits._replace(test=Dataset(splits.test.x, splits.test.y.astype("u1"))),
        *(splits._replace(**{name: Dataset(getattr(splits, name).x, getattr(splits, name).y.astype(str))
                             for name in ("train", "valid", "test")}),),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"must have the same (numeric|integer) type"):
            save(tmp_path / "a.csv", bad)
    with pytest.raises(ValueError, match="must be an MNIST1D or None"):
        save(tmp_path / "a.csv", splits._replace(config={"my": 1}))
    assert not list(tmp_path.iterdir())


@EVERY
def test_other_byte_order(kind, tmp_path):
    splits = published(SMALL)
    swapped = splits._replace(**{
        name: Dataset(getattr(splits, name).x.astype(">f8"), getattr(splits, name).y) for name in SETS
    })  # fmt: skip
    np.testing.assert_array_equal(load(save(tmp_path / f"a.{kind}", swapped)).train.x, splits.train.x)


@pytest.mark.parametrize(("old", "new"), [('"config": {', '"config": {"brand_new": 1, '), ('"checksum"', '"sum"')])
def test_config_of_a_newer_version(old, new, tmp_path):
    path = save(tmp_path / "data.csv", published(SMALL))
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataFileError, match=str(path)):
        load(path)


def test_bad_places_and_formats(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.npz")
    for kwargs in ({"path": "a.xls"}, {"path": "a"}, {"path": "a.npz", "format": "hdf"}):
        with pytest.raises(ValueError, match="must be one of npz, parquet, csv, safetensors"):
            save(tmp_path / kwargs.pop("path"), published(SMALL), **kwargs)
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="cannot write"):
        save(tmp_path / "file" / "a.npz", published(SMALL))


def test_missing_package(tmp_path, monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(name=name.partition(".")[0])

    monkeypatch.setattr(optional.importlib, "import_module", missing)
    with pytest.raises(optional.MissingExtraError, match=r"pip install 'flylab\[data\]'"):
        save(tmp_path / "a.parquet", published(SMALL))
    assert not (tmp_path / "a.parquet").exists()
