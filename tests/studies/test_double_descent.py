"""Double descent: effects on curves with known peaks, and a short run."""

import jax
import numpy as np
import pytest
import xarray as xr

from flylab.base import units
from flylab.data import published
from flylab.results.judging import judge
from flylab.runs.runner import execute
from flylab.studies import double_descent as dd
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
    return units.attach_units(results).assign_attrs(preset="paper", study="double_descent", run="r")


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


DESIGN = {"n_train": (500, 1000, 2000, 4000), "n_outputs": (2, 5, 10)}


@pytest.mark.parametrize(("way", "curve"), [("random", "test_loss"), ("two-class", "test_error")])
@pytest.mark.parametrize(("loss", "law"), [("nll", lambda n, k: 1.2 * n), ("mse", lambda n, k: 0.8 * n * k)])
def test_threshold_claims_recover_a_known_law(way, curve, loss, law):
    peak = {curve: lambda p, n, k, s: hill(p, law(n, k) * (1 + 0.02 * s))}
    test_error, test_loss = peak.get("test_error", lambda p, n, k, s: 90.0), peak.get("test_loss")
    treatment = f"{way}-{loss}"
    results = results_of(treatment, test_error, lambda p, n, k, s: fit(p, 2 * law(n, k)), test_loss, **DESIGN)
    words = [v.verdict for name, v in verdicts(results).items() if name.startswith(f"{loss}-threshold.{way}.")]
    assert words == ["supported"] * 3
    by_error = dd.threshold(results, treatment, "error")
    assert float(by_error.sel(n_train=1000, n_outputs=5, seed=0)) == pytest.approx(2 * law(1000, 5), rel=0.1)
    assert float(dd.power(results, treatment, "error", "n_train").mean()) == pytest.approx(1, abs=0.05)
    assert float(dd.power(results, treatment, "loss", "n_train").mean()) == pytest.approx(1, abs=0.05)
    assert STUDY.figure(results).axes
    assert len(STUDY.table(results).rows) == 3


def test_a_threshold_beyond_the_widths_leaves_the_claims_undecided():
    results = results_of("random-mse", lambda p, n, k, s: 90.0, lambda p, n, k, s: fit(p, n * k),
                         lambda p, n, k, s: hill(p, 5 * n * k), **DESIGN)  # fmt: skip
    assert np.isnan(dd.threshold(results, "random-mse", "peak").sel(n_train=4000, n_outputs=10)).all()
    assert not np.isnan(dd.threshold(results, "random-mse", "peak").sel(n_train=500, n_outputs=2)).any()
    verdict = verdicts(results)["mse-threshold.random.n"]
    assert (verdict.verdict, verdict.note) == ("undecided", "none of 4 seeds gave a value")


def test_conditions_and_labels_of_the_treatments():
    paper, threshold = STUDY.presets["paper"], STUDY.presets["threshold"]
    conditions = dd.conditions(paper)
    assert len(conditions) == 3 * 19 + 29 + 3 * len(paper.sample_widths)
    assert len({tuple(condition.items()) for condition in conditions}) == len(conditions)
    assert len(dd.conditions(threshold)) == 4 * 4 * 3 * len(threshold.widths)
    assert paper.n_steps == threshold.n_steps == 20000
    small = STUDY.presets["smoke"].data
    random, two = (published(dd.with_labels(small, labels, 5)) for labels in ("random", "two-class"))
    assert set(random.train.y) == set(random.test.y) == set(range(5))
    assert set(two.train.y) == set(two.test.y) == {0, 1}
    assert two.config.outputs == 5


def test_refuses():
    with pytest.raises(ValueError, match="treatments\\[0\\]='mlp' must be one of mlp-noise"):
        protocol_of(STUDY, "smoke", treatments=("mlp",))
    with pytest.raises(ValueError, match="n_epochs=0"):
        protocol_of(STUDY, "smoke", n_epochs=0)
    with pytest.raises(ValueError, match="widths\\[0\\]=0 must be an integer ≥ 1"):
        protocol_of(STUDY, "smoke", widths=(0, 2))


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


@pytest.mark.slow
def test_smoke_runs_every_claim(tmp_path):
    done = execute(STUDY, "smoke", STUDY.presets["smoke"], tmp_path)
    results = done.results
    assert set(results.test_error.dims) == {"treatment", "n_train", "n_outputs", "width", "seed", "step"}
    assert results.test_error.attrs == {"long_name": "test error", "units": "%"}
    assert "prediction" not in results
    assert [verdict.verdict for verdict in judge(STUDY.claims, results, {})] == [None] * 20
    assert STUDY.figure(results).axes
    assert len(STUDY.table(results).rows) == 4
