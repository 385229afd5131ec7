"""Does test error fall, rise and fall again as a network grows, and where is the threshold?

MLPs and CNNs of growing width learn MNIST-1D with and without noise on the training labels (Greydanus & Kobak 2024;
the authors' notebook `deep-double-descent`). A second design measures the interpolation threshold itself: whether it
lies at as many parameters as there are examples (cross-entropy), or as examples times outputs (squared error).
"""

import itertools
from collections.abc import Callable
from typing import Any

import xarray as xr

from flylab.data import MNIST1D
from flylab.results.claims import Claim, independent
from flylab.results.effects import Effect
from flylab.results.tables import Table, over_seeds
from flylab.studies.double_descent.drawing import figure
from flylab.studies.double_descent.measures import (
    MEASURES,
    curve,
    level,
    networks,
    peak_width,
    power,
    present,
    rise,
    sizes,
    text,
    threshold,
    zero_width,
)
from flylab.studies.double_descent.method import (
    CHANNELS,
    CURVES,
    MLP,
    THRESHOLDS,
    TREATMENTS,
    WIDTHS,
    Protocol,
    conditions,
    n_steps,
    run,
    training,
    with_labels,
)
from flylab.study import Study

__all__ = [
    "CHANNELS",
    "CLAIMS",
    "MLP",
    "STUDY",
    "TREATMENTS",
    "WIDTHS",
    "conditions",
    "curve",
    "figure",
    "level",
    "n_steps",
    "networks",
    "peak_width",
    "power",
    "rise",
    "run",
    "table",
    "threshold",
    "training",
    "with_labels",
    "zero_width",
]  # fmt: skip


def _claim(id_: str, statement: str, published_value: str, treatment: str, effect: Callable, unit: str = "points",
           source: str = "nb", **region: Any) -> Claim:  # fmt: skip
    measured = Effect(lambda results: effect(results, treatment), {"treatment": treatment})
    return Claim(id_, statement, source, published_value, unit, measured, **region)


def _peak(results: xr.Dataset, treatment: str) -> xr.DataArray:
    heights = rise(results, treatment)
    return heights.peak - heights.dip


def _descent(results: xr.Dataset, treatment: str) -> xr.DataArray:
    heights = rise(results, treatment)
    return heights.peak - heights.end


def _zero_after_peak(results: xr.Dataset, treatment: str) -> xr.DataArray:
    return zero_width(results, treatment) / peak_width(results, treatment)


def _threshold_claims(loss: str) -> list[Claim]:
    """Return the claims on the peak, the primary measure, for both ways of varying the number of outputs K."""
    outputs_count = loss == "mse"
    law, k_power, k_text = ("n·K", (0.75, 1.25), "0.75–1.25") if outputs_count else ("n", (-0.25, 0.25), "0 ± 0.25")
    claims = []
    for way, measure in (("random", "loss"), ("two-class", "error")):
        treatment, id_ = f"{way}-{loss}", f"{loss}-threshold.{way}"
        subject = f"{TREATMENTS[treatment].title}: the threshold (by the peak of the test {measure})"
        claims += [
            _claim(f"{id_}.n", f"{subject} grows with the number of examples n to the power of 0.75–1.25", law,
                   treatment, lambda r, t: power(r, t, "peak", "n_train"), "", "blog", within=(0.75, 1.25)),
            _claim(f"{id_}.k", f"{subject} grows with the number of outputs K to the power of {k_text}", law,
                   treatment, lambda r, t: power(r, t, "peak", "n_outputs"), "", "blog", within=k_power),
            _claim(f"{id_}.level", f"{subject} lies within a factor of 2 of {law} parameters", law,
                   treatment, lambda r, t: level(r, t, "peak", outputs_count), "log₂", "blog", within=(-1, 1)),
        ]  # fmt: skip
    return claims


