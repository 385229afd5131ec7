"""Metalearning a learning rate: descent and grid share a landscape, and the effects on made-up results."""

from dataclasses import replace

import jax
import numpy as np
import pytest
import xarray as xr

from flylab.results.judging import judge
from flylab.runs.runner import execute
from flylab.studies import learning_rate as study
from flylab.study.registry import get_study
from flylab.study.study import protocol_of

STUDY = get_study("learning_rate")
TINY = replace(STUDY.presets["smoke"], n_steps=6, n_outer_steps=2, starts=(1.5, 0.15))
KEY = jax.random.key(0)


def made_up(ends, optimum, n_seeds=6):
    """Return results in which each start reaches its end, and the landscape is a parabola in log rate."""
    rates = np.geomspace(0.05, 3, 30)
    noise = 1 + 0.001 * np.arange(n_seeds)[:, None]
    rate = np.stack([np.array(list(ends)), np.array(list(ends.values()))], -1)[None] * noise[..., None]
    losses = 1 + np.log(rates / optimum) ** 2 * noise
    treatments = ["metalearned", "grid"]
    blank, falls = np.full_like(rate, np.nan), np.broadcast_to([2.0, 1.0], rate.shape)
    variables = {
        "rate": (("treatment", "seed", "start", "outer_step"), np.stack([rate, blank])),
        "outer_loss": (("treatment", "seed", "start", "outer_step"), np.stack([falls, blank])),
        "grid_loss": (("treatment", "seed", "learning_rate"), np.stack([np.full_like(losses, np.nan), losses])),
    }
    coords = {"treatment": treatments, "seed": range(n_seeds), "start": list(ends), "learning_rate": rates}
    return xr.Dataset(variables, coords).assign_attrs(preset="quick", study="learning_rate", run="r")


def verdicts(results):
    return {verdict.id: verdict.verdict for verdict in judge(STUDY.claims, results, {"quick": []})}


def test_claims_on_a_known_landscape():
    results = made_up({1.5: 0.63, 0.15: 0.61, 3.0: 0.65}, 0.62)
    np.testing.assert_allclose(study.best_rate(results), 0.62, rtol=1e-3)
    assert set(verdicts(results).values()) == {"supported"}
    results = made_up({1.5: 0.9, 0.15: 0.61, 3.0: 2.5}, 0.4)
    assert set(verdicts(results).values()) == {"refuted"}


def test_a_run_that_diverges_is_counted_and_left_out():
    results = made_up({1.5: 0.63, 0.15: 0.61, 3.0: 0.65}, 0.62)
    for name in ("outer_loss", "rate"):
        results[name][{"treatment": 0, "seed": 2, "start": 2, "outer_step": -1}] = 1e20
    assert study.diverged(results).sum() == 1
    rows = {row[0]: row for row in STUDY.table(results).rows}
    assert rows["start 3"][4] == "1/6"
    assert rows["start 3"][1].startswith("0.6")
    by_id = {verdict.id: verdict for verdict in judge(STUDY.claims, results, {"quick": []})}
    assert by_id["converges-everywhere"].effect == pytest.approx(500 / 6)
    assert (by_id["converges"].effect, by_id["value"].verdict) == (100, "supported")
    assert not np.isinf(study.distance(results, study.PUBLISHED_STARTS)).any()


def test_a_start_from_which_most_runs_diverge_is_not_drawn():
    results = made_up({1.5: 0.63, 0.15: 0.61, 0.5: 0.62, 0.7: 0.62, 3.0: 0.65}, 0.62)
    results = results.assign(last_loss=results.outer_loss)
    results.outer_loss[{"treatment": 0, "seed": slice(4), "start": 4, "outer_step": -1}] = 1e20
    axes = STUDY.figure(results).axes
    assert len(axes[2].collections) == len(study.PUBLISHED_STARTS)  # bands
    assert [text.get_text() for text in axes[0].get_legend().get_texts()] == [
        "from 0.5 … 0.7", "from 1.5 (published)", "from 0.15 (published)", "from 3 most diverge"]  # fmt: skip


@pytest.mark.slow
def test_descent_and_grid_share_a_landscape():
    """At the starting rate, the outer loss is the grid's, seed by seed."""
    protocol = replace(TINY, rates=(0.15, 1.5))
    learned, grid = (
        STUDY.run(protocol, {"treatment": treatment}, [0, 3], key=KEY) for treatment in ("metalearned", "grid")
    )
    first = learned.outer_loss.isel(outer_step=0, drop=True).rename(start="learning_rate")
    xr.testing.assert_allclose(first, grid.grid_loss.transpose(*first.dims).sel(learning_rate=[1.5, 0.15]), rtol=1e-5)
    assert learned.rate.isel(outer_step=0).sel(start=1.5).values.tolist() == [1.5, 1.5]
    assert learned.sizes["outer_step"] == protocol.n_outer_steps + 1


def test_a_seed_is_the_same_alone_and_fresh_data_differ():
    both = STUDY.run(TINY, {"treatment": "metalearned"}, [0, 1], key=KEY)
    alone = STUDY.run(TINY, {"treatment": "metalearned"}, [1], key=KEY)
    xr.testing.assert_identical(alone.sel(seed=1), both.sel(seed=1))
    fresh = STUDY.run(replace(TINY, fresh_data=True), {"treatment": "metalearned"}, [1], key=KEY)
    assert (fresh.outer_loss != alone.outer_loss).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"starts": ()}, "starts="),
        ({"rates": (0.1, 0.0)}, r"rates\[1\]=0.0"),
        ({"n_outer_steps": 0}, "n_outer_steps=0"),
        ({"outer_rate": -1.0}, "outer_rate=-1"),
        ({"batch_size": 0}, "batch_size=0"),
    ],
)
def test_bad_values_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        protocol_of(STUDY, "smoke", **changes)


def test_smoke_runs_every_claim(tmp_path):
    run = execute(STUDY, "smoke", STUDY.presets["smoke"], tmp_path)
    assert [verdict.verdict for verdict in judge(STUDY.claims, run.results, {})] == [None] * len(STUDY.claims)
    assert len(STUDY.table(run.results).rows) == 4
    STUDY.figure(run.results).savefig(tmp_path / "figure.png")
