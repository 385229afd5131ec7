"""Pooling: does it help, and does that depend on how many examples there are to learn from?

A small CNN learns MNIST-1D without pooling, with stride 2, and with max, average and L2 pooling, on training sets of
growing size (Greydanus & Kobak 2024, figure 9; the authors' notebook `pooling`). Each seed has its own data and
initialisation; the published run had one of each. Endless data, generated in each training step so that no example is
seen twice, are the limit of many examples.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flylab.base.constraints import PositiveFloat, PositiveInt
from flylab.base.units import axis
from flylab.data import MNIST1D, Splits, published
from flylab.data.generator import endless
from flylab.models import Model, convolutional
from flylab.models.flops import training_cost
from flylab.results.claims import Claim
from flylab.results.plots import COLOURS, band, dots, style
from flylab.results.statistics import plus_minus
from flylab.study.protocol import BaseProtocol
from flylab.study.study import Condition, Study, Table
from flylab.training.objectives import supervised
from flylab.training.population import Progress, train_members
from flylab.training.step import Plan

TITLES = {"none": "no pooling", "stride": "stride 2", "max": "max", "average": "average", "l2": "L2"}
TRUE_POOLINGS = ("max", "average", "l2")
Pooling = Literal["none", "stride", "max", "average", "l2"]  # `convolutional.POOLINGS`
COLOUR = dict(zip(TITLES, ("0.25", *COLOURS), strict=False))


@dataclass(frozen=True)
class Protocol(BaseProtocol):
    """The notebook's protocol: Adam, batches in fixed order; new data for each seed (generator seed 1000 + 2·seed)."""

    poolings: tuple[Pooling, ...] = get_args(Pooling)
    """Variants of pooling to compare."""
    train_sizes: tuple[PositiveInt, ...] = (1000, 2000, 5000, 10_000, 20_000, 50_000)
    """Training-set sizes."""
    endless: bool = True
    """Also train on endless data, of which each batch is generated for its step."""
    endless_n_test: PositiveInt = 10_000
    """Test examples for endless data; all seeds share them."""
    channels: PositiveInt = 20
    """Channels of both convolutions."""
    n_steps: PositiveInt = 6000
    """Optimiser steps."""
    batch_size: PositiveInt = 100
    """Examples per step."""
    learning_rate: PositiveFloat = 1e-2
    """Adam's learning rate."""
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
    """Train one network per seed; all poolings of a seed share a key. Return losses and accuracies over steps."""

    def fresh(seed: int) -> Splits:
        return _splits(replace(protocol.data, n_train=condition["n_train"], seed=1000 + 2 * seed))

    is_endless = condition["source"] == "endless"
    data = endless(replace(protocol.data, n_test=protocol.endless_n_test)) if is_endless else fresh
    grid = {"learning_rate": [protocol.learning_rate], "seed": seeds}
    objective = supervised(_network(protocol, condition))
    results = train_members(objective, data, _plan(protocol), grid, key=key, progress=progress).results
    kept = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
    return results.squeeze("learning_rate", drop=True)[[name for name in kept if name in results]]


def _network(protocol: Protocol, condition: Condition) -> Model:
    size = {"length": protocol.data.final_seq_length, "n_outputs": protocol.data.outputs, "width": protocol.channels}
    return convolutional.pooling_cnn(pooling=condition["pooling"], **size)


def _plan(protocol: Protocol) -> Plan:
    return Plan(protocol.n_steps, protocol.batch_size, protocol.eval_every)


_splits = functools.lru_cache(maxsize=32)(published)


def accuracy(results: xr.Dataset, pooling: str, source: str = "published") -> xr.DataArray:
    """Return the final test accuracy over `seed` and `n_train`; NaN where the results have no such networks."""
    last = results.test_accuracy.isel(step=-1, drop=True).reindex(pooling=[pooling], source=[source])
    return last.squeeze(("pooling", "source"), drop=True).transpose("seed", "n_train")


