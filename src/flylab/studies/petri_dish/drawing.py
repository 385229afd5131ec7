"""Agreement against cost, the order of the pool, how a dish is learned, and what MNIST-1D says of images."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from flylab.data.images import titles
from flylab.results.plots import COLOURS, band, dots, forest, panels, plain_ticks, style
from flylab.studies.petri_dish.measures import (
    PREDICTORS,
    agreement,
    curve,
    of_family,
    predicted,
    transfers,
    truth,
    within,
)
from flylab.studies.petri_dish.method import N_TRAIN
from flylab.studies.petri_dish.pool import FAMILIES

LOOK = dict(zip(("dish", "mnist1d", "subset"), COLOURS, strict=False))


@style()
def figure(results: xr.Dataset) -> Figure:
    """Plot agreement against cost, scores against the truth, dishes, and the order of images by that of MNIST-1D."""
    drawn, (costs, families, order, descent, dish, images) = panels(
        "Agreement with the truth", "At equal cost", "One dish's order of the pool", "Learning of dishes",
        "Examples of a learned dish", "Order of images", size=(12, 7.5), n_rows=2,
    )  # fmt: skip
    for name in ("mnist1d", "subset"):
        band(costs, curve(results, name), color=LOOK[name], label=PREDICTORS[name])
    dots(costs, agreement("dish")(results), 1, color=LOOK["dish"], label=PREDICTORS["dish"])
    for by, line in (("whole", "--"), ("size", ":")):
        costs.axhline(agreement(by)(results).mean(), color="0.4", linestyle=line, linewidth=1, label=PREDICTORS[by])
    costs.set(xscale="log", xlabel="cost (that of a dish is 1)", ylabel="Kendall's τ")
    plain_ticks(costs)
    costs.legend(fontsize=7, loc="lower right")

    for row, by in enumerate(PREDICTORS):
        for offset, effect, face in ((-0.12, agreement(by), None), (0.12, within(by), "white")):
            colour = LOOK.get(by, "0.4")
            dots(families, effect(results), row + offset, horizontal=True, color=colour, fmt="o",
                 markerfacecolor=face or colour)  # fmt: skip
    for label, face in (("whole pool", "0.3"), ("within families", "white")):
        families.errorbar([], [], fmt="o", color="0.3", markerfacecolor=face, label=label)
    families.set(yticks=range(len(PREDICTORS)), yticklabels=list(PREDICTORS.values()), xlabel="Kendall's τ",
                 ylim=(len(PREDICTORS) - 0.4, -0.6))  # fmt: skip
    families.legend(fontsize=7)

    for family, marker in zip(FAMILIES, "os", strict=True):
        pair = [of_family(values, family).isel(seed=0) for values in (truth(results), predicted(results, "dish"))]
        order.plot(*pair, marker, markersize=4, label=family.upper())
    order.set(xlabel="test accuracy on MNIST-1D (%)", ylabel="score on the dish (%)")
    order.legend(fontsize=7)

    band(descent, results.mismatch.sel(dataset="dish", drop=True), color=LOOK["dish"])
    one = results.sel(dataset="dish").isel(seed=0)
    for row, example in enumerate(np.linspace(0, one.sizes["synthetic"] // 2 - 1, 6).astype(int)):
        label = one.dish_y.isel(synthetic=example).values
        dish.plot(one.dish_x.isel(synthetic=example) - 5 * row, color=LOOK["dish"], linewidth=1)
        dish.text(40.5, -5 * row, f"{label.argmax()}: {100 * label.max():.0f} %", fontsize=8, va="center")
    dish.set(xlabel="position", yticks=[], xlim=(0, 48))

    named, rows = titles(results.attrs), {}
    for name in (one for one in N_TRAIN if one in results.dataset.values):
        for source in ("mnist1d", name):
            rows[f"{named[name]} by {'itself' if source == name else 'MNIST-1D'}"] = transfers(name, source)(results)
    forest(images, rows)
    images.set(xlabel="Kendall's τ", xlim=(0, 1))
    return drawn
