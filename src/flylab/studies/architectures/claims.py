"""What was published about the four networks on signals; on images, see `image_claims`."""

from dataclasses import replace
from typing import Any

import xarray as xr

from flylab.results.claims import Claim, independent, sharing
from flylab.results.effects import Effect, n_test_of
from flylab.studies.architectures.image_claims import ON_IMAGES
from flylab.studies.architectures.measures import curves, last
from flylab.studies.architectures.method import NETWORKS
from flylab.training.learners import learner_title

ARMS = ("dataset", "fresh_data", "own_permutations")
IMAGES = ("image_n_train", "image_learning_rates", "image_n_steps", "image_eval_every")
FITTED = ("n_steps", "batch_size", "learning_rate", "eval_every")  # scikit-learn's methods have none of these
LAST = ("eval_every",)  # the accuracy after the last step is evaluated in any case
DATA, BOTH = "this data set", "this data set and permutation"  # which all seeds share


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


def _level(id_: str, source: str, published: str, within: tuple[float, float]) -> Claim:
    model, _, arrangement = id_.partition(".")[0].partition("-")
    level = replace(accuracy(model, arrangement or "plain"), n_test=n_test_of)
    how = " with shuffled positions" if arrangement else ""
    statement = f"{learner_title(model)} reaches {published} % test accuracy{how}"
    return Claim(id_, statement, source, published, "%", level, within=within, independent_of=LAST,
                 on=BOTH if arrangement else DATA)  # fmt: skip


def _shuffling(model: str, region: tuple[float, float], published: str) -> Claim:
    what = "costs 30 to 45 points" if region[0] > 0 else "changes the accuracy by less than 2 points"
    statement = f"shuffling the positions {what} for the {learner_title(model)}"
    effect = accuracy(model) - accuracy(model, "shuffled")
    return Claim(f"shuffle-{model}", statement, "paper", published, "points", effect, within=region,
                 independent_of=LAST, on=BOTH, is_sanity_check=model in ("mlp", "logistic"))  # fmt: skip


def _reshuffling(model: str) -> Claim:
    statement = f"shuffling by another permutation for each seed costs 30 to 45 points for the {learner_title(model)}"
    return Claim(f"reshuffle-{model}", statement, "here", "–", "points",
                 accuracy(model) - accuracy(model, "reshuffled"), within=(30, 45), independent_of=LAST,
                 on=DATA)  # fmt: skip


def _interpolates(model: str) -> Claim:
    if model == "logistic":
        return Claim("interpolates-logistic", "logistic regression does not fit the training set (below 45 %)",
                     "paper", "no", "%", _fitted("logistic"), below=45)  # fmt: skip
    return Claim(f"interpolates-{model}", f"the {learner_title(model)} fits the training set (best ≥ 99.5 %)",
                 "paper", "yes", "%", _fitted(model), above=99.5)  # fmt: skip


def _reference(id_: str, statement: str, model: str, source: str, published: str, **region: Any) -> Claim:
    """Return a claim of a method without chance; on the published data it repeats one computation, a sanity check."""
    is_repeated = published != "–"
    effect = accuracy(model, source="published" if is_repeated else "fresh")
    return Claim(id_, statement, source, published, "%", effect, on=DATA if is_repeated else "",
                 is_sanity_check=is_repeated, **region)  # fmt: skip


_SIGNALS = (
    _level("logistic", "paper", "32 ± 1", (31, 33)),
    _level("mlp.paper", "paper", "68 ± 2", (66, 70)),
    _level("mlp.nb", "nb", "64.2–65.1", (64.2, 65.1)),
    _level("cnn.paper", "paper", "94 ± 2", (92, 96)),
    _level("cnn.nb", "nb", "92.3–94.2", (92.3, 94.2)),
    _level("gru.paper", "paper", "91 ± 2", (89, 93)),
    _level("gru.nb", "nb", "89.1–92.1", (89.1, 92.1)),
    _level("mlp-shuffled.paper", "paper", "68 ± 2", (66, 70)),
    _level("cnn-shuffled.paper", "paper", "56 ± 2", (54, 58)),
    _level("gru-shuffled.paper", "paper", "57 ± 2", (55, 59)),
    # of the one run each with this permutation; ± 2 as in the paper
    _level("mlp-shuffled.nb", "nb", "66.0", (64, 68)),
    _level("cnn-shuffled.nb", "nb", "58.7", (56.7, 60.7)),
    _level("gru-shuffled.nb", "nb", "53.3", (51.3, 55.3)),
    Claim("nonlinear-gap", "the MLP beats logistic regression by at least 25 points", "paper", "36", "points",
          _gap("mlp", "logistic"), above=25, independent_of=LAST),
    Claim("spatial-gap", "the CNN beats the MLP by at least 20 points", "paper", "26", "points",
          _gap("cnn", "mlp"), above=20, independent_of=LAST),
    _shuffling("cnn", (30, 45), "94 → 56 ± 2"),
    _shuffling("gru", (30, 45), "91 → 57 ± 2"),
    _shuffling("mlp", (-2, 2), "0"),
    _shuffling("logistic", (-2, 2), "0"),
    Claim("shuffle-order", "with shuffled positions the CNN is worse than the MLP", "paper", "56 < 68", "points",
          accuracy("cnn", "shuffled") - accuracy("mlp", "shuffled"), below=0, independent_of=LAST, on=BOTH),
    *(_interpolates(model) for model in NETWORKS[::-1]),
)  # fmt: skip
_REFERENCES = (
    Claim("sklearn-easy", "a linear or kernel method (here an SVM) reaches 95 % on scikit-learn's digits", "blog",
          "very well", "%", accuracy("svm", source="fresh", dataset="digits"), above=95, is_sanity_check=True),
    _reference("neighbours-knn", "10 nearest neighbours on raw signals reach 59.6 ± 0.2 %", "neighbours", "nb",
               "59.6", within=(59.4, 59.8)),
    _reference("neighbours-logistic", "scikit-learn's logistic regression reaches 32.8 ± 0.2 %",
               "sklearn_logistic", "nb", "32.8", within=(32.6, 33.0)),
    _reference("neighbours-knn.fresh", "with fresh data per seed, 10 nearest neighbours reach 59.6 ± 2 %",
               "neighbours", "here", "–", within=(57.6, 61.6)),
    _reference("neighbours-logistic.fresh", "with fresh data per seed, logistic regression reaches 32.8 ± 2 %",
               "sklearn_logistic", "here", "–", within=(30.8, 34.8)),
)  # fmt: skip
_ANEW = (
    Claim("fresh-spatial-gap", "with fresh data per seed, too, the CNN beats the MLP by at least 20 points", "here",
          "–", "points", accuracy("cnn", source="fresh") - accuracy("mlp", source="fresh"), above=20,
          independent_of=LAST),
    *map(_reshuffling, ("cnn", "gru")),
    Claim("reshuffle-order", "after shuffling by another permutation for each seed the CNN is worse than the MLP",
          "here", "–", "points", accuracy("cnn", "reshuffled") - accuracy("mlp", "reshuffled"), below=0,
          independent_of=LAST, on=DATA),
)  # fmt: skip
CLAIMS = independent(
    ARMS,
    (
        *independent(IMAGES, sharing(DATA, _SIGNALS)),
        *ON_IMAGES,
        *independent([*FITTED, *IMAGES], _REFERENCES),
        *independent(IMAGES, _ANEW),
    ),
)
