"""The search over sparsity, the analysis on fresh data, and the locality of first layers, beside published values."""

import itertools
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from flylab.models.locality import NULLS, RUN_LENGTHS, rewired
from flylab.models.masks import first_layer
from flylab.results.plots import COLOURS, band, dots, published_values, style
from flylab.studies.lottery.measures import (
    advantage,
    analysed,
    co_survival,
    last,
    learning_curve,
    locality,
    mask,
    searched,
    users,
)
from flylab.studies.lottery.protocol import CRITERIA, TREATMENTS
from flylab.studies.lottery.published import LEVELS, SEARCHED_DENSE, SEARCHED_TICKET

COLOUR = {
    "ticket": COLOURS[1], "random": COLOURS[0], "dense": "0.35", "reinitialised": COLOURS[2], "one-shot": COLOURS[4],
    "shuffled": COLOURS[3],
}  # fmt: skip
SEARCHES = {"shuffled": "ticket, shuffled data"}
RIVALS = {
    "dense": "dense", "tuned-dense": "dense, best rate", "small": "dense, as small", "random": "random",
    "random-unit": "random, units kept", "random-unit-input": "random, units, inputs kept",
    "moved": "inputs of units shuffled", "shuffled-ticket": "ticket of shuffled data",
    "reinitialised": "ticket, fresh weights",
}  # fmt: skip
N_UNITS = 40  # of the first layer that are drawn


@style()
def figure(results: xr.Dataset) -> Figure:
    """Plot the search over sparsity, the analysis of its ticket, and the ticket's first layer."""
    drawn = Figure(figsize=(9, 9.6))
    rows: Any = drawn.subfigures(3, 1)
    _draw_search(rows[0].subplots(1, 2), results)
    curves, arrangements, rivals = rows[1].subplots(1, 3, width_ratios=(1.05, 1, 1))
    _draw_curves(curves, results)
    _draw_arrangements(arrangements, results)
    _draw_rivals(rivals, results)
    *masks, runs, pairs = rows[2].subplots(1, 4, width_ratios=(0.8, 0.8, 1, 1.2))
    _draw_masks(masks, results)
    _draw_runs(runs, results)
    _draw_pairs(pairs, results)
    return drawn


def _colours(results: xr.Dataset) -> dict[str, str]:
    return COLOUR | dict(zip(users(results), itertools.cycle((*COLOURS[5:], *COLOURS[3:5])), strict=False))


def _offsets(n: int, step: float) -> list[float]:
    """Return the offsets of `n` dots side by side; more than two are closer together."""
    return [min(step, 0.6 / n) * (i - (n - 1) / 2) for i in range(n)]


def _draw_search(axes, results: xr.Dataset) -> None:
    colours = _colours(results)
    for ax, name, label in zip(axes, ("loss", "accuracy"), ("test loss (nats)", "test accuracy (%)"), strict=True):
        for criterion in (*CRITERIA, *users(results)):
            curve = results[f"search_{name}"].isel(model=0).sel(criterion=criterion).dropna("sparsity", how="all")
            if curve.sizes["sparsity"]:
                band(ax, curve.sel(sparsity=curve.sparsity < 99.9), label=SEARCHES.get(criterion, criterion),
                     color=colours[criterion])  # fmt: skip
        dense = float(searched(results, name, "ticket", 0).mean())
        ax.axhline(dense, color=COLOUR["dense"], linestyle="--", linewidth=1, label="dense network")
        ax.set(title=f"Search: {label.partition(' (')[0]}", ylabel=label)
    low, high = SEARCHED_DENSE
    published_values(axes[1], (low + high) / 2, spread=(high - low) / 2, source="nb", label="dense network (nb)")
    published_values(axes[1], SEARCHED_TICKET, 92, source="nb", label="ticket (nb)")
    axes[1].legend(fontsize=8, loc="lower left", ncols=2)


def _draw_curves(ax, results: xr.Dataset) -> None:
    colours = _colours(results)
    for treatment in (*TREATMENTS, *users(results)):
        band(ax, learning_curve(treatment)(results), label=treatment, color=colours[treatment])
    ax.set(title="Fresh data: learning curves", xlabel="optimiser steps", ylabel="test accuracy (%)")
    ax.legend(fontsize=8, loc="lower right")


