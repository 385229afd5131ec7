"""Axes, samples and filters: right conditions, or a clear refusal."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flylab.runs.grid import Axis, Grid, axis, parse_filter


@pytest.mark.parametrize(
    ("spec", "values"),
    [
        ([1, 2.5], (1, 2.5)),
        ({"linear": [0, 1, 5]}, (0.0, 0.25, 0.5, 0.75, 1.0)),
        ({"log": [1e-3, 1e-1, 3]}, (0.001, 0.01, 0.1)),
        ({"range": [1, 10, 4]}, (1, 5, 9)),
        ([[36, 60], [30, 40]], ((36, 60), (30, 40))),
    ],
)
def test_values(spec, values):
    assert axis("a", spec).values == values


def test_whole_numbers_are_rounded_once():
    assert axis("a", {"log": [1, 4, 5]}, whole=True).values == (1, 2, 3, 4)


@pytest.mark.parametrize(
    "spec",
    [[], "abc", 3, None, [1, 1], [float("nan")], {"log": [0, 1, 3]}, {"linear": [0, 1]}, {"linear": [0, 1, 10**9]},
     {"range": [0, 1, 0]}, {"range": [0, 1e300, 1e-300]}, {"uniform": [1, 0]}, {"no": []}, {"choice": []}],
)  # fmt: skip
def test_refuses(spec):
    with pytest.raises(ValueError, match="axis a"):
        axis("a", spec)


def test_more_samples_extend_fewer_and_axes_do_not_disturb_each_other():
    rate = axis("rate", {"log_uniform": [1e-4, 1e-1]})
    width = axis("width", {"uniform": [1, 100]}, whole=True)
    few, many = (Grid((rate, width), n).sampled() for n in (3, 50))
    assert many[:3] == few
    assert [condition["rate"] for condition in Grid((rate,), 3).sampled()] == [condition["rate"] for condition in few]
    assert all(1e-4 <= condition["rate"] <= 1e-1 and isinstance(condition["width"], int) for condition in many)


def test_points_are_the_product_without_what_is_filtered():
    axes = (Axis("a", (1, 2, 3)), Axis("b", ("x", 2)))
    conditions = [place for place, _ in Grid(axes, is_kept=lambda condition: condition["a"] != 2).conditions()]
    assert conditions == [{"a": 1, "b": "x"}, {"a": 1, "b": "2"}, {"a": 3, "b": "x"}, {"a": 3, "b": "2"}]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a * b < 7", True), ("a == 2 and not b > 3", True), ("m in ['cnn', 'mlp']", False),
     ("-a + b / 2 >= 0 or m == 'gru'", True),
     ("1 < a < 3 <= b", True), ("a % 2 == 1", False)],
)  # fmt: skip
def test_filter(text, expected):
    assert parse_filter(text, ["a", "b", "m"])({"a": 2, "b": 3, "m": "gru"}) is expected


@pytest.mark.parametrize(
    "text",
    ["__import__('os')", "a.real", "a ** 9", "(lambda: 1)()", "[x for x in a]", "c < 1", "a <", "", "f'{a}'", "a[0]",
     "1j", "a" * 501, "(" * 200],
)  # fmt: skip
def test_filter_refuses(text):
    with pytest.raises(ValueError, match="the filter"):
        parse_filter(text, ["a"])({"a": 10**400})


@pytest.mark.parametrize("text", ["a < m", "a / (a - a) > 1", "a * m > 1", "a in a"])
def test_filter_that_fails_for_a_point_says_so(text):
    with pytest.raises(ValueError, match="fails for"):
        parse_filter(text, ["a", "m"])({"a": 2, "m": "gru"})


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet="ab01+-*/%<>=!()[]',. andornotlmbdif", max_size=40))
def test_any_text_is_a_filter_or_refused(text):
    with contextlib.suppress(ValueError):  # any other exception fails
        assert parse_filter(text, ["a", "b"])({"a": 2, "b": 0.5}) in (True, False)


_plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
_values = st.recursive(_plain, lambda inner: st.lists(inner, max_size=4))
_kinds = st.sampled_from(["linear", "log", "range", "uniform", "log_uniform", "choice", "x"])


@settings(deadline=None, max_examples=200)
@given(_values | st.dictionaries(_kinds, _values, max_size=2))
def test_any_spec_is_an_axis_or_refused(spec):
    with contextlib.suppress(ValueError):
        values, draw = axis("a", spec)[1:]
        assert bool(values) != (draw is not None)
