"""Spatial priors: how much of the accuracy of a network comes from knowing that positions have neighbours?

Logistic regression, an MLP, a CNN and a GRU learn MNIST-1D, plain and with the positions shuffled (one fixed
permutation), which destroys what convolution and recurrence presuppose (Greydanus & Kobak 2024, table 1).

The first three also learn images, where asked for (`--dataset mnist`), with a CNN in two dimensions: does a data set
tell networks apart? No GRU there: it would read pixels one by one, in an order that images do not have. scikit-learn's
methods, on its digits in any case, say how far one comes without a network.
"""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from flylab.base.constraints import PositiveFloat, PositiveInt
from flylab.data import MNIST1D, Dataset, Images, Splits, load_images, published, shuffled
from flylab.data.images.load import digest
from flylab.models import Model, convolutional, get_model
from flylab.models.flops import training_cost
from flylab.models.registry import PUBLISHED
from flylab.results.claims import Claim
from flylab.results.plots import COLOURS, band, style
from flylab.results.statistics import cross_fitted, interval, plus_minus
from flylab.study.protocol import BaseProtocol
from flylab.study.study import Condition, Study, Table
from flylab.training.learners import CLASSIFIERS, learner_title
from flylab.training.objectives import supervised
from flylab.training.population import Progress, train_members
from flylab.training.step import Plan

NETWORKS = PUBLISHED
IMAGE_NETWORKS = ("logistic", "mlp", "cnn")
NAMES = {
    "mnist1d": "MNIST-1D", "digits": "scikit-learn's digits", "mnist": "MNIST", "fashion_mnist": "Fashion-MNIST",
    "cifar10": "CIFAR-10",
}  # fmt: skip
N_REFERENCE = 2000  # training images for scikit-learn's methods: with all of them some would take hours
PAPER = {"logistic": (32, 1, None, None), "mlp": (68, 2, 68, 2), "cnn": (94, 2, 56, 2), "gru": (91, 2, 57, 2)}
HUMAN = 95.8  # five quizzes of 100 (Greydanus & Kobak 2024)


@dataclass(frozen=True)
class Protocol(BaseProtocol):
    """The published protocol (Greydanus & Kobak 2024, table 1), with more seeds."""

    n_steps: PositiveInt = 6000
    """Optimiser steps."""
    batch_size: PositiveInt = 100
    """Examples per step, taken in fixed order."""
    learning_rate: PositiveFloat = 1e-2
    """Adam's learning rate."""
    eval_every: PositiveInt = 250
    """Steps between evaluations."""
    fresh_data: bool = False
    """Also train every network on a new data set per seed (generator seed 1000 + 2·seed)."""
    dataset: tuple[Literal["mnist1d", "digits", "mnist", "fashion_mnist", "cifar10"], ...] = ("mnist1d",)
    """Data sets to train on. MNIST-1D is always included, for comparison."""
    data_dir: str | None = None
    """Folder with the files of image data sets, in mnist/, fashion_mnist/, cifar10/. By default they are downloaded."""
    image_n_train: PositiveInt | None = None
    """Training images. By default all but the validation set."""
    image_learning_rate: PositiveFloat = 1e-3
    """Adam's learning rate on images: its usual one, since no published protocol gives one."""
    image_eval_every: PositiveInt = 1500
    """Steps between evaluations on images: all of MNIST takes about as long to evaluate as a thousand steps."""
    data: MNIST1D = field(default_factory=MNIST1D)
    """MNIST-1D."""

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "dataset", tuple(name for name in NAMES if name in ("mnist1d", *self.dataset)))


