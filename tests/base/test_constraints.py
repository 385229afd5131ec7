"""One way to check values: what is converted, and the one pattern of errors."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import jax.numpy as jnp
import numpy as np
import pytest
from msgspec import Meta

from flylab.app.settings import Settings
from flylab.base.constraints import (
    Checked,
    Fraction,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Seed,
    annotations,
    bases,
    check,
)
from flylab.data import MNIST1D, Images
from flylab.models import convolutional
from flylab.models.registry import PUBLISHED
from flylab.runs.sweeps import Sweep
from flylab.studies import data_params, pooling, self_supervised
from flylab.studies.double_descent import method
from flylab.studies.lottery import protocol
from flylab.study.protocol import Published
from flylab.study.registry import get_study, list_studies
from flylab.training.step import OPTIMIZERS, Plan

Choice = Literal["none", "max"]
NonEmpty = Annotated[tuple[PositiveFloat, ...], Meta(min_length=1)]


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (np.int64(3), PositiveInt, 3), (np.array(3), PositiveInt, 3), (jnp.int32(3), PositiveInt, 3),
        (3, float, 3.0), (np.float32(0.5), Fraction, 0.5), (2**32 - 1, Seed, 2**32 - 1), (np.True_, bool, True),
        ([1, 2], tuple[int, ...], (1, 2)), (range(3), tuple[int, ...], (0, 1, 2)),
        (np.arange(3), tuple[float, ...], (0.0, 1.0, 2.0)), (np.eye(2),
         tuple[tuple[float, ...], ...], ((1, 0), (0, 1))),
        ([36, 60], tuple[int, int], (36, 60)), ("max", tuple[Choice, ...], ("max",)), (None, PositiveInt | None, None),
        (len, Choice | Callable[[int], int], len), (Path("a"), str | os.PathLike[str] | None, Path("a")),
        ([5], PositiveInt | tuple[PositiveInt, ...], (5,)),
    ],
)  # fmt: skip
def test_values_are_converted(value, kind, expected):
    converted = check("x", value, kind)
    assert converted == expected
    assert type(converted) is type(expected)
    assert not isinstance(converted, tuple) or [*map(type, converted)] == [*map(type, check("x", converted, kind))]


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        (0, PositiveInt, "x=0 must be an integer ≥ 1"), (True, PositiveInt, "x=True must be an integer ≥ 1"),
        (2.0, PositiveInt, "x=2.0 must be an integer ≥ 1"), (np.int64(0), PositiveInt, "x=0 must be an integer ≥ 1"),
        (2**31, NonNegativeInt, "x=2147483648 must be an integer from 0 to 2147483647"),
        (10**5000, Seed, "x=(int too large to print) must be an integer from 0 to 4294967295"),
        ("a", PositiveInt | None, "x='a' must be an integer ≥ 1 or None"), (1, bool, "x=1 must be True or False"),
        (float("nan"), float, "x=nan must be a finite number"),
        (10**400, float, f"x={str(10**400)[:200]}… must be a finite number"),
        (float("inf"), PositiveFloat, "x=inf must be a finite number > 0"),
        (1.5, Fraction, "x=1.5 must be a number from 0 to 1"),
        (1, Annotated[float, Meta(ge=0, lt=1)], "x=1 must be a number ≥ 0 and < 1"),
        (b"a", str, "x=b'a' must be a string"),
        ("l3", Choice, "x='l3' must be one of none, max"), ("\ud800", Choice, r"x='\ud800' must be one of none, max"),
        ("l3", Choice | Callable, "x='l3' must be one of none, max or a function"),
        ((2, 0), tuple[PositiveInt, ...], "x[1]=0 must be an integer ≥ 1"),
        (("max", "l3"), tuple[Choice, ...] | None, "x[1]='l3' must be one of none, max"),
        ([[1, float("nan")]], tuple[tuple[float, ...], ...], "x[0][1]=nan must be a finite number"),
        (3, tuple[PositiveInt, ...], "x=3 must be a list of integers ≥ 1"),
        (3, NonEmpty, "x=3 must be a non-empty list of numbers > 0"),
        ((), NonEmpty, "x=() must be a non-empty list of numbers > 0"),
        ((36,), tuple[int, int], "x=(36,) must be 2 integers"),
        (3, tuple[tuple[float, ...], ...], "x=3 must be a list of lists of finite numbers"),
        (3, MNIST1D, "x=3 must be MNIST1D"), (3, dict[str, Any], "x=3 must be dict"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)  # fmt: skip
def test_errors_name_field_value_and_what_is_allowed(value, kind, message):
    with pytest.raises(ValueError, match="^" + re.escape(message) + "$"):
        check("x", value, kind)


@pytest.mark.parametrize("value", [[[[]]] * 3, "a" * 10**6, jnp.arange, np.ndarray, object(), {1: 2}, 1j, range(10**5)])
def test_anything_is_taken_or_refused(value):
    nested: Any = []
    for _ in range(5000):
        nested = [nested]
    for wrong in (value, nested):
        with pytest.raises(ValueError, match=r"^x.* must be ") as error:
            check("x", wrong, PositiveInt | tuple[NonEmpty, ...])
        assert len(str(error.value)) < 400


def test_fields_are_converted_and_related():
    @dataclass(frozen=True)
    class Config(Checked):
        n: PositiveInt = 3
        rates: NonEmpty = (1.0,)

        def __post_init__(self):
            super().__post_init__()
            self._require(self.n <= 10 * len(self.rates), "n", "at most ten a rate")

    config: Any = Config(np.int32(5), [1, 2])  # type: ignore
    assert config == Config(5, (1.0, 2.0))
    assert hash(config) == hash(Config(5, (1.0, 2.0)))
    with pytest.raises(ValueError, match=r"^n=11 must be at most ten a rate$"):
        Config(11)


def test_alternatives():
    assert bases(PositiveInt | None) == (int, type(None))
    assert bases(Annotated[tuple[int, ...], Meta(min_length=1)]) == (tuple,)


CONFIGS = [MNIST1D, Images, Plan, Sweep, Settings,
           *(type(get_study(name).presets["smoke"]) for name in list_studies())]  # fmt: skip


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: f"{config.__module__}.{config.__name__}")
def test_every_config_is_checked_by_its_annotations(config):
    assert issubclass(config, Checked)


def test_names_in_annotations_are_those_there_are():
    assert get_args(Published) == PUBLISHED
    assert get_args(pooling.method.Pooling) == convolutional.POOLINGS
    assert get_args(data_params.method.DataParamName) == tuple(data_params.DATA_PARAMS)
    assert get_args(method.TreatmentName) == tuple(method.TREATMENTS)
    assert get_args(protocol.Arrangement) == tuple(protocol.ARRANGEMENTS)
    assert get_args(self_supervised.method.HeadName) == tuple(self_supervised.HEADS)
    assert get_args(get_args(annotations(Plan)["optimizer"])[0]) == tuple(OPTIMIZERS)
