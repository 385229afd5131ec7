"""The figure: what each method gains on each data set, in points and in standard errors."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from flylab.data.images import titles
from flylab.results.plots import COLOURS, forest, panels, style
from flylab.studies.regularisation.measures import accuracy, sets_in
from flylab.studies.regularisation.method import TITLES


@style()
def figure(results: xr.Dataset) -> Figure:
    """Plot each method's gain over none by data set, and the gains in standard errors for equal computing."""
    names, sets = titles(results.attrs) | {"mnist1d": "MNIST-1D"}, sets_in(results)
    methods = [name for name in results.regulariser.values.tolist() if name != "none"]
    drawn, axes = panels(*(f"{names[name]}: gain over no regulariser" for name in sets), "Gains for equal computing",
                         size=(4 * (len(sets) + 1), 3.8))  # fmt: skip
    least = min(float(results.flops.sel(dataset=name).max()) for name in sets)
    y = np.arange(len(methods))[::-1]
    for i, (ax, name) in enumerate(zip(axes, sets, strict=False)):
        gains = accuracy(results, name) - accuracy(results, name).sel(regulariser="none")
        forest(ax, {TITLES[method]: gains.sel(regulariser=method).values for method in methods},
               colours=[COLOURS[i]] * len(methods))  # fmt: skip
        ax.set_xlabel("gain in test accuracy (points)")
        ax.axvline(0, color="0.5", linewidth=0.8)
        of_one = gains.mean("seed") / gains.std("seed", ddof=1)  # in standard deviations of a seed
        share = least / float(results.flops.sel(dataset=name).max())  # seeds for the FLOPs of one on the smallest set
        axes[-1].plot((of_one.sel(regulariser=methods) * np.sqrt(share)).values, y, "os^D"[i], color=COLOURS[i],
                      label=names[name])  # fmt: skip
    axes[-1].axvline(0, color="0.5", linewidth=0.8)
    axes[-1].set_yticks(y, [TITLES[method] for method in methods])
    axes[-1].set_xlabel("gain in standard errors, for the FLOPs\nof one training on the cheapest set")
    axes[-1].legend(fontsize=7)
    return drawn