_THRESHOLDS = ("threshold_sizes", "threshold_outputs")
_MLP, _CNN = ("channels", *_THRESHOLDS), ("widths", *_THRESHOLDS)
_CLAIMS = (
    _claim("mlp-peak", "with label noise the MLP's test error rises by at least 3 points from its dip to a peak",
           "47 → 54", "mlp-noise", _peak, above=3, independent_of=_MLP),
    _claim("mlp-descent", "with label noise the MLP's test error falls by ≥ 5 points from its peak to the widest",
           "54 → 45", "mlp-noise", _descent, above=5, independent_of=_MLP),
    _claim("mlp-peak-place", "the MLP's peak lies at 35 to 70 hidden units", "~50", "mlp-noise", peak_width,
           "hidden units", "paper", within=(35, 70), independent_of=_MLP),
    _claim("no-noise", "without label noise the MLP's test error rises by less than 3 points", "~0", "mlp-clean", _peak,
           below=3, independent_of=_MLP),
    _claim("cnn-peak", "with label noise the CNN's test error rises by at least 5 points from its dip to a peak",
           "19 → 33", "cnn-noise", _peak, above=5, independent_of=_CNN),
    _claim("cnn-descent", "with label noise the CNN's test error falls by ≥ 3 points from its peak to the widest",
           "33 → 27", "cnn-noise", _descent, above=3, independent_of=_CNN),
    _claim("zero-after-peak-mlp", "the MLP's training error vanishes (< 1 %) at 1 to 1.5 times the peak's width",
           "61/47", "mlp-noise", _zero_after_peak, "×", within=(1, 1.5), independent_of=_MLP),
    _claim("zero-after-peak-cnn", "the CNN's training error vanishes (< 1 %) at 1 to 1.5 times the peak's width",
           "24/18", "cnn-noise", _zero_after_peak, "×", within=(1, 1.5), independent_of=_CNN),
    *independent(["channels"], [*_threshold_claims("nll"), *_threshold_claims("mse")]),
)  # fmt: skip
CLAIMS = independent(["treatments", "sample_sizes", "n_evaluations"], _CLAIMS)


def table(results: xr.Dataset) -> Table:
    """Tabulate dips, peaks and ends of the curves or, if there are none, the thresholds' powers and levels."""
    title, rows = over_seeds(results), []
    if treatments := present(results, CURVES):
        for treatment in treatments:
            for n_train in sizes(results, treatment):
                place = results, treatment, n_train
                heights = rise(*place)
                values = (heights.dip, heights.peak, heights.end, peak_width(*place), zero_width(*place))
                rows.append((f"{TREATMENTS[treatment].title}, {n_train} examples", *map(text, values)))
        columns = ("test error (%)", "dip", "peak", "widest", "peak's width", "training error < 1 % from width")
        return Table(f"{title}; heights cross-fitted", columns, rows)
    for treatment, measure in itertools.product(present(results, THRESHOLDS), MEASURES):
        place = results, treatment, measure
        powers = [text(power(*place, of), 2) for of in ("n_train", "n_outputs")]
        levels = [text(level(*place, outputs_count), 2) for outputs_count in (False, True)]
        is_reached = threshold(*place).notnull()
        reached = f"{int(is_reached.sum())}/{is_reached.size}"
        rows.append((f"{TREATMENTS[treatment].title}: {MEASURES[measure]}", *powers, *levels, reached))
    columns = ("threshold p*", "power of n", "power of K", "log₂ p*/n", "log₂ p*/(n·K)", "reached")
    return Table(title, columns, rows)


PRESETS = {
    "smoke": Protocol(
        n_seeds=2, treatments=("mlp-noise", "mlp-clean", "cnn-noise", *THRESHOLDS), widths=(2, 4, 8),
        channels=(2, 4, 8), sample_sizes=(100,), sample_widths=(2, 8), threshold_sizes=(100, 200),
        threshold_outputs=(10,), n_epochs=10, n_evaluations=4,
        data=MNIST1D(n_train=200, n_valid=0, n_test=200, label_noise=0.15),
    ),
    "quick": Protocol(n_seeds=4, treatments=("mlp-noise",), widths=(7, 12, 16, 27, 36, 47, 61, 80, 200)),
    "paper": Protocol(sample_sizes=(1000, 2000, 8000)),
    "threshold": Protocol(
        n_seeds=4, treatments=THRESHOLDS, widths=(2, 3, 4, 5, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256),
        data=MNIST1D(n_valid=0, n_test=4000, label_noise=0.15),
    ),
}  # fmt: skip
MINUTES = {"smoke": 0.5, "quick": 1, "paper": 70, "threshold": 80}
STUDY = Study.of_module(__name__)
