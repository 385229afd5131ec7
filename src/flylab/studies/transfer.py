"""Does an activation that was metalearned on MNIST-1D help a convolutional network on images?

A small CNN learns images with a learned activation and with eight usual ones; they are compared by training loss over
the first epoch and by final test loss (Greydanus 2020, on MNIST and CIFAR-10). The default images, scikit-learn's
digits, need no download, but say nothing of the essay's: `--dataset mnist cifar10` tests its statements. "The learned
one" is a population: each seed has a function of its own, learned by the published protocol of the study `activation`
from a start, data and initial weights of its own, so that the verdicts are about such functions and not about one.
"""

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from scipy.stats import rankdata

from flylab.base.constraints import PositiveFloat, PositiveInt
from flylab.data import Dataset, Images, Splits, load_images
from flylab.data.images import titles
from flylab.data.images.load import Name
from flylab.models import Model, activations, convolutional
from flylab.results.claims import Claim
from flylab.results.effects import Effect, pick
from flylab.results.plots import COLOURS, band, forest, panels, style
from flylab.results.statistics import plus_minus
from flylab.results.tables import Table, over_seeds, pivot
from flylab.study import BaseProtocol, Condition, Context, Study
from flylab.training.activated import activated
from flylab.training.dispatch import run_members
from flylab.training.inputs import SplitArrays, as_arrays
from flylab.training.population import to_dataset
from flylab.training.step import Member, Plan
from flylab.training.train import training_run
from flylab.training.training import Training

NAMES = ("learned", *activations.ALL)
N_FUNCTIONS = 10  # learned functions in the artifact
FEW = {"digits": 1200}  # training images of small sets, which have defaults of their own
PUBLISHED = titles({})


@dataclass(frozen=True)
class Protocol(BaseProtocol):
    """A CNN of three strided 3×3 convolutions; Adam at its usual rate, batches reshuffled in each epoch.

    Batches of digits are small because digits are few: with batches of 50, an epoch has 24 steps, in which no network
    learns. The learned function of a seed is that of its last digit.
    """

    dataset: tuple[Name, ...] = ("digits",)
    """The images; several sets are possible. Digits need no download."""
    data_dir: str | None = None
    """Folder whose subfolder <dataset>/ has the images' files; by default they are downloaded. Digits need none."""
    n_train: PositiveInt | None = None
    """Training images, at most; by default all, of digits those outside the validation set."""
    channels: PositiveInt = 16
    """Channels of each convolution."""
    n_epochs: PositiveInt | None = None
    """Passes over the training images; by default 10 over digits, and 3 over other images, which are more."""
    batch_size: PositiveInt | None = None
    """Examples per step; by default 10 of digits, and 50 of other images."""
    learning_rate: PositiveFloat = 1e-3
    """Adam's learning rate."""

    def __post_init__(self) -> None:
        super().__post_init__()
        allowed = f"at most {N_FUNCTIONS}, the number of learned functions: each seed has one of its own"
        self._require(self.n_seeds <= N_FUNCTIONS, "n_seeds", allowed)

    def plan(self, dataset: str, n_train: int) -> Plan:
        """Return the plan of training on so many images."""
        n_epochs, batch_size = self.n_epochs or (10 if dataset in FEW else 3), self.batch_size
        batch_size = batch_size or (10 if dataset in FEW else 50)
        epoch = max(n_train // batch_size, 1)
        return Plan(n_epochs * epoch, batch_size, epoch, shuffle=True, record_loss=True)

    def images(self, dataset: Any, seed: int) -> Images:
        """Return the images as a seed splits them; published test sets stay, but digits have none."""
        n_train = self.n_train and min(self.n_train, FEW.get(dataset, self.n_train))
        n_valid = None if dataset in FEW else 0  # nothing is chosen on it
        return Images(dataset, n_train=n_train, n_valid=n_valid, seed=seed, data_dir=self.data_dir)


def conditions(protocol: Protocol) -> Sequence[Condition]:
    """Return data sets × activation functions."""
    return [{"dataset": dataset, "activation": name} for dataset in protocol.dataset for name in NAMES]


def image_sets(protocol: Protocol) -> dict[str, Images]:
    """Return the images by their names."""
    return {dataset: protocol.images(dataset, 0) for dataset in protocol.dataset}


def training(protocol: Protocol, dataset: str, activation: str) -> Training:
    """Describe one network per seed, with a usual activation; `run` trains those with learned ones, too."""
    shape, splits = _flattened(protocol.images(dataset, 0))
    network = convolutional.cnn2d(
        shape, width=protocol.channels, activation=activations.ALL.get(activation, jax.nn.elu)
    )
    hparams = {"learning_rate": protocol.learning_rate}

    def data(seed: int) -> Splits:
        return _flattened(protocol.images(dataset, seed))[1]

    return Training(network, data, protocol.plan(dataset, len(splits.train.y)), hparams)


def run(protocol: Protocol, condition: Condition, context: Context) -> xr.Dataset:
    """Return the training loss over the first epoch, and test metrics by epoch."""
    described = training(protocol, **condition)
    if condition["activation"] == "learned":
        metrics = _with_learned(described, protocol, condition["dataset"], context)
    else:
        metrics = context.train(described).results
    epoch = described.plan.evaluated[1]
    first_epoch_loss = metrics.loss.isel(update=slice(epoch)).mean("update")
    results = metrics[["train_loss", "test_loss", "test_accuracy"]].assign(first_epoch_loss=first_epoch_loss)
    return results.assign_coords(step=metrics.step / epoch).rename(step="epoch")


def _with_learned(described: Training, protocol: Protocol, dataset: str, context: Context) -> xr.Dataset:
    """Train each seed's network with the learned function that is its own, through one program."""
    functions = activations.load_functions(context.artifacts["activation"])
    n, (shape, _) = len(functions["c"]), _flattened(protocol.images(dataset, 0))
    rate = np.float32(protocol.learning_rate)
    objective = activated(_network(shape, protocol.channels))

    def members() -> Iterator[tuple[SplitArrays, Member]]:
        for seed in context.seeds:
            weights = {name: leaf[seed % n] for name, leaf in functions.items()}
            sets = as_arrays(_flattened(protocol.images(dataset, seed))[1])
            yield sets, Member(jax.random.fold_in(context.key, seed), {"activation": weights, "learning_rate": rate})

    trained = run_members(training_run(objective, described.plan), members(), progress=context.progress)
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *trained)
    return to_dataset(stacked, {"seed": list(context.seeds)}, described.plan)


