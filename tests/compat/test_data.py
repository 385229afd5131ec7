"""Names, arguments, templates and `make_dataset` against the reference's: numbers, types and random states."""

import inspect
import random
import sys
from types import SimpleNamespace

import mnist1d
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flylab.compat import mnist1d as ours


def state():
    return np.random.rand(), np.random.randn(), random.random()


def made(package, args=None, template=None, **changes):
    """A data set, and what the global generators give afterwards."""
    if args is None:
        args = package.get_dataset_args()
        args.num_samples = 100
        vars(args).update(changes)
    return package.data.make_dataset(args, template), state()


def assert_same(got, want):
    (got, got_state), (want, want_state) = got, want
    assert list(got) == list(want)
    for name in ("x", "x_test", "t", "y", "y_test"):
        assert got[name].dtype == want[name].dtype, name
    for name in ("x", "x_test", "t"):
        np.testing.assert_allclose(got[name], want[name], rtol=0, atol=1e-12, strict=True)
    for name in ("y", "y_test"):
        np.testing.assert_array_equal(got[name], want[name], strict=True)
    assert got_state == want_state


def test_names():
    for module in ("", ".data", ".transform", ".utils"):
        package = "flylab.compat.mnist1d"
        __import__(f"mnist1d{module}"), __import__(package + module)
        one, other = sys.modules[f"mnist1d{module}"], sys.modules[package + module]
        names = {
            name for name, value in vars(one).items() if callable(value) and name not in ("interp1d", "gaussian_filter")
        }
        assert {name for name in names if not name.startswith("_")} <= set(dir(other))
    assert {"data", "utils", "transform", "make_dataset"} <= set(dir(ours))
    assert ours.data.transform is ours.transform is ours.utils.transform


def test_arguments():
    assert ours.get_dataset_args(as_dict=True) == mnist1d.get_dataset_args(as_dict=True)
    args = ours.get_dataset_args()
    assert vars(args) == vars(mnist1d.get_dataset_args())
    assert isinstance(args.padding, list)
    for name, value in vars(args).items():
        assert type(value) is type(getattr(mnist1d.get_dataset_args(), name))
    args.padding[0] = 0
    assert ours.get_dataset_args().padding == [36, 60]


def test_templates():
    got, want = ours.get_templates(), mnist1d.get_templates()
    assert list(got) == list(want)
    for name in want:
        np.testing.assert_allclose(got[name], want[name], rtol=0, atol=1e-15, strict=True)
    got["x"][:] = 0
    assert ours.get_templates()["x"].any()


@pytest.mark.long
def test_the_default_is_the_published_set():
    got = ours.make_dataset(), state()
    want = mnist1d.data.make_dataset(), state()
    assert_same(got, want)
    for name in ("x", "t", "y"):
        np.testing.assert_allclose(got[0]["templates"][name], want[0]["templates"][name], atol=1e-15)


@pytest.mark.parametrize(
    "changes",
    [
        {}, {"shuffle_seq": True}, {"shuffle_seq": 1}, {"seed": 7, "num_samples": 109}, {"train_split": 0.333},
        {"train_split": 0}, {"train_split": 1}, {"train_split": 2.5}, {"train_split": -0.25}, {"padding": (0, 5)},
        {"padding": np.array([10, 20])}, {"max_translation": np.int64(100)}, {"iid_noise_scale": np.float32(0.1)},
        {"corr_noise_scale": 0}, {"scale_coeff": 2, "shear_scale": -1}, {"final_seq_length": 1}, {"url": None},
        {"final_seq_length": 360, "template_len": 30}, {"unknown": "x"}, {"seed": None, "max_translation": 1},
    ],
    ids=str,
)  # fmt: skip
def test_equals_the_reference(changes):
    got, want = made(ours, **changes), made(mnist1d, **changes)
    if changes.get("seed", 0) is None:
        assert got[0]["x"].shape == want[0]["x"].shape
        assert got[1] != want[1]
    else:
        assert_same(got, want)


scale = st.floats(-3, 3)


