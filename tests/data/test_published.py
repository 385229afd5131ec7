"""The published generator against the reference package: the same numbers for everything that it accepts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mnist1d.data import get_dataset_args, make_dataset

from flylab.data import MNIST1D, Templates, digits, published, reversed_, shuffled, stages

TOLERANCE = 1e-12


def reference(n_train, n_test, templates=None, **data_params):
    args = get_dataset_args()
    args.__dict__.update(num_samples=n_train + n_test, train_split=n_train / (n_train + n_test), **data_params)
    return make_dataset(args, template=templates)


def assert_same(splits, expected):
    for got, want in (
        (splits.train.x, expected["x"]), (splits.test.x, expected["x_test"]), (splits.t, expected["t"]),
    ):  # fmt: skip
        np.testing.assert_allclose(got, want, rtol=0, atol=TOLERANCE)
    np.testing.assert_array_equal(splits.train.y, expected["y"])
    np.testing.assert_array_equal(splits.test.y, expected["y_test"])


@pytest.mark.long
def test_the_default_is_the_published_set():
    splits = published()
    assert splits.train.x.shape == (4000, 40)
    assert splits.test.x.shape == (1000, 40)
    assert_same(splits, reference(4000, 1000))


scale = st.floats(-3, 3, allow_nan=False)


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 3), split=st.floats(0, 1),
    low=st.integers(0, 60), more=st.integers(-20, 40), extra=st.integers(2, 30),
    max_translation=st.integers(1, 200), scales=st.tuples(scale, scale, scale, scale), shuffle_seq=st.booleans(),
    final_seq_length=st.integers(1, 150), seed=st.integers(0, 2**32 - 2),
)  # fmt: skip
def test_equals_the_reference(n, split, low, more, extra, max_translation, scales, shuffle_seq, final_seq_length, seed):
    high = max(low + more, -2)
    template_len = extra - high if extra % 3 == 0 else max(extra, 2 - high)
    data_params = dict(zip(("scale_coeff", "corr_noise_scale", "iid_noise_scale", "shear_scale"), scales, strict=True))
    data_params |= {
        "max_translation": max_translation,
        "shuffle_seq": shuffle_seq,
        "final_seq_length": final_seq_length,
    }
    data_params |= {"template_len": template_len, "seed": seed}
    n_train = int(10 * n * split)
    config = MNIST1D(n_train=n_train, n_test=10 * n - n_train, n_valid=0, padding=(low, high), **data_params)
    args = get_dataset_args()
    args.__dict__.update(num_samples=10 * n, train_split=split, padding=[low, high], **data_params)
    with np.errstate(all="ignore"):
        expected, splits = make_dataset(args), published(config)
    if np.isfinite(np.concatenate([expected["x"], expected["x_test"]])).all():
        assert_same(splits, expected)


def test_custom_templates(rng):
    x, t, y = rng.normal(size=(3, 17)), np.linspace(0, 1, 17), np.array([4, 0, 7])
    config = MNIST1D(n_train=20, n_test=10, n_valid=0, templates=Templates.of(x, t, y))
    assert_same(published(config), reference(20, 10, {"x": x, "t": t, "y": y}))


def test_validation_is_the_next_seeds_set():
    splits, own = published(MNIST1D(n_train=50, n_test=50, n_valid=50)), reference(50, 0, seed=43)
    np.testing.assert_allclose(splits.valid.x, own["x"], rtol=0, atol=TOLERANCE)
    np.testing.assert_array_equal(splits.valid.y, own["y"])


def test_all_sets_share_one_order_of_positions():
    """A validation set shuffled otherwise than the training set would be useless."""
    plain = published(MNIST1D(n_train=50, n_test=50, n_valid=50))
    mixed = published(MNIST1D(n_train=50, n_test=50, n_valid=50, shuffle_seq=True))
    order = [int(np.abs(plain.train.x - mixed.train.x[:, [i]]).sum(0).argmin()) for i in range(40)]
    for name in ("train", "valid", "test"):
        np.testing.assert_allclose(getattr(mixed, name).x, getattr(plain, name).x[:, order], atol=1e-9)


@pytest.mark.parametrize("order", [shuffled(40), reversed_(40)])
def test_permutation_reorders_positions(order):
    plain = published(MNIST1D(n_train=20, n_test=10, n_valid=10))
    mixed = published(MNIST1D(n_train=20, n_test=10, n_valid=10, permutation=order))
    for name in ("train", "valid", "test"):
        np.testing.assert_array_equal(getattr(mixed, name).x, getattr(plain, name).x[:, list(order)])


def test_shuffled_is_the_published_permutation():
    assert shuffled(40) == tuple(np.random.RandomState(42).permutation(40))


def test_digits_are_the_references_templates():
    expected = make_dataset.__globals__["get_templates"]()
    np.testing.assert_allclose(digits().x, expected["x"], atol=1e-15)
    np.testing.assert_allclose(digits().t, expected["t"], atol=1e-15)


def test_stages_end_in_an_example():
    steps = stages(MNIST1D(), seed=3)
    assert [stage.shape for stage in steps] == [(10, 72)] * 5 + [(10, 40)]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("n_train", -1, "≥ 0"), ("n_train", 4001, "multiple of the 10 classes"), ("n_valid", 7, "multiple"),
        ("n_test", 2.5, "an integer"), ("max_translation", 0, "≥ 1"), ("max_translation", 48.0, "an integer"),
        ("final_seq_length", 0, "≥ 1"), ("padding", (36,), "2 integers"), ("padding", (-1, 60), "≥ 0"),
        ("padding", (36, -3), "≥ -2"), ("template_len", -70, "is ≥ 2"), ("seed", -1, "≥ 0"),
        ("seed", 2**32, "from 0 to 4294967295"), ("seed", None, "an integer"), ("scale_coeff", float("nan"), "finite"),
        ("iid_noise_scale", "much", "finite"), ("shuffle_seq", 1, "True or False"),
        ("permutation", (0, 1), "each of 0"),
    ],
)  # fmt: skip
def test_refuses_naming_field_and_value(name, value, says):
    with pytest.raises(ValueError, match=says) as error:
        MNIST1D(**{name: value})
    assert any(str(part) in str(error.value) for part in (value if isinstance(value, tuple) else [value]))
    assert name in str(error.value)


@pytest.mark.parametrize(
    ("x", "kwargs"),
    [([1, 2, 3], {}), ([[1, 2]], {"y": [0, 1]}), ([[1, 2]], {"t": [0]}), ([[1]], {}), ([[1, np.nan]], {})],
)
def test_refuses_bad_templates(x, kwargs):
    with pytest.raises(ValueError, match="templates"):
        Templates.of(x, **kwargs)
