"""Double descent in miniature: test error falls, rises and falls again with the width"""

import xarray as xr
from matplotlib.figure import Figure

import flylab
from flylab.base.units import attach_units
from flylab.models import dense
from flylab.results.plots import band, style

splits = flylab.published(flylab.MNIST1D(n_train=1500, n_test=2000, label_noise=0.15))
plan = flylab.Plan(n_steps=6000, batch_size=50, eval_every=6000, shuffle=True)
widths = [2, 5, 10, 16, 24, 40, 80, 200]
populations: list[xr.Dataset] = []
for width in widths:
    objective = flylab.supervised(dense.mlp(width=width, residual=False))
    grid = {"learning_rate": [3e-3], "seed": range(3)}
    populations.append(flylab.train_members(objective, splits, plan, grid).results)
results = attach_units(xr.concat(populations, xr.Variable("width", widths)).isel(step=-1, learning_rate=0))
with style():
    figure = Figure(figsize=(6, 4))
    ax = figure.subplots()
    for part in ("test", "train"):
        band(ax, 100 - results[f"{part}_accuracy"], label=f"{part} set", marker=".")
    ax.set(
        xscale="log", xlabel="width (hidden units)", ylabel="error (%)", title="MLP, 1500 examples, 15 % label noise"
    )
    ax.legend()
    figure.savefig("08_double_descent.png", dpi=110)
