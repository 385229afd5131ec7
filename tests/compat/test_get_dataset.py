"""What `get_dataset` loads, makes, keeps and refuses."""

import functools
import json
import os
import pickle
import random
import socket

import mnist1d
import numpy as np
import pytest

from flylab.compat import mnist1d as ours
from flylab.compat.pickles import UnsafePickleError


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("opens a connection"))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data.pkl"


@pytest.fixture
def args():
    return small()


def small(**changes):
    args = ours.get_dataset_args()
    vars(args).update({"num_samples": 50} | changes)
    return args


def beside(path):
    return path.with_name(path.name + ".json")


def own(args, path, **options):
    return ours.get_dataset(args, path, **{"verbose": False, "download": False} | options)


def make(args, template=None):
    """As the set should be, by the reference, with the global generators as they were."""
    if template is None:
        return dict(_made(json.dumps(vars(args))))
    kept = np.random.get_state(), random.getstate()
    data = mnist1d.data.make_dataset(args, template)
    np.random.set_state(kept[0])
    random.setstate(kept[1])
    return data


@functools.cache
def _made(args):
    return make(ours.ObjectView(json.loads(args)), ours.get_templates())


def assert_same(got, want):
    assert list(got) == list(want)
    for name in ("x", "x_test", "y", "y_test", "t"):
        np.testing.assert_allclose(got[name], want[name], rtol=0, atol=1e-9, strict=True)


class States:
    """Whether the global generators were left alone, or left as `make_dataset` leaves them."""

    def __enter__(self):
        ours.set_seed(987)
        return self

    def __exit__(self, *_):
        self.after = np.random.rand(), random.random()

    def untouched(self):
        ours.set_seed(987)
        return self.after == (np.random.rand(), random.random())

    def as_made(self, args, template=None):
        mnist1d.data.make_dataset(args, template)
        return self.after == (np.random.rand(), random.random())


PUBLISHED = ours.make_dataset()


# made, saved and loaded


def test_made_saved_and_loaded(path, args):
    with States() as states:
        assert_same(own(args, path), make(args))
    assert states.as_made(args)
    before = path.read_bytes(), beside(path).read_bytes()
    with States() as states:
        got = own(args, path)
    assert states.untouched()
    assert_same(got, make(args))
    assert got["x"].flags.writeable
    assert (path.read_bytes(), beside(path).read_bytes()) == before
    assert sorted(os.listdir(path.parent)) == ["data.pkl", "data.pkl.json"]
    np.testing.assert_array_equal(got["templates"]["x"], ours.get_templates()["x"])


def test_the_reference_reads_what_is_saved(path, args):
    own(args, path)
    assert_same(mnist1d.get_dataset(args, path=str(path), download=False, verbose=False), make(args))
    assert_same(pickle.loads(path.read_bytes()), make(args))


def test_the_sidecar_says_of_which_arguments(path):
    own(small(padding=(36, 60), shuffle_seq=1, seed=3, unknown=object()), path)
    sidecar = json.loads(beside(path).read_text())
    assert sidecar["format"] == "flylab mnist1d cache 1"
    assert sidecar["args"]["padding"] == [36, 60]
    assert sidecar["args"]["shuffle_seq"] is True
    assert set(sidecar["args"]) == set(ours.get_dataset_args(as_dict=True)) - {"url"}
    assert len(sidecar["templates"]) == len(sidecar["sha256"]) == 64


@pytest.mark.parametrize(
    "same",
    [{"padding": (36, 60)}, {"url": "elsewhere"}, {"unknown": object()}, {"scale_coeff": np.float64(0.4)},
     {"num_samples": np.int32(50)}, {"padding": np.array([36, 60])}, {"shuffle_seq": 0}],
)  # fmt: skip
def test_equal_arguments_load(path, args, same):
    own(args, path)
    with States() as states:
        own(small(**same), path)
    assert states.untouched()


@pytest.mark.parametrize(
    ("change", "says"),
    [({"num_samples": 60}, "num_samples: 50 → 60"), ({"padding": [1, 60]}, r"padding: \[36, 60\] → \[1, 60\]"),
     ({"seed": 1, "scale_coeff": 0.5}, r"scale_coeff: 0\.4 → 0\.5, seed: 42 → 1"), ({"seed": None}, "seed: 42 → None")],
)  # fmt: skip
def test_other_arguments_renew_the_file_with_a_warning(path, args, change, says):
    own(args, path)
    other = small(**change)
    with (
        States() as states,
        pytest.warns(UserWarning, match=rf"data\.pkl was made with other arguments \({says}\)") as warned,
    ):
        got = own(other, path)
    assert warned[0].filename == __file__
    if other.seed is not None:
        assert states.as_made(other)
        assert_same(got, make(other))
    assert_same(own(other, path), got)


