"""Does pooling help, and does that depend on how many examples there are to learn from?

A small CNN learns MNIST-1D without pooling, with stride 2, and with max, average and L2 pooling, on training sets of
growing size (Greydanus & Kobak 2024, figure 9; the authors' notebook `pooling`). Each seed has its own data and
initialisation; the published run had one of each. Endless data, generated in each training step so that no example is
seen twice, are the limit of many examples.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import jax.numpy as jnp
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flylab.base.constraints import PositiveInt
from flylab.base.units import axis
from flylab.data import MNIST1D, fresh
from flylab.data.generator import endless
from flylab.models import convolutional
from flylab.results.claims import Claim, independent
from flylab.results.effects import Effect, contrast, final, slope
from flylab.results.plots import COLOURS, curves, panels, points, style
from flylab.results.tables import Table, over_seeds, pivot
from flylab.study import Condition, Context, Slot, Study, SupervisedProtocol
from flylab.study.slots import checked
from flylab.training.training import Training

TITLES = {"none": "no pooling", "stride": "stride 2", "max": "max", "average": "average", "l2": "L2"}
TRUE_POOLINGS = ("max", "average", "l2")
Pooling = Literal["none", "stride", "max", "average", "l2"]  # `convolutional.POOLINGS`
COLOUR = {"none": "0.25", "stride": COLOURS[0], "max": COLOURS[1], "average": COLOURS[2], "l2": COLOURS[3]}
LOW, HIGH = 1000, 50_000


@dataclass(frozen=True)
class Protocol(SupervisedProtocol):
    """The notebook's protocol: Adam, batches in fixed order; new data for each seed (generator seed 1000 + 2·seed)."""

    poolings: tuple[Pooling, ...] = get_args(Pooling)
    """Variants of pooling to compare."""
    train_sizes: tuple[PositiveInt, ...] = (LOW, 2000, 5000, 10_000, 20_000, HIGH)
    """Training-set sizes."""
    endless: bool = True
    """Also train on endless data, of which each batch is generated for its step."""
    endless_n_test: PositiveInt = 10_000
    """Test examples for endless data; all seeds share them."""
    channels: PositiveInt = 20
    """Channels of both convolutions."""
    eval_every: PositiveInt = 500
    """Steps between evaluations."""
    data: MNIST1D = field(default_factory=lambda: MNIST1D(n_valid=0, n_test=1000))
    """The data set; `train_sizes` replaces its `n_train`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(bool(self.train_sizes) or self.endless, "train_sizes", "a non-empty list if endless=False")


def conditions(protocol: Protocol) -> Sequence[Condition]:
    """Return training sets × poolings; the size of endless data is the number of examples seen."""
    sizes = [("published", n) for n in protocol.train_sizes]
    sizes += [("endless", protocol.n_steps * protocol.batch_size)] if protocol.endless else []
    return [
        {"source": source, "n_train": n, "pooling": pooling} for source, n in sizes for pooling in protocol.poolings
    ]


def try_pooling(pooling: Any) -> None:
    """Pool some pairs, and raise ValueError if that does not work."""
    left, right = jnp.arange(6.0).reshape(2, 3), jnp.ones((2, 3))
    checked(pooling.name, pooling(left, right), left.shape)


_GIVEN = "given the left and the right activations of all pairs of neighbours, it returns an array of their shape"
SLOTS = {"pooling": Slot(_GIVEN, try_pooling, taken=get_args(Pooling))}


def training(protocol: Protocol, source: str, n_train: int, pooling: Any) -> Training:
    """Train one network per seed; all poolings of a seed share a key."""
    config = protocol.data
    network = convolutional.pooling_cnn(
        length=config.final_seq_length, n_outputs=config.outputs, width=protocol.channels, pooling=pooling
    )
    if source == "endless":
        data: Any = endless(replace(config, n_test=protocol.endless_n_test))
    else:
        data = fresh(replace(config, n_train=n_train))
    return Training(network, data, protocol.plan, protocol.hparams)


def run(protocol: Protocol, condition: Condition, context: Context) -> xr.Dataset:
    """Return losses and accuracies over steps; endless data have no training set to evaluate."""
    results = context.train(training(protocol, **condition)).results
    return results[[f"{on}_{what}" for on in ("train", "test") for what in ("loss", "accuracy")
                    if f"{on}_{what}" in results]]  # fmt: skip


def gain(pooling: str, **at: Any) -> Effect:
    """Return the points of final test accuracy gained over no pooling, paired by seed."""
    return contrast("test_accuracy", pooling=(pooling, "none"), step=-1, **at)


def _claim(id_: str, pooling: str, statement: str, source: str, published: str, at: dict[str, Any], **region) -> Claim:
    """Return a claim about the gain of a pooling; endless data have one size."""
    effect = gain(pooling, **at) if "n_train" in at else gain(pooling, **at).then(lambda gains: gains.mean("n_train"))
    arms = ("train_sizes", "endless") if at["source"] == "endless" else ("train_sizes", *ENDLESS)
    statement = statement.format(TITLES[pooling])
    return Claim(f"{id_}-{pooling}", statement, source, published, "points", effect, independent_of=arms, **region)


ENDLESS = ("endless", "endless_n_test")
NB_HIGH = {"max": "98.1 vs 96.3", "average": "97.3 vs 96.3", "l2": "97.1 vs 96.3"}
FEW, MANY = {"source": "published", "n_train": LOW}, {"source": "published", "n_train": HIGH}
_CLAIMS = (
    *(_claim("low-data", name, "with 1000 examples {} pooling is ≥ 10 points better than none", "nb", "78–80 vs 60",
             FEW, above=10) for name in TRUE_POOLINGS),
    Claim("stride-is-not-pooling", "with 1000 examples stride 2 is not better than no pooling", "nb", "57 vs 60",
          "points", gain("stride", **FEW), below=0, independent_of=("train_sizes", *ENDLESS)),
    *(_claim("high-data-equal", name, "with 50 000 examples {} pooling differs from none by less than 1 point",
             "blog, paper", "not much difference", MANY, within=(-1, 1)) for name in TRUE_POOLINGS),
    *(_claim("high-data-hinders", name, "with 50 000 examples {} pooling is worse than none", "paper",
             f"hindered (nb: {NB_HIGH[name]})", MANY, below=0) for name in TRUE_POOLINGS),
    Claim("max-vs-l2", "L2 pooling gains on max pooling as the training set grows", "blog", "yes (nb: −1.0 at both "
          "ends)", "points per decade",
          contrast("test_accuracy", pooling=("l2", "max"), source="published", step=-1).then(slope, "n_train", base=10),
          above=0, requires={"n_train": HIGH}, independent_of=ENDLESS),
    *(_claim("endless-equal", name, "with endless data {} pooling differs from none by less than 1 point", "here", "–",
             {"source": "endless"}, within=(-1, 1)) for name in TRUE_POOLINGS),
)  # fmt: skip
CLAIMS = independent(["poolings", "eval_every"], _CLAIMS)


def sizes(results: xr.Dataset) -> dict[tuple[str, int], str]:
    """Return the pairs of source and size in the results, in ascending order, and their names."""
    is_present = results.test_accuracy.notnull().any(("pooling", "seed", "step"))
    return {
        (source, n): "endless" if source == "endless" else f"{n:,}".replace(",", " ")
        for source in ("published", "endless")
        for n in np.sort(results.n_train.values).tolist()
        if source in results.source and is_present.sel(source=source, n_train=n)
    }


def title(pooling: str) -> str:
    """Return the name of a pooling in tables and figures."""
    return TITLES.get(pooling, pooling)


def colours_of(results: xr.Dataset) -> dict[str, str]:
    """Return a colour for each pooling, users' own ones after the study's."""
    own = [name for name in results.pooling.values.tolist() if name not in TITLES]
    return COLOUR | dict(zip(own, itertools.cycle(COLOURS[len(TITLES) - 1 :]), strict=False))


def table(results: xr.Dataset) -> Table:
    """Return the test accuracy by pooling and training-set size."""
    last = final(results.test_accuracy)
    columns = {name: last.sel(source=source, n_train=n) for (source, n), name in sizes(results).items()}
    return pivot(over_seeds(results, "Test accuracy (%) by training examples"), columns, "pooling", name=title)


@style()
def figure(results: xr.Dataset) -> Figure:
    """Plot learning curves with the fewest examples; final accuracy and gain over no pooling against their number."""
    ((source, n), fewest), *_ = sizes(results).items()
    drawn, (learning, last, gains) = panels(
        f"Learning curves, {fewest} training examples", "Test accuracy after the last step",
        "Gain over no pooling, paired by seed", size=(13, 4.2),
    )  # fmt: skip
    curves(learning, results.test_accuracy.sel(source=source, n_train=n), "pooling", colours_of(results), title)
    learning.legend(title="pooling", loc="lower right", fontsize=8, title_fontsize=8)
    accuracy = final(results.test_accuracy)
    _against_size(last, results, accuracy, axis(results.test_accuracy))
    if "none" in results.pooling:
        gains.axhline(0, color=COLOUR["none"], linewidth=1.5)
        difference = accuracy.drop_sel(pooling="none") - accuracy.sel(pooling="none", drop=True)
        _against_size(gains, results, difference, "points of test accuracy")
    else:
        gains.set_axis_off()
    return drawn


def _against_size(ax: Axes, results: xr.Dataset, values: xr.DataArray, label: str) -> None:
    """Plot values against the logarithm of the size; endless data stand apart at the right."""
    for source in results.source.values:
        points(ax, values.sel(source=source), "n_train", "pooling", colours_of(results), title)
    names = ["∞" if source == "endless" else f"{n / 1000:g}k" if n >= 1000 else str(n) for source, n in sizes(results)]
    ax.set(xlabel=axis(results.n_train), ylabel=label)
    ax.set_xticks([n for _, n in sizes(results)], names)
    ax.minorticks_off()


PRESETS = {
    "smoke": Protocol(n_seeds=2, n_steps=10, eval_every=5, train_sizes=(LOW, HIGH), endless_n_test=100, channels=4),
    "quick": Protocol(n_seeds=4, n_steps=3000, train_sizes=(LOW,)),
    "paper": Protocol(),
}
MINUTES = {"smoke": 0.5, "quick": 1, "paper": 17}
STUDY = Study.of_module(__name__)
