"""Do regularisers differ more clearly on MNIST-1D than on MNIST, for the same amount of computing?

The essay holds against MNIST that it is "hard to judge the relative effectiveness of different regularization schemes"
on it (Greydanus 2020). Weight decay, dropout, batch normalisation, label smoothing, mixup, early stopping and shifted
examples train the published MLP, each tuned by equally many trials on validation data, on MNIST-1D, on scikit-learn's
digits and, with `--dataset mnist`, on MNIST. How clearly a data set tells them apart is the size of their differences
in standard errors, the root of an F statistic. Computing counts, since the same FLOPs buy more seeds on a smaller set.

Here data sets are compared; the study `regularisers` compares penalties on weights, and those of users.
"""

import xarray as xr

from flylab.data import MNIST1D
from flylab.results.effects import final
from flylab.results.statistics import plus_minus
from flylab.results.tables import Table, over_seeds
from flylab.studies.regularisation.claims import CLAIMS
from flylab.studies.regularisation.drawing import figure
from flylab.studies.regularisation.measures import f_statistic, flops_per_step, names_in
from flylab.studies.regularisation.method import (
    REGULARISERS,
    Protocol,
    conditions,
    image_sets,
    n_steps,
    resources,
    run,
)
from flylab.study import Study

__all__ = ["CLAIMS", "REGULARISERS", "STUDY", "Protocol", "conditions", "f_statistic", "figure", "image_sets",
           "n_steps", "resources", "run", "table"]  # fmt: skip


def table(results: xr.Dataset) -> Table:
    """Return the accuracy with every regulariser on each data set, and how clearly each set tells them apart."""
    names, accuracy = names_in(results), final(results.test_accuracy)
    rows = [(one.title, *(plus_minus(accuracy.sel(regulariser=regulariser, dataset=name), 2) for name in names))
            for regulariser, one in REGULARISERS.items() if regulariser in results.regulariser]  # fmt: skip
    clear, cost = f_statistic(accuracy.astype(float)), flops_per_step(results) * results.step.values[-1] / 1e9
    rows.append(("F statistic", *(f"{float(clear.sel(dataset=name)):.1f}" for name in names)))
    rows.append(("GFLOP of a training", *(f"{float(cost.sel(dataset=name)):.3g}" for name in names)))
    return Table(over_seeds(results, "Test accuracy (%)"), ["regulariser", *names.values()], rows)


PRESETS = {
    "smoke": Protocol(n_seeds=3, regularisers=("dropout", "batch_norm"), n_trials=2, n_steps=20, eval_every=10,
                      width=20, data=MNIST1D(n_train=200, n_valid=100, n_test=100)),
    "quick": Protocol(n_seeds=6, n_trials=5, n_steps=1500),
    "paper": Protocol(n_seeds=20),
}  # fmt: skip
MINUTES = {"smoke": 0.5, "quick": 4, "paper": 25}
STUDY = Study.of_module(__name__)