def test_templates_count(path, args):
    template = ours.get_templates()
    template["x"] = -template["x"]
    got = own(args, path, template=template)
    assert got["templates"] is template
    assert_same(got, make(args, template))
    assert_same(own(args, path, template=template), got)
    assert_same(own(args, path, template={name: list(values) for name, values in template.items()}), got)
    with pytest.warns(UserWarning, match=r"\(other templates\)"):
        assert_same(own(args, path), make(args))
    template["y"] = np.array(list("abcdefghij"))
    with pytest.warns(UserWarning, match=r"\(other templates\)"):
        assert own(args, path, template=template)["y"].dtype == "<U1"
    assert own(args, path, template=template)["y_test"].dtype == "<U1"


def test_regenerate_overwrites_anything(path, args):
    for content in (
        None,
        b"",
        b"garbage",
        pickle.dumps({"a": 1}),
        pickle.dumps(print),
        pickle.dumps(make(small(seed=1))),
    ):
        if content is not None:
            path.write_bytes(content)
        with States() as states:
            assert_same(own(args, path, regenerate=True), make(args))
        assert states.as_made(args)
        assert_same(own(args, path), make(args))


def test_without_a_seed_the_file_is_loaded_again(path):
    got = own(small(seed=None), path)
    assert_same(own(small(seed=None), path), got)
    beside(path).unlink()
    assert_same(own(small(seed=None), path), got)


def test_the_default_path(tmp_path, monkeypatch, args, capsys):
    monkeypatch.chdir(tmp_path)
    ours.get_dataset(args, download=False)
    ours.get_dataset(args, download=False)
    assert sorted(os.listdir()) == ["mnist1d_data.pkl", "mnist1d_data.pkl.json"]
    out = capsys.readouterr().out.splitlines()
    assert out == ["Making the data set and saving it to mnist1d_data.pkl", "Loaded the data set from mnist1d_data.pkl"]
    ours.get_dataset(args, None, False, False)
    assert capsys.readouterr().out == ""


def test_no_arguments_are_the_published_ones(path):
    assert_same(own(None, path), PUBLISHED)


def test_a_device_gets_no_sidecar(args):
    assert_same(own(args, os.devnull, regenerate=True), make(args))
    assert not os.path.exists(os.devnull + ".json")
    assert not os.path.isfile(os.devnull)


def test_a_crash_between_file_and_sidecar_is_survived(path, args, monkeypatch):
    """The new set with the old sidecar: it is found to be what the new arguments make."""
    own(args, path)
    old, other = beside(path).read_bytes(), small(seed=5)
    own(other, path, regenerate=True)
    beside(path).write_bytes(old)
    with States() as states:
        assert_same(own(other, path), make(other))
    assert states.untouched()


def test_what_could_not_be_read_back_is_not_saved(path, args):
    template = ours.get_templates() | {"more": object()}
    with pytest.warns(UserWarning, match=r"not saved to .*data\.pkl.*builtins\.object"):
        assert_same(own(args, path, template=template), make(args))
    assert not path.exists()


# files of unknown origin


@pytest.fixture
def foreign(path, args):
    """The reference package's file."""
    mnist1d.to_pickle(make(args), path)
    return path.read_bytes()


def test_the_references_file_is_loaded(path, args, foreign):
    data = make(args) | {"note": "a key of one's own"}
    mnist1d.to_pickle(data, path)
    with States() as states:
        got = own(args, path)
    assert states.untouched()
    assert_same(got, data)
    assert got["note"] == data["note"]
    assert not beside(path).exists()


def test_the_type_of_numbers_does_not_matter(path, args):
    path.write_bytes(pickle.dumps(changed(make(args), "y", lambda y: y.astype("u1"))))
    assert own(args, path)["y"].dtype == "u1"


def changed(data, name, value):
    return data | {name: value(data[name])}


OTHERS = {
    "another set": lambda args: make(small(seed=1)),
    "another size": lambda args: make(small(num_samples=100)),
    "one number": lambda args: changed(make(args), "x_test", lambda x: x + 1e-6 * (x == x.max())),
    "one label": lambda args: changed(make(args), "y", lambda y: np.concatenate([y[:-1], 9 - y[-1:]])),
    "labels as text": lambda args: changed(make(args), "y", lambda y: y.astype(str)),
    "signals as text": lambda args: changed(make(args), "x", lambda x: x.astype(str)),
    "a list": lambda args: changed(make(args), "x", np.ndarray.tolist),
    "labels 0 and 1": lambda args: changed(make(args), "y", lambda y: y > 0),
    "less": lambda args: {"x": make(args)["x"]},
    "something else": lambda args: [1, 2, 3],
    "nothing": lambda args: None,
}


