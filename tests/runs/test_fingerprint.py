"""The code fingerprint: what must change it, and what must not."""

import importlib
import linecache
import sys
import textwrap

import pytest

from flylab.runs.fingerprint import code_fingerprint

MODULE = '''
"""A study's module."""
import functools
from typing import NamedTuple

SCALE = 2.0


def small(x):
    """Small."""
    return x * SCALE  # scaled


def large(x):
    return helper(x)


@functools.cache
def helper(x):
    return x + 1


MODELS = {"small": small, "large": large}


def run(protocol, condition):
    """Run."""
    return MODELS[condition["model"]](protocol)


def figure(results):
    return "blue"
'''


@pytest.fixture
def prints(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)

    def of(source, model="small"):
        (tmp_path / "same.py").write_text(textwrap.dedent(source))
        importlib.invalidate_caches()
        sys.modules.pop("same", None)
        linecache.clearcache()
        return code_fingerprint(importlib.import_module("same").run, {"model": model})

    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return of


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""Run."""', '"""Train it."""'),
        ("# scaled", "# doubled"),
        ('return "blue"', 'return "red"'),
        ("x + 1", "x + 2"),
    ],
    ids=["docstring", "comment", "figure", "another model"],
)
def test_what_retrains_nothing(prints, old, new):
    assert old in MODULE
    assert prints(MODULE) == prints(MODULE.replace(old, new))


@pytest.mark.parametrize(
    ("model", "old", "new"),
    [("small", "x * SCALE", "x / SCALE"), ("small", "SCALE = 2.0", "SCALE = 3.0"), ("large", "x + 1", "x + 2")],
    ids=["the model", "a constant", "what a cached helper does"],
)
def test_what_counts(prints, model, old, new):
    assert prints(MODULE, model) != prints(MODULE.replace(old, new), model)


def test_reaches_the_engine_and_the_model():
    """What an architectures condition reaches: its own model's functions, the training loop, the generator."""
    from flylab.runs.fingerprint import _packages, _Walk
    from flylab.studies import architectures

    walk = _Walk({"mnist1d", "cnn", "plain"}, _packages(architectures.run))
    walk.visit(architectures.run)
    reached = " ".join(walk.code_by_name)
    for name in ("convolutional.cnn", "conv.conv_stack", "conv._take_backward", "train.training_run",
                 "population.run_members", "published.draw", "transforms.resample", "objectives.cross_entropy",
                 "layers._affine_backward"):  # fmt: skip
        assert name in reached, name
    for name in ("gru", "architectures.CLAIMS", "architectures.figure", "flylab.results.plots",
                 "flylab.base.units"):  # fmt: skip
        assert name not in reached, name
