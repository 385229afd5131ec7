"""What was published on double descent, as claims."""

import functools
from collections.abc import Callable, Iterable
from typing import Any

import xarray as xr

from flylab.results.claims import Claim, independent
from flylab.results.effects import Effect
from flylab.studies.double_descent.measures import (
    advantage,
    dose_height,
    dose_place,
    more_examples,
    more_steps,
    peak_width,
    rise,
    second_descent,
    zero_width,
)
from flylab.studies.double_descent.method import DOSES, TREATMENTS
from flylab.studies.double_descent.thresholds import fall_per_doubling, level, power, rate_shift

ESSAY = "more data, model parameters, or gradient steps can reduce accuracy"
TENTH = 0.1375  # log₂ 1.1: a factor that differs from 1 by less than a tenth
APART = 0.12  # powers of K of n·log₂K and n·K differ by 0.245 on 2, 5 and 10 classes


def _claim(id_: str, statement: str, published_value: str, treatment: str | tuple[str, ...], effect: Callable,
           unit: str = "points", source: str = "nb", **region: Any) -> Claim:  # fmt: skip
    return Claim(id_, statement, source, published_value, unit, Effect(effect, {"treatment": treatment}), **region)


def _peak(treatment: str) -> Callable[[xr.Dataset], xr.DataArray]:
    def height(results: xr.Dataset) -> xr.DataArray:
        heights = rise(results, treatment)
        return heights.peak - heights.dip

    return height


def _descent(treatment: str) -> Callable[[xr.Dataset], xr.DataArray]:
    def fall(results: xr.Dataset) -> xr.DataArray:
        heights = rise(results, treatment)
        return heights.peak - heights.end

    return fall


def _zero_after_peak(network: str) -> Claim:
    treatment, published_value = {"MLP": ("mlp-noise", "61/47"), "CNN": ("cnn-noise", "24/18")}[network]
    statement = f"the {network}'s training error vanishes (< 1 %) at 1 to 1.5 times the peak's width"
    return _claim(f"zero-after-peak-{network.lower()}", statement, published_value, treatment,
                  lambda r: zero_width(r, treatment) / peak_width(r, treatment), "×", within=(1, 1.5))  # fmt: skip


_DOSES, _LOSSES = tuple(DOSES.values()), ("mlp-noise", "mlp-mse")
_MLP = (
    _claim("mlp-peak", "with label noise the MLP's test error rises by at least 3 points from its dip to a peak",
           "47 → 54", "mlp-noise", _peak("mlp-noise"), above=3),
    _claim("mlp-descent", "with label noise the MLP's test error falls by ≥ 5 points from its peak to the widest",
           "54 → 45", "mlp-noise", _descent("mlp-noise"), above=5),
    _claim("mlp-peak-place", "the MLP's peak lies at 35 to 70 hidden units", "~50", "mlp-noise",
           lambda r: peak_width(r, "mlp-noise"), "hidden units", "paper", within=(35, 70)),
    _claim("no-noise", "without label noise the MLP's test error rises by less than 3 points", "~0", "mlp-clean",
           _peak("mlp-clean"), below=3),
    _zero_after_peak("MLP"),
    _claim("dose-height", "the more labels are noisy, the higher is the peak above the dip", "very sensitive", _DOSES,
           dose_height, "points per 10 % noise", "paper", above=0),
    _claim("dose-place", "with 10 points more of label noise, the peak's width changes by less than a tenth", "–",
           _DOSES, dose_place, "log₂ per 10 % noise", "here", within=(-TENTH, TENTH)),
    _claim("nll-advantage.nll", "at the width where cross-entropy's test error peaks, it is below squared error's",
           "some of the advantage", _LOSSES, lambda r: advantage(r, "mlp-noise"), source="blog", below=0),
    _claim("nll-advantage.mse", "at the width where squared error's test error peaks, cross-entropy's is below it",
           "some of the advantage", _LOSSES, lambda r: advantage(r, "mlp-mse"), source="blog", below=0),
)  # fmt: skip
_CNN = (
    _claim("cnn-peak", "with label noise the CNN's test error rises by at least 5 points from its dip to a peak",
           "19 → 33", "cnn-noise", _peak("cnn-noise"), above=5),
    _claim("cnn-descent", "with label noise the CNN's test error falls by ≥ 3 points from its peak to the widest "
           "(60 channels; the notebook's has 100)", "33 → 27 (30 at 60 channels)", "cnn-noise",
           _descent("cnn-noise"), above=3),
    _zero_after_peak("CNN"),
)  # fmt: skip


def _more_data(id_: str, treatment: str) -> Claim:
    statement = (f"{TREATMENTS[treatment].title}: at the width that suffers most, more examples raise the test error "
                 "by at least a point")  # fmt: skip
    return _claim(id_, statement, ESSAY, treatment, lambda r: more_examples(r, treatment), source="paper", above=1)


