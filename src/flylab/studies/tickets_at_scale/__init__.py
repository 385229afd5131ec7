"""Do tickets of larger networks, signals and images learn that inputs have neighbours, too?

The essay ends with a guess: that tickets of larger networks would learn spatial priors as those on MNIST-1D do
(Greydanus 2020). Here MLPs learn MNIST-1D of 40 to 160 points, scikit-learn's digits and, with `--dataset`, MNIST and
CIFAR-10. The first layers of their tickets are compared with random masks that keep the survivors of every unit and of
every input, so that the empty edges of images make no clusters. Tickets are trained on other images as well, and two of
their children, trained in different orders, are joined by a straight line in weight space (Frankle et al. 2020).
"""

import xarray as xr

from flylab.results.tables import Table, over_seeds, pivot
from flylab.studies.tickets_at_scale.claims import CLAIMS, advantage, at, names_in
from flylab.studies.tickets_at_scale.drawing import figure
from flylab.studies.tickets_at_scale.method import (
    Protocol,
    conditions,
    image_sets,
    input_digest,
    n_steps,
    resources,
    run,
)
from flylab.study import Study

__all__ = ["CLAIMS", "STUDY", "Protocol", "advantage", "at", "conditions", "figure", "image_sets", "input_digest",
           "n_steps", "resources", "run", "table"]  # fmt: skip


def table(results: xr.Dataset) -> Table:
    """Return clustering and accuracies of each data set's base case."""
    names = results.dataset.values.tolist()
    effects = {
        "neighbours (× chance)": lambda name: at("neighbours", name),
        "permuted": lambda name: at("neighbours", name, arrangement="permuted"),
        "association": lambda name: at("association", name),
        "ticket (%)": lambda name: at("transfer_accuracy", name, target=name, treatment="ticket"),
        "less dense": lambda name: advantage(name, "dense"),
        "less random": lambda name: advantage(name, "random"),
    }
    columns = {title: (xr.concat([effect(name)(results) for name in names], xr.Variable("dataset", names)), 2)
               for title, effect in effects.items()}  # fmt: skip
    return pivot(over_seeds(results), columns, "dataset", corner="data", name=names_in(results).__getitem__)


PRESETS = {
    "smoke": Protocol(n_seeds=2, dataset=("mnist1d", "mnist1d-80", "digits"), n_train=200, n_test=100, widths=(20, 40),
                      shares=(1.0, 0.5), rewinds=(0, 5), n_rounds=3, prune_rate=0.7, n_steps=20, null_samples=3),
    "quick": Protocol(n_seeds=6),
    "paper": Protocol(n_train=16_000, n_test=10_000, widths=(100, 300, 1000, 2000), shares=(1.0, 0.25, 0.0625),
                      rewinds=(0, 10, 50, 200), n_steps=600, null_samples=30),
}  # fmt: skip
MINUTES = {"smoke": 0.5, "quick": 4, "paper": 53}
STUDY = Study.of_module(__name__)
