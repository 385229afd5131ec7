"""Does a tiny learned data set rank architectures as MNIST-1D does, and MNIST-1D as images do?

The essay names the Synthetic Petri Dish as its kin (Rawal et al. 2020): a few synthetic examples, learned so that
networks which train on them for a moment rank as they do on the real task. Here dishes of 30 examples are learned by
gradients through short trainings of a few MLPs and CNNs, and rank others: against a random subset and training stopped
early, at equal cost. MNIST-1D is a dish, too, for images: digits and, with `--dataset`, MNIST and CIFAR-10.
"""

import xarray as xr

from flylab.data import MNIST1D
from flylab.data.images import titles
from flylab.results.statistics import plus_minus
from flylab.results.tables import Table, over_seeds
from flylab.studies.petri_dish.claims import CLAIMS
from flylab.studies.petri_dish.drawing import figure
from flylab.studies.petri_dish.measures import PREDICTORS, agreement, reliability, saved, transfers
from flylab.studies.petri_dish.method import (
    N_TRAIN,
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
    """Tabulate Kendall's τ of each predictor in the whole pool and in each family, and of MNIST-1D on images."""
    rows = [[title, *(plus_minus(agreement(by, family)(results), 2) for family in ("", "mlp", "cnn"))]
            for by, title in PREDICTORS.items()]  # fmt: skip
    rows.append(["half of the seeds, by the other half", f"{float(reliability(results)):.2f}", "–", "–"])
    for name in (one for one in N_TRAIN if one in results.dataset.values):
        for source, title in (("mnist1d", "MNIST-1D"), (name, "itself")):
            cell = plus_minus(transfers(name, source)(results), 2)
            rows.append([f"{titles(results.attrs)[name]} by {title}", cell, "–", "–"])
    return Table(over_seeds(results, "Kendall's τ with the truth"), ["", "whole pool", "MLPs", "CNNs"], rows)


PRESETS = {
    "smoke": Protocol(n_seeds=2, n_ranked=4, n_taught=2, n_examples=4, n_dish_steps=4, n_outer_steps=2, n_held_out=20,
                      n_steps=16, data=MNIST1D(n_train=100, n_valid=20, n_test=50)),
    "quick": Protocol(),
    "paper": Protocol(n_seeds=10, n_ranked=60, n_taught=12, n_outer_steps=200, n_steps=2304),
}  # fmt: skip
MINUTES = {"smoke": 0.5, "quick": 4, "paper": 60}
STUDY = Study.of_module(__name__)
