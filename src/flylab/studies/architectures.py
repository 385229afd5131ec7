"""Spatial priors: how much of the accuracy of a network comes from knowing that positions have neighbours?

Logistic regression, an MLP, a CNN and a GRU learn MNIST-1D, plain and with the positions shuffled by one fixed
permutation, which destroys the locality that convolution and recurrence presuppose (Greydanus & Kobak 2024, table 1).

With `--dataset mnist` the first three also learn images, with a two-dimensional CNN, to compare how well data sets tell
networks apart. The GRU does not: it would read pixels in an order that images do not have. scikit-learn's classifiers
are the references without a network; they always run on its digits.
"""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, get_args

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
from flylab.results.plots import COLOURS, band, dots, style
from flylab.results.statistics import cross_fitted, plus_minus
from flylab.study.protocol import BaseProtocol
from flylab.study.study import Condition, Study, Table
from flylab.training.learners import CLASSIFIERS, learner_title
from flylab.training.objectives import supervised
from flylab.training.population import Progress, train_members
from flylab.training.step import Plan

NETWORKS = PUBLISHED
IMAGE_NETWORKS = ("logistic", "mlp", "cnn")
REFERENCES = ("neighbours", "sklearn_logistic", "svm")  # untuned classifiers of scikit-learn
DatasetName = Literal["mnist1d", "digits", "mnist", "fashion_mnist", "cifar10"]
TITLES = ("MNIST-1D", "scikit-learn's digits", "MNIST", "Fashion-MNIST", "CIFAR-10")
NAMES = dict(zip(get_args(DatasetName), TITLES, strict=True))
N_REFERENCE = 2000  # training images for scikit-learn's classifiers: with all images some would take hours
PAPER = {"logistic": (32, 1, None, None), "mlp": (68, 2, 68, 2), "cnn": (94, 2, 56, 2), "gru": (91, 2, 57, 2)}
HUMAN = 95.8  # five quizzes of 100 (Greydanus & Kobak 2024)
_published = functools.lru_cache(maxsize=4)(published)


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
    dataset: tuple[DatasetName, ...] = ("mnist1d",)
    """Data sets to train on. MNIST-1D is always included, for comparison."""
    data_dir: str | None = None
    """Folder with mnist/, fashion_mnist/ and cifar10/, which hold the files. By default the files are downloaded."""
    image_n_train: PositiveInt | None = None
    """Training images. By default, all but the validation set."""
    image_learning_rate: PositiveFloat = 1e-3
    """Adam's learning rate on images: its default, since no published protocol gives one."""
    image_eval_every: PositiveInt = 1500
    """Steps between evaluations on images: evaluating on all of MNIST takes about as long as a thousand steps."""
    data: MNIST1D = field(default_factory=MNIST1D)
    """MNIST-1D."""

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "dataset", tuple(name for name in NAMES if name in ("mnist1d", *self.dataset)))


def conditions(protocol: Protocol) -> Sequence[Condition]:
    """Return data sets × networks × arrangements (× sources), slowest first, then the references."""
    sources = ("published", "fresh") if protocol.fresh_data else ("published",)
    signals = [
        {"dataset": "mnist1d", "model": model, "arrangement": arrangement, "source": source}
        for source in sources
        for model in NETWORKS[::-1]
        for arrangement in ("plain", "shuffled")
    ]
    images = [
        {"dataset": name, "model": model, "arrangement": arrangement, "source": "published"}
        for name in protocol.dataset[1:]
        for arrangement in ("plain", "shuffled")
        for model in IMAGE_NETWORKS[::-1]
    ]
    return [*signals, *images] + [
        {"dataset": name, "model": model, "arrangement": "plain", "source": "fresh"}
        for name in dict.fromkeys((*protocol.dataset, "digits"))
        for model in REFERENCES
        if model != "svm" or name != "mnist1d"
    ]


