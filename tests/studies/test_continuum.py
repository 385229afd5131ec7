"""The continuum of spatial priors: score and claims on known results, the protocol, and a short run."""

from dataclasses import replace

import jax
import numpy as np
import pytest
import xarray as xr

from flylab.base.config import to_json
from flylab.data import MNIST1D, published
from flylab.results.judging import judge
from flylab.runs.runner import execute
from flylab.studies import continuum
from flylab.studies.continuum.drawing import uncrossed
from flylab.study.context import Context
from flylab.study.registry import get_study
from flylab.training.learners import of_classifier, seeded

STUDY = get_study("continuum")
TINY = replace(STUDY.presets["smoke"], n_steps=4, eval_every=2, n_seeds=2)
DATA_PARAMS = ["none", *continuum.DOUBLED]


def made_up(accuracies, n_seeds=4, sizes=(4000,)):
    """Return results with these last accuracies (plain, shuffled) by model; seeds differ by a level, which cancels."""
    names = list(accuracies)
    values = np.full((len(names), 2, len(sizes), n_seeds, 1), np.nan)
    level = 0.5 * np.arange(n_seeds)[:, None]
    for i, name in enumerate(names):
        values[i, 0, :, :] = accuracies[name][0] + level
        values[i, 1, -1] = accuracies[name][1] + level
    robust = np.full((len(names), 2, len(sizes), n_seeds, len(DATA_PARAMS)), np.nan)
    robust[:, 0, -1] = 80 - 3 * np.arange(len(DATA_PARAMS))
    number = np.full((len(names), 2, len(sizes), n_seeds), 410.0)
    dims = ("model", "arrangement", "n_train", "seed")
    return xr.Dataset(
        {"test_accuracy": ((*dims, "step"), values), "robust_accuracy": ((*dims, "data_param"), robust),
         "n_params": (dims, number), "flops": (dims, number)},
        {"model": names, "arrangement": ["plain", "shuffled"], "n_train": list(sizes), "seed": range(n_seeds),
         "step": [6000], "data_param": DATA_PARAMS},
        {"preset": "quick", "study": "continuum", "run": "r"},
    )  # fmt: skip


KNOWN = {
    "mlp": (65, 64), "cnn": (94, 57), "local": (85, 67), "ticket": (60, 60), "resnet": (93, 55), "bag": (80, 70),
    "svm": (57, 57), "logistic": (31, 20),
}  # fmt: skip


def test_the_score_is_0_at_the_mlp_and_1_at_the_cnn():
    results = made_up(KNOWN)
    for model, expected in {"mlp": 0, "cnn": 1, "local": 17 / 36, "resnet": 37 / 36, "svm": -1 / 36}.items():
        np.testing.assert_allclose(continuum.score(results, model), [expected] * 4)
    np.testing.assert_allclose(continuum.place(results, "local"), [20 / 29] * 4)


def test_leader_lines_do_not_cross():
    rng, heights = np.random.default_rng(0), 0.8 * np.arange(12)
    for _ in range(50):
        dots = rng.uniform(0, 9, (12, 2))
        ends = np.column_stack([np.full(12, 10.0), heights[uncrossed(dots, 10.0, heights)]])
        assert sorted(ends[:, 1]) == heights.tolist()
        assert not any(crosses(*dots[[i, j]], *ends[[i, j]]) for i in range(12) for j in range(i))


def crosses(a, b, end_a, end_b):
    """Return whether two segments cross, as the ends of each lie on different sides of the other."""

    def side(start, end, point):
        return np.sign(np.cross(np.append(end - start, 0), np.append(point - start, 0))[2])

    return side(a, end_a, b) != side(a, end_a, end_b) and side(b, end_b, a) != side(b, end_b, end_a)


def test_the_score_is_paired_by_seed():
    results = made_up(KNOWN)
    noise = xr.DataArray([0.0, 5.0, -5.0, 1.0], dims="seed")
    shuffled = results.test_accuracy.sel(arrangement=["shuffled"]) - noise  # costs all models the same
    both = xr.concat([results.test_accuracy.sel(arrangement=["plain"]), shuffled], "arrangement")
    np.testing.assert_allclose(continuum.score(results.assign(test_accuracy=both), "local"), [17 / 36] * 4)


def test_without_a_difference_between_the_ends_there_is_no_score():
    results = made_up(KNOWN | {"cnn": (66, 61)})
    assert np.isnan(continuum.score(results, "local")).all()
    assert all(row.score is None for row in continuum.rows(results))
    STUDY.figure(results)


def test_verdicts_of_known_results():
    words = {verdict.id: verdict.verdict for verdict in judge(STUDY.claims, made_up(KNOWN), {})}
    assert {name: word for name, word in words.items() if word != "not tested"} == {
        "between-ticket": "refuted", "between-local": "supported", "moderate-ticket": "refuted",
        "moderate-local": "supported", "equivariant-resnet": "supported", "equivariant-bag": "refuted",
        "none-logistic": "refuted", "none-svm": "supported", "deeper": "refuted", "sharing": "supported",
    }  # fmt: skip


