"""Does a network learn what tells digits apart from nothing but random views of them, and in which layer?

A CNN learns to match two random views of a signal among the views of others, without labels (SimCLR, Chen et al. 2020).
Linear probes then read the digit from every layer (Greydanus & Kobak 2024, figure 8; the authors' notebook
`self-supervised-learning`). Inner layers may beat the output: "guillotine regularisation" (Bordes et al. 2023).
"""

import functools
import itertools
import json
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
from threadpoolctl import threadpool_limits

from flylab.base.constraints import PositiveFloat, PositiveInt
from flylab.base.units import axis
from flylab.data import MNIST1D, Dataset, Splits, fresh, shared
from flylab.data.views import view
from flylab.models import Model, convolutional
from flylab.results.claims import Claim, independent
from flylab.results.effects import Effect, n_test_of, pick
from flylab.results.places import cross_fitted
from flylab.results.plots import COLOURS, band, style
from flylab.results.tables import Table, over_seeds, pivot
from flylab.studies.self_supervised.probes import BEFORE_HEAD, REPRESENTATIONS, maps, probe
from flylab.study import BaseProtocol, Condition, Context, Study
from flylab.study.protocol import NSeeds
from flylab.training.objectives import contrastive, info_nce, vicreg
from flylab.training.step import Plan
from flylab.training.training import Training

OBJECTIVES = {"simclr": info_nce, "vicreg": vicreg}
TITLES = {"default": "default head", "none": "no head", "deep": "deep head"}
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


def conditions(protocol: Protocol) -> Sequence[Condition]:
    """Return objectives × signals × heads; only SimCLR learns from all choices of signals, the rest from the first."""
    return [
        {"objective": objective, "on": on, "head": head}
        for objective in protocol.objectives
        for on in (protocol.on if objective == "simclr" else protocol.on[:1])
        for head in protocol.heads
    ]


