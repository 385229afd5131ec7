"""What users bring as data is converted without loss, or refused with what to do."""

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import torch

from flylab.adapters.core import splits_of
from flylab.data import Dataset, Splits
from flylab.data.inputs import checked, class_dtype, stacked_classes, trainable

X, Y = np.random.default_rng(0).standard_normal((6, 4)), np.array([0, 1, 2, 0, 1, 2])
GOOD = Dataset(X, Y)
BROKEN = np.where(np.arange(24).reshape(6, 4) == 13, np.nan, X)


def splits(train=GOOD, valid=GOOD, test=GOOD):
    return Splits(train, valid, test, None, None, None)


TAKEN = {
    "arrays": (X, Y),
    "lists": (X.tolist(), Y.tolist()),
    "tuples of lists": (tuple(X.tolist()), tuple(Y.tolist())),
    "torch tensors": (torch.tensor(X), torch.tensor(Y)),
    "torch tensors with gradients": (torch.tensor(X, requires_grad=True), torch.tensor(Y)),
    "pandas": (pd.DataFrame(X), pd.Series(Y, index=range(10, 16))),
    "pandas' own types": (pd.DataFrame(X).astype("Float64"), pd.Series(Y, dtype="Int64")),
    "objects": (X.astype(object), Y.astype(object)),
    "big-endian": (X.astype(">f8"), Y.astype(">i4")),
    "unmasked": (np.ma.masked_array(X), np.ma.masked_array(Y)),
}


@pytest.mark.parametrize("case", TAKEN)
def test_is_converted(case):
    found = checked(splits(TAKEN[case])).train
    assert type(found.x) is type(found.y) is np.ndarray
    np.testing.assert_array_equal(found.x, X)
    np.testing.assert_array_equal(found.y, Y)


def test_types_of_numbers_are_kept():
    for x, y in ((X, Y.astype("u1")), (X.astype("f4"), Y), (np.ones((6, 4), "u1"), Y)):
        found = checked(splits(Dataset(x, y))).train
        assert (found.x.dtype, found.y.dtype) == (x.dtype, y.dtype)
    found = checked(splits(Dataset(jnp.asarray(X), Y == 1))).train
    assert (found.x.dtype, found.y.tolist()) == (np.float32, [0, 1, 0, 0, 1, 0])


