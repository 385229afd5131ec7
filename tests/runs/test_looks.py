"""A run knows with how many seeds it was finished before, and what its claims were at the first look."""

import json
import sqlite3
from dataclasses import dataclass, replace

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from flylab.reporting import judging
from flylab.results.claims import Claim
from flylab.results.effects import Effect
from flylab.results.frozen import digests
from flylab.results.judging import judge
from flylab.runs import upkeep
from flylab.runs.looks import Looks, is_whole, joined, row
from flylab.runs.plan import HELD_OUT
from flylab.runs.runner import execute
from flylab.runs.store import NAME, OLDEST, Store
from flylab.study.protocol import BaseProtocol
from flylab.study.study import Study, Table


@dataclass(frozen=True)
class Free(BaseProtocol):
    """A protocol that costs nothing."""

    shift: float = 0.0


def run(protocol, condition, seeds, *, key, artifacts, progress, resume=None):
    """Values around 1."""
    values = [1 + protocol.shift + 0.1 * np.sin(7 * seed) for seed in seeds]
    return xr.Dataset({"x": ("seed", values)}, {"seed": list(seeds)})


STUDY = Study(
    question="?",
    presets={"smoke": Free(n_seeds=2), "quick": Free(n_seeds=6), "paper": Free(n_seeds=8)},
    conditions=lambda protocol: [{"model": "one"}],
    run=run,
    claims=[Claim("c", "s", "here", "–", "", Effect(lambda r: r.x.sel(model="one")), above=0)],
    figure=lambda results: Figure(),
    table=lambda results: Table("t", ["a"], [["1"]]),
    name="free",
)


def finished(out, preset="quick", study=STUDY, force=False, **changes):
    return execute(study, preset, replace(STUDY.presets[preset], **changes), out, force=force).results


def verdict(results, study=STUDY):
    (one,) = judge(study.claims, results, {}, judging.standing_of(study, results))
    return one


def test_seeds_that_were_added_after_a_look_are_known(tmp_path):
    first = finished(tmp_path)
    assert "looks" not in first.attrs
    assert verdict(first).interval == "Student t"
    more = finished(tmp_path, n_seeds=9)
    assert more.attrs["looks"] == "6"
    assert (verdict(more).interval, verdict(more).looks) == ("always valid", (6,))
    assert verdict(more).high - verdict(more).low > 1.4 * (verdict(first).high - verdict(first).low) * np.sqrt(6 / 9)
    xr.testing.assert_identical(finished(tmp_path, n_seeds=9), more)  # once more with as many is no other look
    assert finished(tmp_path, n_seeds=12).attrs["looks"] == "6 9"
    assert finished(tmp_path).attrs["looks"] == "9 12"  # the best of several numbers of seeds was chosen
    assert "looks" not in finished(tmp_path, shift=1.0).attrs


def test_looks_outlast_records(tmp_path):
    finished(tmp_path)
    assert finished(tmp_path, n_seeds=9, force=True).attrs["looks"] == "6"
    with Store(tmp_path) as store:
        (record,) = store.runs()
        assert store.looks(record).n_seeds == (6, 9)
        upkeep.export(store, tmp_path / record.folder, tmp_path / "other")
        store.forget_run(record.folder)
        with pytest.warns(UserWarning, match="was damaged"):
            store.mend()
        assert store.looks(record).n_seeds == (6, 9)
    assert finished(tmp_path / "other", n_seeds=12).attrs["looks"] == "6 9"


def test_only_a_frozen_claim_on_held_out_seeds_is_confirmed(tmp_path, monkeypatch):
    monkeypatch.setattr(judging, "frozen", lambda name: digests(STUDY.claims))
    confirmed = finished(tmp_path, "paper")
    assert confirmed.seed.values.tolist() == list(range(HELD_OUT, HELD_OUT + 8))
    assert verdict(confirmed).kind == "confirmatory"
    assert verdict(finished(tmp_path, "paper", n_seeds=9)).kind == "confirmatory"
    assert verdict(finished(tmp_path, "paper", shift=0.5)).kind == ""  # changed
    assert verdict(finished(tmp_path)).kind == "exploratory"
    assert verdict(confirmed.assign_coords(seed=range(8))).kind == "exploratory"
    assert verdict(confirmed.assign_attrs(preset="quick")).kind == "exploratory"
    monkeypatch.setattr(judging, "frozen", lambda name: {"c": "another"})
    assert verdict(confirmed).kind == "exploratory"


def test_a_claim_that_was_changed_after_a_look_confirms_nothing(tmp_path, monkeypatch):
    finished(tmp_path, "paper")
    bent = replace(STUDY, claims=[replace(STUDY.claims[0], above=None, below=5)])
    monkeypatch.setattr(judging, "frozen", lambda name: digests(bent.claims))
    for n_seeds in (8, 9):
        results = finished(tmp_path, "paper", bent, n_seeds=n_seeds)
        assert json.loads(results.attrs["claims"]) == digests(STUDY.claims)
        assert verdict(results, bent).kind == "exploratory"
    assert verdict(finished(tmp_path / "new", "paper", bent), bent).kind == "confirmatory"


@pytest.mark.parametrize(("unseen_from", "kind"), [(HELD_OUT, "confirmatory"), (HELD_OUT + 1, "exploratory")])
def test_a_claim_that_was_written_after_a_look_is_not_confirmed_by_the_seeds_looked_at(
    tmp_path, monkeypatch, unseen_from, kind
):
    later = replace(STUDY, claims=[replace(STUDY.claims[0], unseen_from=unseen_from)])
    monkeypatch.setattr(judging, "frozen", lambda name: digests(later.claims))
    assert verdict(finished(tmp_path, "paper", later), later).kind == kind


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], Looks()),
        ([Looks((4,), {"a": "1"})], Looks((4,), {"a": "1"})),
        ([Looks((4,), {"a": "1", "b": "1"}), Looks((8, 9), {"a": "1", "b": "2"})], Looks((4, 8, 9), {"a": "1"})),
    ],
)
def test_databases_are_joined(rows, expected):
    damaged = ("q", '{"n_seeds":[5],"claims":{}}', b"x")
    assert not is_whole(damaged)
    assert joined([*(row("q", one) for one in rows), damaged]) == expected


def test_a_store_without_looks_is_taken_over(tmp_path):
    before = finished(tmp_path)
    with sqlite3.connect(tmp_path / NAME) as connection:
        connection.execute("DROP TABLE look")
        connection.execute(f"PRAGMA user_version = {OLDEST}")
    done = execute(STUDY, "quick", STUDY.presets["quick"], tmp_path)
    assert done.n_trained == 0
    xr.testing.assert_identical(done.results, before)
    assert finished(tmp_path, n_seeds=7).sizes["seed"] == 7