@pytest.mark.parametrize("content", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("sidecar", [None, b"{", b"[]", b'{"format": "flylab mnist1d cache 1"}', "stale"])
def test_another_file_is_kept_and_the_set_made(path, args, content, sidecar):
    if sidecar == "stale":
        own(args, path)
    elif sidecar is not None:
        beside(path).write_bytes(sidecar)
    path.write_bytes(before := pickle.dumps(content(args)))
    says = r"data\.pkl is of unknown origin .* regenerate=True .* another path.* from_pickle\("
    with States() as states, pytest.warns(UserWarning, match=says) as warned:
        got = own(args, path)
    assert warned[0].filename == __file__
    assert states.as_made(args)
    assert_same(got, make(args))
    assert path.read_bytes() == before


def test_without_a_seed_another_file_is_loaded(path):
    mnist1d.to_pickle({"x": np.arange(3)}, path)
    assert own(small(seed=None), path)["x"].tolist() == [0, 1, 2]


UNREADABLE = {
    "empty": lambda content: b"",
    "truncated": lambda content: content[: len(content) // 2],
    "page": lambda content: b"<!DOCTYPE html>",
    "zip": lambda content: b"PK\x03\x04\x00",
}


@pytest.mark.parametrize("damage", UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_is_renewed_if_it_is_ours(path, args, damage):
    own(args, path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.warns(UserWarning, match=r"data\.pkl cannot be read .* overwritten") as warned, States() as states:
        assert_same(own(args, path), make(args))
    assert warned[0].filename == __file__
    assert states.as_made(args)
    assert_same(own(args, path), make(args))


@pytest.mark.parametrize("options", [{}, {"download": True}])
@pytest.mark.parametrize("damage", UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_is_replaced_and_kept_aside_if_it_is_not_ours(path, args, foreign, damage, options):
    path.write_bytes(before := damage(foreign))
    args = ours.get_dataset_args() if options else args
    with pytest.warns(UserWarning, match=r"data\.pkl cannot be read .* now called data\.pkl\.broken"):
        got = own(args, path, **options)
    assert len(got["y"]) == 0.8 * args.num_samples
    assert path.with_name("data.pkl.broken").read_bytes() == before
    assert_same(own(args, path, **options), got)  # from the file, without a warning


def test_a_home_folder_is_meant_by_its_sign(tmp_path, monkeypatch, args):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    own(args, "~/data.pkl")
    ours.to_pickle([1], "~/other.pkl")
    assert ours.from_pickle("~/other.pkl") == [1]
    assert {path.name for path in (tmp_path / "home").iterdir()} == {"data.pkl", "data.pkl.json", "other.pkl"}
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


class Attack:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("download", [False, True])
@pytest.mark.parametrize("is_vouched_for", [False, True])
def test_an_unsafe_file_is_refused_and_nothing_run_or_overwritten(path, args, download, is_vouched_for):
    if is_vouched_for:
        own(args, path)
    data = make(args) | {"x": Attack(f"touch {path.parent}/marker")}
    path.write_bytes(before := pickle.dumps(data))
    with States() as states, pytest.raises(UnsafePickleError, match=r"data\.pkl asks for \w+\.system"):
        own(ours.get_dataset_args() if download else args, path, download=download)
    assert states.untouched()
    assert path.read_bytes() == before
    assert not (path.parent / "marker").exists()


# the published set


def published(path, args=None, **options):
    return ours.get_dataset(ours.get_dataset_args() if args is None else args, path, verbose=False, **options)


def test_the_published_set_leaves_the_generators_alone(path):
    for _ in range(2):  # made, loaded
        with States() as states:
            assert_same(published(path), PUBLISHED)
        assert states.untouched()
    assert beside(path).exists()
    with States() as states:
        own(ours.get_dataset_args(), path)  # what is the same set is loaded
    assert states.untouched()


def test_the_published_file_of_another_package_is_loaded(path):
    mnist1d.to_pickle(PUBLISHED | {"mark": 1}, path)
    with States() as states:
        assert published(path)["mark"] == 1
    assert states.untouched()
    assert not beside(path).exists()


@pytest.mark.parametrize(
    ("args", "says"),
    [({"num_samples": 50}, "num_samples: 5000 → 50"), ({"padding": (36, 61)}, "padding"), ({"seed": None}, "seed"),
     ({"shuffle_seq": True, "train_split": 0.5}, "train_split: 0.8 → 0.5, shuffle_seq: False → True")],
)  # fmt: skip
def test_downloading_something_else_warns(path, args, says):
    asked = ours.get_dataset_args()
    vars(asked).update(args)
    with pytest.warns(UserWarning, match=rf"published set, .*{says}.* give download=False") as warned:
        assert_same(published(path, asked), PUBLISHED)
    assert warned[0].filename == __file__
    assert_same(published(path), PUBLISHED)


def test_downloading_with_templates_warns(path):
    template = ours.get_templates()
    assert_same(published(path, template=template), PUBLISHED)
    template["x"] = 2 * template["x"]
    with pytest.warns(UserWarning, match=r"other templates.*download=False"):
        assert_same(published(path, template=template), PUBLISHED)


@pytest.mark.parametrize("args", [{"padding": (36, 60)}, {"url": None}, {"unknown": 1}, {"shuffle_seq": 0}])
def test_downloading_the_published_set_does_not_warn(path, args):
    asked = ours.get_dataset_args()
    vars(asked).update(args)
    assert_same(published(path, asked), PUBLISHED)


def test_downloading_with_few_arguments(path):
    assert_same(published(path, ours.ObjectView({"url": "https://example.org"})), PUBLISHED)


def test_another_file_in_the_published_sets_place(path, args):
    own(args, path)  # ours, of other arguments: renewed
    with States() as states, pytest.warns(UserWarning, match=r"made with other arguments \(num_samples: 50 → 5000\)"):
        assert_same(published(path), PUBLISHED)
    assert states.untouched()
    assert_same(published(path), PUBLISHED)
    beside(path).unlink()
    path.write_bytes(before := pickle.dumps(make(args)))  # of unknown origin: kept
    with States() as states, pytest.warns(UserWarning, match="unknown origin"):
        assert_same(published(path), PUBLISHED)
    assert states.untouched()
    assert path.read_bytes() == before


def test_download_and_regenerate_exclude_each_other(path, args):
    for package in (ours, mnist1d):
        with pytest.raises(AssertionError):
            package.get_dataset(args, path, download=True, regenerate=True)
    with pytest.raises(AssertionError, match="download=False"):
        ours.get_dataset(args, path, regenerate=True)
    assert not path.exists()


def test_unknown_options_are_refused(path, args):
    with pytest.raises(TypeError, match="templates"):
        own(args, path, templates=None)


def test_a_set_that_cannot_be_made_again_is_kept(path):
    own(small(seed=None), path)
    content = path.read_bytes()
    with pytest.warns(UserWarning, match="and no seed: it is kept"):
        own(small(), path)
    assert path.read_bytes() == content
    own(small(), path, regenerate=True)
    assert path.read_bytes() != content


def test_somebody_elses_json_is_kept(path, args):
    beside(path).write_text('{"mine": 1}')
    with pytest.warns(UserWarning, match="is not flylab's and is kept"):
        own(args, path)
    assert beside(path).read_text() == '{"mine": 1}'
    np.testing.assert_array_equal(own(args, path)["x"], make(args)["x"])  # found again, by its content


# arguments as a dictionary


def test_a_dictionary_of_arguments(path, args):
    as_dict = dict(vars(args)) | {"seed": 3}
    assert_same(own(as_dict, path), make(ours.ObjectView(as_dict)))
    assert json.loads(beside(path).read_text())["args"]["seed"] == 3
    assert_same(ours.make_dataset(as_dict), make(ours.ObjectView(as_dict)))
    assert as_dict == dict(vars(args)) | {"seed": 3}


def test_a_dictionary_that_asks_for_another_set_warns(path):
    with pytest.warns(UserWarning, match=r"args ask for another \(num_samples: 5000 → 50\); give download=False"):
        ours.get_dataset({"num_samples": 50}, path, verbose=False)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"num_sample": 50}, ValueError, "'num_sample' is no argument; there are num_samples, train_split"),
        ("mnist1d_data.pkl", TypeError, "args='mnist1d_data.pkl' must be arguments such as get_dataset_args()"),
        (5000, TypeError, "args=5000 must be arguments"),
        ({"seed": 1}, AttributeError, "'num_samples' is missing; there are seed"),
    ],
)
def test_what_are_no_arguments(path, given, error, message):
    with pytest.raises(error, match=message.replace("()", r"\(\)")):
        own(given, path)
    with pytest.raises(error, match=message.replace("()", r"\(\)")):
        ours.make_dataset(given)