def input_digest(protocol: Protocol) -> Callable[[Condition], str | None]:
    """Return the digest of a condition's images, as a function; reading them all finds missing files at once."""
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
    """Train one network for all seeds with Adam on batches in fixed order, or fit one reference for each seed."""
    task = TASKS[condition["dataset"]](protocol, condition)
    if condition["model"] in REFERENCES:
        return _references(protocol, CLASSIFIERS[condition["model"]].build, task.data, seeds)
    plan = Plan(protocol.n_steps, protocol.batch_size, task.eval_every, optimizer="adam")
    grid = {"learning_rate": [task.learning_rate], "seed": seeds}
    splits = task.data(0) if condition["source"] == "published" else task.data
    results = train_members(supervised(task.network()), splits, plan, grid, key=key, progress=progress).results
    labels = np.array([task.data(seed).test.y for seed in seeds], np.uint8)
    return results.squeeze("learning_rate", drop=True).assign(label=(("seed", "example"), labels))


class Task(NamedTuple):
    """A condition's data by seed, its network, Adam's learning rate, and steps between evaluations."""

    data: Callable[[int], Splits]
    network: Callable[[], Model]
    learning_rate: float
    eval_every: int


def _signals(protocol: Protocol, condition: Condition) -> Task:
    def data(seed: int) -> Splits:
        config = protocol.data if condition["source"] == "published" else replace(protocol.data, seed=1000 + 2 * seed)
        order = shuffled(config.final_seq_length) if condition["arrangement"] == "shuffled" else config.permutation
        return _published(replace(config, permutation=order))

    def network() -> Model:
        return get_model(condition["model"], protocol.data.final_seq_length, protocol.data.outputs)

    return Task(data, network, protocol.learning_rate, protocol.eval_every)


def _images(protocol: Protocol, condition: Condition) -> Task:
    """Divide the images anew for each seed of a reference. Pixels are flat: see `convolutional.cnn2d`."""
    config = _config(protocol, condition["dataset"])

    def data(seed: int) -> Splits:
        division = replace(config, seed=1 + seed) if condition["source"] == "fresh" else config
        splits = _loaded(division, condition["arrangement"])
        if condition["model"] in REFERENCES:
            splits = splits._replace(train=Dataset(*(part[:N_REFERENCE] for part in splits.train)))
        return _reshaped(splits, lambda x: x.reshape(len(x), -1))

    def network() -> Model:
        shape = _loaded(config, condition["arrangement"]).train.x.shape[1:]
        if condition["model"] == "cnn":
            return convolutional.cnn2d(shape)
        return get_model(condition["model"], math.prod(shape))

    return Task(data, network, protocol.image_learning_rate, protocol.image_eval_every)


TASKS: dict[str, Callable[[Protocol, Condition], Task]] = {
    "mnist1d": _signals, "digits": _images, "mnist": _images, "fashion_mnist": _images, "cifar10": _images,
}  # fmt: skip


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


def _references(protocol: Protocol, build: Callable, data: Callable, seeds: Sequence[int]) -> xr.Dataset:
    accuracies, predictions, labels = [], [], []
    for seed in seeds:
        train, _, test = data(seed)[:3]
        predictions.append(build().fit(train.x, train.y).predict(test.x).astype(np.uint8))
        accuracies.append([100 * (predictions[-1] == test.y).mean()])
        labels.append(test.y)
    variables = {
        "test_accuracy": (("seed", "step"), np.array(accuracies, np.float32)),
        "prediction": (("seed", "example"), np.array(predictions)),
        "label": (("seed", "example"), np.array(labels, np.uint8)),
    }
    return xr.Dataset(variables, {"seed": list(seeds), "step": [protocol.n_steps]})


def curves(
    results: xr.Dataset,
    quantity: str,
    model: str,
    arrangement: str,
    source: str = "published",
    dataset: str = "mnist1d",
) -> xr.DataArray:
    """Return a quantity over `seed` and `step`; NaN where the results have no such network."""
    if "dataset" not in results.dims:  # results from before there were several data sets
        results = results.expand_dims(dataset=["mnist1d"])
    place = {"dataset": dataset, "model": model, "arrangement": arrangement, "source": source}
    return results[quantity].reindex({dim: [value] for dim, value in place.items()}).sel(place)


