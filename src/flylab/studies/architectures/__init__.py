"""How much of a network's accuracy comes from knowing that positions have neighbours?

Logistic regression, an MLP, a CNN and a GRU learn MNIST-1D, plain and with the positions shuffled by one fixed
permutation, which destroys the locality that convolution and recurrence presuppose (Greydanus & Kobak 2024, table 1).

With `--dataset mnist` the first three also learn images, with a two-dimensional CNN, to compare how well data sets tell
networks apart. The GRU does not: it would read pixels in an order that images do not have. scikit-learn's classifiers
are the references without a network; they always run on its digits.
"""

from dataclasses import replace

import numpy as np
import xarray as xr

from flylab.data import MNIST1D
from flylab.results.claims import Claim, independent
from flylab.results.effects import Effect, n_test_of
from flylab.results.statistics import plus_minus
from flylab.results.tables import Table
from flylab.studies.architectures.drawing import figure
from flylab.studies.architectures.measures import best, compared, curves, gap, last, paper, stopped
from flylab.studies.architectures.method import (
    IMAGE_NETWORKS,
    NAMES,
    NETWORKS,
    REFERENCES,
    Protocol,
    conditions,
    input_digest,
    n_steps,
    run,
    training,
)
from flylab.study import Study
from flylab.training.learners import learner_title

__all__ = [
    "CLAIMS", "IMAGE_NETWORKS", "NAMES", "NETWORKS", "REFERENCES", "STUDY", "Protocol", "accuracy", "best",
    "compared", "conditions", "curves", "figure", "gap", "input_digest", "last", "n_steps", "run", "stopped", "table",
    "training",
]  # fmt: skip


LAST = ("eval_every",)  # the accuracy after the last step is evaluated in any case


def accuracy(model: str, arrangement: str = "plain", source: str = "published", dataset: str = "mnist1d") -> Effect:
    """Return the effect `last`; results from before there were several data sets need not name theirs."""
    requires = {"model": model, "arrangement": arrangement, "source": source}
    requires |= {} if dataset == "mnist1d" else {"dataset": dataset}
    return Effect(lambda results: last(results, model, arrangement, source, dataset), requires)


def _fitted(model: str) -> Effect:
    def best_fit(results: xr.Dataset) -> xr.DataArray:
        return curves(results, "train_accuracy", model, "plain").max("step")

    return Effect(best_fit, accuracy(model).requires)


def _gap(better: str, worse: str, dataset: str = "mnist1d") -> Effect:
    return accuracy(better, dataset=dataset) - accuracy(worse, dataset=dataset)


def _accuracy(id_: str, source: str, published_value: str, within: tuple[float, float]) -> Claim:
    model = id_.partition(".")[0]
    statement = f"{learner_title(model)} reaches {published_value} % test accuracy"
    level = replace(accuracy(model), n_test=n_test_of)
    return Claim(id_, statement, source, published_value, "%", level, within=within, independent_of=LAST)


def _shuffling(model: str, region: tuple[float, float], published_value: str) -> Claim:
    effect = "costs 30 to 45 points" if region[0] > 0 else "changes the accuracy by less than 2 points"
    statement = f"shuffling the positions {effect} for the {learner_title(model)}"
    return Claim(f"shuffle-{model}", statement, "paper", published_value, "points",
                 accuracy(model) - accuracy(model, "shuffled"), within=region, independent_of=LAST,
                 is_sanity_check=model in ("mlp", "logistic"))  # fmt: skip


def _interpolates(model: str) -> Claim:
    if model == "logistic":
        return Claim("interpolates-logistic", "logistic regression does not fit the training set (below 45 %)", "paper",
                     "no", "%", _fitted("logistic"), below=45)  # fmt: skip
    return Claim(f"interpolates-{model}", f"the {learner_title(model)} fits the training set (best ≥ 99.5 %)", "paper",
                 "yes", "%", _fitted(model), above=99.5)  # fmt: skip


