"""The outer descent, training and tests on unseen data, and the function."""

import itertools
from typing import Any

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flylab.base.units import axis
from flylab.results.plots import COLOURS, band, curves, dots, panels, published_values, style
from flylab.studies.activation.measures import accuracy, at_rate, fixed_rate, tested, title
from flylab.studies.activation.method import X, authors
from flylab.studies.activation.protocol import USUAL

AUTHORS_ACCURACY, LEARNED_ACCURACY = 66.4, 68.4  # one network each, on the data learned on (the authors' notebook)
DASHES = ("-", "--")  # usual functions come in pairs of one colour
LOOK: dict[str, dict[str, Any]] = {
    name: {"color": COLOURS[1 + i // 2], "linestyle": DASHES[i % 2]} for i, name in enumerate(USUAL)
}
LOOK |= {"learned": {"color": COLOURS[0], "linewidth": 2}, "authors": {"color": COLOURS[6], "linewidth": 2}}


@style()
def figure(results: xr.Dataset) -> Figure:
    """Plot the outer objective, training loss and test accuracy on unseen data, and the function and its slope."""
    learned, rate = results.sel(activation="learned"), fixed_rate(results)
    drawn, (outer, training, testing, function, slope, last) = panels(
        "Outer objective: training loss, last inner steps", f"Training loss on unseen data, rate {rate:g} (means)",
        f"Test accuracy on unseen data, rate {rate:g}", "The function (mean, band, each seed)", "Its slope",
        "Test accuracy after the last step", size=(15, 8), n_rows=2,
    )  # fmt: skip
    band(outer, learned.outer_loss, color=COLOURS[0])
    for name in tested(results):
        look: dict[str, Any] = {"linewidth": 1.0} | LOOK[name]
        loss = results.loss.sel(activation=name).mean("seed")  # bands of so many steps would hide one another
        training.plot(loss.update, loss, label=title(name), **look)
        look |= {"marker": "o", "markersize": 3}
        band(testing, at_rate(results, "test_accuracy", name), label=title(name), **look)
    training.set(xlabel="inner steps", ylabel=axis(results.loss))
    testing.set_xlabel("inner steps")
    training.legend(fontsize=7, ncols=2)
    _at_the_end(last, results)
    greys = dict(zip(learned.stage.values.tolist()[::-1], (COLOURS[0], "0.4", "0.6", "0.8"), strict=False))
    for ax, name in ((function, "value"), (slope, "slope")):
        curves(ax, learned[name], "stage", greys, "after {} outer steps".format, linewidth=1.3)
        for seed in learned.seed.values:
            ax.plot(X, learned[name].sel(seed=seed).isel(stage=-1), color=COLOURS[0], linewidth=0.4, alpha=0.6)
        ax.axhline(0, color="0.85", linewidth=0.8, zorder=0)
    function.plot(X, authors(X), color=COLOURS[6], linestyle="--", linewidth=1.3, label="the authors' (notebook)")
    function.legend(fontsize=8)
    return drawn


def _at_the_end(ax: Axes, results: xr.Dataset) -> None:
    """Plot a row for each function: at the published learning rate, and hollow at its own best one."""
    names = tested(results)
    for (row, name), own_rate in itertools.product(enumerate(names), (False, True)):
        if own_rate and name not in USUAL:
            continue
        look = {"color": LOOK[name]["color"], "markerfacecolor": "white" if own_rate else LOOK[name]["color"]}
        values = accuracy(results, name, own_rate=own_rate)
        dots(ax, values, row + (0.22 if own_rate else 0), horizontal=True, **look, markersize=5)
    for name, value in {"learned": LEARNED_ACCURACY, "authors": AUTHORS_ACCURACY}.items():
        if name in names:
            label = "notebook, one network" if name == "learned" else ""
            published_values(ax, value, names.index(name) + 0.25, source="nb", horizontal=True, label=label)
    ax.errorbar([], [], fmt="o", color="0.3", markerfacecolor="white", label="at its own best rate")
    ax.set(yticks=range(len(names)), yticklabels=[*map(title, names)], ylim=(len(names) + 0.7, -0.5))
    ax.set_xlabel("test accuracy (%)")
    ax.legend(fontsize=8, loc="lower left", ncols=2)
