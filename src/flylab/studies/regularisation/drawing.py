"""The figure: what each regulariser gains on each data set, and how clear that is for how much computing."""

import xarray as xr
from matplotlib.figure import Figure

from flylab.results.effects import contrast
from flylab.results.plots import COLOURS, band, forest, panels, style
from flylab.studies.regularisation.measures import clarity, flops_per_step, jackknifed, names_in
from flylab.studies.regularisation.method import REGULARISERS


@style()
def figure(results: xr.Dataset) -> Figure:
    """Plot the gain of each regulariser on each data set, and the size of differences against computing."""
    names, n, cost = names_in(results), results.sizes["seed"], flops_per_step(results)
    shown = {name: one.title for name, one in REGULARISERS.items() if name in results.regulariser and name != "none"}
    drawn, (*gains, clear) = panels(*(f"Gains on {title}" for title in names.values()), "Differences",
                                    size=(10, 7), n_rows=2)  # fmt: skip
    for ax, colour, (name, title) in zip(gains, COLOURS, names.items(), strict=False):
        gained = {one: contrast("test_accuracy", dataset=name, regulariser=(one, "none"), step=-1) for one in shown}
        forest(ax, {shown[one]: effect(results).values for one, effect in gained.items()},
               colours=[colour] * len(gained))  # fmt: skip
        ax.set_xlabel("test accuracy (points)")
        ax.axvline(0, color="0.5", linewidth=1)
        if n < 3:  # the jackknife has no values
            continue
        curve = jackknifed(lambda some, name=name: clarity(some, name, n), results).isel(step=slice(1, None))
        band(clear, curve.assign_coords(step=n * curve.step * float(cost.sel(dataset=name))), label=title, color=colour)
    clear.set(xscale="log", xlabel="computing of each regulariser (FLOP)", ylabel="size (log₂ standard errors)")
    if n > 2:
        clear.legend()
    return drawn
