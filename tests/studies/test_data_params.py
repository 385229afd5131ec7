"""Data parameters: effects on made-up results, one program for all traced data parameters, and a short run."""

from dataclasses import replace

import jax
import numpy as np
import pytest
import xarray as xr

from flylab.results.effects import slope
from flylab.results.judging import judge
from flylab.runs.runner import execute
from flylab.studies import data_params
from flylab.study.registry import get_study
from flylab.study.study import protocol_of

STUDY = get_study("data_params")
TINY = replace(STUDY.presets["smoke"], n_steps=4)
KEY = jax.random.key(0)


def made_up(mlp, cnn, n_seeds=4):
    """Return results with these test accuracies by data parameter and setting; seeds differ by a level."""
    settings = sorted({setting for by_setting in mlp.values() for setting in by_setting})
    values = np.full((len(mlp), 2, n_seeds, len(settings)), np.nan)
    for i, data_param in enumerate(mlp):
        for j, by_setting in enumerate((mlp[data_param], cnn[data_param])):
            for setting, value in by_setting.items():
                values[i, j, :, settings.index(setting)] = value + 0.1 * np.arange(n_seeds)
    coords = {"data_param": list(mlp), "model": ["mlp", "cnn"], "seed": range(n_seeds), "setting": settings}
    results = xr.Dataset({"test_accuracy": (tuple(coords), values)}, coords)
    return results.assign_attrs(preset="paper", study="data_params", run="r")


MLP = {
    "max_translation": {1.0: 95, 48.0: 65}, "corr_noise_scale": {0.0: 90, 1.0: 50},
    "iid_noise_scale": {0.0: 60, 0.2: 60}, "final_seq_length": {10.0: 50, 20.0: 60, 40.0: 70, 80.0: 0},
}  # fmt: skip
CNN = {
    "max_translation": {1.0: 97, 48.0: 94}, "corr_noise_scale": {0.0: 95, 1.0: 80},
    "iid_noise_scale": {0.0: 94, 0.2: 95}, "final_seq_length": {10.0: 80, 20.0: 80, 40.0: 74, 80.0: 99},
}  # fmt: skip


def test_effects_and_verdicts_of_known_results():
    results = made_up(MLP, CNN)
    np.testing.assert_allclose(data_params.gap(results, "max_translation"), [[2, 29]] * 4)
    np.testing.assert_allclose(slope(data_params.gap(results, "max_translation"), "setting", per=10), [27 / 4.7] * 4)
    np.testing.assert_allclose(data_params.resolution("mlp")(results), [10] * 4)  # beyond 40 points does not count
    np.testing.assert_allclose(data_params.resolution("cnn")(results), [-3] * 4)
    words = {verdict.id: verdict.verdict for verdict in judge(STUDY.claims, results, {})}
    words.pop("noise-white-mlp")  # undecided: the slope is 0 to rounding
    assert words == {
        "gap-grows": "supported", "gap-grows.log-odds": "supported", "gap-without": "supported",
        "gap-grows.below-ceiling": "undecided",  # there is one setting only
        "noise-smooth-mlp": "supported", "noise-smooth-cnn": "supported", "noise-white-cnn": "refuted",
        "resolution-mlp": "supported", "resolution-cnn": "refuted",
        "ten-times-the-examples": "not tested", "examples-close-the-gap": "not tested",
    }  # fmt: skip


def test_a_gap_that_only_a_ceiling_hides_does_not_grow_in_log_odds():
    """Both networks' odds are divided by 20: the gap grows by 14 points, and not at all in log-odds."""
    odds = {1.0: (99, 399), 48.0: (99 / 20, 399 / 20)}
    mlp, cnn = ({"max_translation": {at: 100 * o[i] / (1 + o[i]) for at, o in odds.items()}} for i in (0, 1))
    results = made_up(mlp, cnn).isel(seed=[0])
    assert float(np.diff(data_params.gap(results, "max_translation"))[0, 0]) > 10
    np.testing.assert_allclose(data_params.gap_in_log_odds(results, "max_translation"), [[np.log(399 / 99)] * 2])
    full = made_up({"max_translation": {1.0: 100}}, {"max_translation": {1.0: 100}}).isel(seed=[0])
    full = full.assign_attrs(protocol='{"data": {"n_test": 10000}}')
    assert float(data_params.gap_in_log_odds(full, "max_translation").item()) == 0


def test_the_gap_below_the_ceiling_leaves_out_the_setting_without_translation():
    mlp, cnn = {1.0: 60, 16.0: 80, 48.0: 65}, {1.0: 99, 16.0: 90, 48.0: 90}
    results = made_up({"max_translation": mlp}, {"max_translation": cnn})
    words = {verdict.id: verdict.verdict for verdict in judge(STUDY.claims, results, {})}
    assert (words["gap-grows.log-odds"], words["gap-grows.below-ceiling"]) == ("refuted", "supported")