def training(protocol: Protocol, objective: str, on: str, head: str) -> Training:
    """Train one network per seed without labels."""
    n = protocol.data.n_train + (protocol.data.n_test if on == "all" else 0)
    n_steps = protocol.n_epochs * max(n // protocol.batch_size, 1)
    plan = Plan(n_steps, protocol.batch_size, n_steps, shuffle=True, record_loss=True)
    data, hparams = functools.partial(_signals, protocol, on), {"learning_rate": protocol.learning_rate}
    objective_of = functools.partial(contrastive, view=view, criterion=OBJECTIVES[objective])
    return Training(_network(protocol, head), data, plan, hparams, objective_of)


def run(protocol: Protocol, condition: Condition, context: Context) -> xr.Dataset:
    """Train the networks and probe their layers; map seed 0 of the default head by t-SNE."""
    population, seeds = context.train(training(protocol, **condition)), context.seeds
    loss = population.results["loss"].values.reshape(len(seeds), protocol.n_epochs, -1).mean(-1)
    all_params = [jax.tree.map(lambda leaf, i=i: leaf[i], population.params) for i in range(len(seeds))]
    # one thread per seed and none within, as the order of sums changes their last bits
    with threadpool_limits(1), ThreadPoolExecutor(len(jax.devices())) as pool:
        probes = pool.map(lambda seed, params: probe(_splits(protocol, seed), params), seeds, all_params)
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
            network, data = _network(protocol, condition["head"]), functools.partial(_splits, protocol)
            results = results.merge(maps(network, data, seeds, all_params, context.key))
    return results


def _network(protocol: Protocol, head: str) -> Model:
    length, n_outputs = protocol.data.final_seq_length, protocol.embedding_size
    return convolutional.cnn(length=length, n_outputs=n_outputs, hidden=HEADS[head])


def _splits(protocol: Protocol, seed: int) -> Splits:
    return fresh(protocol.data)(seed) if protocol.fresh_data else shared(protocol.data)


def _signals(protocol: Protocol, on: str, seed: int) -> Splits:
    """Return the splits with the signals to learn from as the training set."""
    splits = _splits(protocol, seed)
    if on == "train":
        return splits
    return splits._replace(train=Dataset(*map(np.concatenate, zip(splits.train, splits.test, strict=True))))


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


def _effect(measure: Callable, *args: Any, head: str = "default", on: str = "train") -> Effect:
    """Return the effect `measure(results, *args)` of a network that learned by SimCLR."""
    return Effect(lambda results: measure(results, *args), {"head": head, "on": on, "objective": "simclr"})


def _before_head(on: str = "train", objective: str = "simclr") -> Effect:
    """Return the linear accuracy before the default head."""
    return pick("linear_accuracy", head="default", on=on, objective=objective, layer=BEFORE_HEAD)


def _n_test(results: xr.Dataset) -> int:
    """Return the number of test examples that all seeds share."""
    return 0 if json.loads(results.attrs.get("protocol", "{}")).get("fresh_data") else n_test_of(results)


def _guillotine(head: HeadName) -> Claim:
    effect = _effect(lost_at_output, head, head=head)
    statement = f"{TITLES[head]}: accuracy peaks inside and is lower at the output"
    return Claim(f"guillotine-{head}", statement, "paper", "yes", "points", effect, above=0)


def _layer(layer: int, value: float) -> Claim:
    effect = replace(_effect(at_layer, layer, "default"), n_test=_n_test)
    statement = f"linear accuracy after layer {layer}, default head"
    return Claim(
        f"layer-{layer}",
        statement,
        "nb",
        f"{value}",
        "%",
        effect,
        within=(value - 3, value + 3),
        is_sanity_check=layer == 0,
    )  # the signal itself


def _peak(head: str, layer: int, source: str) -> Claim:
    effect = _effect(best_layer, head, head=head).holds(lambda best: best == layer)
    statement = f"{TITLES[head]}: in most seeds layer {layer} is the most accurate"
    return Claim(f"peak-place-{head}.{source}", statement, source, f"{layer}", "% of seeds", effect, above=50)


NB_LAYERS = (32.8, 75.1, 80.9, 82.1, 76.1, 75.0)
NB_PEAKS = {"default": 3, "none": 1, "deep": 2}
_CLAIMS = (
    Claim("probe", "linear accuracy before the default head is ≥ 80 %", "paper, nb", "82", "%",
          replace(_before_head(), n_test=_n_test), above=80),
    *map(_guillotine, get_args(HeadName)),
    *(_layer(layer, value) for layer, value in enumerate(NB_LAYERS)),
    *(_peak(head, 2, "paper") for head in HEADS),
    *(_peak(head, layer, "nb") for head, layer in NB_PEAKS.items()),
    Claim("probe-all", "trained on all 5000 signals: linear accuracy before the default head is ≥ 80 %", "paper", "82",
          "%", replace(_before_head(on="all"), n_test=_n_test), above=80),
    Claim("vicreg", "VICReg in SimCLR's place: linear accuracy before the default head within ± 5 points", "here", "–",
          "points", _before_head(objective="vicreg") - _before_head(), within=(-5, 5)),
)  # fmt: skip
CLAIMS = independent(["objectives", "heads", "on"], _CLAIMS)


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
    networks = _networks(results)
    curves = [curve(results, head, on, objective).reset_coords(drop=True) for objective, on, head in networks]
    layers = xr.concat(curves, "network", join="outer").assign_coords(network=[_title(*place) for place in networks])
    columns = {_layer_name(layer): layers.sel(layer=layer) for layer in layers.layer.values}
    return pivot(over_seeds(results, "Linear accuracy (%) after each layer"), columns, "network")


def _layer_name(layer: int) -> str:
    return "signal" if layer == 0 else f"conv {layer}" if layer <= BEFORE_HEAD else f"layer {layer}"


@style()
def figure(results: xr.Dataset) -> Figure:
    """Plot the accuracy after every layer by both probes, training loss, and t-SNE maps before and after training."""
    mapped = results["map"].sel(head="default").isel(seed=0).dropna("example", how="all") if "map" in results else None
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
    labels = results.label.isel(seed=0).sel(head="default", **network).values
    titles = ("t-SNE of raw signals", "of the last convolution, before training", "of the last convolution, trained")
    for ax, name, title in zip(subfigure.subplots(1, 3), REPRESENTATIONS, titles, strict=True):
        xy = mapped.sel(representation=name, **network).values
        for digit in np.unique(labels):
            ax.scatter(*xy[labels == digit].T, color=colormaps["tab10"](digit % 10), s=5, label=str(digit))
        ax.set_title(title)
        ax.set_aspect("equal", "datalim")
        ax.set_axis_off()
    subfigure.axes[-1].legend(title="class", fontsize=8, markerscale=2, loc="center left", bbox_to_anchor=(1, 0.5))


PRESETS = {
    "smoke": Protocol(n_seeds=2, n_epochs=2, objectives=("simclr", "vicreg"), on=("train", "all"),
                      heads=("default", "none", "deep"), data=MNIST1D(n_train=200, n_valid=0, n_test=60)),
    "quick": Protocol(n_seeds=4, n_epochs=100),
    "paper": Protocol(n_seeds=10, objectives=("simclr", "vicreg"), on=("train", "all")),
}  # fmt: skip
MINUTES = {"smoke": 0.5, "quick": 1.3, "paper": 14}
STUDY = Study.of_module(__name__)