def conditions(protocol: Protocol) -> Sequence[Condition]:
    """Data sets × networks × arrangements (× sources), slowest first, and methods without training as references."""
    sources = ("published", "fresh") if protocol.fresh_data else ("published",)
    found = [
        {"dataset": "mnist1d", "model": model, "arrangement": arrangement, "source": source}
        for source in sources
        for model in NETWORKS[::-1]
        for arrangement in ("plain", "shuffled")
    ]
    found += [
        {"dataset": name, "model": model, "arrangement": arrangement, "source": "published"}
        for name in protocol.dataset[1:]
        for arrangement in ("plain", "shuffled")
        for model in IMAGE_NETWORKS[::-1]
    ]
    referred = dict.fromkeys((*protocol.dataset, "digits"))
    return found + [
        {"dataset": name, "model": model, "arrangement": "plain", "source": "fresh"}
        for name in referred
        for model in REFERENCES
        if model != "svm" or name != "mnist1d"
    ]


def input_digest(protocol: Protocol) -> Callable[[Condition], str | None]:
    """The digest of each condition's images. To have it, all of them are read: what is missing is refused at once."""
    digests = {name: digest(_config(protocol, name)) for name in protocol.dataset[1:]}
    return lambda condition: digests.get(condition["dataset"])


def run(
    protocol: Protocol,
    condition: Condition,
    seeds: Sequence[int],
    *,
    key,
    artifacts=None,
    progress: Progress | None = None,
    resume=None,
) -> xr.Dataset:
    """Train one condition for all seeds: Adam, batches in fixed order, accuracy on all three sets along the way."""
    task = TASKS[condition["dataset"]](protocol, condition)
    if condition["model"] in REFERENCES:
        return _references(protocol, CLASSIFIERS[condition["model"]].build, task.data, seeds)
    plan = Plan(protocol.n_steps, protocol.batch_size, task.eval_every, optimizer="adam")
    grid = {"learning_rate": [task.learning_rate], "seed": seeds}
    splits = task.data(0) if condition["source"] == "published" else task.data
    results = train_members(supervised(task.network()), splits, plan, grid, key=key, progress=progress).results
    labels = [task.data(seed).test.y for seed in seeds]
    return _with_labels(results.squeeze("learning_rate", drop=True), labels)


class Task(NamedTuple):
    """What a condition trains: the data by seed, the network, Adam's learning rate, and steps between evaluations."""

    data: Callable[[int], Splits]
    network: Callable[[], Model]
    learning_rate: float
    eval_every: int


def _signals(protocol: Protocol, condition: Condition) -> Task:
    def data(seed: int) -> Splits:
        made = protocol.data if condition["source"] == "published" else replace(protocol.data, seed=1000 + 2 * seed)
        order = shuffled(made.final_seq_length) if condition["arrangement"] == "shuffled" else made.permutation
        return _made(replace(made, permutation=order))

    def network() -> Model:
        return get_model(condition["model"], protocol.data.final_seq_length, protocol.data.outputs)

    return Task(data, network, protocol.learning_rate, protocol.eval_every)


def _images(protocol: Protocol, condition: Condition) -> Task:
    """References have another division per seed, and fewer images. All have flat pixels: see `convolutional.cnn2d`."""

    def data(seed: int) -> Splits:
        config = _config(protocol, condition["dataset"])
        found = _loaded(
            replace(config, seed=1 + seed) if condition["source"] == "fresh" else config, condition["arrangement"]
        )
        if condition["model"] in REFERENCES:
            found = found._replace(train=Dataset(*(part[:N_REFERENCE] for part in found.train)))
        return _reshaped(found, lambda x: x.reshape(len(x), -1))

    def network() -> Model:
        shape = _loaded(_config(protocol, condition["dataset"]), condition["arrangement"]).train.x.shape[1:]
        return (
            convolutional.cnn2d(shape)
            if condition["model"] == "cnn"
            else get_model(condition["model"], math.prod(shape))
        )

    return Task(data, network, protocol.image_learning_rate, protocol.image_eval_every)


TASKS: dict[str, Callable[[Protocol, Condition], Task]] = {
    "mnist1d": _signals, "digits": _images, "mnist": _images, "fashion_mnist": _images, "cifar10": _images,
}  # fmt: skip


@functools.lru_cache(maxsize=4)
def _made(config: MNIST1D) -> Splits:
    return published(config)


