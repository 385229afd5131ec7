"""Transfer to images: ranks, the artifact with the learned activation, and a short run of every part."""

from dataclasses import replace

import jax
import numpy as np
import pytest
import xarray as xr

from flylab.models import activations
from flylab.results.judging import judge
from flylab.runs.plan import plan_of_study
from flylab.runs.runner import execute
from flylab.studies import transfer
from flylab.study.registry import get_study
from flylab.study.study import protocol_of

STUDY = get_study("transfer")
TINY = replace(STUDY.presets["smoke"], n_epochs=1, batch_size=20)
KEY = jax.random.key(0)


def made_up(early, final, dataset, n_seeds=6):
    """Return results with losses by activation; seeds differ by less than activations do."""
    noise = 0.001 * np.arange(n_seeds)
    dims = ("dataset", "activation", "seed", "epoch")
    variables = {
        "first_epoch_loss": (dims[:-1], (np.array(early)[:, None] + noise)[None]),
        "test_loss": (dims, (np.array(final)[:, None] + noise)[None, ..., None]),
    }
    coords = {"dataset": [dataset], "activation": list(transfer.NAMES), "seed": range(n_seeds), "epoch": [1.0]}
    return xr.Dataset(variables, coords).assign_attrs(preset="quick", study="transfer", run="r")


def verdicts(results):
    return {verdict.id: verdict.verdict for verdict in judge(STUDY.claims, results, {"quick": []})}


def test_the_last_epoch_is_that_of_each_data_set():
    short, long = (made_up(np.arange(9), np.arange(9), name).assign_coords(epoch=[epoch])
                   for name, epoch in (("mnist", 3.0), ("digits", 10.0)))  # fmt: skip
    results = xr.concat([short, long], "dataset", join="outer")
    assert np.isnan(results.test_loss.isel(epoch=-1)).any()
    found = transfer.ranks(results, "test_loss").transpose("dataset", "activation", "seed")
    assert (found == np.arange(1, 10)[:, None]).all()


@pytest.mark.parametrize("dataset", ["digits", "mnist", "cifar10"])
def test_ranks_decide_the_claims_on_their_own_data_set_alone(dataset):
    results = made_up(np.arange(9), np.roll(np.arange(9), -4), dataset)
    place = {"activation": "learned", "dataset": dataset}
    assert transfer.ranks(results, "first_epoch_loss").sel(place).values.tolist() == [1] * 6
    assert transfer.ranks(results, "test_loss").sel(place).values.tolist() == [5] * 6
    ids = [f"transfer-early.{dataset}", f"transfer-final.{dataset}"]
    for shown, word in ((results, "supported"), (made_up(-np.arange(9), np.arange(9), dataset), "refuted")):
        by_id = verdicts(shown)
        assert [by_id.pop(id_) for id_ in ids] == [word] * 2
        assert set(by_id.values()) == {"not tested"}


def run(name, seeds, file=activations.FUNCTIONS):
    condition = {"dataset": "digits", "activation": name}
    return STUDY.run(TINY, condition, seeds, key=KEY, artifacts={"activation": file})


@pytest.mark.long
def test_each_seed_has_a_function_of_its_own(tmp_path):
    """The file gives the functions, in the order of seeds; another file names members anew."""
    weights = activations.load_functions()
    path = activations.save_weights(tmp_path / "two.safetensors", {n: leaf[[0, 2]] for n, leaf in weights.items()}, {})
    shipped, two = run("learned", [0, 1]), run("learned", [0, 1], path)
    assert shipped.first_epoch_loss.sel(seed=0) == two.first_epoch_loss.sel(seed=0)
    assert shipped.first_epoch_loss.sel(seed=1) != two.first_epoch_loss.sel(seed=1)
    names = [
        {
            name
            for group in plan_of_study(replace(STUDY, artifacts={"activation": file}), "smoke", TINY).groups()
            for name in group.names
        }
        for file in (activations.FUNCTIONS, path)
    ]
    assert not names[0] & names[1]


def test_the_artifact_has_a_function_for_each_seed():
    assert len(activations.load_functions()["c"]) == transfer.N_FUNCTIONS
    with pytest.raises(ValueError, match="n_seeds=11 must be at most 10, the number of learned functions"):
        replace(TINY, n_seeds=11)


@pytest.mark.slow
def test_a_seed_is_the_same_alone():
    both, alone = run("learned", [0, 1]), run("learned", [1])
    xr.testing.assert_identical(both.sel(seed=1), alone.sel(seed=1))
    assert both.epoch.values.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": ("mnits",)}, r"dataset\[0\]='mnits' must be one of digits"),
        ({"n_epochs": 0}, "n_epochs=0"),
        ({"learning_rate": 0.0}, "learning_rate=0"),
    ],
)
def test_bad_values_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        protocol_of(STUDY, "smoke", **changes)


@pytest.mark.long
def test_smoke_runs_every_claim(tmp_path):
    run = execute(STUDY, "smoke", TINY, tmp_path)
    by_id = {verdict.id: verdict for verdict in judge(STUDY.claims, run.results, {})}
    assert {verdict.verdict for verdict in by_id.values()} == {None}
    assert {id_ for id_, verdict in by_id.items() if verdict.effect is not None} == {
        "transfer-early.digits", "transfer-final.digits"
    }  # fmt: skip
    assert len(STUDY.table(run.results).rows) == 9
    STUDY.figure(run.results).savefig(tmp_path / "figure.png")
