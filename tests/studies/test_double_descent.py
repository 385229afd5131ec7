"""Double descent: effects on curves with known peaks, and a short run."""

import itertools

import jax
import numpy as np
import pytest
import xarray as xr

from flylab.base import units
from flylab.base.config import to_json
from flylab.data import published
from flylab.results.judging import judge
from flylab.runs.runner import execute
from flylab.studies import double_descent as dd
from flylab.studies.double_descent import measures, thresholds
from flylab.studies.double_descent.published import TEST_ERRORS, TRAIN_ERRORS
from flylab.study.registry import get_study
from flylab.study.study import protocol_of

STUDY = get_study("double_descent")
WIDTHS = np.array(dd.WIDTHS)


def results_of(treatment, test_error, train_error, test_loss=None, n_train=(4000,), n_outputs=(10,), n_seeds=4):
    """Return results from functions of (numbers of parameters, n, k, seed), at a first and a last step."""
    sizes = (1, len(n_train), len(n_outputs), len(WIDTHS), n_seeds, 2)
    values = {name: np.full(sizes, 90.0) for name in ("test_error", "train_error", "test_loss", "train_loss")}
    params = np.empty(sizes[:-1])
    for i, n in enumerate(n_train):
        for j, k in enumerate(n_outputs):
            params[0, i, j] = (WIDTHS * (41 + WIDTHS + 1 + k) + k)[:, None]
            for seed in range(n_seeds):
                at = (0, i, j, slice(None), seed, 1)
                p = params[0, i, j, :, seed]
                values["test_error"][at] = test_error(p, n, k, seed)
                values["train_error"][at] = values["train_loss"][at] = train_error(p, n, k, seed)
                values["test_loss"][at] = test_loss(p, n, k, seed) if test_loss else 1.0
    dims = ("treatment", "n_train", "n_outputs", "width", "seed", "step")
    coords = {"treatment": [treatment], "n_train": list(n_train), "n_outputs": list(n_outputs), "width": WIDTHS}
    data = {name: (dims, value) for name, value in values.items()} | {"n_params": (dims[:-1], params)}
    results = xr.Dataset(data, coords | {"seed": range(n_seeds), "step": [0, 20000]})
    attrs = {"preset": "paper", "study": "double_descent", "run": "r", "protocol": to_json(dd.Protocol())}
    return units.attach_units(results).assign_attrs(attrs)


def joined(parts, dim):
    return xr.concat(parts, dim, data_vars="minimal", coords="minimal", compat="override", combine_attrs="override")


def hill(p, place, base=45.0, height=9.0):
    """Return errors that fall, rise to `base + height` at `place` parameters, and fall again."""
    return base + 40 * np.exp(-p / 60) + height * np.exp(-(np.log(p / place) ** 2))


def fit(p, place):
    """Return training errors that reach 1 % at `place` parameters."""
    return np.minimum(90, (place / p) ** 3)


def verdicts(results):
    return {verdict.id: verdict for verdict in judge(STUDY.claims, results, {"paper": [], "quick": []})}


def test_widths_are_the_notebooks():
    assert dd.WIDTHS == (2, 3, 4, 5, 7, 9, 12, 16, 21, 27, 36, 47, 61, 80, 104, 135, 177, 230, 300)
    assert len(dd.CHANNELS) == 29
    assert dd.CHANNELS[13:15] == (28, 30)
    for errors in (TEST_ERRORS, TRAIN_ERRORS):
        assert {name: len(values) for name, values in errors.items()} == {
            "mlp-clean": 19,
            "mlp-noise": 19,
            "cnn-noise": 29,
        }


def test_curve_claims_on_a_known_curve():
    p47, p61 = (w * (52 + w) + 10 for w in (47, 61))
    results = results_of("mlp-noise", lambda p, n, k, s: hill(p, p47) + 0.1 * s, lambda p, n, k, s: fit(p, 0.99 * p61))
    by_id = verdicts(results)
    assert by_id["mlp-peak"].verdict == by_id["mlp-descent"].verdict == by_id["mlp-peak-place"].verdict == "supported"
    assert by_id["mlp-peak-place"].effect == 47
    assert by_id["zero-after-peak-mlp"].effect == pytest.approx(61 / 47)
    assert by_id["cnn-peak"].verdict == "not tested"
    rise = dd.rise(results, "mlp-noise")
    assert float(rise.peak.mean()) == pytest.approx(54.15, abs=0.1)


def test_without_a_rise_there_is_no_peak():
    rng = np.random.default_rng(0)

    def falls(p, n, k, seed):
        return 80 - 4 * np.log(p) + rng.normal(0, 0.2, len(p))

    by_id = verdicts(results_of("mlp-clean", falls, lambda p, n, k, s: 20.0))
    assert by_id["no-noise"].verdict == "supported"
    by_id = verdicts(results_of("mlp-noise", falls, lambda p, n, k, s: 20.0))
    assert by_id["mlp-peak"].verdict == "refuted"
    assert by_id["zero-after-peak-mlp"].verdict == "undecided"  # never fitted: no value
    assert by_id["zero-after-peak-mlp"].note == "none of 4 seeds gave a value"