@functools.cache
def _network(shape: tuple[int, int, int], channels: int) -> Callable[[Callable], Model]:
    return functools.partial(convolutional.cnn2d.__wrapped__, shape, 10, channels)  # functions are traced: no cache


@functools.lru_cache(maxsize=2)
def _flattened(config: Images) -> tuple[tuple[int, int, int], Splits]:
    """Return the images' shape, and splits with flat pixels: XLA would copy images of one channel at every dispatch."""
    splits = load_images(config)
    shape = splits.train.x.shape[1:]
    train, valid, test = (Dataset(part.x.reshape(len(part.x), math.prod(shape)), part.y) for part in splits[:3])
    return shape, splits._replace(train=train, valid=valid, test=test)


def last(values: xr.DataArray) -> xr.DataArray:
    """Return the values after the last epoch of each data set, which train for different numbers of epochs."""
    if "epoch" not in values.dims:
        return values
    trained = values.notnull().any([dim for dim in values.dims if dim not in ("dataset", "epoch")])
    return values.isel(epoch=trained.cumsum("epoch").argmax("epoch")).drop_vars("epoch")


def ranks(results: xr.Dataset, variable: str) -> xr.DataArray:
    """Return the rank of each activation by a loss, for each data set and seed; the lowest loss has rank 1."""
    losses = last(results[variable])
    return losses.copy(data=rankdata(losses.values, axis=losses.get_axis_num("activation")))


def _rank(variable: str, dataset: str) -> Effect:
    return pick(lambda results: ranks(results, variable), activation="learned", dataset=dataset)


def _claims(dataset: str, source: str, published: str) -> tuple[Claim, ...]:
    where: dict[str, Any] = {"independent_of": ("dataset",), "on": "this data set"}
    where |= {"needs": f"needs --dataset {dataset}"} if dataset != "digits" else {}
    early, late = _rank("first_epoch_loss", dataset), _rank("test_loss", dataset)
    # a claim on one data set is judged on no other
    images = f"on {PUBLISHED[dataset]}, for most pairs of a learned function and a seed, of nine activations it has"
    return (
        Claim(f"transfer-early.{dataset}", f"{images} the lowest or second-lowest mean training loss over the first "
              "epoch", source, published, "% of pairs", early.holds(lambda rank: rank <= 2), above=50, **where),
        Claim(f"transfer-final.{dataset}", f"{images} a middle rank, 4 to 6, by final test loss", source, published,
              "% of pairs", late.holds(lambda rank: (rank >= 4) & (rank <= 6)), above=50, **where),
    )  # fmt: skip


