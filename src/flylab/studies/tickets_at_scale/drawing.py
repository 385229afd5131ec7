"""Clustering against sparsity, distance, width and data; what tickets are worth; and barriers between children."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from flylab.results.plots import COLOURS, band, dots, panels, points, style
from flylab.studies.tickets_at_scale.claims import TITLES, advantage, at
from flylab.studies.tickets_at_scale.method import LONGER

GAINS = {"dense": "dense", "random": "random mask"}


@style()
def figure(results: xr.Dataset) -> Figure:
    """Plot clustering, accuracies and barriers of every data set."""
    names = results.dataset.values.tolist()
    look = dict(zip(names, COLOURS, strict=False))
    full = [name for name in names if name not in LONGER]
    drawn, axes = panels("Neighbouring survivors", "Co-survival (dashed: permuted)", "… by width", "… by training data",
                         "Ticket less dense, or random", "Children (dashed: dense)", size=(11, 7), n_rows=2)  # fmt: skip
    rounds, pairs, *series, gains, lines = axes
    for name in names:
        curve = at("neighbours", name, sparsity=None)(results).dropna("sparsity", how="all")
        band(rounds, curve, label=TITLES[name], color=look[name])
        for arrangement, dash in (("plain", "-"), ("permuted", "--")):
            profile = at("co_survival", name, arrangement=arrangement)(results).dropna("distance", how="all")
            band(pairs, profile, color=look[name], linestyle=dash)
    for ax, along in zip(series, ("width", "share"), strict=True):
        values = [at("association", name, **{along: None})(results) for name in full]
        points(ax, xr.concat(values, xr.Variable("dataset", full)), along, "dataset", look, TITLES.get)
        ax.set_xticks(results[along].values, [f"{value:g}" for value in results[along].values], minor=False)
        ax.minorticks_off()
    rows = [(name, target, over) for name in names for target in results.target.values if over_known(results, name, target)
            for over in GAINS]  # fmt: skip
    for row, (name, target, over) in enumerate(rows):
        face = look[name] if over == "dense" else "white"
        dots(
            gains, advantage(name, over, target)(results), row, horizontal=True, color=look[name], markerfacecolor=face
        )
    labels = [f"{TITLES[name]}{'' if target == name else f' → {TITLES.get(target, target)}'}: {GAINS[over]}"
              for name, target, over in rows]  # fmt: skip
    gains.set(
        yticks=range(len(rows)), yticklabels=labels, ylim=(len(rows) - 0.5, -0.5), xlabel="points of test accuracy"
    )
    gains.tick_params("y", labelsize=6.5)
    steps = results.rewind_to.values.tolist()
    for name in full:
        for network, dash in (("ticket", "-"), ("dense", "--")):
            values = at("barrier", name, network=network, rewind_to=None)(results)
            values = values.transpose("rewind_to", "seed").sortby("rewind_to").values
            dots(lines, values, np.arange(len(steps)), color=look[name], fmt=f"o{dash}", capsize=2)
    lines.set(
        xticks=range(len(steps)), xticklabels=sorted(steps), xlabel="rewinding step", ylabel="error barrier (points)"
    )
    for ax in (rounds, pairs):
        ax.axhline(1, color="0.5", linewidth=1)
    for ax in (gains, *series):
        (ax.axvline if ax is gains else ax.axhline)(0, color="0.5", linewidth=1)
    rounds.legend(fontsize=7)
    return drawn


def over_known(results: xr.Dataset, name: str, target: str) -> bool:
    """Return whether a data set's ticket was trained on a target."""
    return bool(results.transfer_accuracy.sel(dataset=name, target=target).notnull().any())