def _config(protocol: Protocol, name: Any) -> Images:
    return Images(name, n_train=protocol.image_n_train, data_dir=protocol.data_dir)


@functools.lru_cache(maxsize=1)  # they are large
def _loaded(config: Images, arrangement: str) -> Splits:
    def permuted(x: np.ndarray) -> np.ndarray:
        pixels = x.reshape(len(x), -1, x.shape[-1])
        return pixels[:, list(shuffled(pixels.shape[1]))].reshape(x.shape)

    splits = load_images(config)
    return _reshaped(splits, permuted) if arrangement == "shuffled" else splits


def _reshaped(splits: Splits, change: Callable[[np.ndarray], np.ndarray]) -> Splits:
    train, valid, test = (Dataset(change(part.x), part.y) for part in splits[:3])
    return splits._replace(train=train, valid=valid, test=test)


REFERENCES = ("neighbours", "sklearn_logistic", "svm")  # untuned classifiers of scikit-learn


def _references(protocol: Protocol, make: Callable, data: Callable, seeds: Sequence[int]) -> xr.Dataset:
    accuracy, predictions, labels = [], [], []
    for seed in seeds:
        train, _, test = data(seed)[:3]
        predictions.append(make().fit(train.x, train.y).predict(test.x).astype(np.uint8))
        accuracy.append([100 * (predictions[-1] == test.y).mean()])
        labels.append(test.y)
    results = xr.Dataset(
        {
            "test_accuracy": (("seed", "step"), np.array(accuracy, np.float32)),
            "prediction": (("seed", "example"), np.array(predictions)),
        },
        {"seed": list(seeds), "step": [protocol.n_steps]},
    )
    return _with_labels(results, labels)


def _with_labels(results: xr.Dataset, labels: Sequence[np.ndarray]) -> xr.Dataset:
    return results.assign(label=(("seed", "example"), np.array(labels, np.uint8)))


# ── reading the results ──────────────────────────────────────────────────────────────────────────────────────────────


def curves(
    results: xr.Dataset,
    quantity: str,
    model: str,
    arrangement: str,
    source: str = "published",
    dataset: str = "mnist1d",
) -> xr.DataArray:
    """A quantity over `seed` and `step`; NaN where the results have no such network."""
    if "dataset" not in results.dims:  # made when there was but one
        results = results.expand_dims(dataset=["mnist1d"])
    place = {"dataset": dataset, "model": model, "arrangement": arrangement, "source": source}
    return results[quantity].reindex({dim: [value] for dim, value in place.items()}).sel(place)


def last(
    results: xr.Dataset, model: str, arrangement: str = "plain", source: str = "published", dataset: str = "mnist1d"
) -> xr.DataArray:
    """Test accuracy at the last step, over `seed`."""
    return curves(results, "test_accuracy", model, arrangement, source, dataset).isel(step=-1)


def stopped(
    results: xr.Dataset, model: str, arrangement: str = "plain", source: str = "published", dataset: str = "mnist1d"
) -> xr.DataArray:
    """Test accuracy at the evaluation with the best validation accuracy (the first of several), over `seed`."""
    test, valid = (curves(results, f"{on}_accuracy", model, arrangement, source, dataset) for on in ("test", "valid"))
    return test.isel(step=valid.fillna(-1).argmax("step"))


def best(
    results: xr.Dataset, model: str, arrangement: str = "plain", source: str = "published", dataset: str = "mnist1d"
) -> xr.DataArray:
    """Test accuracy at its best evaluation, cross-fitted over seeds."""
    curve = curves(results, "test_accuracy", model, arrangement, source, dataset)
    return cross_fitted(curve.dropna("step"), "step")  # not all data sets are evaluated at all steps


def fitted(results: xr.Dataset, model: str) -> xr.DataArray:
    """The best training accuracy of the run, over `seed`."""
    return curves(results, "train_accuracy", model, "plain").max("step")


def cost_of_shuffling(results: xr.Dataset, model: str) -> xr.DataArray:
    """Points of test accuracy lost by shuffling the positions, paired by seed."""
    return last(results, model) - last(results, model, "shuffled")