def gain(results: xr.Dataset, pooling: str, source: str = "published") -> xr.DataArray:
    """Return the points of test accuracy gained over no pooling, paired by seed, over `seed` and `n_train`."""
    return accuracy(results, pooling, source) - accuracy(results, "none", source)


def slope(results: xr.Dataset, better: str, worse: str) -> xr.DataArray:
    """Return the points that `better` gains on `worse` per tenfold training set, over `seed`; NaN with one size."""
    difference = (accuracy(results, better) - accuracy(results, worse)).dropna("n_train")
    if difference.sizes["n_train"] < 2:
        return xr.full_like(difference.seed, np.nan, float)
    return difference.seed.copy(data=np.polyfit(np.log10(difference.n_train.values), difference.values.T, 1)[0])


def _claim(
    id_: str, pooling: str, statement: str, source: str, published_value: str, n_train: int | None = None, **region
) -> Claim:
    """Return a claim about the gain of a pooling with a training-set size, or (None) on endless data."""

    def effect(results: xr.Dataset) -> xr.DataArray:
        if n_train is None:
            return gain(results, pooling, "endless").mean("n_train")  # endless data have only one size
        return gain(results, pooling).sel(n_train=n_train)

    data = {"source": "endless"} if n_train is None else {"source": "published", "n_train": n_train}
    requires = {**data, "pooling": (pooling, "none")}
    return Claim(id_, statement, source, published_value, "points", effect, requires=requires, **region)


LOW, HIGH = 1000, 50_000
NB_HIGH = {"max": "98.1 vs 96.3", "average": "97.3 vs 96.3", "l2": "97.1 vs 96.3"}
CLAIMS = (
    *(_claim(f"low-data-{name}", name, f"with 1000 examples {TITLES[name]} pooling is ≥ 10 points better than none",
             "nb", "78–80 vs 60", LOW, above=10) for name in TRUE_POOLINGS),
    _claim("stride-is-not-pooling", "stride", "with 1000 examples stride 2 is not better than no pooling", "nb",
           "57 vs 60", LOW, below=0),
    *(_claim(f"high-data-equal-{name}", name, f"with 50 000 examples {TITLES[name]} pooling differs from none by less "
             "than 1 point", "blog, paper", "not much difference", HIGH, within=(-1, 1)) for name in TRUE_POOLINGS),
    *(_claim(f"high-data-hinders-{name}", name, f"with 50 000 examples {TITLES[name]} pooling is worse than none",
             "paper", f"hindered (nb: {NB_HIGH[name]})", HIGH, below=0) for name in TRUE_POOLINGS),
    Claim("max-vs-l2", "L2 pooling gains on max pooling as the training set grows", "blog", "yes (nb: −1.0 at both "
          "ends)", "points per decade", lambda r: slope(r, "l2", "max"), above=0,
          requires={"source": "published", "n_train": HIGH, "pooling": ("l2", "max")}),
    *(_claim(f"endless-equal-{name}", name, f"with endless data {TITLES[name]} pooling differs from none by less than "
             "1 point", "here", "–", within=(-1, 1)) for name in TRUE_POOLINGS),
)  # fmt: skip


def _sizes(results: xr.Dataset) -> list[tuple[str, int]]:
    """Return the pairs of source and size in the results, in ascending order."""
    is_present = results.test_accuracy.notnull().any(("pooling", "seed", "step"))
    return [
        (source, n)
        for source in ("published", "endless")
        if source in results.source
        for n in np.sort(results.n_train[is_present.sel(source=source).transpose("n_train").values].values).tolist()
    ]


def _size_name(source: str, n_train: int) -> str:
    return "endless" if source == "endless" else f"{n_train:,}".replace(",", " ")  # a thin space


