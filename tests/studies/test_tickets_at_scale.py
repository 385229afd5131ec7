"""Tickets at scale: claims on made-up results, what conditions train, and a short run of every part."""

from dataclasses import replace

import jax
import numpy as np
import pytest
import xarray as xr

from flylab.data.arrangements import shuffled
from flylab.results.judging import judge
from flylab.runs.runner import execute
from flylab.studies import tickets_at_scale
from flylab.studies.tickets_at_scale import method
from flylab.study.registry import get_study
from flylab.study.study import protocol_of

STUDY = get_study("tickets_at_scale")
SMOKE = STUDY.presets["smoke"]
TINY = replace(SMOKE, dataset=("mnist1d", "digits"), n_train=60, n_test=40, n_steps=6, rewinds=(0, 3), null_samples=2)
KEY = jax.random.key(0)


def made_up(names, *, is_spatial, n_seeds=4):
    """Return results in which tickets cluster and are good for that reason, or neither."""
    sizes = {"dataset": len(names), "width": 2, "share": 2, "arrangement": 2, "rewind_to": 2, "seed": n_seeds}
    coords = {
        "dataset": list(names), "width": [100, 400], "share": [1.0, 0.25], "arrangement": ["plain", "permuted"],
        "rewind_to": [0, 100], "seed": range(n_seeds), "sparsity": [0.0, 50.0, 92.0], "distance": range(1, 10),
        "target": list(dict.fromkeys((*names[:1], "permuted", *names[1:]))), "treatment": ["dense", "ticket", "random"],
        "network": ["dense", "ticket"],
    }  # fmt: skip
    frame, scale = xr.Dataset(coords=coords), int(is_spatial)
    sign, level = 2 * scale - 1, 0.001 * frame.seed  # which varies over seeds

    def along(dim, *values):
        return xr.DataArray(list(values), {dim: coords[dim]})

    plain, near = along("arrangement", 1.0, 0.0), along("distance", *1 / np.arange(1, 10))
    clusters = along("width", 1, 2) * along("share", 2, 1) * along("sparsity", np.nan, 0.1, 0.2) * plain
    gained = along("treatment", 0, 1, 0) * (frame.target != "permuted")
    variables = {
        "neighbours": 1 + sign * plain * 0.3 + level * along("sparsity", np.nan, 1, 1) - 0.001,
        "association": sign * clusters * along("dataset", *range(1, len(names) + 1)) + level,
        "co_survival": 1 + sign * near * (plain + level),
        "search_accuracy": 70 + sign * along("width", -1, 1) * along("sparsity", 0, 1, 2) * (1 + level),
        "transfer_accuracy": along("treatment", 70, 70 + 5 * sign, 70) + sign * gained * (1 + level),
        "barrier": along("rewind_to", 10, 1 + 20 * (1 - scale)) + level * along("network", 1, 1),
    }
    everywhere = xr.DataArray(np.zeros([*sizes.values()]), dims=[*sizes])
    full = {name: values.broadcast_like(everywhere) for name, values in variables.items()}
    return frame.assign(full).assign_attrs(study="tickets_at_scale", preset="quick", run="r")


def words(results):
    return {verdict.id: verdict.verdict for verdict in judge(STUDY.claims, results, {"quick": []})}


def test_claims_hold_where_tickets_are_spatial_and_fall_where_they_are_not():
    names = ("mnist1d", "mnist1d-80", "mnist1d-160")
    ids = [claim.id for claim in STUDY.claims if claim.id.endswith(("-mnist1d", "-length"))]
    assert len(ids) == 14
    found, other = (words(made_up(names, is_spatial=is_spatial)) for is_spatial in (True, False))
    assert {id_: found[id_] for id_ in ids} == dict.fromkeys(ids, "supported")
    assert {other[id_] for id_ in ids if not id_.startswith("vanishes")} == {"refuted"}


