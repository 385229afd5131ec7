"""Pooling: the effects on made-up results, the protocol, and a short run of every part."""

from dataclasses import replace

import jax
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from flylab.models import convolutional
from flylab.results.judging import judge
from flylab.runs.runner import execute
from flylab.studies import pooling
from flylab.studies.pooling import drawing, method
from flylab.study.registry import get_study
from flylab.study.study import protocol_of

STUDY = get_study("pooling")
TINY = replace(STUDY.presets["smoke"], n_steps=4, eval_every=2, train_sizes=(100, 300))
KEY = jax.random.key(0)


def made_up(accuracies, n_train, n_endless=600_000, n_seeds=4):
    """Return results with a final accuracy by pooling for each size and for endless data; seeds differ by a level."""
    names = list(convolutional.POOLINGS)
    values = np.full((2, len(names), len(n_train) + 1, n_seeds, 2), np.nan)
    level = 0.1 * np.arange(n_seeds)[:, None]  # paired: it cancels
    for i, name in enumerate(names):
        for j, value in enumerate(accuracies[name]):
            values[int(j == len(n_train)), i, j] = np.array([0, value]) + level
    dims = ("source", "pooling", "n_train", "seed", "step")
    coords = {
        "source": ["published", "endless"], "pooling": names, "n_train": [*n_train, n_endless],
        "seed": range(n_seeds), "step": [0, 6000],
    }  # fmt: skip
    fit = np.where(np.isnan(values), np.nan, 100 - 0.1 * values)  # those that generalise better fit less well
    variables = {"test_accuracy": (dims, values), "train_accuracy": (dims, fit)}
    return xr.Dataset(variables, coords).assign_attrs(preset="paper", study="pooling", run="r")


AS_PUBLISHED = {
    "none": (60, 96.3, 98), "stride": (57, 95, 97), "max": (78, 98.1, 98), "average": (79, 97.0, 98.5),
    "l2": (77, 96.5, 96),
}  # fmt: skip


def test_effects_and_verdicts_of_known_results():
    results = made_up(AS_PUBLISHED, (1000, 50_000))
    gains = (pooling.gain(*place)(results).transpose("seed", ...) for place in [("max",), ("l2",)])
    published, endless = (gain.sel(source=source) for gain, source in zip(gains, results.source.values, strict=True))
    np.testing.assert_allclose(published, [[18, 1.8, np.nan]] * 4)
    np.testing.assert_allclose(endless, [[np.nan, np.nan, -2]] * 4)
    assert {verdict.id: verdict.verdict for verdict in judge(STUDY.claims, results, {})} == {
        "low-data-max": "supported", "low-data-average": "supported", "low-data-l2": "supported",
        "stride-is-not-pooling": "supported",
        "high-data-equal-max": "refuted", "high-data-equal-average": "supported", "high-data-equal-l2": "supported",
        "high-data-hinders-max": "refuted", "high-data-hinders-average": "refuted", "high-data-hinders-l2": "refuted",
        "max-vs-l2": "refuted", "max-vs-l2-slope": "refuted",
        "restricts-max": "supported", "restricts-average": "supported", "restricts-l2": "supported",
        "endless-equal-max": "supported", "endless-equal-average": "supported", "endless-equal-l2": "refuted",
    }  # fmt: skip


def test_claims_on_missing_conditions_are_not_tested():
    results = made_up({name: (value[0], value[2]) for name, value in AS_PUBLISHED.items()}, (1000,))
    presets = {name: STUDY.conditions(protocol) for name, protocol in STUDY.presets.items()}
    verdicts = {verdict.id: verdict for verdict in judge(STUDY.claims, results, presets)}
    assert verdicts["low-data-max"].verdict == "supported"
    for id_ in ("high-data-equal-max", "max-vs-l2", "max-vs-l2-slope", "restricts-max"):
        assert (verdicts[id_].verdict, verdicts[id_].note) == ("not tested", "needs the preset paper")


