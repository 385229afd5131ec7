"""Do differences between regularisers show more clearly on MNIST-1D than on MNIST, for the same amount of computing?

The essay holds against MNIST that it is "hard to judge the relative effectiveness of different regularization schemes"
on it (Greydanus 2020). Weight decay, dropout, batch normalisation, label smoothing, mixup, early stopping and shifted
examples train the published MLP, each tuned by equally many trials on validation data, on MNIST-1D and on images. How
clearly a data set tells them apart is the F statistic of their accuracies: how large differences are in standard
errors, squared. Computing counts, since the same FLOPs buy more seeds on a smaller data set.

The default images, scikit-learn's digits, need no download; `--dataset mnist` tests the essay's statement.
"""

import xarray as xr

from flylab.data import MNIST1D
from flylab.data.images import titles
from flylab.results.effects import final
from flylab.results.statistics import plus_minus
from flylab.results.tables import Table
from flylab.studies.regularisation.claims import CLAIMS
from flylab.studies.regularisation.drawing import figure
from flylab.studies.regularisation.measures import clarity, sets_in
from flylab.studies.regularisation.method import (
    METHODS,
    TITLES,
    Protocol,
    conditions,
    image_sets,
    run,
    training,
)
from flylab.study import Study

__all__ = [
    "CLAIMS", "METHODS", "STUDY", "TITLES", "Protocol", "clarity", "conditions", "figure", "image_sets", "run", "table",
    "training",
]  # fmt: skip


def table(results: xr.Dataset) -> Table:
    """Return the accuracy of every method on each data set, and how clearly each set tells them apart."""
    names = titles(results.attrs) | {"mnist1d": "MNIST-1D"}
    sets = sets_in(results)
    accuracy = final(results.test_accuracy)
    rows: list[tuple[str, ...]] = [
        (TITLES[method], *(plus_minus(accuracy.sel(regulariser=method, dataset=name)) for name in sets))
        for method in results.regulariser.values.tolist()
    ]
    rows.append(("F statistic", *(f"{float(clarity(results, name)):.1f}" for name in sets)))
    rows.append(
        ("GFLOP of a training", *(f"{float(results.flops.sel(dataset=name).max()) / 1e9:.3g}" for name in sets))
    )
    n, n_trials = results.sizes["seed"], results.sizes["trial"]
    return Table(f"Test accuracy (%), each method tuned by {n_trials} trials: mean over {n} seeds ± half of the 95 % "
                 "interval", ["method", *(names[name] for name in sets)], rows)  # fmt: skip


PRESETS = {
    "smoke": Protocol(n_seeds=3, regularisers=("none", "dropout", "batch_norm"), n_trials=2, n_steps=20, eval_every=10,
                      width=20, data=MNIST1D(n_train=200, n_valid=100, n_test=100)),
    "quick": Protocol(n_seeds=6, n_trials=6, n_steps=2000),
    "paper": Protocol(n_seeds=20),
}  # fmt: skip
MINUTES = {"smoke": 0.5, "quick": 3, "paper": 25}
STUDY = Study.of_module(__name__)
