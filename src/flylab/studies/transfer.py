"""Does an activation function that was metalearned on MNIST-1D help a convolutional network on images?

A small CNN learns images with the learned activation and with eight usual ones; they are compared by training loss over
the first epoch and by final test loss (Greydanus 2020, on MNIST and CIFAR-10). The default images, scikit-learn's
digits, need no download. The learned function is a file that the study `activation` wrote.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from scipy.stats import rankdata

from flylab.base.constraints import PositiveFloat, PositiveInt
from flylab.data import Dataset, Images, Splits, load_images
from flylab.data.images.load import Name, digest
from flylab.models import activations, convolutional
from flylab.results.claims import Claim
from flylab.results.plots import COLOURS, band, dots, style
from flylab.results.statistics import plus_minus
from flylab.study.protocol import BaseProtocol
from flylab.study.study import Condition, Study, Table
from flylab.training.objectives import supervised
from flylab.training.population import Progress, train_members
from flylab.training.step import Plan

NAMES = ("learned", *activations.ALL)


@dataclass(frozen=True)
class Protocol(BaseProtocol):
    """A CNN of three strided 3×3 convolutions; Adam at its usual rate, batches reshuffled in each epoch.

    Batches are small because digits are few: with batches of 50, an epoch has 24 steps, in which no network learns.
    """

    dataset: Name = "digits"
    """The images: digits need no download."""
    data_dir: str | None = None
    """Folder whose subfolder <dataset>/ has the images' files; by default they are downloaded. Digits need none."""
    n_train: PositiveInt | None = None
    """Training images; by default, all outside the validation set."""
    channels: PositiveInt = 16
    """Channels of each convolution."""
    n_epochs: PositiveInt = 10
    """Passes over the training images."""
    batch_size: PositiveInt = 10
    """Examples per step."""
    learning_rate: PositiveFloat = 1e-3
    """Adam's learning rate."""

    def images(self, seed: int) -> Images:
        """Return the images as a seed splits them; published test sets stay, but digits have none."""
        return Images(self.dataset, n_train=self.n_train, seed=seed, data_dir=self.data_dir)


def conditions(protocol: Protocol) -> Sequence[Condition]:
    """Return one condition per activation function."""
    return [{"activation": name} for name in NAMES]


