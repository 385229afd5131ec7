"""Clustering against sparsity, distance, width and data; what tickets are worth; and barriers between children."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from flylab.results.plots import COLOURS, MARKERS, band, dots, panels, points, style
from flylab.studies.tickets_at_scale.claims import advantage, at, names_in
from flylab.studies.tickets_at_scale.method import LONGER

DASHES = {"plain": "-", "permuted": "--", "ticket": "-", "dense": "--"}


@style()
def figure(results: xr.Dataset) -> Figure:
    """Plot clustering, accuracies and barriers of every data set."""
    names, titles = results.dataset.values.tolist(), names_in(results)
    look, full = dict(zip(names, COLOURS, strict=False)), [name for name in names if name not in LONGER]
    drawn, (rounds, pairs, width, share, gains, lines) = panels(
        "Neighbouring survivors", "Pairs (dashed: permuted)", "… by width", "… by training data", "Accuracy of tickets",
        "Children (dashed: of dense)", size=(12, 8), n_rows=2,
    )  # fmt: skip
    for name in names:
        curve = at("neighbours", name, sparsity=None)(results).dropna("sparsity", how="all")
        band(rounds, curve, label=titles[name], color=look[name])
        for arrangement in ("plain", "permuted"):
            profile = at("co_survival", name, arrangement=arrangement)(results).dropna("distance", how="all")
            band(pairs, profile, color=look[name], linestyle=DASHES[arrangement])
    for ax, along in ((width, "width"), (share, "share")) if full else ():
        values = [at("association", name, **{along: None})(results) for name in full]
        points(ax, xr.concat(values, xr.Variable("dataset", full)), along, "dataset", look, titles.__getitem__)
        ax.set_xticks(results[along].values, [f"{value:g}" for value in results[along].values])
        ax.minorticks_off()
    _draw_gains(gains, results, look)
    steps = results.rewind_to.values.tolist()
    for name in full:
        for network in ("ticket", "dense"):
            values = at("barrier", name, network=network, rewind_to=None)(results).transpose("rewind_to", "seed")
            dots(lines, values.sortby("rewind_to").values, np.arange(len(steps)), color=look[name], capsize=2,
                 fmt=f"{MARKERS[look[name]]}{DASHES[network]}")  # fmt: skip
    lines.set(
        xticks=range(len(steps)), xticklabels=sorted(steps), xlabel="rewinding step", ylabel="error barrier (points)"
    )
    for ax, level in ((rounds, 1), (pairs, 1), (width, 0), (share, 0)):
        ax.axhline(level, color="0.5", linewidth=1)
    rounds.legend(fontsize=8)
    return drawn


def _draw_gains(ax: Any, results: xr.Dataset, look: Mapping[str, str]) -> None:
    """Plot what tickets have more than dense networks and random masks, on each data set that they were trained on."""
    titles, accuracy = names_in(results) | {"permuted": "permuted"}, results.transfer_accuracy
    names = results.dataset.values.tolist()
    rows = [(name, target) for name in names for target in results.target.values
            if accuracy.sel(dataset=name, target=target).notnull().any()]  # fmt: skip
    rows.sort(key=lambda row: (names.index(row[0]), row[1] != row[0]))  # the ticket's own data first
    for row, (name, target) in enumerate(rows):
        for offset, over, face in ((-0.15, "dense", look[name]), (0.15, "random", "white")):
            dots(ax, advantage(name, over, target)(results), row + offset, horizontal=True, color=look[name],
                 markerfacecolor=face)  # fmt: skip
    for over, face in (("dense", "0.3"), ("random", "white")):
        ax.errorbar([], [], fmt="o", color="0.3", markerfacecolor=face, label=f"ticket less {over}")
    labels = [titles[name] if name == target else f"→ {titles[target]}" for name, target in rows]
    ax.set(yticks=range(len(rows)), yticklabels=labels, ylim=(len(rows) + 1.2, -0.6), xlabel="points")
    ax.axvline(0, color="0.5", linewidth=1)
    ax.legend(fontsize=8, loc="lower left", ncols=2, columnspacing=1, handletextpad=0.2)
