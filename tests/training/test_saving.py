"""Whole populations in files: the same again, of their own model, and nothing from a hostile file."""

import json
import pickle
import re

import jax
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from flylab import Population
from flylab.data import MNIST1D, published
from flylab.models import Model, get_model
from flylab.training.objectives import contrastive, info_nce, squared_error, supervised
from flylab.training.population import train_members
from flylab.training.saving import METADATA
from flylab.training.step import Plan

GRID = {"learning_rate": [1e-3, 1e-2], "seed": [4, 9]}
OWN = Model(lambda key: [jax.random.normal(key, (10, 40)), ()], lambda params, x: params[0] @ x)
FUNCTION = get_model("mlp", activation=jax.nn.tanh)


def trained(objective, grid=GRID, plan=Plan(4, 50, save_params_at=(2,), record_loss=True)):  # noqa: B008
    splits = published(MNIST1D(n_train=100, n_valid=50, n_test=50, shear_scale=0.5))
    return train_members(objective, splits, plan, grid, key=3)


def view(key, x):
    return x + 0.1 * jax.random.normal(key, x.shape)


KINDS = {  # the objective, and what `load` has to be given
    "a registered model": (get_model("cnn", hidden=(8,)), None),
    "another loss": (supervised(get_model("logistic"), squared_error), None),
    "without labels": (contrastive(get_model("logistic"), view, info_nce), None),
    "a model of one's own": (OWN, OWN),
    "a size that is a function": (FUNCTION, supervised(FUNCTION)),
    "predictions of one's own": (
        supervised(OWN)._replace(predict=lambda params, x, hparams, key: -params[0] @ x), OWN
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_is_the_same_again(kind, tmp_path, tiny):
    objective, given = KINDS[kind]
    population = trained(objective)
    for part in (population, population.sel(seed=9), population.sel(seed=4, learning_rate=1e-2), population.stopped()):
        path = part.save(tmp_path / "p.safetensors")
        again = Population.load(path, given)
        jax.tree.map(np.testing.assert_array_equal, again.params, part.params)
        jax.tree.map(np.testing.assert_array_equal, again.saved_params, part.saved_params)
        assert again.results.identical(part.results)
        assert (again.axes, again.hparams, again.config) == (part.axes, part.hparams, part.config)
        assert again.config["data"]["shear_scale"] == 0.5
        sign = -1 if kind == "predictions of one's own" else 1
        np.testing.assert_array_equal(sign * again.outputs(tiny.test.x).values, part.outputs(tiny.test.x).values)
        if given is not None:
            with pytest.raises(ValueError, match=r"is of a model that has no name: give it"):
                Population.load(path)


@pytest.mark.slow
def test_pickles_name_the_model_of_the_registry():
    population = trained(get_model("logistic"))
    again = pickle.loads(pickle.dumps(population))
    assert again.results.identical(population.results)
    assert again.objective is population.objective


def test_is_trained_on_after_loading(tmp_path):
    population = trained(get_model("logistic"))
    again = Population.load(population.save(tmp_path / "p"))
    plan = Plan(4, 50)
    splits = published(MNIST1D(n_train=100, n_valid=50, n_test=50))
    both = [train_members(get_model("logistic"), splits, plan, GRID, params=p).params for p in (population, again)]
    jax.tree.map(np.testing.assert_array_equal, *both)


def changed(path, change, arrays=lambda arrays: arrays):
    """Write a population's file anew with another layout or other arrays."""
    with safe_open(path, "numpy") as file:
        layout = json.loads(file.metadata()[METADATA])
    save_file(arrays(load_file(path)), path, {METADATA: json.dumps(change(layout) or layout)})


def without(name):
    return lambda arrays: {key: value for key, value in arrays.items() if key != name}


HOSTILE = {
    "another model": (lambda layout: layout.update(model=["mlp", {}]), "holds the parameters of another model"),
    "other sizes": (lambda layout: layout["model"][1].update(n_outputs=3), r"has \(\(2, 2, 10.* model has \(\(2, 2, 3"),
    "huge sizes": (lambda layout: layout["model"][1].update(length=10**12), "bytes would take 4000000000000 in memory"),
    "an unknown model": (lambda layout: layout.update(model=["os.system", {}]), "built .*no model 'os.system'"),
    "an unknown size": (lambda layout: layout["model"][1].update(depth=3), "has no size 'depth'"),
    "other axes": (lambda layout: layout["axes"].update(seed=[1]), "saved|another model"),
    "labels of text": (lambda layout: layout["axes"].update(seed=["a", "b"]), "no population .*ValidationError"),
    "another key": (lambda layout: layout.update(key=["mine", [0, 0]]), "no population that flylab has saved"),
    "more than it has": (lambda layout: layout.update(n_saved=2), "holds the parameters of another model"),
    "fields of its own": (lambda layout: layout.update(code="import os"), "no population .*unknown field `code`"),
    "results of nothing": (lambda layout: layout["dims"].update(valid_loss=["a"]), "flylab has saved"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_layouts_are_refused(case, tmp_path):
    change, message = HOSTILE[case]
    path = trained(get_model("logistic")).save(tmp_path / "p.safetensors")
    changed(path, lambda layout: change(layout) and None)
    with pytest.raises(ValueError, match=message):
        Population.load(path)


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, b"\x02\0\0\0\0\0\0\0{}", b"\x02\0\0\0\0\0\0\0[]"])
def test_other_files_are_refused(content, tmp_path):
    path = tmp_path / "p"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(f"{path} is no population that flylab has saved")):
        Population.load(path)


def test_missing_arrays_are_refused_and_nothing_is_run(tmp_path):
    path = trained(get_model("logistic")).save(tmp_path / "p.safetensors")
    changed(path, lambda layout: None, without("params:['w']"))
    with pytest.raises(ValueError, match=r"params:\['w'\] has None where the model has"):
        Population.load(path)
    changed(path, lambda layout: None, without("results:test_loss"))
    with pytest.raises(ValueError, match="no population that flylab has saved"):
        Population.load(path)
    with pytest.raises(OSError, match="nowhere"):
        Population.load(tmp_path / "nowhere")


def test_what_could_not_be_loaded_is_not_saved(tmp_path):
    population = trained(OWN)
    with pytest.raises(ValueError, match="different labels along seed"):
        population.isel(seed=[0, 0]).save(tmp_path / "twice.safetensors")
    with pytest.raises(ValueError, match="no member would be left along seed"):
        population.isel(seed=[])
    assert not list(tmp_path.iterdir())