def input_digest(protocol: Protocol) -> Callable[[Condition], str | None]:
    """Return the digest of the images, which reads them: missing files raise before training."""
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
    """Train one network per seed and activation; return training loss by step and test metrics by epoch."""
    shape, splits = _flattened(protocol.images(0))
    name = condition["activation"]
    function = activations.load(artifacts["activation"]) if name == "learned" else activations.ALL[name]
    objective = supervised(convolutional.cnn2d(shape, width=protocol.channels, activation=function))
    epoch = max(len(splits.train.y) // protocol.batch_size, 1)
    plan = Plan(protocol.n_epochs * epoch, protocol.batch_size, epoch, shuffle=True, record_loss=True)
    grid = {"learning_rate": [protocol.learning_rate], "seed": seeds}
    population = train_members(
        objective, lambda seed: _flattened(protocol.images(seed))[1], plan, grid, key=key, progress=progress
    )
    metrics = population.results.squeeze("learning_rate", drop=True)
    first_epoch_loss = metrics.loss.isel(update=slice(epoch)).mean("update")
    results = metrics[["train_loss", "test_loss", "test_accuracy"]].assign(first_epoch_loss=first_epoch_loss)
    return results.assign_coords(step=metrics.step / epoch).rename(step="epoch")


@functools.lru_cache(maxsize=2)
def _flattened(config: Images) -> tuple[tuple[int, int, int], Splits]:
    """Return the images' shape, and splits with flat pixels: XLA would copy images of one channel at every dispatch."""
    splits = load_images(config)
    shape = splits.train.x.shape[1:]
    train, valid, test = (Dataset(part.x.reshape(len(part.x), -1), part.y) for part in splits[:3])
    return shape, splits._replace(train=train, valid=valid, test=test)


def final(results: xr.Dataset, variable: str) -> xr.DataArray:
    """Return a variable over `activation` and `seed`, after the last epoch if it has epochs."""
    values = results[variable]
    return (values.isel(epoch=-1) if "epoch" in values.dims else values).transpose("activation", "seed")


def ranks(results: xr.Dataset, variable: str) -> xr.DataArray:
    """Return the rank of each activation by a loss, over `activation` and `seed`; the lowest loss has rank 1."""
    losses = final(results, variable)
    return losses.copy(data=rankdata(losses.values, axis=0))


CLAIMS = (
    Claim("transfer-early", "of nine activations the learned one has the lowest or second-lowest mean training loss "
          "over the first epoch", "blog", "yes", "rank",
          lambda r: ranks(r, "first_epoch_loss").sel(activation="learned"), below=2),
    Claim("transfer-final", "by final test loss it has a middle rank, 3 to 7 of nine", "blog", "yes", "rank",
          lambda r: ranks(r, "test_loss").sel(activation="learned"), within=(3, 7)),
)  # fmt: skip


def table(results: xr.Dataset) -> Table:
    """Return losses, ranks and accuracies of every activation, in the order of the first epoch."""
    mean_rank, rows = ranks(results, "first_epoch_loss").mean("seed"), []
    for name in mean_rank.activation.values[np.argsort(mean_rank.values, kind="stable")]:
        row = [activations.title(name)]
        for variable in ("first_epoch_loss", "test_loss"):
            loss, rank = (values(results, variable).sel(activation=name) for values in (final, ranks))
            row += [plus_minus(loss, 3), plus_minus(rank)]
        rows.append([*row, plus_minus(final(results, "test_accuracy").sel(activation=name))])
    columns = ("", "training loss, first epoch", "rank", "test loss at the end", "rank", "test accuracy (%)")
    return Table(f"Mean over {results.sizes['seed']} seeds ± half of the 95 % interval", columns, rows)


def figure(results: xr.Dataset) -> Figure:
    """Plot test loss over epochs, and the activations in order of loss in the first epoch and at the end."""
    with style():
        drawn = Figure(figsize=(12, 4.4))
        curves, early, late = drawn.subplots(1, 3)
        for i, name in enumerate(results.activation.values[::-1]):
            colour, width = (COLOURS[0], 2.2) if name == "learned" else ((*COLOURS[1:], "#8c564b")[i % 7], 1.1)
            line: Any = {"color": colour, "linewidth": width, "linestyle": "-" if i < 7 or name == "learned" else "--"}
            band(curves, results.test_loss.sel(activation=name), label=activations.title(name), **line)
        curves.set(title="Test loss", yscale="log")
        curves.legend(fontsize=7, loc="lower left")
        _in_order(early, results, "first_epoch_loss", "Training loss over the first epoch")
        _in_order(late, results, "test_loss", "Test loss at the end")
    return drawn


def _in_order(ax, results: xr.Dataset, variable: str, title: str) -> None:
    losses, ranked = final(results, variable), ranks(results, variable)
    order = losses.activation.values[np.argsort(losses.mean("seed").values)]
    for row, name in enumerate(order):
        colour = COLOURS[0] if name == "learned" else "0.45"
        dots(ax, losses.sel(activation=name), row, horizontal=True, color=colour)
    titles = [f"{activations.title(name)} ({plus_minus(ranked.sel(activation=name))})" for name in order]
    ax.set(yticks=range(len(order)), yticklabels=titles, ylim=(len(order) - 0.5, -0.5), ylabel="activation (rank)",
           xlabel="loss (nats)", title=title)  # fmt: skip
    if losses.max() > 3 * losses.min():
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(10, (1, 2, 5)))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.minorticks_off()


def _n_steps(protocol: Protocol, condition: Condition) -> int:
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
    n_steps=_n_steps,
    minutes={"smoke": 0.4, "quick": 1.4, "paper": 4},
    artifacts={"activation": activations.ARTIFACT},
    input_digest=input_digest,
)  # fmt: skip
