"""How much of a network's accuracy comes from knowing that positions have neighbours?

Logistic regression, an MLP, a CNN and a GRU learn MNIST-1D, plain and with the positions shuffled by one fixed
permutation, which destroys the locality that convolution and recurrence presuppose (Greydanus & Kobak 2024, table 1).

With `--dataset mnist` the first three also learn images, with a two-dimensional CNN, and so does a small ResNet, to
compare how well data sets tell networks apart; the preset `images` has MNIST and CIFAR-10. The GRU does not: it would
read pixels in an order that images do not have. scikit-learn's classifiers are the references without a network; they
always run on its digits.
"""

import numpy as np
import xarray as xr

from flylab.data import MNIST1D
from flylab.results.sampling import Components
from flylab.results.statistics import plus_minus
from flylab.results.tables import Table
from flylab.studies.architectures.claims import CLAIMS, accuracy
from flylab.studies.architectures.drawing import figure
from flylab.studies.architectures.measures import (
    best,
    compared,
    components_of,
    curves,
    gap,
    last,
    paper,
    stopped,
    titles,
)
from flylab.studies.architectures.method import (
    ARRANGEMENTS,
    IMAGE_NETWORKS,
    NAMES,
    NETWORKS,
    REFERENCES,
    Protocol,
    conditions,
    image_sets,
    n_steps,
    run,
    training,
)
from flylab.study import Study
from flylab.training.learners import learner_title

__all__ = [
    "ARRANGEMENTS", "CLAIMS", "IMAGE_NETWORKS", "NAMES", "NETWORKS", "REFERENCES", "STUDY", "Protocol", "accuracy",
    "best", "compared", "components_of", "conditions", "curves", "figure", "gap", "image_sets", "last", "n_steps",
    "run", "stopped", "table", "training",
]  # fmt: skip


def table(results: xr.Dataset) -> Table:
    """Tabulate test accuracy by data set, network and arrangement, beside the paper's.

    Where data or permutations vary as well, their part in the variance over seeds stands beside (`results.sampling`).
    """
    columns = ("", "last step", "stopped by validation", "best (cross-fitted)", "paper")
    rows = [
        row
        for dataset in NAMES
        for source in results.source.values
        for model in (*NETWORKS, "resnet", *REFERENCES)
        for arrangement in results.arrangement.values
        if (row := _row(results, model, str(arrangement), str(source), dataset))
    ]
    if parts := components_of(results, ("cnn", "mlp"), "plain", "fresh"):
        difference = plus_minus(gap(results, "cnn", "mlp", source="fresh"))
        rows.append(("CNN − MLP, plain, fresh data", difference, "–", "–", "–", *_texts(parts)))
    datasets = compared(results)
    for dataset in datasets if len(datasets) > 1 else ():
        for better, worse in (("cnn", "logistic"), ("cnn", "mlp"), ("resnet", "cnn")):
            if not np.isnan(points := gap(results, better, worse, dataset, read=stopped)).all():
                name = f"{titles(results.attrs)[dataset]}: {learner_title(better)} − {learner_title(worse)}, plain"
                rows.append((name, "–", plus_minus(points), "–", "–"))
    if max(map(len, rows)) > len(columns):
        columns += ("sd of initialisation", "sd of data or permutation", "its share of the variance (95 % interval)")
    rows = [(*row, *["–"] * (len(columns) - len(row))) for row in rows]
    n = results.sizes["seed"]
    return Table(f"Test accuracy in percent: mean over {n} seeds ± half of the 95 % interval", columns, rows)


def _row(results: xr.Dataset, model: str, arrangement: str, source: str, dataset: str) -> tuple[str, ...] | None:
    place = (results, model, arrangement, source, dataset)
    if np.isnan(last(*place)).all():
        return None
    name = f"{learner_title(model)}, {ARRANGEMENTS[arrangement]}"
    if dataset == "mnist1d":
        name += ", fresh data" if source == "fresh" else ""
    else:
        name = f"{titles(results.attrs)[dataset]}: {name}" + (", divided anew" if source == "fresh" else "")
    is_network = model not in REFERENCES
    mean, spread = paper(model, arrangement) if dataset == "mnist1d" else (None, None)
    parts = components_of(results, (model,), arrangement, source) if is_network and dataset == "mnist1d" else None
    return (
        name, plus_minus(last(*place)), plus_minus(stopped(*place)) if is_network else "–",
        plus_minus(best(*place)) if is_network and results.sizes["seed"] > 1 else "–",
        "–" if mean is None else f"{mean} ± {spread}", *(_texts(parts) if parts else ()),
    )  # fmt: skip


def _texts(parts: Components) -> tuple[str, str, str]:
    share = f"{parts.share:.0f} % ({parts.low:.0f} … {parts.high:.0f})"
    return f"{parts.initialisation:.1f}", f"{parts.data:.1f}", share


PRESETS = {
    "smoke": Protocol(n_seeds=2, n_steps=60, eval_every=20, image_n_steps=60, image_eval_every=30,
                      data=MNIST1D(n_train=500, n_valid=100, n_test=100)),
    "quick": Protocol(n_seeds=8),
    "images": Protocol(n_seeds=4, own_permutations=True, dataset=("mnist", "cifar10")),
    "paper": Protocol(n_seeds=30, fresh_data=True, own_permutations=True),
}  # fmt: skip
MINUTES = {"smoke": 0.4, "quick": 1.7, "images": 12, "paper": 19}
STUDY = Study.of_module(__name__)