def table(results: xr.Dataset) -> Table:
    """Return the test accuracy by pooling and training-set size."""
    sizes, rows = _sizes(results), []
    for pooling in results.pooling.values:
        accuracies = (accuracy(results, pooling, source).sel(n_train=n) for source, n in sizes)
        rows.append((TITLES[pooling], *map(plus_minus, accuracies)))
    title = (
        f"Test accuracy (%) by training examples, mean over {results.sizes['seed']} seeds ± half of the 95 % interval"
    )
    return Table(title, ("", *(_size_name(*size) for size in sizes)), rows)


def figure(results: xr.Dataset) -> Figure:
    """Plot learning curves with the fewest examples; final accuracy and gain over no pooling against their number."""
    sizes, names = _sizes(results), results.pooling.values.tolist()
    with style():
        drawn = Figure(figsize=(13, 4.2))
        curves, last, gains = drawn.subplots(1, 3)
        source, n = sizes[0]
        for pooling in names:
            curve = results.test_accuracy.sel(source=source, n_train=n, pooling=pooling)
            band(curves, curve, label=TITLES[pooling], color=COLOUR[pooling])
        curves.set(title=f"Learning curves, {_size_name(source, n)} training examples")
        curves.legend(title="pooling", loc="lower right", fontsize=8, title_fontsize=8)
        _against_size(last, results, sizes, accuracy, names)
        last.set(title="Test accuracy after the last step", ylabel=axis(results.test_accuracy))
        if "none" in names:
            gains.axhline(0, color=COLOUR["none"], linewidth=1.5)
            _against_size(gains, results, sizes, gain, [name for name in names if name != "none"])
            gains.set(title="Gain over no pooling, paired by seed", ylabel="points of test accuracy")
        else:
            gains.set_axis_off()
    return drawn


def _against_size(
    ax: Axes, results: xr.Dataset, sizes: list[tuple[str, int]], effect: Callable, poolings: list[str]
) -> None:
    """Plot an effect against the logarithm of the size; a dashed line leads to endless data."""
    n_examples = np.array([n for _, n in sizes])
    n_finite = sum(source == "published" for source, _ in sizes)
    for i, pooling in enumerate(poolings):
        x = n_examples * 1.03 ** (i - len(poolings) / 2)  # side by side
        values = [effect(results, pooling, source).sel(n_train=n) for source, n in sizes]
        line: Any = {"color": COLOUR[pooling]}
        means = [value.mean for value in dots(ax, values, x, capsize=2, markersize=4, label=TITLES[pooling], **line)]
        ax.plot(x[:n_finite], means[:n_finite], **line)
        ax.plot(x[max(n_finite - 1, 0) :], means[max(n_finite - 1, 0) :], "--", linewidth=1, **line)
    labels = ["∞" if source == "endless" else f"{n / 1000:g}k" if n >= 1000 else str(n) for source, n in sizes]
    ax.set(xscale="log", xlabel=axis(results.n_train))
    ax.set_xticks(n_examples, labels)
    ax.minorticks_off()


def resources(protocol: Protocol, condition: Condition) -> tuple[int, int]:
    """Return the FLOPs of training one seed, and the bytes of its data and network."""
    data, network = protocol.data, _network(protocol, condition)
    is_endless = condition["source"] == "endless"
    n_examples = protocol.endless_n_test if is_endless else condition["n_train"] + data.n_valid + data.n_test
    steps = protocol.n_steps, protocol.batch_size, len(_plan(protocol).evaluated)
    return training_cost(network, (data.final_seq_length,), *steps, n_examples)


STUDY = Study(
    question="Does pooling help, and does that depend on how many examples there are to learn from?",
    presets={
        "smoke": Protocol(n_seeds=2, n_steps=10, eval_every=5, train_sizes=(LOW, HIGH), endless_n_test=100, channels=4),
        "quick": Protocol(train_sizes=(LOW,)),
        "paper": Protocol(),
    },
    conditions=conditions,
    run=run,
    claims=CLAIMS,
    figure=figure,
    table=table,
    n_steps=lambda protocol, condition: protocol.n_steps,
    resources=resources,
    minutes={"smoke": 0.5, "quick": 5, "paper": 17},
)
