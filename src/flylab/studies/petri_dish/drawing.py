"""Agreement against cost, the order of the pool, how a dish is learned, and what MNIST-1D says of images."""

import xarray as xr
from matplotlib.figure import Figure

from flylab.results.plots import COLOURS, band, dots, forest, panels, plain_ticks, style
from flylab.studies.petri_dish.claims import PREDICTORS, agreement, curve, names_in, predicted, transfers, truth


@style()
def figure(results: xr.Dataset) -> Figure:
    """Plot agreement of every predictor on every data set, one dish and its order, and the order of images."""
    names = names_in(results)
    drawn, (costs, equal, order, descent, examples, images) = panels(
        "All data, stopped early", "Predictors of the order", "One dish's order of the pool", "Learning of dishes",
        "Examples of a learned dish", "Order of images by MNIST-1D's", size=(12, 7.5), n_rows=2,
    )  # fmt: skip
    look = dict(zip(names, COLOURS, strict=False))
    for place, (name, title) in enumerate(names.items()):
        band(costs, curve(results, name), color=look[name], label=title)
        dots(costs, agreement("dish", name)(results), 0.9 + 0.1 * place, color=look[name], markerfacecolor="white")
        rows = [i + 0.2 * place for i in range(len(PREDICTORS))]
        dots(equal, xr.concat([agreement(by, name)(results) for by in PREDICTORS], "by"), rows, horizontal=True,
             color=look[name], label=title)  # fmt: skip
        band(descent, results.mismatch.sel(dataset=name, drop=True), color=look[name])
    ends = results.cost.min().item() / 1.2, results.cost.max().item() * 1.2  # a single seed has no τ, and no limits
    costs.set(xscale="log", xlim=ends, xlabel="cost (that of a dish, white, is 1)", ylabel="Kendall's τ")
    plain_ticks(costs)
    equal.set(yticks=range(len(PREDICTORS)), yticklabels=[*PREDICTORS.values()], xlabel="Kendall's τ",
              ylim=(len(PREDICTORS) - 0.2, -0.4))  # fmt: skip
    equal.legend(fontsize=7)
    pair = [values.isel(seed=0) for values in (truth(results, "mnist1d"), predicted(results, "dish", "mnist1d"))]
    order.plot(*pair, "o", markersize=4, color=look["mnist1d"])
    order.set(xlabel="test accuracy on MNIST-1D (%)", ylabel="score on the dish (%)")
    one = results.sel(dataset="mnist1d").isel(seed=0)
    for row in range(6):  # of the training half
        examples.plot(one.dish_x.isel(synthetic=row) - 5 * row, color=look["mnist1d"], linewidth=1)
        examples.text(40.5, -5 * row, f"{one.dish_y.isel(synthetic=row).values.argmax()}", fontsize=8, va="center")
    examples.set(xlabel="position (right: the likeliest label)", yticks=[], xlim=(0, 43))
    forest(images, {title: transfers(name)(results) for name, title in names.items() if name != "mnist1d"})
    images.set(xlabel="Kendall's τ", xlim=(0, 1))
    return drawn