def gap(results: xr.Dataset, better: str, worse: str, dataset: str = "mnist1d") -> xr.DataArray:
    """Points of test accuracy between two networks, paired by seed."""
    return last(results, better, dataset=dataset) - last(results, worse, dataset=dataset)


def compared(results: xr.Dataset) -> list[str]:
    """The data sets that networks were trained on."""
    return [name for name in NAMES if not np.isnan(last(results, "cnn", dataset=name)).all()]


# ── claims ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _accuracy(id_: str, source: str, published_value: str, within: tuple[float, float]) -> Claim:
    model = id_.partition(".")[0]
    statement = f"{learner_title(model)} reaches {published_value} % test accuracy"
    return Claim(id_, statement, source, published_value, "%", lambda r: last(r, model), within=within)


def _shuffling(model: str, region: tuple[float, float], published_value: str) -> Claim:
    says = "costs 30 to 45 points" if region[0] > 0 else "changes the accuracy by less than 2 points"
    statement = f"shuffling the positions {says} for the {learner_title(model)}"
    return Claim(f"shuffle-{model}", statement, "paper", published_value, "points",
                 lambda r: cost_of_shuffling(r, model), within=region)  # fmt: skip


def _interpolates(model: str) -> Claim:
    if model == "logistic":
        return Claim("interpolates-logistic", "logistic regression does not fit the training set (below 45 %)", "paper",
                     "no", "%", lambda r: fitted(r, "logistic"), below=45)  # fmt: skip
    return Claim(f"interpolates-{model}", f"the {learner_title(model)} fits the training set (best ≥ 99.5 %)", "paper",
                 "yes", "%", lambda r: fitted(r, model), above=99.5)  # fmt: skip


CLAIMS = (
    _accuracy("logistic", "paper", "32 ± 1", (31, 33)),
    _accuracy("mlp.paper", "paper", "68 ± 2", (66, 70)),
    _accuracy("mlp.nb", "nb", "63–65", (63, 65)),
    _accuracy("cnn.paper", "paper", "94 ± 2", (92, 96)),
    _accuracy("cnn.nb", "nb", "92.3–94.2", (92.3, 94.2)),
    _accuracy("gru.paper", "paper", "91 ± 2", (89, 93)),
    _accuracy("gru.nb", "nb", "89–91", (89, 91)),
    Claim("nonlinear-gap", "the MLP beats logistic regression by at least 25 points", "paper", "36", "points",
          lambda r: last(r, "mlp") - last(r, "logistic"), above=25),
    Claim("spatial-gap", "the CNN beats the MLP by at least 20 points", "paper", "26", "points",
          lambda r: last(r, "cnn") - last(r, "mlp"), above=20),
    _shuffling("cnn", (30, 45), "94 → 56 ± 2"),
    _shuffling("gru", (30, 45), "91 → 57 ± 2"),
    _shuffling("mlp", (-2, 2), "0"),
    _shuffling("logistic", (-2, 2), "0"),
    Claim("shuffle-order", "with shuffled positions the CNN is worse than the MLP", "paper", "56 < 68", "points",
          lambda r: last(r, "cnn", "shuffled") - last(r, "mlp", "shuffled"), below=0),
    *(_interpolates(model) for model in NETWORKS[::-1]),
    Claim("discriminates", "accuracies spread at least 5 × as widely as on 28×28 MNIST (spread − 5 × MNIST's ≥ 0)",
          "blog", "62 vs 5", "points",
          lambda r: gap(r, "cnn", "logistic") - 5 * gap(r, "cnn", "logistic", "mnist"), above=0,
          needs="needs --dataset mnist"),
    Claim("fashion-harder", "Fashion-MNIST is a bit harder than MNIST for the CNN", "blog", "yes", "points",
          lambda r: last(r, "cnn", dataset="mnist") - last(r, "cnn", dataset="fashion_mnist"), above=0,
          needs="needs --dataset mnist fashion_mnist"),
    Claim("cifar-discriminates", "CIFAR-10 separates the MLP from the CNN better than MNIST", "blog", "yes", "points",
          lambda r: gap(r, "cnn", "mlp", "cifar10") - gap(r, "cnn", "mlp", "mnist"), above=0,
          needs="needs --dataset mnist cifar10"),
    Claim("sklearn-easy", "a linear or kernel method (here an SVM) reaches 95 % on scikit-learn's digits", "blog",
          "very well", "%", lambda r: last(r, "svm", source="fresh", dataset="digits"), above=95),
    Claim("neighbours-knn", "10 nearest neighbours on raw signals reach 59.6 ± 2 % on fresh data", "nb", "59.6", "%",
          lambda r: last(r, "neighbours", source="fresh"), within=(57.6, 61.6), requires={"model": "neighbours"}),
    Claim("neighbours-logistic", "scikit-learn's logistic regression reaches 32.8 ± 2 % on fresh data", "nb", "32.8",
          "%", lambda r: last(r, "sklearn_logistic", source="fresh"), within=(30.8, 34.8),
          requires={"model": "sklearn_logistic"}),
    Claim("fresh-spatial-gap", "with fresh data per seed, too, the CNN beats the MLP by at least 20 points", "here",
          "–", "points", lambda r: last(r, "cnn", source="fresh") - last(r, "mlp", source="fresh"), above=20,
          needs="needs the preset paper"),
)  # fmt: skip


