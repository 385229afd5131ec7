"""Activations learned on larger targets: ranks and claims on known results, and a short run of every part."""

import sys
from dataclasses import replace

import jax
import numpy as np
import pytest
import xarray as xr

from flylab.data import Images
from flylab.data.images import digest
from flylab.models import activations
from flylab.results.judging import judge
from flylab.runs.runner import execute
from flylab.studies import activation_at_scale as study
from flylab.studies.activation_at_scale import method
from flylab.study.registry import get_study
from flylab.study.study import protocol_of

STUDY = get_study("activation_at_scale")
SMOKE = STUDY.presets["smoke"]
KEY = jax.random.key(0)
ARTIFACTS = {"activation": activations.FUNCTIONS}


def made_up(ranks, n_seeds=6):
    """Return results in which each kind of learned function has these ranks by (early, final) loss, on every target."""
    names, noise = [*ranks, *study.USUAL], 1e-3 * np.arange(n_seeds)
    usual = np.arange(1, 9, dtype=float)

    def losses(i):
        own = [pair[i] - 0.5 for pair in ranks.values()]
        return np.concatenate([own, usual])[:, None, None] + noise + np.zeros((1, 2, 1))

    dims = ("activation", "target", "seed")
    variables = {"early_loss": (dims, losses(0)), "test_loss": (dims, losses(1))}
    variables |= dict.fromkeys(("test_accuracy", "valid_accuracy"), (dims, 90 - 2 * losses(1)))
    coords = {"activation": names, "target": ["mlp", "cnn"], "seed": range(n_seeds)}
    attributes = {"preset": "quick", "study": "activation_at_scale", "run": "r"}
    return xr.Dataset(variables, coords).assign_attrs(attributes)


def verdicts(results):
    return {verdict.id: verdict.verdict for verdict in judge(STUDY.claims, results, {"quick": []})}


def test_claims_on_known_results():
    better = {"published": (1, 6), **dict.fromkeys(("mlp.early", "cnn.early"), (2, 4)),
              **dict.fromkeys(("mlp.final", "cnn.final"), (5, 1))}  # fmt: skip
    worse = {"published": (1, 1), **dict.fromkeys(("mlp.early", "cnn.early"), (3, 4)),
             **dict.fromkeys(("mlp.final", "cnn.final"), (5, 4))}  # fmt: skip
    assert study.rank(made_up(better), "mlp.early", "cnn", "test_loss").values.tolist() == [4] * 6
    kinds = ("own-early", "own-final", "gain", "final-rank", "larger-refines")
    tested = {f"{kind}.{target}" for kind in kinds for target in ("mlp", "cnn")}
    tested |= {"transfers.mlp-cnn", "transfers.cnn-mlp"}
    for ranks, word in ((better, "supported"), (worse, "refuted")):
        by_id = verdicts(made_up(ranks))
        assert {id_ for id_, verdict in by_id.items() if verdict == word} == tested
        assert {verdict for id_, verdict in by_id.items() if id_ not in tested} == {"not tested"}


def test_evolved_functions_are_compared_with_unrolled_ones():
    ranks = {"mlp.final": (5, 3), "mlp.evolved": (5, 1), "cnn.final": (5, 3), "cnn.evolved": (5, 5)}
    by_id = verdicts(made_up(ranks))
    assert (by_id["evolved-rank.mlp"], by_id["evolved-rank.cnn"]) == ("supported", "refuted")


@pytest.mark.slow
@pytest.mark.parametrize("target", ["mlp", "cnn", "cnn2d"])
def test_targets_take_any_activation(target):
    model = method._network(target, 16)(jax.nn.elu)
    assert model.apply_batch is not None
    params, x = model.init(KEY), jax.numpy.ones((784 if target == "cnn2d" else 40, 3))
    out = model.apply_batch(params, x)
    np.testing.assert_allclose(out[:, 0], model.apply(params, x[:, 0]), rtol=1e-4, atol=1e-5)
    assert out.shape == (10, 3)


@pytest.mark.slow
def test_functions_are_tested_on_the_same_unseen_data():
    both, alone = (STUDY.run(SMOKE, {"activation": "relu"}, seeds, key=KEY, artifacts=ARTIFACTS)
                   for seeds in ([0, 1], [1]))  # fmt: skip
    xr.testing.assert_identical(both.sel(seed=1), alone.sel(seed=1))
    assert both.early_loss.dims == ("target", "seed")
    assert study.STUDY.n_steps(SMOKE, {"activation": "relu"}) == 2 * SMOKE.n_steps


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_early": 7}, "n_early=7 must be at most n_steps=6"),
        ({"width": 4}, "width=4 must be at least 8"),
        ({"goals": ("best",)}, "goals"),
        ({"goals": ()}, r"goals=\(\) must be one to three goals"),
        ({"sigma": 0.0}, "sigma=0"),
        ({"dataset": ("cifar10",)}, "dataset"),
        ({"data": replace(SMOKE.data, n_valid=0)}, "n_valid=0 must be an integer ≥ 1"),
        ({"data": replace(SMOKE.data, final_seq_length=80)}, "final_seq_length=80 must be 40"),
        ({"data": replace(SMOKE.data, random_labels=20)}, "random_labels=20 must be at most 10"),
    ],
)
def test_bad_values_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        protocol_of(STUDY, "smoke", **changes)


def test_before_training_images_name_members_and_a_missing_package_is_refused(monkeypatch):
    monkeypatch.setattr(study, "image_sets", lambda protocol: {"mnist": Images("digits")})
    assert study.input_digest(SMOKE)({"activation": "relu"}) == digest(Images("digits"))
    monkeypatch.setitem(sys.modules, "evosax.algorithms", None)
    with pytest.raises(ValueError, match="the goal evolved needs the package evosax"):
        study.input_digest(replace(SMOKE, goals=("evolved",)))


@pytest.mark.long
def test_evolution_learns_a_function_for_each_seed():
    pytest.importorskip("evosax")
    protocol = replace(SMOKE, goals=("evolved",), n_pairs=1)
    results = STUDY.run(protocol, {"activation": "mlp.evolved"}, [0, 1], key=KEY, artifacts=ARTIFACTS)
    assert (results.value.isel(seed=0) != results.value.isel(seed=1)).any()
    assert results.outer_loss.dims == ("seed", "outer_step")


@pytest.mark.long
def test_smoke_runs_every_claim(tmp_path):
    run = execute(STUDY, "smoke", SMOKE, tmp_path)
    by_id = {verdict.id: verdict for verdict in judge(STUDY.claims, run.results, {})}
    assert sum(verdict.effect is not None for verdict in by_id.values()) == 12
    assert len(STUDY.table(run.results).rows) == 5 + 8
    STUDY.figure(run.results).savefig(tmp_path / "figure.png")