_EXAMPLES = (_more_data("sample-wise", "mlp-noise"), _more_data("sample-wise.30", "mlp-noise-30"))
_STEPS = (
    _claim("epoch-wise", "with label noise, at the width that suffers most, more steps raise the MLP's test error by "
           "at least a point", ESSAY, "mlp-noise", lambda r: more_steps(r, "mlp-noise"), source="paper", above=1),
    _claim("epoch-wise-descent", "with label noise, the widest MLP's test error falls, rises by at least a point and "
           "falls again by at least a point, as it trains", "double descent", "mlp-noise",
           lambda r: second_descent(r, "mlp-noise"), source="paper", above=1),
)  # fmt: skip
_IN_CLASSES = {
    "n": ("n", "does not depend on the number of classes K"),
    "n·log₂K": ("nlogk", "grows with the number of classes K as log₂K does"),
    "n·K": ("nk", "grows in proportion to the number of classes K"),
}


def _threshold_claims(loss: str, way: str) -> Iterable[Claim]:
    """Yield the claims on the threshold of one arm: the essay's law and, with random labels, the other two.

    With random labels, the essay's law is also tested on the threshold of a vanishing loss: its n·K counts the targets
    that squared error has to meet exactly.
    """
    treatment, id_ = f"{way}-{loss}", f"{loss}-threshold.{way}"
    published = "n·K" if loss == "mse" else "n"
    for measure in ("error", "loss") if way == "random" else ("error",):
        of, end = (" (by the loss)", ".loss") if measure == "loss" else ("", "")
        arm = functools.partial(_claim, published_value=published, treatment=treatment)
        subject = f"{TREATMENTS[treatment].title}: the threshold{of}"
        yield arm(f"{id_}.n{end}", f"{subject} grows with the number of examples n to the power of 0.75–1.25",
                  effect=_power(treatment, measure, "n_train"), unit="power", source="blog",
                  within=(0.75, 1.25))  # fmt: skip
        for law, (name, grows) in _IN_CLASSES.items():
            if law == published or (way == "random" and not end):
                yield arm(f"{id_}.k-{name}{end}", f"{subject} {grows}, to within a power of {APART}",
                          effect=_power(treatment, measure, "n_outputs", law), unit="power of K more",
                          source="blog" if law == published else "here", within=(-APART, APART))  # fmt: skip
        yield arm(f"{id_}.level{end}", f"{subject} lies within a factor of 2 of {published} parameters",
                  effect=_level(treatment, measure, published), unit="log₂", source="blog", within=(-1, 1))  # fmt: skip


def _power(*which: str) -> Callable[[xr.Dataset], xr.DataArray]:
    return lambda results: power(results, *which)


def _level(*which: str) -> Callable[[xr.Dataset], xr.DataArray]:
    return lambda results: level(results, *which)


def _converged(treatment: str) -> Claim:
    statement = f"{TREATMENTS[treatment].title}: when training lasts twice as long, the threshold falls by < 10 %"
    return _claim(f"converged.{treatment}", statement, "–", treatment, lambda r: fall_per_doubling(r, treatment),
                  "log₂", "here", below=TENTH)  # fmt: skip


def _same_at_rate(loss: str) -> Claim:
    usual, fast = f"random-{loss}", f"random-{loss}-fast"
    statement = f"{TREATMENTS[usual].title}: three times the learning rate moves the threshold by less than 10 %"
    return _claim(f"rate.{usual}", statement, "–", (usual, fast), lambda r: rate_shift(r, loss), "log₂", "here",
                  within=(-TENTH, TENTH))  # fmt: skip


_ARMS = [(loss, way) for loss in ("nll", "mse") for way in ("random", "merged")]
_THRESHOLDS = tuple(claim for arm in _ARMS for claim in _threshold_claims(*arm))
_RATES = tuple(_same_at_rate(loss) for loss in ("nll", "mse"))
_BUDGETS = tuple(_converged(f"{way}-{loss}") for loss, way in _ARMS)

SAMPLES = ("sample_sizes", "sample_widths")
DESIGN = ("threshold_sizes", "threshold_outputs", "threshold_ratios")
CLAIMS = independent(["treatments"], (
    *independent(["n_evaluations", "channels", *SAMPLES, *DESIGN], _MLP),
    *independent(["n_evaluations", "widths", *SAMPLES, *DESIGN], _CNN),
    *independent(["n_evaluations", "widths", "channels", *DESIGN], _EXAMPLES),
    *independent(["channels", *SAMPLES, *DESIGN], _STEPS),
    *independent(["n_evaluations", "widths", "channels", *SAMPLES], (*_THRESHOLDS, *_RATES)),
    *independent(["widths", "channels", *SAMPLES], _BUDGETS),
))  # fmt: skip