@pytest.mark.parametrize("n_seeds", [1, 2])
def test_few_seeds(n_seeds):
    results = results_of(
        "mlp-noise", lambda p, n, k, s: hill(p, 4000), lambda p, n, k, s: fit(p, 5000), n_seeds=n_seeds
    )
    assert np.isnan(dd.rise(results, "mlp-noise").peak).all() == (n_seeds == 1)
    assert STUDY.table(results).rows
    assert STUDY.figure(results).axes


DESIGN = {"n_train": (500, 1000, 2000), "n_outputs": (2, 5, 10)}
LAWS = {"n": lambda n, k: 1.2 * n, "nlogk": lambda n, k: 0.9 * n * np.log2(k), "nk": lambda n, k: 0.6 * n * k}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("loss", ["nll", "mse"])
def test_threshold_claims_tell_the_laws_apart(loss, law):
    treatment, place = f"random-{loss}", LAWS[law]
    results = results_of(treatment, lambda p, n, k, s: hill(p, place(n, k)),
                         lambda p, n, k, s: fit(p, place(n, k) * (1 + 0.02 * s)),
                         lambda p, n, k, s: hill(p, 1.5 * place(n, k)), **DESIGN)  # fmt: skip
    start = f"{loss}-threshold.random."
    tested = {v.id.removeprefix(start): v for v in judge(STUDY.claims, results, {}) if v.id.startswith(start)}
    essay = "nk" if loss == "mse" else "n"
    for end, laws in (("", LAWS), (".loss", [essay])):
        powers = {name: tested[name].verdict for name in (f"n{end}", *(f"k-{one}{end}" for one in laws))}
        words = {f"k-{one}{end}": "supported" if one == law else "refuted" for one in laws}
        assert powers == {f"n{end}": "supported"} | words
    assert len(tested) == 8
    ratios = [place(n, k) / (n * k if loss == "mse" else n) for n, k in itertools.product(*DESIGN.values())]
    assert tested["level"].effect == pytest.approx(np.log2(ratios).mean(), abs=0.15)
    place_of = {name: float(dd.threshold(results, treatment, name).sel(n_train=1000, n_outputs=5, seed=0))
                for name in thresholds.MEASURES}  # fmt: skip
    expected = {"error": 1, "loss": 90 ** (1 / 3) / 0.9 ** (1 / 3) / 100 ** (1 / 3), "test_error": 1, "test_loss": 1.5}
    assert place_of == pytest.approx({name: value * place(1000, 5) for name, value in expected.items()}, rel=0.15)
    assert STUDY.figure(results).axes
    assert len(STUDY.table(results).rows) >= 4


def test_a_threshold_beyond_the_widths_leaves_the_claims_undecided():
    results = results_of("random-mse", lambda p, n, k, s: 90.0, lambda p, n, k, s: fit(p, 6 * n * k), **DESIGN)
    places = dd.threshold(results, "random-mse")
    assert np.isnan(places.sel(n_train=2000, n_outputs=10)).all()
    assert not np.isnan(places.sel(n_train=500, n_outputs=2)).any()
    verdict = verdicts(results)["mse-threshold.random.n"]
    assert (verdict.verdict, verdict.note) == ("undecided", "none of 4 seeds gave a value")


@pytest.mark.parametrize(("fall", "word"), [(1.05, "supported"), (1.3, "refuted")])
def test_convergence_with_steps_and_rates(fall, word):
    def arm(treatment, factor):
        return results_of(treatment, lambda p, n, k, s: 90.0, lambda p, n, k, s: fit(p, factor * n), n_train=(1000,))

    halves = [arm("random-nll", factor).isel(step=[-1]).assign_coords(step=[step])
              for factor, step in ((2 * fall, 10000), (2, 20000))]  # fmt: skip
    results = joined([arm("random-nll", 2).isel(step=[0]), *halves], "step")
    fast = arm("random-nll-fast", 2 / fall).reindex(step=results.step, method="nearest")
    results = joined([results, fast], "treatment")
    by_id = verdicts(results)
    assert by_id["converged.random-nll"].effect == pytest.approx(np.log2(fall), abs=0.05)
    assert by_id["rate.random-nll"].effect == pytest.approx(-np.log2(fall), abs=0.05)
    assert {by_id[name].verdict for name in ("converged.random-nll", "rate.random-nll")} == {word}


def test_peaks_grow_with_the_dose():
    parts = [
        results_of(treatment, lambda p, n, k, s, dose=dose: hill(p, 3000 * 2 ** (dose / 10), height=5 + dose + 0.1 * s),
                   lambda p, n, k, s: 0.0)
        for dose, treatment in measures.DOSES.items()
    ]  # fmt: skip
    by_id = verdicts(joined(parts, "treatment"))
    assert (by_id["dose-height"].effect, by_id["dose-height"].verdict) == (pytest.approx(10, abs=0.5), "supported")
    assert (by_id["dose-place"].effect, by_id["dose-place"].verdict) == (pytest.approx(0.5, abs=0.1), "refuted")


