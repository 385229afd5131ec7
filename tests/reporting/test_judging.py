"""What runs and sweeps are good for: what they changed of a preset, and what it reduces of `paper`."""

import json
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from flylab.base.config import override_flat, to_json
from flylab.reporting import judging
from flylab.reporting.judging import standing_of, verdicts
from flylab.study.registry import get_study

STUDY = get_study("learning_rate")
QUICK = STUDY.presets["quick"]


def results(protocol=QUICK, preset="quick", **attrs):
    """Metalearned rates that converge to the grid's best one."""
    rates, seeds = np.geomspace(0.05, 3, 60), range(6)
    rate = np.broadcast_to(0.62 + 0.002 * np.arange(6)[:, None, None], (6, 2, 2))
    grid = np.log(rates / 0.62) ** 2 + np.zeros((6, 1))
    variables = {
        "rate": (("treatment", "seed", "start", "outer_step"), np.stack([rate, np.full_like(rate, np.nan)])),
        "outer_loss": (("treatment", "seed", "start", "outer_step"), np.ones((2, 6, 2, 2))),
        "grid_loss": (("treatment", "seed", "learning_rate"), np.stack([np.full_like(grid, np.nan), grid])),
    }
    coords = {"treatment": ["metalearned", "grid"], "seed": seeds, "start": [1.5, 0.15], "learning_rate": rates}
    attrs = {"study": "learning_rate", "preset": preset, "run": "r", "protocol": to_json(protocol), **attrs}
    return xr.Dataset(variables, coords, attrs)


def words(results):
    return {verdict.id: verdict.word for verdict in verdicts(results)}


@pytest.mark.parametrize(
    ("changes", "of_ends", "of_rate"),
    [
        ({}, "supported", "supported"),
        ({"n_seeds": 7}, "supported", "supported"),
        ({"width": 100}, "changed: width=100", "changed: width=100"),
        ({"n_train": 500, "n_steps": 20}, "changed: n_steps=20, n_train=500", "changed: n_steps=20, n_train=500"),
        ({"rates": (0.1, 0.6, 2.0)}, "changed: rates=0.1 0.6 2.0", "supported"),
        ({"starts": (1.5, 0.15)}, "supported", "changed: starts=1.5 0.15"),
    ],
)
def test_a_verdict_needs_the_protocol_of_the_preset(changes, of_ends, of_rate):
    by_id = words(results(override_flat(QUICK, changes)))
    assert (by_id["converges"], by_id["value"]) == (of_ends, of_rate)


def test_a_preset_states_what_it_lacks_of_paper():
    study = get_study("lottery")
    of_quick = xr.Dataset(attrs={"preset": "quick", "protocol": to_json(study.presets["quick"])})
    standing = standing_of(study, of_quick)
    assert not standing.changed
    assert {"n_rounds 7 of 100", "schedule geometric, not linear"} <= {*standing.reduced.values()}
    of_paper = xr.Dataset(
        coords={"seed": [1000]}, attrs={"preset": "paper", "protocol": to_json(study.presets["paper"])}
    )
    assert not standing_of(study, of_paper).reduced
    assert not standing_of(replace(study, presets={"quick": study.presets["quick"]}), of_quick).reduced


def test_a_sweep_is_judged_where_it_is_the_preset():
    one = results()
    sweep = {"name": "s", "fixed": {"batch_size": 50}, "axes": {"n_steps": [200, 20]}}
    both = xr.concat([one, one], "n_steps").assign_coords(n_steps=[200, 20]).assign_attrs(sweep=json.dumps(sweep))
    by_run = {verdict.run: verdict.word for verdict in verdicts(both) if verdict.id == "converges"}
    assert by_run == {"s: n_steps=200": "supported", "s: n_steps=20": "changed: n_steps=20"}
    sweep["fixed"]["batch_size"] = 10
    both = both.sel(n_steps=[20]).assign_attrs(sweep=json.dumps(sweep))
    assert set(words(both).values()) == {"changed: n_steps=20, batch_size=10"}


def test_a_place_of_a_sweep_has_its_protocol():
    preset = {"n_steps": 5, "sizes": [1, 2], "data": {"n_train": 100, "seed": None}}
    changed = judging._with(preset, {"n_train": [7, 8], "sizes": [3], "seed": 1})
    assert changed == {"n_steps": 5, "sizes": [3], "data": {"n_train": 7, "seed": 1}}


def test_samples_are_judged_by_what_was_drawn():
    one = results()
    sweep = {"name": "s", "fixed": {}, "axes": {"width": {"uniform": [1, 99]}}}
    both = xr.concat([one, one], "sample").assign_coords(sample=[0, 1], width=("sample", [50, 7]))
    by_run = {v.run: v.word for v in verdicts(both.assign_attrs(sweep=json.dumps(sweep))) if v.id == "converges"}
    assert by_run == {"s: sample=0": "supported", "s: sample=1": "changed: width=7"}
