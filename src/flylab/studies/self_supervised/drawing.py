"""Accuracies by layer, training loss, and maps of representations."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flylab.base.units import axis
from flylab.results.plots import COLOURS, band, published_values, style
from flylab.studies.self_supervised.measures import NOTEBOOK, curve, networks, title
from flylab.studies.self_supervised.method import HEADS
from flylab.studies.self_supervised.probes import BEFORE_HEAD, REPRESENTATIONS

COLOUR = dict(zip(HEADS, COLOURS, strict=False))
MARKERS = dict(zip(HEADS, "osD", strict=True))
DASHES = {("simclr", "train"): "-", ("simclr", "all"): "--", ("vicreg", "train"): ":", ("vicreg", "all"): "-."}


@style()
def figure(results: xr.Dataset) -> Figure:
    """Plot the accuracy after every layer by both probes, training loss, and t-SNE maps before and after training."""
    mapped = results["map"].sel(head="default").isel(seed=0).dropna("example", how="all") if "map" in results else None
    drawn = Figure(figsize=(13, 4.2 if mapped is None else 8.2))
    rows = drawn.subfigures(1 if mapped is None else 2, 1, squeeze=False)[:, 0]
    linear, neighbour, losses = rows[0].subplots(1, 3)
    _layers(linear, results, "linear_accuracy", "Logistic regression on each layer")
    _layers(neighbour, results, "neighbour_accuracy", "10 nearest neighbours on each layer")
    for objective, on, head in networks(results):
        loss = results.contrastive_loss.sel(objective=objective, on=on, head=head).dropna("epoch")
        loss = (loss / loss.isel(epoch=0).mean()).assign_attrs(long_name="loss / loss of the first epoch", units="")
        band(losses, loss, label=title(objective, on, head), **_line(objective, on, head))
    losses.set(title="Training")
    losses.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    if mapped is not None:
        _scatter(rows[1], results, mapped)
    return drawn


def _line(objective: str, on: str, head: str) -> dict[str, Any]:
    return {"color": COLOUR[head], "linestyle": DASHES[objective, on]}


def _layers(ax: Axes, results: xr.Dataset, by: str, name: str) -> None:
    for objective, on, head in networks(results):
        look = {"marker": MARKERS[head], "markersize": 4} | _line(objective, on, head)
        band(ax, curve(results, head, on, objective, by), label=title(objective, on, head), **look)
    if by == "linear_accuracy":
        for head in results["head"].values:
            accuracies = NOTEBOOK[head]
            published_values(ax, accuracies, range(len(accuracies)), source="nb", color=COLOUR[head], label="")
        published_values(ax, [], [], source="nb", label="notebook, one network each")
        ax.legend(handles=ax.containers[-1:], fontsize=8, loc="lower right")
    ax.axvline(BEFORE_HEAD + 0.5, color="0.6", linewidth=1, linestyle=":")
    ax.set(title=name, xlabel="layer (0: the signal; dotted: the head begins)", ylabel=axis(results[by]))
    ax.set_xticks(range(results.sizes["layer"]))


def _scatter(subfigure, results: xr.Dataset, mapped: xr.DataArray) -> None:
    """Plot the maps, each class in its colour."""
    place = {"objective": results.objective.values[0], "on": results["on"].values[0]}
    labels = results.label.isel(seed=0).sel(head="default", **place).values
    titles = ("t-SNE of raw signals", "of the last convolution, before training", "of the last convolution, trained")
    for ax, representation, name in zip(subfigure.subplots(1, 3), REPRESENTATIONS, titles, strict=True):
        xy = mapped.sel(representation=representation, **place).values
        for digit in np.unique(labels):
            ax.scatter(*xy[labels == digit].T, color=colormaps["tab10"](digit % 10), s=5, label=str(digit))
        ax.set_title(name)
        ax.set_aspect("equal", "datalim")
        ax.set_axis_off()
    subfigure.axes[-1].legend(title="class", fontsize=8, markerscale=2, loc="center left", bbox_to_anchor=(1, 0.5))