# ── table and figure ─────────────────────────────────────────────────────────────────────────────────────────────────


def table(results: xr.Dataset) -> Table:
    """Test accuracy by data set, network and arrangement, beside the paper's."""
    columns = ("", "last step", "stopped by validation", "best (cross-fitted)", "paper")
    rows = [
        row
        for dataset in NAMES
        for source in results.source.values
        for model in (*NETWORKS, *REFERENCES)
        for arrangement in results.arrangement.values
        if (row := _row(results, model, str(arrangement), str(source), dataset))
    ]
    sets = compared(results)
    for dataset in sets if len(sets) > 1 else ():
        peak = max(IMAGE_NETWORKS[1:], key=lambda model: float(last(results, model, dataset=dataset).mean()))
        name = f"{NAMES[dataset]}: spread, {learner_title(peak)} − {learner_title('logistic')}"
        rows.append((name, plus_minus(gap(results, peak, "logistic", dataset)), "–", "–", "–"))
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
    trained = model in NETWORKS
    peak = best(*place) if trained and results.sizes["seed"] > 1 else None
    mean, reach = None, None
    if dataset == "mnist1d" and model in PAPER:
        mean, reach = PAPER[model][:2] if arrangement == "plain" else PAPER[model][2:]
    return (
        name, plus_minus(last(*place)), plus_minus(stopped(*place)) if trained else "–",
        "–" if peak is None else plus_minus(peak), "–" if mean is None else f"{mean} ± {reach}",
    )  # fmt: skip


def figure(results: xr.Dataset) -> Figure:
    """Learning curves, and the last accuracies beside the paper's; where there are several data sets, on each."""
    shown = [model for model in NETWORKS[::-1] if model in results.model]
    colours: dict[str, str] = dict(zip(shown, COLOURS, strict=False))
    sets = compared(results)
    with style():
        drawn = Figure(figsize=(10 if len(sets) < 2 else 14.5, 4.4))
        widths = (1.25, 1) if len(sets) < 2 else (1.25, 1, 1)
        left, right, *more = drawn.subplots(1, len(widths), width_ratios=widths)
        for model in shown:
            for arrangement, line in (("plain", "-"), ("shuffled", "--")):
                curve = curves(results, "test_accuracy", model, arrangement)
                label = learner_title(model) + ("" if arrangement == "plain" else ", shuffled")
                band(left, curve, label=label, color=colours[model], linestyle=line, linewidth=1.5)
        left.set(ylim=(0, 100), title="Learning curves (mean and 95 % interval over seeds)")
        left.legend(fontsize=8, ncols=2, loc="lower right")
        _dots(right, results, shown, colours)
        for ax in more:
            _dots_by_dataset(ax, results, sets, colours)
    return drawn