def last(
    results: xr.Dataset, model: str, arrangement: str = "plain", source: str = "published", dataset: str = "mnist1d"
) -> xr.DataArray:
    """Return test accuracy at the last step, over `seed`."""
    return curves(results, "test_accuracy", model, arrangement, source, dataset).isel(step=-1)


def stopped(
    results: xr.Dataset, model: str, arrangement: str = "plain", source: str = "published", dataset: str = "mnist1d"
) -> xr.DataArray:
    """Return test accuracy at the first evaluation with the best validation accuracy, over `seed`."""
    test, valid = (curves(results, f"{on}_accuracy", model, arrangement, source, dataset) for on in ("test", "valid"))
    return test.isel(step=valid.fillna(-1).argmax("step"))


def best(
    results: xr.Dataset, model: str, arrangement: str = "plain", source: str = "published", dataset: str = "mnist1d"
) -> xr.DataArray:
    """Return test accuracy at its best evaluation, cross-fitted over seeds."""
    curve = curves(results, "test_accuracy", model, arrangement, source, dataset)
    return cross_fitted(curve.dropna("step"), "step")  # not all data sets are evaluated at all steps


def fitted(results: xr.Dataset, model: str) -> xr.DataArray:
    """Return the best training accuracy of the run, over `seed`."""
    return curves(results, "train_accuracy", model, "plain").max("step")


def cost_of_shuffling(results: xr.Dataset, model: str) -> xr.DataArray:
    """Return the points of test accuracy lost by shuffling the positions, paired by seed."""
    return last(results, model) - last(results, model, "shuffled")


def gap(results: xr.Dataset, better: str, worse: str, dataset: str = "mnist1d") -> xr.DataArray:
    """Return the points of test accuracy between two networks, paired by seed."""
    return last(results, better, dataset=dataset) - last(results, worse, dataset=dataset)


def compared(results: xr.Dataset) -> list[str]:
    """Return the names of the data sets that networks were trained on."""
    return [name for name in NAMES if not np.isnan(last(results, "cnn", dataset=name)).all()]


def _accuracy(id_: str, source: str, published_value: str, within: tuple[float, float]) -> Claim:
    model = id_.partition(".")[0]
    statement = f"{learner_title(model)} reaches {published_value} % test accuracy"
    return Claim(id_, statement, source, published_value, "%", lambda r: last(r, model), within=within)


def _shuffling(model: str, region: tuple[float, float], published_value: str) -> Claim:
    effect = "costs 30 to 45 points" if region[0] > 0 else "changes the accuracy by less than 2 points"
    statement = f"shuffling the positions {effect} for the {learner_title(model)}"
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
          lambda r: gap(r, "mlp", "logistic"), above=25),
    Claim("spatial-gap", "the CNN beats the MLP by at least 20 points", "paper", "26", "points",
          lambda r: gap(r, "cnn", "mlp"), above=20),
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
    mean, spread = _paper(model, arrangement) if dataset == "mnist1d" else (None, None)
    return (
        name, plus_minus(last(*place)), plus_minus(stopped(*place)) if is_network else "–",
        plus_minus(best(*place)) if is_network and results.sizes["seed"] > 1 else "–",
        "–" if mean is None else f"{mean} ± {spread}",
    )  # fmt: skip


def _paper(model: str, arrangement: str) -> tuple[int | None, int | None]:
    """Return the published mean and its spread."""
    plain, plain_spread, shuffled, shuffled_spread = PAPER.get(model, (None,) * 4)
    return (plain, plain_spread) if arrangement == "plain" else (shuffled, shuffled_spread)