def test_rows_sort_by_score_and_hold_the_measurements():
    rows = continuum.rows(made_up(KNOWN, sizes=(500, 4000)))
    assert [row.model for row in rows][:4] == ["resnet", "cnn", "local", "logistic"]
    assert rows[0].by_size[500].mean == pytest.approx(93.75)
    assert rows[0].robustness["iid_noise_scale"].mean == pytest.approx(3 * DATA_PARAMS.index("iid_noise_scale"))
    assert (rows[0].n_params, rows[0].n_train, rows[0].n_seeds) == (410, 4000, 4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"models": ("cnn", "mpl")}, r"models\[1\]='mpl' must be one of logistic"),
        ({"train_sizes": (500, 4000)}, r"train_sizes=\(500, 4000\) must be less than n_train=4000"),
        ({"data": MNIST1D(final_seq_length=80)}, r"models=ticket is for 40 positions and 10 classes, not \(80, 10\)"),
        ({"n_steps": 0}, "n_steps=0"),
    ],
)
def test_refuses(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(STUDY.presets["quick"], **changes)


def test_mlp_and_cnn_are_always_included():
    assert continuum.Protocol(models=("svm",)).models == ("mlp", "cnn", "svm")
    assert set(TINY.models) == {"mlp", "cnn", "logistic", "local", "ticket", "forest"}


@pytest.fixture(scope="module")
def run_(tmp_path_factory):
    return execute(STUDY, "smoke", TINY, tmp_path_factory.mktemp("runs"))


@pytest.mark.long
def test_smoke_has_a_table_a_figure_and_rows(run_):
    results = run_.results
    assert len(STUDY.table(results).rows) == 6
    STUDY.figure(results).canvas.draw()
    row = next(row for row in continuum.rows(results) if row.model == "ticket")
    assert row.n_params == 22_081
    assert set(row.robustness) == set(continuum.DOUBLED)
    assert results.label.dtype == results.prediction.dtype == np.uint8


@pytest.mark.long
def test_fewer_examples_are_the_first_of_all(run_):
    splits = published(TINY.data)
    forest = run_.results.sel(model="forest", arrangement="plain", n_train=100, seed=0)
    theirs = seeded(continuum.CLASSIFIERS["forest"].build(), 0).fit(splits.train.x[:100], splits.train.y[:100])
    np.testing.assert_array_equal(forest.prediction, theirs.predict(splits.test.x))


@pytest.mark.long
def test_a_seed_is_the_same_alone(run_):
    condition = {"model": "local", "arrangement": "shuffled", "n_train": 200}
    alone = STUDY.run(TINY, condition, [1], key=jax.random.key(0))
    among_others = run_.results.sel(**condition, seed=[1])
    np.testing.assert_array_equal(alone.test_accuracy, among_others.test_accuracy.sel(step=alone.step))


@pytest.mark.long
@pytest.mark.parametrize("model", ["svm", "neighbours", "forest", "boosting"])
def test_classifiers_that_do_not_depend_on_the_seed_are_trained_once(model):
    protocol = continuum.STUDY.presets["smoke"]
    condition = {"model": model, "arrangement": "plain", "n_train": 200}
    steps = []
    context = Context([3, 1], jax.random.key(0), progress=steps.append)
    learner = of_classifier(continuum.CLASSIFIERS[model].build())
    expected = continuum.learn(learner, protocol, condition, [3, 1], key=0)
    xr.testing.assert_identical(continuum.run(protocol, condition, context), expected)
    assert sum(steps) == 2 * protocol.n_steps


@pytest.mark.slow
def test_fresh_data_differ_by_seed_and_are_shared_by_models():
    protocol = replace(TINY, fresh_data=True, models=("mlp", "cnn"))
    mlp, forest = (
        STUDY.run(protocol, {"model": name, "arrangement": "plain", "n_train": 200}, [0, 1], key=jax.random.key(0))
        for name in ("mlp", "forest")
    )
    np.testing.assert_array_equal(mlp.label, forest.label)
    assert (mlp.label[0] != mlp.label[1]).any()


def test_doubled_data_are_harder_in_one_way_and_standardised_as_usual():
    tests = continuum.doubled(MNIST1D())
    assert list(tests) == DATA_PARAMS
    assert tests["none"].x.shape == (2000, 40)
    assert tests["none"].x.std() == pytest.approx(1, abs=0.05)
    assert tests["corr_noise_scale"].x.std() > 1.2
    for test in tests.values():
        np.testing.assert_array_equal(test.y, tests["none"].y)


def test_the_committed_reference_is_of_the_quick_protocol():
    reference = continuum.load_reference()
    assert reference.attrs["protocol"] == to_json(STUDY.presets["quick"])
    assert set(reference.model.values) == set(continuum.MODELS)
    assert reference.sizes["seed"] == 4
    scores = [continuum.score(reference, name).mean().item() for name in continuum.ENDS]
    assert scores == [0, 1]


@pytest.mark.long
def test_a_reference_round_trip(run_, tmp_path):
    continuum.save_reference(run_.results, tmp_path / "reference.nc")
    loaded = continuum.load_reference(tmp_path / "reference.nc")
    assert str(continuum.rows(loaded)) == str(continuum.rows(run_.results))
    assert (tmp_path / "reference.nc").stat().st_size < 100_000
