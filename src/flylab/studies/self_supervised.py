"""Self-supervision: does a network learn what tells digits apart from nothing but random views of them, and where?

A CNN learns to match two random views of a signal among the views of others, without labels (SimCLR, Chen et al. 2020).
Linear probes then read the digit from every layer (Greydanus & Kobak 2024, figure 8; the authors' notebook
`self-supervised-learning`). Inner layers may beat the output: "guillotine regularisation" (Bordes et al. 2023).
"""

import functools
import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import jax
import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from flylab.base.constraints import PositiveFloat, PositiveInt
from flylab.base.rng import stream
from flylab.base.units import axis
from flylab.data import MNIST1D, Dataset, Splits, published
from flylab.data.views import view
from flylab.models import Model, convolutional
from flylab.results.claims import Claim
from flylab.results.plots import COLOURS, band, style
from flylab.results.statistics import cross_fitted, plus_minus
from flylab.study.protocol import BaseProtocol, NSeeds
from flylab.study.study import Condition, Study, Table
from flylab.training.objectives import contrastive, info_nce, vicreg
from flylab.training.population import Progress, train_members
from flylab.training.step import Plan

OBJECTIVES = {"simclr": info_nce, "vicreg": vicreg}
TITLES = {"default": "default head", "none": "no head", "deep": "deep head"}
REPRESENTATIONS = ("raw", "before", "after")
BEFORE_HEAD = 3  # the layer: the last convolution


HeadName = Literal["default", "none", "deep"]
# hidden layers between the last convolution and the outputs; only the number of those of "deep" is published
HEADS: dict[str, tuple[int, ...]] = {"default": (125,), "none": (), "deep": (125, 125, 125)}