def figure(results: xr.Dataset) -> Figure:
    """Plot learning curves, the last accuracies beside the paper's, and those on each data set if there are several."""
    shown = [model for model in NETWORKS[::-1] if model in results.model]
    colours: dict[str, str] = dict(zip(shown, COLOURS, strict=False))
    datasets = compared(results)
    with style():
        picture = Figure(figsize=(10 if len(datasets) < 2 else 14.5, 4.4))
        widths = (1.25, 1) if len(datasets) < 2 else (1.25, 1, 1)
        left, right, *more = picture.subplots(1, len(widths), width_ratios=widths)
        for model in shown:
            for arrangement, line in (("plain", "-"), ("shuffled", "--")):
                curve = curves(results, "test_accuracy", model, arrangement)
                label = learner_title(model) + ("" if arrangement == "plain" else ", shuffled")
                band(left, curve, label=label, color=colours[model], linestyle=line, linewidth=1.5)
        left.set(ylim=(0, 100), title="Learning curves (mean and 95 % interval over seeds)")
        left.legend(fontsize=8, ncols=2, loc="lower right")
        _by_model(right, results, shown, colours)
        for ax in more:
            _by_dataset(ax, results, datasets, colours)
    return picture


def _by_dataset(ax, results: xr.Dataset, datasets: list[str], colours: dict[str, str]) -> None:
    for i, model in enumerate(IMAGE_NETWORKS):
        accuracies = [last(results, model, dataset=dataset) for dataset in datasets]
        rows = np.arange(len(datasets)) + 0.14 * (i - 1)
        dots(ax, accuracies, rows, horizontal=True, color=colours[model], label=learner_title(model))
    ax.set(yticks=range(len(datasets)), yticklabels=[NAMES[name] for name in datasets], xlim=(0, 101))
    ax.set(ylim=(len(datasets) - 0.5, -0.5), xlabel="test accuracy (%)", title="Data sets, after the last step")
    ax.legend(fontsize=8, loc="center left")


def _by_model(ax, results: xr.Dataset, shown: list[str], colours: dict[str, str]) -> None:
    for row, model in enumerate(shown):
        for offset, arrangement, face in ((-0.16, "plain", colours[model]), (0.16, "shuffled", "white")):
            line = {"color": colours[model], "markerfacecolor": face}
            dots(ax, last(results, model, arrangement), row + offset, horizontal=True, **line)
            mean, spread = _paper(model, arrangement)
            if mean is not None:
                ax.errorbar(mean, row + offset + 0.12, xerr=spread, fmt="|", color="0.55", capsize=2, lw=1)
    ax.errorbar([], [], fmt="o", color="0.3", label="plain")
    ax.errorbar([], [], fmt="o", color="0.3", markerfacecolor="white", label="shuffled")
    ax.errorbar([], [], xerr=[], fmt="|", color="0.55", label="published")
    ax.axvline(HUMAN, color="0.7", linestyle=":", linewidth=1)
    ax.text(HUMAN - 1, len(shown) - 0.45, "human", fontsize=8, color="0.4", ha="right", va="center")
    ax.set(yticks=range(len(shown)), yticklabels=[*map(learner_title, shown)], ylim=(len(shown) - 0.3, -0.5))
    ax.set(xlim=(0, 100), xlabel="test accuracy (%)", title="After the last step")
    ax.legend(fontsize=8, loc="lower left")


def resources(protocol: Protocol, condition: Condition) -> tuple[int, int]:
    """Return the FLOPs of training one seed, and the bytes of its data and network; 0 for the references."""
    if condition["model"] in REFERENCES:
        return 0, 0
    task = TASKS[condition["dataset"]](protocol, condition)
    sets, evaluated = task.data(0)[:3], Plan(protocol.n_steps, protocol.batch_size, task.eval_every).evaluated
    steps = protocol.n_steps, protocol.batch_size, len(evaluated)
    return training_cost(task.network(), sets[0].x.shape[1:], *steps, sum(len(part.y) for part in sets))


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