CLAIMS = (*_claims("mnist", "blog", "yes"), *_claims("cifar10", "blog", "yes"), *_claims("digits", "here", "–"))


def table(results: xr.Dataset) -> Table:
    """Return losses, ranks and accuracies of every activation, in the order of the first epoch."""
    parts = [_table(results.sel(dataset=dataset)) for dataset in results.dataset.values]
    rows = [(titles(results.attrs)[dataset], *row) for dataset, part in zip(results.dataset.values, parts, strict=True)
            for row in part.rows]  # fmt: skip
    return Table(parts[0].title, ["images", "activation", *parts[0].columns[1:]], rows)


def _table(results: xr.Dataset) -> Table:
    early, late = (ranks(results, variable) for variable in ("first_epoch_loss", "test_loss"))
    order = np.argsort(early.mean("seed").values, kind="stable")
    columns = {
        "training loss, first epoch": (results.first_epoch_loss.isel(activation=order), 3), "rank": early,
        "test loss at the end": (last(results.test_loss), 3), "rank at the end": late,
        "test accuracy (%)": last(results.test_accuracy),
    }  # fmt: skip
    return pivot(over_seeds(results), columns, "activation", name=activations.title)


def _look(name: str) -> dict[str, Any]:
    """Return how an activation is drawn; the usual ones come in pairs of one colour, a solid line and a dashed one."""
    if name == "learned":
        return {"color": COLOURS[0], "linewidth": 2.4}
    i = list(activations.ALL).index(name)
    return {"color": COLOURS[1 + i // 2], "linestyle": ("-", "--")[i % 2], "linewidth": 1.1}


@style()
def figure(results: xr.Dataset) -> Figure:
    """Plot test loss over epochs, and the activations in order of loss in the first epoch and at the end."""
    datasets = results.dataset.values.tolist()
    named = titles(results.attrs)
    headings = [heading for dataset in datasets for heading in (f"Test loss, {named[dataset]}",
              "Training loss over the first epoch", "Test loss at the end")]  # fmt: skip
    drawn, axes = panels(*headings, size=(12, 4.4 * len(datasets)), n_rows=len(datasets))
    for dataset, (left, early, late) in zip(datasets, zip(*[iter(axes)] * 3, strict=True), strict=True):
        one = results.sel(dataset=dataset)
        for name in _in_order(one, "test_loss")[::-1]:
            band(left, one.test_loss.sel(activation=name), label=activations.title(name), **_look(name))
        left.set(yscale="log")
        handles, labels = left.get_legend_handles_labels()
        left.legend(handles[::-1], labels[::-1], fontsize=7, loc="center right")  # the best one first
        _draw_order(early, one, "first_epoch_loss")
        _draw_order(late, one, "test_loss")
    return drawn


def _in_order(results: xr.Dataset, variable: str) -> list[str]:
    losses = last(results[variable]).mean("seed")
    return losses.activation.values[np.argsort(losses.values)].tolist()


def _draw_order(ax: Axes, results: xr.Dataset, variable: str) -> None:
    losses, ranked, order = last(results[variable]), ranks(results, variable), _in_order(results, variable)
    names = {name: f"{activations.title(name)} ({plus_minus(ranked.sel(activation=name))})" for name in order}
    colours = [_look(name)["color"] for name in order]
    forest(ax, {names[name]: losses.sel(activation=name) for name in order}, colours=colours)
    ax.set(ylabel="activation (rank)", xlabel="loss (nats)")
    if losses.max() > 3 * losses.min():
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(10, (1, 2, 5)))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.minorticks_off()


PRESETS = {
    "smoke": Protocol(n_seeds=2, n_train=100, channels=4, n_epochs=2, batch_size=10),
    "quick": Protocol(n_seeds=6, n_train=5000),
    "paper": Protocol(n_seeds=N_FUNCTIONS),
}
MINUTES = {"smoke": 0.4, "quick": 1, "paper": 3}
ARTIFACTS = {"activation": activations.FUNCTIONS}
STUDY = Study.of_module(__name__)
