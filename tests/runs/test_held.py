"""What code holds in this process counts: what a closure holds, and what a script has set or changed."""

import functools
import importlib
import sys

import jax
import numpy as np
import pytest

from flylab.runs.fingerprint import UnhashableError, code_fingerprint

MINE = """
import dataclasses, functools
import jax, jax.numpy as jnp

WEIGHTS, CONFIG, PAIR, ARRAY = [1.0], {"scale": 1.0}, (1.0,), None

@dataclasses.dataclass(frozen=True)
class Size:
    width: int = 1

class Scale:
    value = 1.0
    def times(self, x): return self.value * x

class Scaler:
    def __init__(self, f, scale):
        functools.update_wrapper(self, f)
        self.f, self.scale = f, scale
    def __call__(self, x): return self.scale * self.f(x)

class Numbers(list):
    def value(self): return 2 * self[0]

class Number(float):
    def value(self): return 2 * self

class Table(dict):
    def __missing__(self, key): return 5

class Slotted:
    __slots__ = ("a", "b")

def helper(x): return x
def other(x): return 2 * x
def base(x, n=1): return jnp.abs(x)
def reads(x): return WEIGHTS[0] * CONFIG["scale"] * PAIR[0] * (0 if ARRAY is None else ARRAY) * Scale.value
def calls(x): return reads(x) + helper(x)
def batched(x): return jax.vmap(helper)(x) + SCALER.times(x)
def recursive(x): return recursive(x - 1) if x else recursive.factor

SCALER = Scale()
recursive.factor = 1

def holding(value):
    def run(x): return value
    return run

def jvp_of(rule):
    f = jax.custom_jvp(base)
    f.defjvp(rule)
    return f

def vjp_of(rule):
    f = jax.custom_vjp(base)
    f.defvjp(helper, rule)
    return f
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A module, which is imported anew."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "held_by_mine.py").write_text(MINE)
    yield importlib.import_module("held_by_mine")
    del sys.modules["held_by_mine"]


def with_attributes(value, **attributes):
    for name, part in attributes.items():
        object.__setattr__(value, name, part)
    return value


CHANGES = {
    "a list, changed": lambda m: m.WEIGHTS.append(2.0),
    "a list, another": lambda m: setattr(m, "WEIGHTS", [-1.0]),
    "a dictionary": lambda m: m.CONFIG.update(scale=2.0),
    "a tuple": lambda m: setattr(m, "PAIR", (2.0,)),
    "an array": lambda m: setattr(m, "ARRAY", np.ones(1)),
    "an array of JAX": lambda m: setattr(m, "ARRAY", jax.numpy.ones(1)),
    "an attribute of a class": lambda m: setattr(m.Scale, "value", 2.0),
    "an attribute of an instance": lambda m: setattr(m.SCALER, "value", 2.0),
    "a method": lambda m: setattr(m.Scale, "times", m.other),
    "a function": lambda m: setattr(m, "helper", m.other),
    "a function that it calls": lambda m: setattr(m, "reads", m.other),
    "an attribute of a function": lambda m: setattr(m.recursive, "factor", 2),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_a_script_sets_or_changes_counts(mine, change):
    functions = [mine.calls, mine.batched, mine.recursive]
    before = [*map(code_fingerprint, functions)]
    assert before == [*map(code_fingerprint, functions)]
    change(mine)
    assert before != [*map(code_fingerprint, functions)]


PAIRS = {
    "a decorator's state": lambda m: (m.Scaler(m.base, 1), m.Scaler(m.base, -1)),
    "a decorator, or none": lambda m: (m.Scaler(m.base, 1), m.base),
    "a wrapped partial": lambda m: [functools.update_wrapper(functools.partial(m.base, n), m.base) for n in (1, 2)],
    "a partial's keywords": lambda m: (functools.partial(m.base, n=1), functools.partial(m.base, n=2)),
    "a derivative's rule": lambda m: (m.jvp_of(m.helper), m.jvp_of(m.other)),
    "a derivative's rule backwards": lambda m: (m.vjp_of(m.helper), m.vjp_of(m.other)),
    "a compiled function's static arguments": lambda m: (jax.jit(m.base), jax.jit(m.base, static_argnums=1)),
    "a compiled function": lambda m: (jax.jit(m.base), jax.jit(m.other)),
    "an axis of vmap": lambda m: (jax.vmap(m.base, in_axes=0), jax.vmap(m.base, in_axes=1)),
    "a cached function": lambda m: (functools.cache(m.base), functools.cache(m.other)),
    "a dispatching function": lambda m: [functools.singledispatch(f) for f in (m.base, m.other)],
    "an attribute beside the fields": lambda m: [with_attributes(m.Size(), more=n) for n in (1, 2)],
    "an attribute of a list": lambda m: [with_attributes(m.Numbers([1]), more=n) for n in (1, 2)],
    "a class of lists": lambda m: (m.Numbers([1]), [1]),
    "a class of numbers": lambda m: (m.Number(1), 1.0),
    "a class of dictionaries": lambda m: (m.Table(), {}),
    "a value in a slot": lambda m: [with_attributes(m.Slotted(), a=n) for n in (1, 2)],
    "which slot": lambda m: (with_attributes(m.Slotted(), a=1), with_attributes(m.Slotted(), b=1)),
    "an empty array's shape": lambda m: (np.zeros((0, 3)), np.zeros((0, 4))),
    "an array's type": lambda m: (np.zeros(2, "float32"), np.zeros(2, "int32")),
    "an array of objects": lambda m: (np.array([m.base, None]), np.array([m.other, None])),
    "a weak type": lambda m: (jax.numpy.asarray(1.0), jax.numpy.asarray(1.0, "float32")),
    "a key": lambda m: (jax.random.key(0), jax.random.key(1)),
    "a set": lambda m: ({1, 2}, {1, 3}),
    "the sign of nought": lambda m: (0.0, -0.0),
    "bytes": lambda m: (b"1", "1"),
}


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_values_that_differ(mine, pair):
    first, second, again = (code_fingerprint(mine.holding(value)) for value in (*pair(mine), pair(mine)[0]))
    assert first == again != second


UNKNOWN = {
    "an object without attributes": lambda m: object(),
    "an iterator": lambda m: iter([1]),
    "a generator of random numbers": lambda m: np.random.default_rng(0),
    "a method of one": lambda m: np.random.default_rng(0).normal,
    "a lock": lambda m: __import__("threading").Lock(),
    "an open file": lambda m: with_attributes(m.Size(), file=sys.stdout),
    "masked numbers": lambda m: np.ma.masked_equal([1, 2], 1),
    "a set of functions": lambda m: {m.base, m.other},
    "a function that nobody has defined in a file": lambda m: eval("lambda x: x", {"__name__": "nowhere"}),
}


@pytest.mark.parametrize("value", UNKNOWN.values(), ids=UNKNOWN)
def test_values_of_which_nobody_knows_what_they_hold(mine, value):
    with pytest.raises(UnhashableError, match=r"nobody knows|no fingerprint|is not known"):
        code_fingerprint(mine.holding(value(mine)))
    mine.helper = mine.holding(value(mine))
    with pytest.raises(UnhashableError):
        code_fingerprint(mine.calls)