@pytest.mark.parametrize(("place", "word"), [(4000, "supported"), (1e9, "refuted")])
def test_more_examples_hurt_on_the_way_to_a_peak(place, word):
    def error(p, n, k, seed):
        return 60 - 4 * np.log10(n) + 0.1 * seed + 9 * np.exp(-(np.log(p / n * 4000 / place) ** 2))

    results = results_of("mlp-noise", error, lambda p, n, k, s: 0.0, n_train=(500, 1000, 2000, 4000))
    assert verdicts(results)["sample-wise"].verdict == word


@pytest.mark.parametrize(("height", "words"), [(5, ["supported"] * 2), (0, ["refuted"] * 2)])
def test_more_steps_hurt_and_heal(height, words):
    levels = {0: 90, 100: 50, 1000: 48 + height, 20000: 46}
    parts = [results_of("mlp-noise", lambda p, n, k, s, level=level: level + 0.01 * s, lambda p, n, k, s: 0.0)
             .isel(step=[-1]).assign_coords(step=[step]) for step, level in levels.items()]  # fmt: skip
    by_id = verdicts(joined(parts, "step"))
    assert [by_id[name].verdict for name in ("epoch-wise", "epoch-wise-descent")] == words


def test_the_advantage_of_cross_entropy_is_read_at_either_peak():
    nll, mse = (
        results_of(treatment, lambda p, n, k, s, place=place: hill(p, place) + 0.1 * s, lambda p, n, k, s: 0.0)
        for treatment, place in (("mlp-noise", 4000), ("mlp-mse", 40000))
    )
    by_id = verdicts(joined([nll, mse], "treatment"))
    assert by_id["nll-advantage.nll"].verdict == "refuted"
    assert by_id["nll-advantage.mse"].verdict == "supported"
    assert by_id["nll-advantage.mse"].effect == pytest.approx(-by_id["nll-advantage.nll"].effect, abs=0.5)


def test_conditions_and_labels_of_the_treatments():
    paper, smoke = STUDY.presets["paper"], STUDY.presets["smoke"]
    conditions = dd.conditions(smoke)
    assert (
        len({tuple(condition.items()) for condition in conditions})
        == len(conditions)
        == 6 * 3 + 2 + 2 * 2 + 4 * 6 + 2 * 2
    )
    assert {(c["n_train"], c["n_outputs"]) for c in dd.conditions(paper) if c["treatment"] == "random-mse"} == {
        (250, 10), (500, 10), (1000, 10), (500, 2), (500, 5)}  # fmt: skip
    assert paper.n_steps == 20000
    random, merged = (published(dd.with_labels(smoke.data, labels, 5)) for labels in ("random", "merged"))
    assert set(random.train.y) == set(random.test.y) == set(range(5))
    assert set(merged.test.y) == set(range(5))
    true, all_ten = (published(dd.with_labels(smoke.data, "merged", k, 0.0)).train for k in (5, 10))
    np.testing.assert_array_equal(true.x, merged.train.x)
    np.testing.assert_array_equal(true.y, all_ten.y % 5)
    assert published(dd.with_labels(smoke.data, "noisy", 10, 0.0)).config.label_noise == 0


def test_refuses():
    with pytest.raises(ValueError, match="treatments\\[0\\]='mlp' must be one of mlp-noise"):
        protocol_of(STUDY, "smoke", treatments=("mlp",))
    with pytest.raises(ValueError, match="n_epochs=0"):
        protocol_of(STUDY, "smoke", n_epochs=0)
    with pytest.raises(ValueError, match="widths\\[0\\]=0 must be an integer ≥ 1"):
        protocol_of(STUDY, "smoke", widths=(0, 2))


@pytest.mark.slow
def test_a_padded_width_trains_as_alone(monkeypatch):
    """The bucket changes only the speed: a width keeps its initialisation."""
    protocol = protocol_of(STUDY, "smoke", n_epochs=2)
    condition = {"treatment": "mlp-noise", "n_train": 200, "n_outputs": 10, "width": 5}

    def trained():
        return dd.STUDY.run(protocol, condition, [0, 3], key=jax.random.key(0))

    padded = trained()
    monkeypatch.setitem(
        dd.TREATMENTS, "mlp-noise", dd.TREATMENTS["mlp-noise"]._replace(network=dd.MLP._replace(buckets=()))
    )
    alone = trained()
    xr.testing.assert_allclose(padded, alone, rtol=1e-4)
    assert set(padded.n_params.values) == {5 * (40 + 5 + 1 + 10 + 1) + 10}


@pytest.mark.long
def test_smoke_runs_every_claim(tmp_path):
    done = execute(STUDY, "smoke", STUDY.presets["smoke"], tmp_path)
    results = done.results
    assert set(results.test_error.dims) == {"treatment", "n_train", "n_outputs", "width", "seed", "step"}
    assert results.test_error.attrs == {"long_name": "test error", "units": "%"}
    assert "prediction" not in results
    assert [verdict.verdict for verdict in judge(STUDY.claims, results, {})] == [None] * len(STUDY.claims)
    assert STUDY.figure(results).axes
    assert len(STUDY.table(results).rows) >= 4
