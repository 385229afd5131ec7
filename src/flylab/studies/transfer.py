"""Does an activation function that was metalearned on MNIST-1D help a convolutional network on images?

A small CNN learns images with the learned activation and with eight usual ones: first its training loss over the first
epoch, then its test loss at the end (Greydanus 2020, on MNIST and CIFAR-10; by default, since nothing need be
downloaded, scikit-learn's digits). The learned function comes from the study `activation`, as a file.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator
from scipy.stats import rankdata

from flylab.base.constraints import PositiveFloat, PositiveInt
from flylab.data import Dataset, Images, Splits, load_images
from flylab.data.images.load import Name, digest
from flylab.models import activations, convolutional
from flylab.results.claims import Claim
from flylab.results.plots import COLOURS, band, style
from flylab.results.statistics import interval, plus_minus
from flylab.study.protocol import BaseProtocol
from flylab.study.study import Condition, Study, Table
from flylab.training.objectives import supervised
from flylab.training.population import Progress, train_members
from flylab.training.step import Plan

NAMES = ("learned", *activations.ALL)


# ── protocol ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Protocol(BaseProtocol):
    """A CNN of three strided 3×3 convolutions; Adam at its usual rate, batches reshuffled in each epoch.

    The digits are few, so batches are small: at 50 examples an epoch would be 24 steps, in which no network learns.
    """

    dataset: Name = "digits"
    """The images."""
    data_dir: str | None = None
    """Folder with the images' files, in <dataset>/. By default they are downloaded; digits need no files."""
    n_train: PositiveInt | None = None
    """Training images. By default all but the validation set."""
    channels: PositiveInt = 16
    """Channels of each convolution."""
    n_epochs: PositiveInt = 10
    """Epochs of all training images."""
    batch_size: PositiveInt = 10
    """Examples per step."""
    learning_rate: PositiveFloat = 1e-3
    """Adam's learning rate."""

    def images(self, seed: int) -> Images:
        """Each seed divides the images anew: the published test sets stay, digits have none."""
        return Images(self.dataset, n_train=self.n_train, seed=seed, data_dir=self.data_dir)


def conditions(protocol: Protocol) -> Sequence[Condition]:
    """One per activation function."""
    return [{"activation": name} for name in NAMES]


def input_digest(protocol: Protocol) -> Callable[[Condition], str | None]:
    """The digest of the images. To have it, they are read: what is missing is refused at once."""
    images = digest(protocol.images(0))
    return lambda condition: images