def test_examples_make_up_for_a_prior():
    mlp, cnn = (
        {1000.0: 50, 4000.0: 65, 10_000.0: 80, 100_000.0: 90},
        {1000.0: 82, 4000.0: 94, 10_000.0: 95, 100_000.0: 96},
    )

    def words(mlp, cnn):
        verdicts = judge(STUDY.claims, made_up({"n_train": mlp}, {"n_train": cnn}), {})
        return [verdict.verdict for verdict in verdicts if "examples" in verdict.id]

    assert words(mlp, cnn) == ["supported", "supported"]
    assert words(mlp | {10_000.0: 83}, cnn | {4000.0: 76}) == ["refuted", "refuted"]
    del mlp[100_000.0], cnn[100_000.0]
    assert words(mlp, cnn) == ["supported", "not tested"]


def test_claims_without_conditions_are_not_tested():
    results = made_up({"max_translation": MLP["max_translation"]}, {"max_translation": CNN["max_translation"]})
    presets = {name: STUDY.conditions(protocol) for name, protocol in STUDY.presets.items()}
    by_id = {verdict.id: verdict for verdict in judge(STUDY.claims, results, presets)}
    assert by_id["noise-smooth-mlp"].note == "needs the preset quick or paper"
    assert by_id["resolution-mlp"].note == "needs the preset paper"


def test_one_network_alone_has_no_gap():
    results = made_up(MLP, CNN).sel(model=["cnn"])
    words = {verdict.id: verdict.verdict for verdict in judge(STUDY.claims, results, {})}
    assert {words[id_] for id_ in ("gap-grows", "gap-grows.log-odds", "gap-without")} == {"not tested"}


def test_the_values_of_a_data_parameter_include_the_usual_one():
    protocol = replace(TINY, max_translations=(60, 1), data=replace(TINY.data, max_translation=30))
    assert protocol.settings("max_translation") == [1, 30, 60]


@pytest.mark.slow
@pytest.mark.parametrize("model", ["mlp", pytest.param("cnn", marks=pytest.mark.long)])
def test_a_network_tested_where_it_was_trained_has_the_accuracy_of_its_training_run(model):
    results = STUDY.run(TINY, {"data_param": "max_translation", "model": model}, [0, 1], key=KEY)
    usual = results.sel(setting=TINY.data.max_translation)
    np.testing.assert_allclose(usual.robust_accuracy, usual.test_accuracy, atol=1e-4)
    assert (results.robust_accuracy != results.test_accuracy).any()


def test_all_traced_data_params_share_one_program():
    """Their hyper-parameters have the same names, so that only the first compiles."""
    described = [
        training
        for name in ("max_translation", "n_train", "shear_scale")
        for training in data_params.training(TINY, name, "mlp")
    ]
    assert len({tuple(training.hparams) for training in described}) == 1
    assert len({(training.model, training.data, training.plan) for training in described}) == 1  # equal and cached


@pytest.mark.slow
def test_the_number_of_training_examples_is_a_data_parameter():
    few = replace(TINY, train_sizes=(100,), n_steps=30)
    results = STUDY.run(few, {"data_param": "n_train", "model": "mlp"}, [0], key=KEY).isel(seed=0)
    assert results.setting.values.tolist() == [100, 200]
    assert "robust_accuracy" not in results
    assert results.test_accuracy[0] != results.test_accuracy[1]


@pytest.mark.slow
def test_a_seed_is_the_same_alone():
    condition = {"data_param": "final_seq_length", "model": "mlp"}
    both, alone = (STUDY.run(TINY, condition, seeds, key=KEY) for seeds in ([0, 1], [1]))
    xr.testing.assert_identical(both.sel(seed=1), alone.sel(seed=1))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data_params": ("colour",)}, r"data_params\[0\]='colour' must be one of max_translation"),
        ({"models": ("svm",)}, r"models\[0\]='svm' must be one of"),
        ({"max_translations": (-1,)}, r"max_translations\[0\]=-1"),
        ({"train_sizes": (0,)}, r"train_sizes\[0\]=0"),
        ({"n_steps": 0}, "n_steps=0"),
        ({"learning_rate": 0.0}, "learning_rate=0"),
    ],
)
def test_bad_values_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        protocol_of(STUDY, "smoke", **changes)


@pytest.mark.long
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"data_params": ("n_train",), "models": ("cnn",)},
        {"data_params": ("shear_scale",), "models": ("gru", "logistic")},
    ],
    ids=["all", "a part", "other networks"],
)
def test_smoke_has_a_table_a_figure_and_claims(tmp_path, changes):
    run = execute(STUDY, "smoke", replace(TINY, **changes), tmp_path)
    verdicts = judge(STUDY.claims, run.results, {})
    assert all(verdict.verdict is None and (changes or verdict.effect is not None) for verdict in verdicts)
    assert STUDY.table(run.results).rows
    STUDY.figure(run.results).savefig(tmp_path / "figure.png")