def test_a_claim_on_a_data_set_is_judged_on_no_other():
    found = words(made_up(("mnist", "digits"), is_spatial=True))
    tested = {id_ for id_, word in found.items() if word != "not tested"}
    assert tested == {claim.id for claim in STUDY.claims
                      if claim.id.endswith(("-mnist", "-digits")) and "cifar10" not in claim.id}  # fmt: skip
    assert found["transfers-mnist-to-digits"] == "supported"
    (needing,) = {claim.needs for claim in STUDY.claims if claim.id == "transfers-mnist-to-cifar10"}
    assert needing == "needs --dataset mnist cifar10"


def test_conditions_differ_from_the_base_case_in_one_thing():
    listed = STUDY.conditions(replace(SMOKE, dataset=("mnist1d", "mnist1d-80", "digits")))
    for name, n in (("mnist1d", 5), ("mnist1d-80", 2), ("digits", 5)):
        own, base = [one for one in listed if one["dataset"] == name], SMOKE.base(name)
        assert own[0] == base
        assert len(own) == n
        assert all(sum(one[dim] != base[dim] for dim in base) == 1 for one in own[1:])


@pytest.mark.long
@pytest.mark.parametrize("name", ["mnist1d", "digits"])
def test_steps_are_those_that_are_trained(name):
    for condition in STUDY.conditions(replace(TINY, dataset=(name,))):
        steps = []
        STUDY.run(TINY, condition, [0], key=KEY, progress=steps.append)
        assert sum(steps) == STUDY.n_steps(TINY, condition)


@pytest.mark.slow
def test_a_seed_is_the_same_alone_and_has_data_of_its_own():
    condition = TINY.base("digits")
    both, alone = (STUDY.run(TINY, condition, seeds, key=KEY) for seeds in ([0, 1], [1]))
    xr.testing.assert_identical(both.sel(seed=[1]), alone)
    assert not both.search_accuracy[0].equals(both.search_accuracy[1])
    one, other = (method.data_of(TINY, "mnist1d", "mnist1d", seed, 1.0, False) for seed in (0, 1))
    assert not np.array_equal(one.train.x, other.train.x)


def test_permutations_move_pixels_and_shares_take_the_first_examples():
    images = replace(TINY, dataset=("digits",), n_train=61)  # which need no multiple of ten
    assert len(method.data_of(images, "digits", "digits", 3, 1.0, False).train.x) == 61
    whole = method.data_of(TINY, "digits", "digits", 3, 1.0, False)
    permuted = method.data_of(TINY, "digits", "digits", 3, 0.5, True)
    np.testing.assert_array_equal(permuted.train.x, whole.train.x[:30, list(shuffled(64, 3))])
    np.testing.assert_array_equal(permuted.test.x, whole.test.x[:, list(shuffled(64, 3))])
    colour = method.data_of(TINY, "digits", "cifar10", 3, 1.0, False)
    assert colour.train.x.shape == (60, 3072)
    assert (np.ptp(colour.train.x.reshape(60, 1024, 3), axis=2) == 0).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": ("mnits",)}, r"dataset\[0\]='mnits' must be one of mnist1d"),
        ({"rewinds": (0, 1000)}, "rewinds="),
        ({"widths": ()}, "widths="),
        ({"shares": (0.0,)}, r"shares\[0\]=0"),
        ({"prune_rate": 1.0}, "prune_rate=1"),
        ({"n_train": 205}, r"n_train \+ n_test = 205 \+ 100 must be"),
    ],
)
def test_bad_values_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        protocol_of(STUDY, "smoke", **changes)


@pytest.mark.long
@pytest.mark.parametrize("names", [("mnist1d", "digits"), ("mnist1d-80",)])
def test_any_part_of_the_design_has_a_table_a_figure_and_claims(tmp_path, names):
    run = execute(STUDY, "smoke", replace(TINY, dataset=names), tmp_path)
    assert {verdict.verdict for verdict in judge(STUDY.claims, run.results, {})} == {None}
    assert len(STUDY.table(run.results).rows) == len(names)
    tickets_at_scale.figure(run.results).savefig(tmp_path / "figure.png")