def run(
    protocol: Protocol,
    condition: Condition,
    seeds: Sequence[int],
    *,
    key,
    artifacts,
    progress: Progress | None = None,
    resume=None,
) -> xr.Dataset:
    """Train one network per seed with one activation; the loss of every step, and the test set at each epoch's end."""
    shape, splits = _loaded(protocol.images(0))
    name = condition["activation"]
    function = activations.load(artifacts["activation"]) if name == "learned" else activations.ALL[name]
    objective = supervised(convolutional.cnn2d(shape, width=protocol.channels, activation=function))
    epoch = max(len(splits.train.y) // protocol.batch_size, 1)
    plan = Plan(protocol.n_epochs * epoch, protocol.batch_size, epoch, shuffle=True, record_loss=True)
    grid = {"learning_rate": [protocol.learning_rate], "seed": seeds}
    found = train_members(
        objective, lambda seed: _loaded(protocol.images(seed))[1], plan, grid, key=key, progress=progress
    ).results.squeeze("learning_rate", drop=True)
    results = found[["train_loss", "test_loss", "test_accuracy"]].assign(
        first_epoch_loss=found.loss.isel(update=slice(epoch)).mean("update")
    )
    return results.assign_coords(step=found.step / epoch).rename(step="epoch")


@functools.lru_cache(maxsize=2)
def _loaded(config: Images) -> tuple[tuple[int, int, int], Splits]:
    """The images' shape, and flat pixels: with a last axis of 1, XLA would copy the training set at every dispatch."""
    splits = load_images(config)
    shape = splits.train.x.shape[1:]
    train, valid, test = (Dataset(part.x.reshape(len(part.x), -1), part.y) for part in splits[:3])
    return shape, splits._replace(train=train, valid=valid, test=test)


# ── reading the results ──────────────────────────────────────────────────────────────────────────────────────────────


def ranks(results: xr.Dataset, variable: str) -> xr.DataArray:
    """The place of each activation by a loss over `activation, seed`: 1 is the lowest."""
    losses = results[variable] if variable == "first_epoch_loss" else results[variable].isel(epoch=-1)
    losses = losses.transpose("activation", "seed")
    return losses.copy(data=rankdata(losses.values, axis=0))


def _learned_rank(results: xr.Dataset, variable: str) -> xr.DataArray:
    return ranks(results, variable).sel(activation="learned")


CLAIMS = (
    Claim("transfer-early", "of nine activations the learned one has the lowest or second-lowest mean training loss "
          "over the first epoch", "blog", "yes", "rank", lambda r: _learned_rank(r, "first_epoch_loss"), below=2),
    Claim("transfer-final", "by final test loss it has a middle rank, 3 to 7 of nine", "blog", "yes", "rank",
          lambda r: _learned_rank(r, "test_loss"), within=(3, 7)),
)  # fmt: skip


# ── table and figure ─────────────────────────────────────────────────────────────────────────────────────────────────


def table(results: xr.Dataset) -> Table:
    """Losses, ranks and accuracies of every activation, in the order of the first epoch."""
    early, final = ranks(results, "first_epoch_loss"), ranks(results, "test_loss")
    rows = []
    for name in early.activation.values[np.argsort(early.mean("seed").values, kind="stable")]:
        last = results.sel(activation=name).isel(epoch=-1)
        losses = [plus_minus(loss, 3) for loss in (last.first_epoch_loss, last.test_loss)]
        places = [plus_minus(place.sel(activation=name)) for place in (early, final)]
        rows.append(
            (activations.title(name), losses[0], places[0], losses[1], places[1], plus_minus(last.test_accuracy))
        )
    columns = ("", "training loss, first epoch", "rank", "test loss at the end", "rank", "test accuracy (%)")
    return Table(f"Mean over {results.sizes['seed']} seeds ± half of the 95 % interval", columns, rows)


def figure(results: xr.Dataset) -> Figure:
    """Test loss over epochs; training loss of the first epoch and test loss of the last, in order, with ranks."""
    with style():
        drawn = Figure(figsize=(12, 4.4))
        curves, early, final = drawn.subplots(1, 3)
        for i, name in enumerate(results.activation.values[::-1]):
            learned = name == "learned"
            colour, width = (COLOURS[0], 2.2) if learned else ((*COLOURS[1:], "#8c564b")[i % 7], 1.1)
            line = "-" if learned or i < 7 else "--"
            one = results.test_loss.sel(activation=name)
            band(curves, one, label=activations.title(name), color=colour, linewidth=width, linestyle=line)
        curves.set(title="Test loss", yscale="log")
        curves.legend(fontsize=7, loc="lower left")
        _in_order(early, results, "first_epoch_loss", "Training loss over the first epoch")
        _in_order(final, results, "test_loss", "Test loss at the end")
    return drawn


def _in_order(ax, results: xr.Dataset, variable: str, title: str) -> None:
    losses = results[variable] if variable == "first_epoch_loss" else results[variable].isel(epoch=-1)
    places = ranks(results, variable)
    order = losses.activation.values[np.argsort(losses.mean("seed").values)]
    for row, name in enumerate(order):
        mean, low, high, _ = interval(losses.sel(activation=name))
        reach = None if np.isnan(low) else [[mean - low], [high - mean]]
        colour = COLOURS[0] if name == "learned" else "0.45"
        ax.errorbar(mean, row, xerr=reach, fmt="o", color=colour, capsize=3)
    titles = [f"{activations.title(name)} ({plus_minus(places.sel(activation=name))})" for name in order]
    ax.set(yticks=range(len(order)), yticklabels=titles, title=title, xlabel="loss (nats)")
    ax.set_ylim(len(order) - 0.5, -0.5)
    if losses.max() > 3 * losses.min():
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(10, (1, 2, 5)))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_locator(NullLocator())
    ax.set_ylabel("activation (rank)")


def _work(protocol: Protocol, condition: Condition) -> int:
    n_train = protocol.n_train or (1200 if protocol.dataset == "digits" else 55_000)
    return protocol.n_epochs * max(n_train // protocol.batch_size, 1)


STUDY = Study(
    question="Does an activation that was metalearned on MNIST-1D help a convolutional network on images?",
    presets={
        "smoke": Protocol(n_seeds=2, n_train=100, channels=4, n_epochs=2),
        "quick": Protocol(n_seeds=10),
        "paper": Protocol(n_seeds=30),
    },
    conditions=conditions,
    run=run,
    claims=CLAIMS,
    figure=figure,
    table=table,
    n_steps=_work,
    minutes={"smoke": 0.4, "quick": 1.4, "paper": 4},
    artifacts={"activation": activations.ARTIFACT},
    input_digest=input_digest,
)  # fmt: skip