def test_endless_data_stand_apart_and_are_joined_to_nothing():
    results = made_up(AS_PUBLISHED, (1000, 50_000))
    ax = Figure().subplots()
    drawing._against_size(ax, results, results.test_accuracy.isel(step=-1), "accuracy")
    joined = [line.get_xdata() for line in ax.get_lines() if line.get_linestyle() == "-" and len(line.get_xdata()) > 1]
    assert len(joined) == 5
    assert max(map(max, joined)) < 60_000
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1k", "50k", "∞"]


def test_claims_need_the_network_without_pooling():
    results = made_up(AS_PUBLISHED, (1000, 50_000)).sel(pooling=["max"])
    assert {verdict.verdict for verdict in judge(STUDY.claims, results, {})} == {"not tested"}


@pytest.mark.slow
def test_seeds_have_their_own_data_and_poolings_share_them():
    condition = {"source": "published", "n_train": 100, "pooling": "max"}
    both, alone = (STUDY.run(TINY, condition, seeds, key=KEY) for seeds in ([0, 1], [1]))
    xr.testing.assert_identical(both.sel(seed=1), alone.sel(seed=1))
    first, second = (pooling.training(TINY, **condition | {"pooling": name}).data for name in ("max", "average"))
    assert first(1).config.seed == 1002
    assert not np.array_equal(first(0).train.x, first(1).train.x)
    np.testing.assert_array_equal(first(1).train.x, second(1).train.x)


@pytest.mark.slow
def test_endless_data_have_no_training_accuracy_and_many_test_examples(monkeypatch):
    seen = []
    real = method.endless
    monkeypatch.setattr(method, "endless", lambda config: seen.append(config) or real(config))
    results = STUDY.run(TINY, {"source": "endless", "n_train": 400, "pooling": "l2"}, [0], key=KEY)
    assert [config.n_test for config in seen] == [TINY.endless_n_test]
    assert set(results) == {"test_loss", "test_accuracy"}
    assert np.isfinite(results.test_loss).all()


def test_lists_and_arrays_become_tuples():
    expected = protocol_of(STUDY, "smoke", train_sizes=(100, 200), poolings=("max",))
    assert protocol_of(STUDY, "smoke", train_sizes=[100, 200], poolings=["max"]) == expected
    assert hash(protocol_of(STUDY, "smoke", train_sizes=np.array([100, 200]), poolings=("max",))) == hash(expected)
    with pytest.raises(ValueError, match=r"train_sizes\[0\]=0 must be an integer ≥ 1"):
        protocol_of(STUDY, "smoke", train_sizes=[0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"poolings": ("mean",)}, r"poolings\[0\]='mean' must be one of none, stride, max, average, l2"),
        ({"train_sizes": (), "endless": False}, "a non-empty list if endless=False"),
        ({"train_sizes": (0,)}, r"train_sizes\[0\]="),
        ({"n_steps": 0}, "n_steps=0"),
        ({"learning_rate": -1.0}, "learning_rate=-1"),
    ],
)
def test_bad_values_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        protocol_of(STUDY, "smoke", **changes)


@pytest.mark.long
@pytest.mark.parametrize(
    "changes",
    [{}, {"endless": False, "train_sizes": (100,)}, {"train_sizes": ()}, {"poolings": ("max",)}],
    ids=["all", "one size", "endless only", "one pooling"],
)
def test_any_part_of_the_design_has_a_table_a_figure_and_claims(tmp_path, changes):
    protocol = replace(TINY, poolings=("none", "l2"), n_seeds=1, n_steps=2)
    run = execute(STUDY, "smoke", replace(protocol, **changes), tmp_path)
    assert {verdict.verdict for verdict in judge(STUDY.claims, run.results, {})} == {None}
    rows = STUDY.table(run.results).rows
    assert len(rows) == run.results.sizes["pooling"]
    assert all(len(row) == 1 + run.results.sizes["n_train"] for row in rows)
    STUDY.figure(run.results).savefig(tmp_path / "figure.png")
