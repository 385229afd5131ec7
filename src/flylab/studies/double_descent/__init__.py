"""Does test error fall, rise and fall again as a network grows, and where is the threshold?

MLPs and CNNs of growing width learn MNIST-1D with and without noise on the training labels (Greydanus & Kobak 2024,
figure 4; the authors' notebook `deep-double-descent`). "More data, model parameters, or gradient steps can actually
reduce a model's test accuracy", says the paper; so numbers of examples and of steps are varied as well, and the share
of noisy labels.

A second design measures the interpolation threshold itself: whether it lies at as many parameters as there are examples
(cross-entropy), or as examples times classes (squared error), as the essay says; or at as many as there are bits in
random labels. The threshold is where the training error falls below 1 %, in all arms; other definitions stand beside it
in the table. Longer training and a greater learning rate show whether it has converged.
"""

import itertools

import xarray as xr

from flylab.data import MNIST1D
from flylab.results.tables import Table, over_seeds
from flylab.studies.double_descent.claims import CLAIMS
from flylab.studies.double_descent.drawing import figure
from flylab.studies.double_descent.measures import curve, peak_width, present, rise, text, zero_width
from flylab.studies.double_descent.method import (
    CHANNELS,
    CURVES,
    FAST,
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
from flylab.studies.double_descent.thresholds import MEASURES, fall_per_doubling, level, power, threshold
from flylab.study import Study

__all__ = [
    "CHANNELS", "CLAIMS", "MLP", "STUDY", "TREATMENTS", "WIDTHS", "Protocol", "conditions", "curve", "figure", "level",
    "n_steps", "peak_width", "power", "rise", "run", "table", "threshold", "training", "with_labels", "zero_width",
]  # fmt: skip


def table(results: xr.Dataset) -> Table:
    """Tabulate dips, peaks and ends of the curves, then the thresholds by each definition."""
    heads = ("test error (%)", "dip", "peak", "widest", "peak's width", "training error < 1 % from width", "")
    rows = [(TREATMENTS[treatment].title, *_heights(results, treatment), "") for treatment in present(results, CURVES)]
    thresholds = [
        (f"{TREATMENTS[treatment].title}: {MEASURES[measure]}", *_threshold(results, treatment, measure))
        for treatment, measure in itertools.product(present(results, (*THRESHOLDS, *FAST)), MEASURES)
        if threshold(results, treatment, measure).notnull().any()
    ]
    if thresholds:
        names = ("threshold p* (parameters)", "power of n", "power of K", "log₂ p*/n", "log₂ p*/(n·K)",
                 "log₂ of its fall per doubling of steps", "reached")  # fmt: skip
        heads, rows = (heads, [*rows, names]) if rows else (names, [])
    return Table(f"{over_seeds(results)}; heights cross-fitted", heads, [*rows, *thresholds])


def _heights(results: xr.Dataset, treatment: str) -> tuple[str, ...]:
    heights = rise(results, treatment)
    places = peak_width(results, treatment), zero_width(results, treatment)
    return (*map(text, (heights.dip, heights.peak, heights.end, *places)),)


def _threshold(results: xr.Dataset, treatment: str, measure: str) -> tuple[str, ...]:
    place = results, treatment, measure
    values = [*(power(*place, of) for of in ("n_train", "n_outputs")), *(level(*place, law) for law in ("n", "n·K"))]
    is_reached = threshold(*place).notnull()
    fall = text(fall_per_doubling(results, treatment), 2) if measure == "error" else ""
    return (*(text(value, 2) for value in values), fall, f"{int(is_reached.sum())}/{is_reached.size}")


PRESETS = {
    "smoke": Protocol(
        n_seeds=2, widths=(2, 4, 8), channels=(2, 4), sample_sizes=(100,), sample_widths=(2, 8),
        threshold_sizes=(100, 200), threshold_outputs=(2, 5), threshold_ratios=(0.3, 2.0), n_epochs=10,
        n_evaluations=4, data=MNIST1D(n_train=200, n_valid=0, n_test=200, label_noise=0.15),
    ),
    "quick": Protocol(
        n_seeds=4, treatments=("mlp-noise", "mlp-clean", "mlp-mse", "random-nll", "random-mse"),
        widths=(7, 16, 36, 47, 61, 200), sample_sizes=(500, 2000), sample_widths=(16, 36),
        threshold_sizes=(250, 500), threshold_outputs=(2, 10),
        threshold_ratios=(0.3, 0.4, 0.53, 0.71, 0.94, 1.25, 1.66, 2.2),
    ),
    "paper": Protocol(
        widths=(4, 7, 12, 16, 27, 36, 47, 61, 80, 135, 300), channels=(4, 10, 14, 18, 24, 35, 60),
    ),
}  # fmt: skip
MINUTES = {"smoke": 0.5, "quick": 4.6, "paper": 54}
STUDY = Study.of_module(__name__)
