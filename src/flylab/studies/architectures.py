"""How much of a network's accuracy comes from knowing that positions have neighbours?

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
from typing import Any, Literal, get_args

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from flylab.base.constraints import PositiveFloat, PositiveInt
from flylab.data import MNIST1D, Dataset, Fresh, Images, Splits, fresh, load_images, shared, shuffled
from flylab.data.images.load import digest
from flylab.models import convolutional, get_model
from flylab.models.registry import PUBLISHED
from flylab.results.claims import Claim
from flylab.results.effects import Effect
from flylab.results.plots import COLOURS, band, dots, panels, style
from flylab.results.statistics import cross_fitted, plus_minus
from flylab.results.tables import Table
from flylab.study import Condition, Context, Study, SupervisedProtocol
from flylab.training.learners import CLASSIFIERS, learner_title
from flylab.training.training import Training

NETWORKS = PUBLISHED
IMAGE_NETWORKS = ("logistic", "mlp", "cnn")
REFERENCES = ("neighbours", "sklearn_logistic", "svm")  # untuned classifiers of scikit-learn
DatasetName = Literal["mnist1d", "digits", "mnist", "fashion_mnist", "cifar10"]
TITLES = ("MNIST-1D", "scikit-learn's digits", "MNIST", "Fashion-MNIST", "CIFAR-10")
NAMES = dict(zip(get_args(DatasetName), TITLES, strict=True))
N_REFERENCE = 2000  # training images for scikit-learn's classifiers: with all images some would take hours
PAPER = {"logistic": (32, 1, None, None), "mlp": (68, 2, 68, 2), "cnn": (94, 2, 56, 2), "gru": (91, 2, 57, 2)}
HUMAN = 95.8  # five quizzes of 100 (Greydanus & Kobak 2024)


@dataclass(frozen=True)
class Protocol(SupervisedProtocol):
    """The published protocol (Greydanus & Kobak 2024, table 1), with more seeds."""

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


def training(protocol: Protocol, dataset: str, model: str, arrangement: str, source: str) -> Training | list[Training]:
    """Train a network with Adam on batches in fixed order; the references need no training."""
    if model in REFERENCES:
        return []
    if dataset == "mnist1d":
        network = get_model(model, protocol.data.final_seq_length, protocol.data.outputs)
        return Training(network, _signals(protocol, arrangement, source), protocol.plan, protocol.hparams)
    config = _config(protocol, dataset)
    shape, plan = (
        _loaded(config, arrangement).train.x.shape[1:],
        replace(protocol.plan, eval_every=protocol.image_eval_every),
    )
    network = convolutional.cnn2d(shape) if model == "cnn" else get_model(model, math.prod(shape))
    return Training(network, _flat(config, arrangement), plan, {"learning_rate": protocol.image_learning_rate})


def run(protocol: Protocol, condition: Condition, context: Context) -> xr.Dataset:
    """Train one network for all seeds, or fit one reference for each seed."""
    dataset, model, arrangement, source = (condition[name] for name in ("dataset", "model", "arrangement", "source"))
    signals = _signals(protocol, arrangement, source)

    def data(seed: int) -> Splits:
        if dataset == "mnist1d":
            return signals(seed) if isinstance(signals, Fresh) else shared(signals)
        config = _config(protocol, dataset)
        return _flat(replace(config, seed=1 + seed) if source == "fresh" else config, arrangement)

    if model in REFERENCES:
        n_train = None if dataset == "mnist1d" else N_REFERENCE
        return _references(protocol, CLASSIFIERS[model].build, data, n_train, context.seeds)
    labels = np.array([data(seed).test.y for seed in context.seeds], np.uint8)
    described = training(protocol, **condition)
    assert isinstance(described, Training)
    return context.train(described).results.assign(label=(("seed", "example"), labels))


def _signals(protocol: Protocol, arrangement: str, source: str) -> MNIST1D | Fresh:
    order = shuffled(protocol.data.final_seq_length) if arrangement == "shuffled" else protocol.data.permutation
    config = replace(protocol.data, permutation=order)
    return fresh(config) if source == "fresh" else config


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


def _flat(config: Images, arrangement: str) -> Splits:
    """Return images with flat pixels: see `convolutional.cnn2d`."""
    return _reshaped(_loaded(config, arrangement), lambda x: x.reshape(len(x), -1))


def _references(
    protocol: Protocol, build: Callable, data: Callable, n_train: int | None, seeds: Sequence[int]
) -> xr.Dataset:
    accuracies, predictions, labels = [], [], []
    for seed in seeds:
        train, _, test = data(seed)[:3]
        predictions.append(build().fit(train.x[:n_train], train.y[:n_train]).predict(test.x).astype(np.uint8))
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


def gap(results: xr.Dataset, better: str, worse: str, dataset: str = "mnist1d") -> xr.DataArray:
    """Return the points of test accuracy between two networks, paired by seed."""
    return last(results, better, dataset=dataset) - last(results, worse, dataset=dataset)


def compared(results: xr.Dataset) -> list[str]:
    """Return the names of the data sets that networks were trained on."""
    return [name for name in NAMES if not np.isnan(last(results, "cnn", dataset=name)).all()]


def _accuracy(id_: str, source: str, published_value: str, within: tuple[float, float]) -> Claim:
    model = id_.partition(".")[0]
    statement = f"{learner_title(model)} reaches {published_value} % test accuracy"
    return Claim(id_, statement, source, published_value, "%", accuracy(model), within=within)


def _shuffling(model: str, region: tuple[float, float], published_value: str) -> Claim:
    effect = "costs 30 to 45 points" if region[0] > 0 else "changes the accuracy by less than 2 points"
    statement = f"shuffling the positions {effect} for the {learner_title(model)}"
    return Claim(f"shuffle-{model}", statement, "paper", published_value, "points",
                 accuracy(model) - accuracy(model, "shuffled"), within=region)  # fmt: skip


def _interpolates(model: str) -> Claim:
    if model == "logistic":
        return Claim("interpolates-logistic", "logistic regression does not fit the training set (below 45 %)", "paper",
                     "no", "%", _fitted("logistic"), below=45)  # fmt: skip
    return Claim(f"interpolates-{model}", f"the {learner_title(model)} fits the training set (best ≥ 99.5 %)", "paper",
                 "yes", "%", _fitted(model), above=99.5)  # fmt: skip


CLAIMS = (
    _accuracy("logistic", "paper", "32 ± 1", (31, 33)),
    _accuracy("mlp.paper", "paper", "68 ± 2", (66, 70)),
    _accuracy("mlp.nb", "nb", "63–65", (63, 65)),
    _accuracy("cnn.paper", "paper", "94 ± 2", (92, 96)),
    _accuracy("cnn.nb", "nb", "92.3–94.2", (92.3, 94.2)),
    _accuracy("gru.paper", "paper", "91 ± 2", (89, 93)),
    _accuracy("gru.nb", "nb", "89–91", (89, 91)),
    Claim("nonlinear-gap", "the MLP beats logistic regression by at least 25 points", "paper", "36", "points",
          _gap("mlp", "logistic"), above=25),
    Claim("spatial-gap", "the CNN beats the MLP by at least 20 points", "paper", "26", "points",
          _gap("cnn", "mlp"), above=20),
    _shuffling("cnn", (30, 45), "94 → 56 ± 2"),
    _shuffling("gru", (30, 45), "91 → 57 ± 2"),
    _shuffling("mlp", (-2, 2), "0"),
    _shuffling("logistic", (-2, 2), "0"),
    Claim("shuffle-order", "with shuffled positions the CNN is worse than the MLP", "paper", "56 < 68", "points",
          accuracy("cnn", "shuffled") - accuracy("mlp", "shuffled"), below=0),
    *(_interpolates(model) for model in NETWORKS[::-1]),
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
    Claim("sklearn-easy", "a linear or kernel method (here an SVM) reaches 95 % on scikit-learn's digits", "blog",
          "very well", "%", accuracy("svm", source="fresh", dataset="digits"), above=95),
    Claim("neighbours-knn", "10 nearest neighbours on raw signals reach 59.6 ± 2 % on fresh data", "nb", "59.6", "%",
          accuracy("neighbours", source="fresh"), within=(57.6, 61.6)),
    Claim("neighbours-logistic", "scikit-learn's logistic regression reaches 32.8 ± 2 % on fresh data", "nb", "32.8",
          "%", accuracy("sklearn_logistic", source="fresh"), within=(30.8, 34.8)),
    Claim("fresh-spatial-gap", "with fresh data per seed, too, the CNN beats the MLP by at least 20 points", "here",
          "–", "points", accuracy("cnn", source="fresh") - accuracy("mlp", source="fresh"), above=20),
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


@style()
def figure(results: xr.Dataset) -> Figure:
    """Plot learning curves, the last accuracies beside the paper's, and those on each data set if there are several."""
    shown = [model for model in NETWORKS[::-1] if model in results.model]
    colours: dict[str, str] = dict(zip(shown, COLOURS, strict=False))
    datasets = compared(results)
    more = ["Data sets, after the last step"] if len(datasets) > 1 else []
    titles = ("Learning curves (mean and 95 % interval over seeds)", "After the last step", *more)
    drawn, (left, right, *rest) = panels(
        *titles, size=(14.5 if more else 10, 4.4), width_ratios=(1.25, 1, *[1] * len(more))
    )
    for model in shown:
        for arrangement, line in (("plain", "-"), ("shuffled", "--")):
            curve = curves(results, "test_accuracy", model, arrangement)
            label = learner_title(model) + ("" if arrangement == "plain" else ", shuffled")
            band(left, curve, label=label, color=colours[model], linestyle=line, linewidth=1.5)
    left.set(ylim=(0, 100))
    left.legend(fontsize=8, ncols=2, loc="lower right")
    _by_model(right, results, shown, colours)
    for ax in rest:
        _by_dataset(ax, results, datasets, colours)
    return drawn


def _by_dataset(ax, results: xr.Dataset, datasets: list[str], colours: dict[str, str]) -> None:
    for i, model in enumerate(IMAGE_NETWORKS):
        accuracies = [last(results, model, dataset=dataset) for dataset in datasets]
        rows = np.arange(len(datasets)) + 0.14 * (i - 1)
        dots(ax, accuracies, rows, horizontal=True, color=colours[model], label=learner_title(model))
    ax.set(yticks=range(len(datasets)), yticklabels=[NAMES[name] for name in datasets], xlim=(0, 101))
    ax.set(ylim=(len(datasets) - 0.5, -0.5), xlabel="test accuracy (%)")
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
    ax.set(xlim=(0, 100), xlabel="test accuracy (%)")
    ax.legend(fontsize=8, loc="lower left")


PRESETS = {
    "smoke": Protocol(n_seeds=2, n_steps=60, eval_every=20, data=MNIST1D(n_train=500, n_valid=100, n_test=100)),
    "quick": Protocol(n_seeds=10),
    "paper": Protocol(n_seeds=30, fresh_data=True),
}
MINUTES = {"smoke": 0.4, "quick": 2.7, "paper": 15}
STUDY = Study.of_module(__name__)