def _dots_by_dataset(ax, results: xr.Dataset, sets: list[str], colours: dict[str, str]) -> None:
    for row, dataset in enumerate(sets):
        for i, model in enumerate(IMAGE_NETWORKS):
            mean, low, high, _ = interval(last(results, model, dataset=dataset))
            reach = None if np.isnan(low) else [[mean - low], [high - mean]]
            label = learner_title(model) if row == 0 else None
            at = row + 0.14 * (i - 1)
            ax.errorbar(mean, at, xerr=reach, fmt="o", color=colours[model], capsize=3, label=label)
    ax.set(yticks=range(len(sets)), yticklabels=[NAMES[name] for name in sets], xlim=(0, 101))
    ax.set(ylim=(len(sets) - 0.5, -0.5), xlabel="test accuracy (%)", title="Data sets, after the last step")
    ax.legend(fontsize=8, loc="center left")


def _dots(ax, results: xr.Dataset, shown: list[str], colours: dict[str, str]) -> None:
    for row, model in enumerate(shown):
        for offset, arrangement, face in ((-0.16, "plain", colours[model]), (0.16, "shuffled", "white")):
            mean, low, high, _ = interval(last(results, model, arrangement))
            reach = None if np.isnan(low) else [[mean - low], [high - mean]]
            ax.errorbar(mean, row + offset, xerr=reach, fmt="o", color=colours[model], markerfacecolor=face, capsize=3)
            published_mean, spread = PAPER[model][:2] if arrangement == "plain" else PAPER[model][2:]
            if published_mean is not None:
                ax.errorbar(published_mean, row + offset + 0.12, xerr=spread, fmt="|", color="0.55", capsize=2, lw=1)
    ax.errorbar([], [], fmt="o", color="0.3", label="plain")
    ax.errorbar([], [], fmt="o", color="0.3", markerfacecolor="white", label="shuffled")
    ax.errorbar([], [], xerr=[], fmt="|", color="0.55", label="published")
    ax.axvline(HUMAN, color="0.7", linestyle=":", linewidth=1)
    ax.text(HUMAN - 1, len(shown) - 0.45, "human", fontsize=8, color="0.4", ha="right", va="center")
    ax.set(
        yticks=range(len(shown)),
        yticklabels=[learner_title(m) for m in shown],
        xlim=(0, 100),
        ylim=(len(shown) - 0.3, -0.5),
    )
    ax.set(xlabel="test accuracy (%)", title="After the last step")
    ax.legend(fontsize=8, loc="lower left")


def resources(protocol: Protocol, condition: Condition) -> tuple[int, int]:
    """FLOPs of training one seed, and bytes of its data and network; 0 for the references, which are not trained."""
    if condition["model"] in REFERENCES:
        return 0, 0
    task = TASKS[condition["dataset"]](protocol, condition)
    sets, evaluated = task.data(0)[:3], Plan(protocol.n_steps, protocol.batch_size, task.eval_every).evaluated
    steps = protocol.n_steps, protocol.batch_size, len(evaluated)
    return training_cost(task.network(), sets[0].x.shape[1:], *steps, sum(len(one.y) for one in sets))


STUDY = Study(
    question="How much of a network's accuracy comes from knowing that positions have neighbours?",
    presets={
        "smoke": Protocol(n_seeds=2, n_steps=60, eval_every=20, data=MNIST1D(n_train=500, n_valid=100, n_test=100)),
        "quick": Protocol(n_seeds=10),
        "paper": Protocol(n_seeds=30, fresh_data=True),
    },
    conditions=conditions,
    run=run,
    claims=CLAIMS,
    figure=figure,
    table=table,
    input_digest=input_digest,
    resources=resources,
    n_steps=lambda protocol, condition: protocol.n_steps if condition["model"] in NETWORKS else 0,
    minutes={"smoke": 0.4, "quick": 2.7, "paper": 15},
)
