"""Metalearning an activation: tests on unseen, paired data, and effects on known results."""

from dataclasses import replace

import jax
import numpy as np
import pytest
import xarray as xr

from flylab.data import MNIST1D
from flylab.models.activations import learnable
from flylab.results.judging import judge
from flylab.runs.runner import execute
from flylab.studies import activation as study
from flylab.studies.activation import method
from flylab.study.registry import get_study
from flylab.study.study import protocol_of

STUDY = get_study("activation")
SMOKE = STUDY.presets["smoke"]
KEY = jax.random.key(0)


def made_up(accuracies, slope, n_seeds=6):
    """Return results with these test and validation accuracies by activation and rate."""
    names, rates = list(accuracies), [0.003, 0.01]
    values = np.array([[accuracies[name][rate] for rate in rates] for name in names])
    noise = 0.1 * np.arange(n_seeds)
    full = (values[:, None, :] + noise[:, None])[..., None]  # (activation, seed, rate, step)
    dims = ("activation", "seed", "learning_rate", "step")
    curves = dict.fromkeys(("test_accuracy", "valid_accuracy"), (dims, full))
    losses = dict.fromkeys(("loss_last", "loss_all"), (dims[:-1], 2 - full[..., 0] / 100))
    shape = np.where(np.array(names) == "learned", 1.0, np.nan)[:, None, None, None] * slope
    slopes = {
        "slope": (("activation", "seed", "stage", "x"), np.broadcast_to(shape, (len(names), n_seeds, 1, len(slope))))
    }
    coords = {"activation": names, "seed": range(n_seeds), "learning_rate": rates, "step": [301], "stage": [301]}
    attributes = {"preset": "quick", "study": "activation", "run": "r"}
    return xr.Dataset(curves | losses | slopes, coords).assign_attrs(attributes)


def verdicts(results):
    return {verdict.id: verdict.verdict for verdict in judge(STUDY.claims, results, {"quick": []})}


def test_claims_on_known_results():
    """A fixed rate flatters: at its own best rate a usual function may catch up."""
    usual = {name: {0.003: 62.0, 0.01: 50.0} for name in study.USUAL}
    accuracies = {"learned": {0.003: np.nan, 0.01: 60.0}, "authors": {0.003: np.nan, 0.01: 66.4}, **usual}
    results = made_up(accuracies, np.array([1.0, 2, -1, -1, 3]))
    assert study.best_rate(results, "relu") == 0.003
    assert study.best_rate(results, "learned") == 0.01
    assert study.n_extrema(results).values.tolist() == [2] * 6
    by_id = verdicts(results)
    supported = {"authors-function", "beats-relu", "beats-elu", "beats-swish", "train-loss.last", "train-loss.all",
                 "shape"}  # fmt: skip
    assert {name for name, verdict in by_id.items() if verdict == "supported"} == supported
    assert {name for name, verdict in by_id.items() if verdict == "refuted"} == set(by_id) - supported
    assert verdicts(made_up(accuracies, np.array([1.0, 2, 3])))["shape"] == "refuted"


@pytest.mark.slow
def test_tests_are_paired_and_unseen():
    """Every function is tested on the same data and initial weights, none of which metalearning saw."""
    protocol = replace(SMOKE, n_steps=6, window=3)
    relu, gelu = (STUDY.run(protocol, {"activation": name}, [0, 1], key=KEY) for name in ("relu", "gelu"))
    assert relu.test_accuracy.dims == ("seed", "learning_rate", "step")
    assert study.UNSEEN > 1000 + 2 * 10_000
    alone = STUDY.run(protocol, {"activation": "relu"}, [1], key=KEY)
    xr.testing.assert_identical(alone.sel(seed=1), relu.sel(seed=1))
    assert (relu.loss_all != gelu.loss_all).all()


@pytest.mark.slow
def test_the_authors_function_is_tested_at_the_published_rate_only():
    results = STUDY.run(SMOKE, {"activation": "authors"}, [0], key=KEY)
    assert results.learning_rate.values.tolist() == [SMOKE.learning_rate]
    assert results.loss.dims == ("seed", "update")  # of every inner step
    assert results.loss.sizes["update"] == SMOKE.n_steps
    np.testing.assert_allclose(results.loss.mean("update"), results.loss_all.squeeze("learning_rate"), rtol=1e-6)


@pytest.mark.long
def test_metalearning_moves_the_function_and_keeps_its_weights():
    results = STUDY.run(SMOKE, {"activation": "learned"}, [0, 1], key=KEY)
    assert results.stage.values.tolist() == [0, 1, 3]
    first, last = (results.value.isel(stage=i) for i in (0, -1))
    assert (first != last).any("x").all()
    assert (first.isel(seed=0) != first.isel(seed=1)).any()
    weights = {name: results[f"weight_{name}"].sel(seed=1).values for name in "wbvc"}
    np.testing.assert_allclose(learnable(weights, method.X.astype(np.float32)), last.sel(seed=1), rtol=1e-4, atol=1e-5)
    assert results.test_accuracy.learning_rate.values.tolist() == [SMOKE.learning_rate]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window": 13}, "window=13 must be at most n_steps=12"),
        ({"clip": 0.0}, "clip=0"),
        ({"decay": 1.0}, "decay=1"),
        ({"noise": -0.1}, "noise=-0.1"),
        ({"rates": ()}, "rates="),
        ({"data": MNIST1D(n_valid=0)}, "n_valid=0 must be ≥ 1: the usual functions' rates"),
    ],
)
def test_bad_values_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        protocol_of(STUDY, "smoke", **changes)


@pytest.mark.long
def test_smoke_runs_every_claim(tmp_path):
    run = execute(STUDY, "smoke", SMOKE, tmp_path)
    assert [verdict.verdict for verdict in judge(STUDY.claims, run.results, {})] == [None] * len(STUDY.claims)
    assert len(STUDY.table(run.results).rows) == 10
    STUDY.figure(run.results).savefig(tmp_path / "figure.png")
