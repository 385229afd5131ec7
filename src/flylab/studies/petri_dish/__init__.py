"""Does a tiny learned data set rank architectures as MNIST-1D does, and MNIST-1D as images do?

The essay names the Synthetic Petri Dish as its kin (Rawal et al. 2020): a few synthetic examples, learned so that
networks which train on them for a moment rank as they do on the real task. Here dishes of 20 examples are learned for
MNIST-1D and digits and, with `--dataset`, for MNIST and CIFAR-10, by gradients through short trainings of a few small
CNNs, and rank others: against the real examples with which a dish begins, and training stopped early, at equal cost.
MNIST-1D itself is a dish, too: for the images.
"""

import xarray as xr

from flylab.data import MNIST1D
from flylab.results.statistics import plus_minus
from flylab.results.tables import Table, over_seeds
from flylab.studies.petri_dish.claims import CLAIMS, PREDICTORS, agreement, names_in, saved, transfers
from flylab.studies.petri_dish.drawing import figure
from flylab.studies.petri_dish.method import (
    Protocol,
    conditions,
    image_sets,
    n_steps,
    resources,
    run,
)
from flylab.study import Study

__all__ = ["CLAIMS", "STUDY", "Protocol", "agreement", "conditions", "figure", "image_sets", "n_steps", "resources",
           "run", "saved", "table", "transfers"]  # fmt: skip


def table(results: xr.Dataset) -> Table:
    """Tabulate Kendall's τ of each predictor on each data set."""
    names = names_in(results)
    rows = [[title, *(plus_minus(agreement(by, name)(results), 2) for name in names)]
            for by, title in PREDICTORS.items()]  # fmt: skip
    rows.append(["one whole training on MNIST-1D", "–", *(plus_minus(transfers(name)(results), 2)
                                                        for name in names if name != "mnist1d")])  # fmt: skip
    return Table(over_seeds(results, "Kendall's τ with the truth"), ["", *names.values()], rows)


PRESETS = {
    "smoke": Protocol(n_seeds=2, n_ranked=6, n_taught=3, n_examples=6, n_dish_steps=4, n_outer_steps=2, n_held_out=20,
                      n_steps=16, data=MNIST1D(n_train=100, n_valid=20, n_test=50)),
    "quick": Protocol(),
    "paper": Protocol(n_seeds=10, n_ranked=120, n_taught=24, n_outer_steps=100, n_steps=4000),
}  # fmt: skip
MINUTES = {"smoke": 0.5, "quick": 4, "paper": 9}
STUDY = Study.of_module(__name__)
