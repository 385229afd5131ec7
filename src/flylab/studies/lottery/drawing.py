"""The search over sparsity, the analysis, and first layers."""

import itertools
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from flylab.models.masks import first_layer
from flylab.results.plots import COLOURS, band, dots, style
from flylab.studies.lottery.measures import analysed, last, locality, mask, protocol_in, searched, shapes_of, users
from flylab.studies.lottery.method import control_mask
from flylab.studies.lottery.protocol import CRITERIA, RUN_LENGTHS, TREATMENTS

COLOUR = {"ticket": COLOURS[1], "random": COLOURS[0], "dense": "0.35", "reinitialised": COLOURS[2]}


@style()
def figure(results: xr.Dataset) -> Figure:
    """Plot the search over sparsity, the analysis of its ticket, and the ticket's first layer."""
    drawn = Figure(figsize=(13, 11))
    rows: Any = drawn.subfigures(3, 1, height_ratios=(1, 1, 1.05))
    _draw_search(rows[0].subplots(1, 3), results)
    _draw_analysis(rows[1].subplots(1, 2, width_ratios=(1.2, 1)), results)
    _draw_masks(rows[2].subplots(1, 4, width_ratios=(1, 1, 0.8, 1.2)), results)
    return drawn


def _colours(results: xr.Dataset) -> dict[str, str]:
    return COLOUR | dict(zip(users(results), itertools.cycle(COLOURS[3:]), strict=False))


def _offsets(n: int, step: float) -> list[float]:
    """Return the offsets of `n` dots side by side; more than two are closer together."""
    return [min(step, 0.6 / n) * (i - (n - 1) / 2) for i in range(n)]


def _draw_search(axes, results: xr.Dataset) -> None:
    colours = _colours(results)
    panels = (
        ("accuracy", "after the last step", "test accuracy (%)"),
        ("best_accuracy", "best evaluation of a round", "test accuracy (%)"),
        ("loss", "after the last step", "test loss (nats)"),
    )
    for ax, (name, title, label) in zip(axes, panels, strict=True):
        for criterion in (*CRITERIA, *users(results)):
            curve = results[f"search_{name}"].isel(model=0).sel(criterion=criterion).dropna("sparsity", how="all")
            band(ax, curve.sel(sparsity=curve.sparsity < 99.9), label=criterion, color=colours[criterion], marker=".")
        dense = float(searched(results, name, "ticket", 0).mean())
        ax.axhline(dense, color=COLOUR["dense"], linestyle="--", linewidth=1, label="dense")
        ax.axvline(analysed(results), color="0.7", linestyle=":", linewidth=1)
        ax.set(title=f"Search: {title}", ylabel=label)
    axes[0].legend(fontsize=8)


def _draw_analysis(axes, results: xr.Dataset) -> None:
    left, right = axes
    colours, shown = _colours(results), ("dense", "ticket", *users(results))
    for treatment in (*TREATMENTS, *users(results)):
        curve = results.test_accuracy.isel(model=0).sel(treatment=treatment, arrangement="plain")
        band(left, curve, label=treatment, color=colours[treatment])
    left.set(title="Fresh data: learning curves (mean and 95 % interval)")
    left.legend(fontsize=8, loc="lower right", ncols=2)
    arrangements = results.arrangement.values.tolist()
    for row, arrangement in enumerate(arrangements):
        for offset, treatment in zip(_offsets(len(shown), 0.3), shown, strict=True):
            values, label = last(results, treatment, arrangement), "" if row else treatment
            dots(right, values, row + offset, horizontal=True, color=colours[treatment], label=label)
    right.set(yticks=range(len(arrangements)), yticklabels=arrangements, ylim=(len(arrangements) - 0.4, -0.6),
              xlabel="test accuracy (%)", title="Fresh data: after the last step, by arrangement")  # fmt: skip
    right.legend(fontsize=8)


def _draw_masks(axes, results: xr.Dataset) -> None:
    protocol, seed = protocol_in(results), int(results.seed[0])
    control = control_mask(protocol, shapes_of(protocol), seed, protocol.analysed_round)
    for ax, name, shown in zip(axes, CRITERIA, (mask(results, seed=seed), control), strict=False):
        layer = first_layer(shown)
        order = np.argsort(-layer.sum(1), kind="stable")
        ax.imshow(layer[order], aspect="auto", cmap="gray_r", interpolation="nearest")
        ax.set(title=f"First layer: {name} mask (seed {seed})", xlabel="input position", ylabel="unit, by survivors")
        ax.yaxis.get_major_locator().set_params(integer=True)
        ax.grid(False)
    bars, curves = axes[2:]
    colours, criteria = _colours(results), (*CRITERIA, *users(results))
    for offset, criterion in zip(_offsets(len(criteria), 0.24), criteria, strict=True):
        for i, n in enumerate(RUN_LENGTHS):
            values, label = locality(results, n, criterion), "" if i else criterion
            dots(bars, values, i + offset, color=colours[criterion], label=label)
    for n, line in zip(RUN_LENGTHS, ("-", "--", ":"), strict=True):
        curve = results.adjacency.isel(model=0).sel(criterion="ticket", run_length=n).dropna("sparsity", how="any")
        band(curves, curve, label=f"{n} adjacent", color=COLOUR["ticket"], linestyle=line)
    for ax in (bars, curves):
        ax.axhline(1, color="0.5", linewidth=1)
        ax.set(ylabel="runs of adjacent survivors (× chance)")
        ax.legend(fontsize=8)
    bars.set(title="Locality", xticks=range(len(RUN_LENGTHS)), xticklabels=RUN_LENGTHS, xlabel="adjacent survivors",
             xlim=(-0.5, len(RUN_LENGTHS) - 0.5))  # fmt: skip
    curves.set(title="… over the search")