@settings(max_examples=25, deadline=None)
@given(
    num_samples=st.integers(10, 45), train_split=st.floats(-1, 1.5), low=st.integers(0, 50), more=st.integers(-10, 40),
    template_len=st.integers(3, 30), scales=st.tuples(scale, scale, scale, scale), max_translation=st.integers(1, 150),
    shuffle_seq=st.booleans(), final_seq_length=st.integers(1, 120), seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_equals_the_reference_for_any_arguments(low, more, scales, **changes):
    names = ("scale_coeff", "corr_noise_scale", "iid_noise_scale", "shear_scale")
    changes |= {"padding": [low, max(low + more, 0)]} | dict(zip(names, scales, strict=True))
    with np.errstate(all="ignore"):
        got, want = made(ours, **changes), made(mnist1d, **changes)
    if np.isfinite(np.concatenate([want[0]["x"], want[0]["x_test"]])).all():
        assert_same(got, want)


X, T = np.random.RandomState(0).randn(3, 17), np.linspace(0, 1, 17)
TEMPLATES = {
    "integers": {"x": X, "t": T, "y": np.array([4, 0, 7])},
    "small integers": {"x": X, "t": T, "y": np.array([4, 0, 7], "u1")},
    "text": {"x": X, "t": T, "y": np.array(["cat", "dog", "elephant"], "U30")},
    "a list": {"x": list(X), "t": T, "y": ["a", "bb", "a"]},
    "floats": {"x": X, "t": T, "y": np.array([0.5, 1.5, -1.0])},
    "one-hot": {"x": X, "t": T, "y": np.eye(3)},
    "more patterns than labels": {"x": X, "t": T, "y": [1, 0]},
    "another time axis": {"x": X, "t": np.linspace(3, 7, 5) ** 2, "y": np.arange(3)},
    "single precision": {"x": X.astype("f4"), "t": T.astype("f4"), "y": np.arange(3)},
    "half precision": {"x": (X * (X > 0)).astype("f2"), "t": T, "y": np.arange(3)},
    "whole numbers": {"x": (3 * X).astype(int), "t": np.arange(17), "y": np.arange(3)},
    "with more": {"x": X, "t": T, "y": np.arange(3), "names": ["a", "b", "c"]},
}


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_templates_of_ones_own(template):
    got, want = made(ours, template=template), made(mnist1d, template=template)
    assert_same(got, want)
    assert got[0]["templates"] is template


def test_arguments_of_any_class():
    class Args:
        locals().update(vars(mnist1d.get_dataset_args()))
        num_samples = 50

    assert_same(made(ours, Args), made(mnist1d, Args))
    namespace = SimpleNamespace(**vars(ours.get_dataset_args()) | {"num_samples": 20})
    assert_same(made(ours, namespace), made(mnist1d, namespace))


@pytest.mark.parametrize("name", [name for name in ours.get_dataset_args(as_dict=True) if name != "url"])
def test_a_missing_argument_is_named(name):
    args = ours.get_dataset_args()
    delattr(args, name)
    with pytest.raises(AttributeError, match=name):
        ours.make_dataset(args)


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"num_samples": 9}, ValueError, "num_samples=9 must be an integer ≥ 10"),
        ({"num_samples": 100.0}, TypeError, r"num_samples=100\.0 must be an integer"),
        ({"max_translation": 0}, ValueError, "max_translation=0"),
        ({"padding": (-5, 5)}, ValueError, "padding"),
        ({"iid_noise_scale": float("nan")}, ValueError, "iid_noise_scale"),
    ],
)
def test_what_is_not_allowed_is_named_and_draws_nothing(changes, error, says):
    np.random.seed(1)
    with pytest.raises(error, match=says):
        made(ours, **changes)
    assert np.random.rand() == np.random.RandomState(1).rand()


@pytest.mark.parametrize(
    "template", [{"x": X, "t": T, "y": np.arange(4)}, {"x": X[:, :, None], "t": T, "y": np.arange(3)}]
)
def test_bad_templates_are_refused(template):
    with pytest.raises(ValueError, match="templates"):
        ours.make_dataset(None, template)


def test_arrays_are_writable():
    data, _ = made(ours)
    for name in ("x", "x_test", "y", "y_test", "t"):
        data[name][0] = 0


def test_get_dataset_takes_the_references_calls():
    one, other = (list(inspect.signature(package.get_dataset).parameters.values()) for package in (ours, mnist1d))
    assert [(p.name, p.default) for p in one[:5]] == [(p.name, p.default) for p in other[:5]]
    assert one[5].name == "template"