def _draw_arrangements(ax, results: xr.Dataset) -> None:
    arrangements, shown = results.arrangement.values.tolist(), ("dense", "ticket", *users(results))
    colours, published = _colours(results), {level[:2]: level.by_source for level in LEVELS}
    for row, arrangement in enumerate(arrangements):
        for offset, treatment in zip(_offsets(len(shown), 0.36), shown, strict=True):
            values, label = last(results, treatment, arrangement), "" if row else treatment
            dots(ax, values, row + offset, horizontal=True, color=colours[treatment], label=label)
            for source, value in published.get((treatment, arrangement), {}).items():
                published_values(ax, value, row + offset + 0.12, source=source, horizontal=True,
                                 color=colours[treatment], label="")  # fmt: skip
    ax.set(yticks=range(len(arrangements)), yticklabels=arrangements, ylim=(len(arrangements) - 0.4, -0.6),
           xlabel="test accuracy (%)", title="… by arrangement of inputs")  # fmt: skip
    ax.legend(fontsize=8)


def _draw_rivals(ax, results: xr.Dataset) -> None:
    rivals = [name for name in RIVALS if name in results.treatment.values]
    published = {level.treatment: level.by_source for level in LEVELS if level.arrangement == "plain"}
    for row, name in enumerate(rivals):
        dots(ax, advantage(over=name)(results), row, horizontal=True, color=COLOUR["ticket"])
        for source in (source for source in published.get(name, {}) if source in published["ticket"]):
            difference = published["ticket"][source] - published[name][source]
            published_values(ax, difference, row + 0.2, source=source, horizontal=True)
    ax.axvline(0, color="0.5", linewidth=1)
    ax.set(yticks=range(len(rivals)), yticklabels=[RIVALS[name] for name in rivals], ylim=(len(rivals) + 1.5, -0.6),
           xlabel="points of test accuracy", title="Ticket less …")  # fmt: skip
    ax.tick_params("y", labelsize=7.5)
    ax.legend(fontsize=8, loc="lower right")  # below the last rival, where the axis has room for it


def _draw_masks(axes, results: xr.Dataset) -> None:
    ticket = first_layer(mask(results))
    by_chance = rewired(ticket, np.random.default_rng(0), "unit-input")
    for ax, title, layer in zip(axes, ("Ticket", "By chance"), (ticket, by_chance), strict=True):
        most = layer[np.argsort(-layer.sum(1), kind="stable")[:N_UNITS]]
        most = most[most.any(1)]
        centre = (most * np.arange(most.shape[1])).sum(1) / most.sum(1)
        ax.imshow(most[np.argsort(centre, kind="stable")], aspect="auto", cmap="gray_r", interpolation="nearest")
        ax.set(title=title, xlabel="input position", yticks=[])
        ax.grid(False)
    axes[0].set_ylabel(f"{N_UNITS} units of most survivors, by centre", fontsize=8)


def _draw_runs(ax, results: xr.Dataset) -> None:
    kept = {"unit": "units", "unit-input": "units, inputs"}  # of which chance keeps the survivors
    series = [("ticket", null, f"ticket ({kept[null]} kept)") for null in NULLS]
    series += [(name, "unit-input", name) for name in ("random", *users(results))]
    colours = _colours(results)
    for offset, (criterion, null, label) in zip(_offsets(len(series), 0.24), series, strict=True):
        look: Any = {"color": colours[criterion], "markerfacecolor": "white" if null == "unit" else colours[criterion]}
        for i, n in enumerate(RUN_LENGTHS):
            dots(ax, locality(results, n, criterion, null), i + offset, label="" if i else label, **look)
    ax.axhline(1, color="0.5", linewidth=1)
    ax.set(title=f"Runs ({analysed(results):.0f} % pruned)", xticks=range(len(RUN_LENGTHS)), xticklabels=RUN_LENGTHS,
           xlabel="adjacent survivors", ylabel="× chance", xlim=(-0.5, len(RUN_LENGTHS) - 0.5))  # fmt: skip
    ax.set_ylim(top=ax.get_ylim()[1] + 0.3 * np.ptp(ax.get_ylim()))  # room for the legend
    ax.legend(fontsize=8, loc="upper left")


def _draw_pairs(ax, results: xr.Dataset) -> None:
    colours = _colours(results)
    for criterion in ("ticket", "shuffled"):
        profile = co_survival(results, criterion).sel(distance=slice(1, 20))
        if profile.notnull().any():
            band(ax, profile, label=SEARCHES.get(criterion, criterion), color=colours[criterion])
    ax.axhline(1, color="0.5", linewidth=1)
    ax.set(title="Pairs of survivors", xlabel="distance between their inputs",
           ylabel="× chance (same units and inputs)")  # fmt: skip
    ax.legend(fontsize=8)
