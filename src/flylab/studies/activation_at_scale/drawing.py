"""The matrix of ranks, the functions, and how their metalearning went."""

from typing import Any

import xarray as xr
from matplotlib.figure import Figure

from flylab.results.plots import COLOURS, band, dots, panels, style
from flylab.studies.activation_at_scale.measures import TITLES, learned_in, rank, title
from flylab.studies.activation_at_scale.method import X

HUES = {"published": "0.4", "mlp": COLOURS[0], "cnn": COLOURS[1], "cnn2d": COLOURS[2]}
DASHES = {"early": "-", "final": "--", "evolved": ":", "": "-"}


def _look(name: str) -> dict[str, Any]:
    source, _, goal = name.partition(".")
    return {"color": HUES[source], "linestyle": DASHES[goal], "label": title(name)}


@style()
def figure(results: xr.Dataset) -> Figure:
    """Plot ranks of each kind of learned function on each target, the functions, and the descent of the outer loss."""
    targets, names = results.target.values.tolist(), learned_in(results)
    drawn, axes = panels(
        *(f"Rank of nine, {TITLES[target]}" for target in targets), "The functions (means over seeds)",
        "Outer loss", size=(4.2 * max(len(targets), 2) + 1.5, 8), n_rows=2,
    )  # fmt: skip
    *ranked, functions, descent = axes
    for ax, target in zip(ranked, targets, strict=True):
        for row, name in enumerate(names):
            for variable, face, offset in (("early_loss", None, -0.12), ("test_loss", "white", 0.12)):
                colour = _look(name)["color"]
                dots(ax, rank(results, name, target, variable), row + offset, horizontal=True, color=colour, fmt="o",
                     markerfacecolor=face or colour, markersize=5)  # fmt: skip
        labels = [*map(title, names)] if ax is ranked[0] else [""] * len(names)
        ax.set(yticks=range(len(names)), yticklabels=labels, ylim=(len(names) + 0.6, -0.5), xlim=(0.5, 9.5),
               xticks=range(1, 10), xlabel="rank (1: lowest loss)")  # fmt: skip
        ax.axvline(5, color="0.85", linewidth=0.8, zorder=0)
    for label, face in (("by early loss", "0.3"), ("by final loss", "white")):
        ranked[0].errorbar([], [], fmt="o", color="0.3", markerfacecolor=face, label=label)
    ranked[0].legend(fontsize=7, loc="lower center", ncols=2)
    for name in names:
        functions.plot(X, results.value.sel(activation=name).mean("seed"), **_look(name), linewidth=1.4)
        if name != "published":
            band(descent, results.outer_loss.sel(activation=name), **_look(name), linewidth=1.4)
    functions.set(xlabel="input", ylabel="output")
    descent.legend(*functions.get_legend_handles_labels(), fontsize=8, loc="center left", bbox_to_anchor=(1.02, 0.5))
    descent.set_xlabel("outer steps")
    return drawn
