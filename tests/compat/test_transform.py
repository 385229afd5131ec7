"""Each step against the reference's: the same results, the same random numbers taken."""

import random
from types import SimpleNamespace

import mnist1d.transform
import numpy as np
import pytest

from flylab.compat.mnist1d import get_dataset_args
from flylab.compat.mnist1d import transform as function

OURS = __import__("sys").modules["flylab.compat.mnist1d.transform"]
THEIRS = __import__("sys").modules["mnist1d.transform"]

LINE, ROWS, CUBE = np.linspace(-1, 2, 12), np.arange(24.0).reshape(12, 2) ** 0.5, np.arange(60.0).reshape(5, 4, 3)
ARGS = get_dataset_args()
CASES = [
    ("pad", LINE, (36, 60)), ("pad", LINE, [0, 0]), ("pad", LINE, (7, 5)), ("pad", ROWS, (3, 9)),
    ("pad", np.arange(3), (1, 2)),
    ("shear", LINE), ("shear", LINE, 0.75), ("shear", CUBE[:3], -1), ("shear", np.arange(4), 2),
    ("translate", LINE, 1), ("translate", LINE, 12), ("translate", LINE, 500), ("translate", ROWS, 30),
    ("translate", np.arange(5), 4), ("translate", LINE, [3, -3, -12, -40, 12, 0]),
    ("corr_noise_like", LINE, 0.25), ("corr_noise_like", ROWS, 2), ("corr_noise_like", CUBE, 1.0),
    ("iid_noise_like", LINE, 0.02), ("iid_noise_like", CUBE, 0),
    ("interpolate", LINE, 72), ("interpolate", LINE, 12), ("interpolate", LINE, 1), ("interpolate", ROWS, 40),
    ("interpolate", CUBE, 7), ("interpolate", np.arange(5), 9), ("interpolate", LINE.astype("f4"), 30),
    ("interpolate", [0.0, 1.0, 4.0], 6), ("interpolate", ROWS[:, ::-1], 5),
    ("transform", LINE, LINE, ARGS), ("transform", LINE, LINE, ARGS, 0.1), ("transform", LINE - LINE[0], LINE, ARGS, 0),
    ("transform", LINE, LINE, SimpleNamespace(**vars(ARGS) | {"padding": (2, 9), "final_seq_length": 90})),
]  # fmt: skip


def run(function, args, seed):
    np.random.seed(seed)
    random.seed(seed)
    result = function(*args)
    return result, np.random.rand(3), random.random()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]} {[np.shape(a) or a for a in case[1:3]]}")
def test_equals_the_reference(case):
    name, *args = case
    for seed in range(8):
        copies = [[a.copy() if isinstance(a, np.ndarray) else a for a in args] for _ in range(2)]
        want, *state = run(getattr(THEIRS, name), copies[0], seed)
        got, *own_state = run(getattr(OURS, name), copies[1], seed)
        for one, other in zip(*((x if isinstance(x, tuple) else (x,)) for x in (got, want)), strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-12, strict=True)
        np.testing.assert_array_equal(own_state[0], state[0])
        assert own_state[1] == state[1]
        for before, after in zip(args, copies[1], strict=True):
            if isinstance(before, np.ndarray):
                np.testing.assert_array_equal(after, before)  # arguments stay as they are


def test_the_function_shadows_its_module_as_there():
    assert mnist1d.transform is THEIRS.transform
    assert function is OURS.transform
    from flylab.compat.mnist1d.transform import pad

    assert pad is OURS.pad


def test_pads_any_number_of_rows():
    assert OURS.pad(CUBE, (2, 2)).shape == (5, 4, 5)