@dataclass(frozen=True)
class Protocol(BaseProtocol):
    """The notebook's protocol: Adam, batches of 100 reshuffled in each epoch, 200 epochs.

    Seeds share the published data set, so intervals cover initialisation, batches and views only, unless `fresh_data`.
    """

    n_seeds: NSeeds = 5
    """Seeds: independent repetitions."""
    objectives: tuple[Literal["simclr", "vicreg"], ...] = ("simclr",)
    """Self-supervised objectives."""
    heads: tuple[HeadName, ...] = get_args(HeadName)
    """Hidden layers between the last convolution and the outputs."""
    on: tuple[Literal["train", "all"], ...] = ("train",)
    """Signals to learn from: train, as in the notebook, or all, which adds the test signals, as in the paper's text."""
    n_epochs: PositiveInt = 200
    """Passes over the signals to learn from."""
    batch_size: PositiveInt = 100
    """Signals per step, each in two views."""
    learning_rate: PositiveFloat = 1e-2
    """Adam's learning rate."""
    embedding_size: PositiveInt = 16
    """Outputs of the network."""
    fresh_data: bool = False
    """Use a new data set for each seed (generator seed 1000 + 2·seed) instead of the published one."""
    data: MNIST1D = field(default_factory=lambda: MNIST1D(n_valid=0))
    """The data set."""

    def __post_init__(self) -> None:
        super().__post_init__()
        least = self.data.outputs
        self._require(self.embedding_size >= least, "embedding_size", f"an integer ≥ {least}, one output per class")

    def n_steps(self, on: str) -> int:
        """Return the number of optimiser steps on these signals."""
        n = self.data.n_train + (self.data.n_test if on == "all" else 0)
        return self.n_epochs * max(n // self.batch_size, 1)


def conditions(protocol: Protocol) -> Sequence[Condition]:
    """Return objectives × signals × heads; only SimCLR learns from all choices of signals, the rest from the first."""
    return [
        {"objective": objective, "on": on, "head": head}
        for objective in protocol.objectives
        for on in (protocol.on if objective == "simclr" else protocol.on[:1])
        for head in protocol.heads
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
    """Train one network per seed without labels, and probe its layers; map seed 0 of the default head by t-SNE."""
    network, n_steps = _network(protocol, condition["head"]), protocol.n_steps(condition["on"])
    objective = contrastive(network, view, OBJECTIVES[condition["objective"]])
    plan = Plan(n_steps, protocol.batch_size, n_steps, shuffle=True, record_loss=True)
    grid = {"learning_rate": [protocol.learning_rate], "seed": seeds}
    population = train_members(
        objective, lambda seed: _signals(protocol, condition["on"], seed), plan, grid, key=key, progress=progress
    )
    loss = population.results["loss"].values.reshape(len(seeds), protocol.n_epochs, -1).mean(-1)
    all_params = [jax.tree.map(lambda leaf, i=i: leaf[0, i], population.params) for i in range(len(seeds))]
    # one thread per seed and none within, as the order of sums changes their last bits
    with threadpool_limits(1), ThreadPoolExecutor(len(jax.devices())) as pool:
        probes = pool.map(lambda seed, params: _probe(_splits(protocol, seed), params), seeds, all_params)
        linear, neighbour = np.array(list(probes), np.float32).swapaxes(0, 1)
        results = xr.Dataset(
            {
                "contrastive_loss": (("seed", "epoch"), loss.astype(np.float32)),
                "linear_accuracy": (("seed", "layer"), linear),
                "neighbour_accuracy": (("seed", "layer"), neighbour),
            },
            {"seed": list(seeds), "epoch": range(1, protocol.n_epochs + 1), "layer": range(linear.shape[1])},
        )
        if condition["head"] == "default":
            results = results.merge(_maps(protocol, network, seeds, all_params, key))
    return results


def _network(protocol: Protocol, head: str) -> Model:
    length, n_outputs = protocol.data.final_seq_length, protocol.embedding_size
    return convolutional.cnn(length=length, n_outputs=n_outputs, hidden=HEADS[head])


def _splits(protocol: Protocol, seed: int) -> Splits:
    return _published(replace(protocol.data, seed=1000 + 2 * seed) if protocol.fresh_data else protocol.data)


_published = functools.lru_cache(maxsize=16)(published)


def _signals(protocol: Protocol, on: str, seed: int) -> Splits:
    """Return the splits with the signals to learn from as the training set."""
    splits = _splits(protocol, seed)
    if on == "train":
        return splits
    return splits._replace(train=Dataset(*map(np.concatenate, zip(splits.train, splits.test, strict=True))))


_features: Callable = jax.jit(jax.vmap(convolutional.cnn_layers, (None, 0)))


def _probe(splits: Splits, params) -> tuple[list[float], list[float]]:
    """Return the test accuracy in percent of logistic regression, and of nearest neighbours, on each layer."""
    train, test = (_features(params, part.x.astype(np.float32)) for part in (splits.train, splits.test))
    linear, neighbour = [], []
    for x, x_test in zip(train, test, strict=True):
        x, x_test = np.asarray(x, np.float64), np.asarray(x_test, np.float64)
        probes = (
            make_pipeline(StandardScaler(), LogisticRegression(tol=1e-2, max_iter=1000)),
            KNeighborsClassifier(n_neighbors=min(10, len(x)), metric="cosine"),
        )
        for probe, accuracies in zip(probes, (linear, neighbour), strict=True):
            accuracies.append(100 * probe.fit(x, splits.train.y).score(x_test, splits.test.y))
    return linear, neighbour


def _maps(protocol: Protocol, network: Model, seeds: Sequence[int], params, key) -> xr.Dataset:
    """Return t-SNE maps of the test signals, raw and at the last convolution before and after training.

    Only seed 0 is mapped; the maps of other seeds are NaN.
    """
    n_test = protocol.data.n_test
    maps = np.full((len(seeds), len(REPRESENTATIONS), n_test, 2), np.nan, np.float32)
    labels = np.full((len(seeds), n_test), 255, np.uint8)
    for i, seed in enumerate(seeds):
        splits = _splits(protocol, seed)
        labels[i] = splits.test.y
        if seed == 0:
            start = network.init(stream(jax.random.fold_in(key, seed), "init"))
            x = splits.test.x.astype(np.float32)
            before, after = (np.asarray(_features(weights, x)[BEFORE_HEAD]) for weights in (start, params[i]))
            for j, points in enumerate((x, before, after)):
                maps[i, j] = TSNE(random_state=0, perplexity=min(30, n_test / 4)).fit_transform(points)
    variables = {
        "map": (("seed", "representation", "example", "coordinate"), maps),
        "label": (("seed", "example"), labels),
    }
    return xr.Dataset(variables, {"seed": list(seeds), "representation": list(REPRESENTATIONS)})


def curve(
    results: xr.Dataset, head: str, on: str = "train", objective: str = "simclr", by: str = "linear_accuracy"
) -> xr.DataArray:
    """Return the accuracy over `seed` and `layer`, for the layers that the network has; layer 0 is the signal."""
    accuracies = results[by].sel(objective=objective, on=on, head=head)
    return accuracies.dropna("layer", how="all").transpose("seed", "layer")


def at_layer(results: xr.Dataset, layer: int, *network: str) -> xr.DataArray:
    """Return the linear accuracy after one layer of a network (head, …, as for `curve`) over `seed`; NaN without it."""
    return curve(results, *network).reindex(layer=[layer]).squeeze("layer", drop=True)


def best_layer(results: xr.Dataset, head: str, on: str = "train", objective: str = "simclr") -> xr.DataArray:
    """Return the layer of greatest linear accuracy over `seed`; the first one in a tie."""
    accuracies = curve(results, head, on, objective)
    return accuracies.layer[accuracies.argmax("layer")].drop_vars("layer")


def lost_at_output(results: xr.Dataset, head: str, on: str = "train", objective: str = "simclr") -> xr.DataArray:
    """Return the points by which the best inner layer beats both outputs and signal, over `seed`; NaN with one seed."""
    accuracies = curve(results, head, on, objective)
    ends = accuracies.isel(layer=[0, -1]).max("layer")
    if accuracies.sizes["seed"] < 2:
        return xr.full_like(ends, np.nan)
    return cross_fitted(accuracies.isel(layer=slice(1, -1)), "layer") - ends


def peaks_at(results: xr.Dataset, head: str, layer: int) -> xr.DataArray:
    """Return 100 for each seed whose most accurate layer this is, else 0."""
    return 100.0 * (best_layer(results, head) == layer)


def _claim(id_: str, statement: str, source: str, value: str, unit: str, effect: Callable, *, head: str = "default",
           on: str = "train", objective: Any = "simclr", **region) -> Claim:  # fmt: skip
    requires = {"head": head, "on": on, "objective": objective}
    return Claim(id_, statement, source, value, unit, effect, requires=requires, **region)


NB_LAYERS = (32.8, 75.1, 80.9, 82.1, 76.1, 75.0)
NB_PEAKS = {"default": 3, "none": 1, "deep": 2}
CLAIMS = (
    _claim("probe", "linear accuracy before the default head is ≥ 80 %", "paper, nb", "82", "%",
           lambda r: at_layer(r, BEFORE_HEAD, "default"), above=80),
    *(_claim(f"guillotine-{head}", f"{TITLES[head]}: accuracy peaks inside and is lower at the output", "paper", "yes",
             "points", lambda r, head=head: lost_at_output(r, head), head=head, above=0) for head in HEADS),
    *(_claim(f"layer-{layer}", f"linear accuracy after layer {layer}, default head", "nb", f"{value}", "%",
             lambda r, layer=layer: at_layer(r, layer, "default"), within=(value - 3, value + 3))
      for layer, value in enumerate(NB_LAYERS)),
    *(_claim(f"peak-place-{head}.{source}", f"{TITLES[head]}: in most seeds layer {layer} is the most accurate", source,
             f"{layer}", "% of seeds", lambda r, head=head, layer=layer: peaks_at(r, head, layer), head=head, above=50)
      for source, peaks in (("paper", dict.fromkeys(HEADS, 2)), ("nb", NB_PEAKS)) for head, layer in peaks.items()),
    _claim("probe-all", "trained on all 5000 signals: linear accuracy before the default head is ≥ 80 %", "paper", "82",
           "%", lambda r: at_layer(r, BEFORE_HEAD, "default", "all"), on="all", above=80),
    _claim("vicreg", "VICReg in SimCLR's place: linear accuracy before the default head within ± 5 points", "here", "–",
           "points", lambda r: at_layer(r, BEFORE_HEAD, "default", "train", "vicreg")
           - at_layer(r, BEFORE_HEAD, "default"), objective=("simclr", "vicreg"), within=(-5, 5)),
)  # fmt: skip


def _networks(results: xr.Dataset) -> list[tuple[str, str, str]]:
    """Return objective, signals and head of the networks in the results."""
    dims = ("objective", "on", "head")
    is_present = results.linear_accuracy.notnull().any(("seed", "layer")).transpose(*dims)
    networks = itertools.product(*(results[dim].values for dim in dims))
    return [network for network, is_in in zip(networks, is_present.values.flat, strict=True) if is_in]


def _title(objective: str, on: str, head: str) -> str:
    return TITLES[head] + (", VICReg" if objective == "vicreg" else "") + (", all signals" if on == "all" else "")


def table(results: xr.Dataset) -> Table:
    """Return the linear accuracy after every layer."""
    n_layers = results.sizes["layer"]
    rows = []
    for objective, on, head in _networks(results):
        texts = [plus_minus(values) for values in curve(results, head, on, objective).T.values]
        rows.append((_title(objective, on, head), *texts, *[""] * (n_layers - len(texts))))
    title = f"Linear accuracy (%) after each layer, mean over {results.sizes['seed']} seeds ± half of the 95 % interval"
    return Table(title, ("", *(_layer_name(layer) for layer in range(n_layers))), rows)


def _layer_name(layer: int) -> str:
    return "signal" if layer == 0 else f"conv {layer}" if layer <= BEFORE_HEAD else f"layer {layer}"


def figure(results: xr.Dataset) -> Figure:
    """Plot the accuracy after every layer by both probes, training loss, and t-SNE maps before and after training."""
    mapped = results["map"].sel(head="default", seed=0).dropna("example", how="all") if "map" in results else None
    with style():
        drawn = Figure(figsize=(13, 4.2 if mapped is None else 8.2))
        rows = drawn.subfigures(1 if mapped is None else 2, 1, squeeze=False)[:, 0]
        linear, neighbour, losses = rows[0].subplots(1, 3)
        _layers(linear, results, "linear_accuracy", "Logistic regression on each layer")
        _layers(neighbour, results, "neighbour_accuracy", "10 nearest neighbours on each layer")
        for i, (objective, on, head) in enumerate(_networks(results)):
            loss = results.contrastive_loss.sel(objective=objective, on=on, head=head).dropna("epoch")
            loss = (loss / loss.isel(epoch=0).mean()).assign_attrs(long_name="loss / loss of the first epoch", units="")
            band(losses, loss, label=_title(objective, on, head), **_line(i))
        losses.set(title="Training")
        losses.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
        if mapped is not None:
            _scatter(rows[1], results, mapped)
    return drawn


def _line(i: int) -> dict[str, Any]:
    return {"color": COLOURS[i % len(COLOURS)], "linestyle": "-" if i < len(COLOURS) else "--"}


def _layers(ax: Axes, results: xr.Dataset, by: str, title: str) -> None:
    for i, (objective, on, head) in enumerate(_networks(results)):
        band(ax, curve(results, head, on, objective, by), label=_title(objective, on, head), marker="o", **_line(i))
    if by == "linear_accuracy" and "default" in results["head"]:
        ax.plot(range(len(NB_LAYERS)), NB_LAYERS, "x", color="0.3", label="notebook, default head")
        ax.legend(handles=ax.get_lines()[-1:], fontsize=8, loc="lower right")
    ax.axvline(BEFORE_HEAD + 0.5, color="0.6", linewidth=1, linestyle=":")
    ax.set(title=title, xlabel="layer (0: the signal; dotted: the head begins)", ylabel=axis(results[by]))
    ax.set_xticks(range(results.sizes["layer"]))


def _scatter(subfigure, results: xr.Dataset, mapped: xr.DataArray) -> None:
    """Plot the maps, each class in its colour."""
    network = {"objective": results.objective.values[0], "on": results["on"].values[0]}
    labels = results.label.sel(head="default", seed=0, **network).values
    titles = ("t-SNE of raw signals", "of the last convolution, before training", "of the last convolution, trained")
    axes = subfigure.subplots(1, 3)
    for ax, name, title in zip(axes, REPRESENTATIONS, titles, strict=True):
        xy = mapped.sel(representation=name, **network).values
        for digit in np.unique(labels):
            ax.scatter(*xy[labels == digit].T, color=colormaps["tab10"](digit % 10), s=5, label=str(digit))
        ax.set_title(title)
        ax.set_aspect("equal", "datalim")
        ax.set_axis_off()
    axes[-1].legend(title="class", fontsize=8, markerscale=2, loc="center left", bbox_to_anchor=(1, 0.5))


STUDY = Study(
    question="Does a network learn what tells digits apart from nothing but random views of them, and in which layer?",
    presets={
        "smoke": Protocol(n_seeds=2, n_epochs=2, objectives=("simclr", "vicreg"), on=("train", "all"),
                          heads=("default", "none", "deep"), data=MNIST1D(n_train=200, n_valid=0, n_test=60)),
        "quick": Protocol(),
        "paper": Protocol(n_seeds=10, objectives=("simclr", "vicreg"), on=("train", "all")),
    },
    conditions=conditions,
    run=run,
    claims=CLAIMS,
    figure=figure,
    table=table,
    n_steps=lambda protocol, condition: protocol.n_steps(condition["on"]),
    minutes={"smoke": 0.5, "quick": 3.5, "paper": 14},
)  # fmt: skip