REFUSED = {
    "fewer labels": ((X, Y[:5]), r"the train set must have one label for each example, but x has shape \(6, 4\) and y"),
    "fewer examples": ((X[:5], Y), "one label for each example"),
    "no labels": ((X, np.zeros(0, int)), "one label for each example"),
    "whole floats": ((X, Y.astype(float)), r"from 0, one for each example, but y is float64: give y.astype\(int\)"),
    "fractions": ((X, Y + 0.5), "y has fractions or is not finite"),
    "labels missing": ((X, np.where(Y == 1, np.nan, Y)), "y has fractions or is not finite"),
    "pandas' missing labels": (
        (X, pd.Series([0, 1, None, 0, 1, 2], dtype="Int64")),
        "y has fractions or is not finite",
    ),
    "text": ((X, list("abcabc")), "y is text: give numpy.unique"),
    "categories": ((X, pd.Series(list("abcabc"), dtype="category")), "y is text"),
    "one-hot": ((X, np.eye(3)[Y]), r"y is one-hot: give y.argmax\(1\)"),
    "one-hot integers": ((X, torch.nn.functional.one_hot(torch.tensor(Y))), "y is one-hot"),
    "a column": ((X, Y[:, None]), r"y has shape \(6, 1\): give y.ravel\(\)"),
    "several labels": ((X, np.ones((6, 2), int)), r"y has shape \(6, 2\)"),
    "negative": ((X, Y - 1), "label -1 in the train set must be from 0 to 2147483647"),
    "far too large": ((X, Y + 2**32), "label 4294967298 in the train set must be from 0 to 2147483647"),
    "unsigned": ((X, np.array([0, 1, 2, 0, 1, 2**64 - 1], "u8")), "label 18446744073709551615 in the train set"),
    "dates": ((X, np.array(["2026-01-01"] * 6, "M8[D]")), r"y is datetime64\[D\]"),
    "NaN": ((BROKEN, Y), "must be finite numbers of float32, but 1 of its 6 examples are not, the first is example 3"),
    "infinite": ((np.where(np.isnan(BROKEN), np.inf, BROKEN), Y), "the first is example 3"),
    "too large for float32": ((1e300 * X, Y), "must be finite numbers of float32"),
    "pandas' missing inputs": ((pd.DataFrame(BROKEN).astype("Float64"), Y), "must be numbers, not object"),
    "masked": ((np.ma.masked_invalid(BROKEN), Y), "x in the train set has masked values"),
    "complex": ((X + 1j, Y), "x in the train set must be numbers, not complex128"),
    "words": ((np.full((6, 4), "a"), Y), "x in the train set must be numbers"),
    "ragged": (([[1.0], [1.0, 2.0]] * 3, Y), "x in the train set is no array: give every example the same shape"),
    "bfloat16": ((torch.tensor(X, dtype=torch.bfloat16), Y), "x in the train set is no array"),
    "an array": (X, r"must be a flylab.Dataset\(x, y\) of inputs and labels, not ndarray"),
    "one number": ((1.0, 2), "one label for each example"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("subset", ["train", "valid", "test"])
def test_is_refused(case, subset):
    part, message = REFUSED[case]
    with pytest.raises(ValueError, match=message.replace("train set", f"{subset} set")):
        checked(splits(**{subset: part}))


def test_shapes_agree_between_sets():
    with pytest.raises(ValueError, match=r"in the test set x has shape \(6, 3\), and in another \(6, 4\)"):
        checked(splits(test=Dataset(X[:, :3], Y)))
    numbers = [Dataset(X, y) for y in (X[:, :2], X[:, :2], X)]
    with pytest.raises(
        ValueError, match=r"targets must .* in the test set y has shape \(6, 4\), and in another \(6, 2\)"
    ):
        checked(splits(*numbers), "numbers")


TARGETS = {
    "numbers": (X[:, 0], "numbers", None),
    "vectors": (X, "numbers", None),
    "integers as numbers": (Y, "numbers", None),
    "lists": (X.tolist(), "numbers", None),
    "flags": (np.eye(3)[Y], "flags", None),
    "truth values": (np.eye(3)[Y] == 1, "flags", None),
    "classes as flags": (Y, "flags", "y in the train set must be 0 or 1 for each label"),
    "images": (X.reshape(6, 2, 2), "numbers", r"has shape \(6, 2, 2\), .* give y.reshape\(len\(y\), -1\)"),
    "missing": (BROKEN[:, 1], "numbers", "y in the train set must be finite numbers of float32, but 1 of its 6"),
    "text": (list("abcabc"), "numbers", "y in the train set must be numbers, not <U1"),
    "too few": (X[:5], "numbers", r"one label for each example, but x has shape \(6, 4\) and y \(5, 4\)"),
}


@pytest.mark.parametrize("case", TARGETS)
def test_targets_that_are_no_classes(case):
    y, targets, message = TARGETS[case]
    part = Dataset(X, y)
    if message is None:
        found = checked(splits(part, part, part), targets).train.y
        np.testing.assert_array_equal(found, y)
        assert type(found) is np.ndarray
    else:
        with pytest.raises(ValueError, match=message):
            checked(splits(part, part, part), targets)


@pytest.mark.parametrize("empty", [None, ([], []), Dataset(X[:0], Y[:0])])
def test_the_validation_set_may_be_empty(empty):
    found = trainable(splits(valid=empty))
    assert (found.valid.x.shape, found.valid.y.shape, found.valid.y.dtype.kind) == ((0, 4), (0,), "i")
    for name in ("train", "test"):
        with pytest.raises(ValueError, match=f"n_{name}=0 must be an integer ≥ 1"):
            trainable(splits(**{name: empty}))


def test_adapters_check_too():
    assert splits_of(splits((X.tolist(), Y.tolist()))).train.x.shape == (6, 4)
    with pytest.raises(ValueError, match="one label for each example"):
        splits_of(splits((X, Y[:5])))


def test_a_type_holds_all_classes_and_a_code_for_none():
    assert [class_dtype(n).name for n in (1, 255, 256, 65535, 65536)] == [
        "uint8",
        "uint8",
        "uint16",
        "uint16",
        "uint32",
    ]
    assert stacked_classes([[0, 254], [3, 4]]).dtype == np.uint8
    assert stacked_classes([np.array([0, 255]), np.array([3, 299])]).tolist() == [[0, 255], [3, 299]]