ARMS = ("dataset", "fresh_data")
IMAGES = ("image_n_train", "image_learning_rate", "image_eval_every")
FITTED = ("n_steps", "batch_size", "learning_rate", "eval_every")  # scikit-learn's methods have none of these
_SIGNALS = (
    _accuracy("logistic", "paper", "32 ± 1", (31, 33)),
    _accuracy("mlp.paper", "paper", "68 ± 2", (66, 70)),
    _accuracy("mlp.nb", "nb", "63–65", (63, 65)),
    _accuracy("cnn.paper", "paper", "94 ± 2", (92, 96)),
    _accuracy("cnn.nb", "nb", "92.3–94.2", (92.3, 94.2)),
    _accuracy("gru.paper", "paper", "91 ± 2", (89, 93)),
    _accuracy("gru.nb", "nb", "89–91", (89, 91)),
    Claim("nonlinear-gap", "the MLP beats logistic regression by at least 25 points", "paper", "36", "points",
          _gap("mlp", "logistic"), above=25, independent_of=LAST),
    Claim("spatial-gap", "the CNN beats the MLP by at least 20 points", "paper", "26", "points",
          _gap("cnn", "mlp"), above=20, independent_of=LAST),
    _shuffling("cnn", (30, 45), "94 → 56 ± 2"),
    _shuffling("gru", (30, 45), "91 → 57 ± 2"),
    _shuffling("mlp", (-2, 2), "0"),
    _shuffling("logistic", (-2, 2), "0"),
    Claim("shuffle-order", "with shuffled positions the CNN is worse than the MLP", "paper", "56 < 68", "points",
          accuracy("cnn", "shuffled") - accuracy("mlp", "shuffled"), below=0, independent_of=LAST),
    *(_interpolates(model) for model in NETWORKS[::-1]),
)  # fmt: skip
_IMAGES = (
    Claim("discriminates", "accuracies spread at least 5 × as widely as on 28×28 MNIST (spread − 5 × MNIST's ≥ 0)",
          "blog", "62 vs 5", "points",
          _gap("cnn", "logistic") - _gap("cnn", "logistic", "mnist").then(lambda points: 5 * points), above=0,
          needs="needs --dataset mnist"),
    Claim("fashion-harder", "Fashion-MNIST is a bit harder than MNIST for the CNN", "blog", "yes", "points",
          accuracy("cnn", dataset="mnist") - accuracy("cnn", dataset="fashion_mnist"), above=0,
          needs="needs --dataset mnist fashion_mnist"),
    Claim("cifar-discriminates", "CIFAR-10 separates the MLP from the CNN better than MNIST", "blog", "yes", "points",
          _gap("cnn", "mlp", "cifar10") - _gap("cnn", "mlp", "mnist"), above=0,
          needs="needs --dataset mnist cifar10"),
)  # fmt: skip
_REFERENCES = (
    Claim("sklearn-easy", "a linear or kernel method (here an SVM) reaches 95 % on scikit-learn's digits", "blog",
          "very well", "%", accuracy("svm", source="fresh", dataset="digits"), above=95, is_sanity_check=True),
    Claim("neighbours-knn", "10 nearest neighbours on raw signals reach 59.6 ± 2 % on fresh data", "nb", "59.6", "%",
          accuracy("neighbours", source="fresh"), within=(57.6, 61.6)),
    Claim("neighbours-logistic", "scikit-learn's logistic regression reaches 32.8 ± 2 % on fresh data", "nb", "32.8",
          "%", accuracy("sklearn_logistic", source="fresh"), within=(30.8, 34.8)),
)  # fmt: skip
_FRESH = (
    Claim("fresh-spatial-gap", "with fresh data per seed, too, the CNN beats the MLP by at least 20 points", "here",
          "–", "points", accuracy("cnn", source="fresh") - accuracy("mlp", source="fresh"), above=20,
          independent_of=LAST),
)  # fmt: skip
CLAIMS = independent(
    ARMS,
    (
        *independent(IMAGES, _SIGNALS),
        *independent(["eval_every"], _IMAGES),
        *independent([*FITTED, *IMAGES], _REFERENCES),
        *independent(IMAGES, _FRESH),
    ),
)


def table(results: xr.Dataset) -> Table:
    """Tabulate test accuracy by data set, network and arrangement, beside the paper's."""
    columns = ("", "last step", "stopped by validation", "best (cross-fitted)", "paper")
    rows = [
        row
        for dataset in NAMES
        for source in results.source.values
        for model in (*NETWORKS, *REFERENCES)
        for arrangement in results.arrangement.values
        if (row := _row(results, model, str(arrangement), str(source), dataset))
    ]
    datasets = compared(results)
    for dataset in datasets if len(datasets) > 1 else ():
        strongest = max(IMAGE_NETWORKS[1:], key=lambda model: float(last(results, model, dataset=dataset).mean()))
        name = f"{NAMES[dataset]}: spread, {learner_title(strongest)} − {learner_title('logistic')}"
        rows.append((name, plus_minus(gap(results, strongest, "logistic", dataset)), "–", "–", "–"))
    n = results.sizes["seed"]
    return Table(f"Test accuracy in percent: mean over {n} seeds ± half of the 95 % interval", columns, rows)


def _row(results: xr.Dataset, model: str, arrangement: str, source: str, dataset: str) -> tuple[str, ...] | None:
    place = (results, model, arrangement, source, dataset)
    if np.isnan(last(*place)).all():
        return None
    name = f"{learner_title(model)}, {arrangement}"
    if dataset == "mnist1d":
        name += ", fresh data" if source == "fresh" else ""
    else:
        name = f"{NAMES[dataset]}: {name}" + (", divided anew" if source == "fresh" else "")
    is_network = model in NETWORKS
    mean, spread = paper(model, arrangement) if dataset == "mnist1d" else (None, None)
    return (
        name, plus_minus(last(*place)), plus_minus(stopped(*place)) if is_network else "–",
        plus_minus(best(*place)) if is_network and results.sizes["seed"] > 1 else "–",
        "–" if mean is None else f"{mean} ± {spread}",
    )  # fmt: skip


PRESETS = {
    "smoke": Protocol(n_seeds=2, n_steps=60, eval_every=20, data=MNIST1D(n_train=500, n_valid=100, n_test=100)),
    "quick": Protocol(n_seeds=8),
    "paper": Protocol(n_seeds=30, fresh_data=True),
}
MINUTES = {"smoke": 0.4, "quick": 1.7, "paper": 15}
STUDY = Study.of_module(__name__)
