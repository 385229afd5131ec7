"""Effects on made-up results, and claims that learn from them what they require."""

import numpy as np
import pytest
import xarray as xr

from flylab.results.claims import Claim
from flylab.results.effects import Effect, contrast, final, merged, pick, slope
from flylab.results.judging import judge


@pytest.fixture
def results():
    """Accuracies of two models, two sizes, three seeds and two steps: 10·model + size's place + 0.1·seed + step."""
    model, size, seed, step = np.ix_([0, 10], [0, 1], [0, 0.1, 0.2], [0, 1])
    dims = ("model", "n_train", "seed", "step")
    coords = {"model": ["mlp", "cnn"], "n_train": [10, 100], "seed": range(3), "step": [0, 50]}
    attrs = {"preset": "quick", "study": "s", "run": "r"}
    return xr.Dataset({"accuracy": (dims, model + size + seed + step)}, coords, attrs)


def test_pick(results):
    effect = pick("accuracy", model="cnn", n_train=10, step=-1)
    np.testing.assert_allclose(effect(results), [11, 11.1, 11.2])
    assert effect.requires == {"model": "cnn", "n_train": 10}
    assert pick("accuracy", model="gru", step=-1)(results).isnull().all()
    twice = pick(lambda r: 2 * r.accuracy, model="cnn", n_train=10, step=-1)
    np.testing.assert_allclose(twice(results), [22, 22.2, 22.4])


def test_contrast_is_paired(results):
    effect = contrast("accuracy", model=("cnn", "mlp"), step=-1)
    np.testing.assert_allclose(effect(results), np.full((2, 3), 10))
    assert effect.requires == {"model": ("cnn", "mlp")}
    for labels in ({"model": "cnn"}, {"model": ("cnn", "mlp"), "n_train": (10, 100)}, {"model": ("a", "b", "c")}):
        with pytest.raises(ValueError, match="exactly one pair"):
            contrast("accuracy", **labels)


def test_slope(results):
    grows = pick("accuracy", model="mlp", step=-1).then(slope, "n_train", base=10)
    np.testing.assert_allclose(grows(results), 1)
    assert grows.requires == {"model": "mlp"}
    curve = final(results.accuracy).sel(model="mlp")
    np.testing.assert_allclose(slope(curve, "n_train", per=10), 10 / 90)
    np.testing.assert_allclose(slope(curve, "n_train", base=2), np.log10(2))
    assert slope(curve.isel(n_train=[0]), "n_train").isnull().all()
    assert slope(curve.where(curve.n_train > 10), "n_train").isnull().all()


def test_final(results):
    assert final(results.accuracy).dims == ("model", "n_train", "seed")
    xr.testing.assert_identical(final(results.accuracy, "epoch"), results.accuracy)


def test_requirements_add_up():
    assert merged({"a": 1, "b": ("x", "y")}, {"b": ("y", "z"), "c": 2}) == {"a": 1, "b": ("x", "y", "z"), "c": 2}


def test_a_claim_requires_what_its_effect_does(results):
    effect = contrast("accuracy", model=("gru", "mlp"), step=-1, n_train=10)
    claim = Claim("a", "a", "here", "–", "points", effect, above=0, requires={"preset": "x"})
    assert claim.requires == {"model": ("gru", "mlp"), "n_train": 10, "preset": "x"}
    claim = Claim("a", "a", "here", "–", "points", effect, above=0)
    design = [{"model": model, "n_train": 10} for model in ("gru", "mlp")]
    (verdict,) = judge([claim], results, {"quick": design[:1], "paper": design})
    assert (verdict.verdict, verdict.note) == ("not tested", "needs the preset paper")


def test_labels_that_are_no_conditions_do_not_count_against_a_preset(results):
    effect = pick("accuracy", model="gru", n_train=10, step=50)
    claim = Claim("a", "a", "here", "–", "points", effect, above=0)
    (verdict,) = judge([claim], results, {"paper": [{"model": "gru", "n_train": 10}]})
    assert verdict.note == "needs the preset paper"


def test_an_effect_may_be_any_function(results):
    largest = Effect(lambda r: r.accuracy.max(("model", "n_train", "step")))
    (verdict,) = judge([Claim("a", "a", "here", "–", "points", largest, above=11.5)], results, {})
    assert verdict.verdict == "supported"
