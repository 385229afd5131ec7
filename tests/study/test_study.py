"""A study of a module: what follows from its trainings, and what is missing from it."""

import sys
import types

import jax
import pytest
import xarray as xr

import flylab
from flylab.data import MNIST1D, fresh
from flylab.study import Context, Study, SupervisedProtocol
from flylab.study.protocol import BaseProtocol
from flylab.training.step import Plan
from flylab.training.training import Training

SMALL = MNIST1D(n_train=60, n_valid=0, n_test=30)
PROTOCOL = SupervisedProtocol(n_seeds=2, n_steps=4, batch_size=20)
KEY = jax.random.key(0)


def described(protocol, model):
    return Training(flylab.get_model(model), fresh(SMALL), protocol.plan, protocol.hparams)


PARTS = {
    "PRESETS": {"smoke": PROTOCOL}, "conditions": lambda protocol: [{"model": "logistic"}],
    "training": described, "table": lambda results: None, "figure": lambda results: None,
}  # fmt: skip


@pytest.fixture
def module(monkeypatch):
    """Make a module of some parts."""

    def make(**parts):
        made = types.ModuleType("a_study", "Is it so?\n\nA study.")
        vars(made).update({name: part for name, part in (PARTS | parts).items() if part is not None})
        monkeypatch.setitem(sys.modules, "a_study", made)
        return Study.of_module("a_study")

    return make


def test_all_follows_from_the_training(module):
    study = module()
    condition = study.conditions(PROTOCOL)[0]
    training = described(PROTOCOL, **condition)
    assert study.question == "Is it so?"
    assert (study.n_steps(PROTOCOL, condition), study.resources(PROTOCOL, condition)) == (4, training.resources)
    results = study.run(PROTOCOL, condition, [1], key=KEY)
    xr.testing.assert_identical(results, training.run([1], key=KEY).results)
    assert study.input_digest(PROTOCOL)(condition) is None
    assert study.run.__wrapped__ is described


def test_several_trainings_add_up(module):
    condition = {"model": "logistic"}

    def several(protocol, model):
        return [described(protocol, model)] * 3

    study = module(training=several, run=lambda protocol, condition, context: xr.Dataset())
    flops, n_bytes = described(PROTOCOL, **condition).resources
    assert (study.n_steps(PROTOCOL, condition), study.resources(PROTOCOL, condition)) == (12, (3 * flops, n_bytes))
    none = module(training=lambda protocol, model: [], run=lambda protocol, condition, context: xr.Dataset())
    assert (none.n_steps(PROTOCOL, condition), none.resources(PROTOCOL, condition)) == (0, (0, 0))


def test_run_gets_the_context(module, tmp_path):
    seen = []

    def run(protocol, condition, context: Context):
        seen.append(context)
        return context.train(described(protocol, **condition)).results

    study = module(training=None, run=run, n_steps=lambda protocol, model: 7, ARTIFACTS={"a": tmp_path / "a"})
    study.run(PROTOCOL, {"model": "logistic"}, [0], key=KEY)
    study.run(PROTOCOL, {"model": "logistic"}, [0, 1], key=KEY, artifacts={"a": tmp_path / "b"}, resume="state")
    assert [context.artifacts for context in seen] == [{"a": tmp_path / "a"}, {"a": tmp_path / "b"}]
    assert (seen[1].seeds, seen[1].resume) == ([0, 1], "state")
    assert study.n_steps(PROTOCOL, {"model": "logistic"}) == 7
    assert study.resources is None


def test_a_notebooks_study_is_a_dictionary():
    study = Study.of({**PARTS, "QUESTION": "Is it?"}, name="is_it")
    assert (study.name, study.question) == ("is_it", "Is it?")
    assert study.n_steps(PROTOCOL, {"model": "logistic"}) == 4


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ({"conditions": None}, "a_study defines no conditions"),
        ({"PRESETS": None}, "a_study defines no PRESETS"),
        ({"training": sys}, "a_study defines neither training nor run"),  # a submodule of that name
        ({"training": None}, "a_study defines neither training nor run"),
    ],
)
def test_what_is_missing_is_named(module, parts, says):
    with pytest.raises(ValueError, match=says):
        module(**parts)


def test_supervised_protocols_plan():
    assert PROTOCOL.plan == Plan(4, 20, 250)
    assert PROTOCOL.hparams == {"learning_rate": 1e-2}
    assert isinstance(PROTOCOL, BaseProtocol)
