"""Members of different forms in one data set: no value changes, and gaps are told from values."""

import numpy as np
import pytest
import xarray as xr

from flylab.runs.assembly import assemble
from flylab.runs.content import decode, encode, split_by_seed

LEAST = np.iinfo(np.int64).min
CASES = {
    "a narrow type first": ([np.array([1], "u1"), np.array([300, 2], "u2")], "uint16", [[1, 65535], [300, 2]]),
    "a wide type first": ([np.array([300, 2], "i8"), np.array([1], "u1")], "int64", [[300, 2], [1, LEAST]]),
    "the code as a value, then a wider type": (
        [np.array([255], "u1"), np.array([300, 2], "u2")], "uint16", [[255, 65535], [300, 2]]),
    "the code as a value, of a signed type": (
        [np.array([-128], "i1"), np.array([300, 2], "i2")], "int16", [[-128, -32768], [300, 2]]),
    "the code as a value, and a gap": (
        [np.array([255], "u1"), np.array([3, 2], "u1")], "uint16", [[255, 65535], [3, 2]]),
    "the code as a value, and no gap": (
        [np.array([255, 7], "u1"), np.array([3, 2], "u1")], "uint8", [[255, 7], [3, 2]]),
    "other signs": ([np.array([200, 2], "u1"), np.array([-3], "i1")], "int16", [[200, 2], [-3, -32768]]),
    "truth values": ([np.array([True]), np.array([False, True])], "uint8", [[1, 255], [0, 1]]),
    "truth values and numbers": ([np.array([True, False]), np.array([7], "u1")], "uint8", [[1, 0], [7, 255]]),
    "text": ([np.array(["a"]), np.array(["b c", "ä"])], "<U3", [["a", ""], ["b c", "ä"]]),
    "text as objects": ([np.array(["a", "b"], object), np.array(["long"], object)], "<U4", [["a", "b"], ["long", ""]]),
    "integers, then floats": ([np.array([1, 2]), np.array([0.5])], "float64", [[1, 2], [0.5, np.nan]]),
    "floats, then integers": ([np.array([0.5]), np.array([3, 2])], "float64", [[0.5, np.nan], [3, 2]]),
    "nothing at first": ([np.zeros(0, "u1"), np.array([300, 1], "i4")], "int32", [[-(2**31)] * 2, [300, 1]]),
}  # fmt: skip


def members(arrays):
    for seed, array in enumerate(arrays):
        data = xr.Dataset({"value": (("seed", "place"), array[None])}, {"seed": [seed]})
        yield {"seed": seed}, decode(encode(*split_by_seed(data, [seed])))


def assembled(arrays):
    found = [*members(arrays)]
    return assemble(found, [place for place, _ in found]).value


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("order", [1, -1])
def test_no_value_changes(case, order):
    arrays, dtype, expected = CASES[case]
    found = assembled(arrays[::order])
    assert found.dtype == dtype
    np.testing.assert_array_equal(found.values, np.array(expected)[::order])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            [np.array([2**53 + 1]), np.array([0.5])],
            "'value' has integers in one .* not exact in .* float64",
        ),
        ([np.array(["a"]), np.array([1])], "'value' is text in one member and numbers in another"),
        ([np.array([LEAST]), np.array([1, 2])], "'value' has missing values, and one that is their code, -9223"),
        ([np.array([1j])], "'value' of the results is complex128: give numbers, booleans or text"),
        ([np.array(["2026-01-01"], "M8[D]")], r"'value' of the results is datetime64\[.*\]: give numbers"),
        ([np.array(["a", None], object)], "'value' of the results holds float: give numbers, booleans or text"),
    ],
)
@pytest.mark.parametrize("order", [1, -1])
def test_what_no_type_holds(arrays, message, order):
    with pytest.raises(ValueError, match=message):
        assembled(arrays[::order])


@pytest.mark.parametrize("order", [1, -1])
def test_own_labels_ascend_whichever_member_comes_first(order):
    """The last step must be the last one: here of a member that is evaluated at its end, and one that is more often."""
    steps = [[60], [0, 20, 60], [0, 30]][::order]
    found = []
    for seed, own in enumerate(steps):
        data = xr.Dataset({"value": (("seed", "step"), np.array([own]) / 10)}, {"seed": [seed], "step": own})
        found.append(({"seed": seed}, decode(encode(*split_by_seed(data, [seed])))))
    together = assemble(found, [place for place, _ in found])
    assert together.step.values.tolist() == [0, 20, 30, 60]
    assert together.sizes == {"seed": 3, "step": 4}
    for seed, own in enumerate(steps):
        values = together.value.sel(seed=seed).dropna("step")
        assert values.step.values.tolist() == own
        assert (values == values.step / 10).all()


def test_labels_that_ascend_in_no_member_keep_their_order():
    data = [xr.Dataset({"value": (("seed", "rate"), [rates])}, {"seed": [seed], "rate": rates})
            for seed, rates in enumerate([[0.3, 0.1], [0.2, 0.1]])]  # fmt: skip
    found = [({"seed": seed}, decode(encode(*split_by_seed(one, [seed])))) for seed, one in enumerate(data)]
    assert assemble(found, [place for place, _ in found]).rate.values.tolist() == [0.3, 0.1, 0.2]
