"""Accuracy against a data parameter: one program for all values"""

from matplotlib.figure import Figure

import flylab
from flylab.base.units import attach_units
from flylab.models import convolutional, dense
from flylab.results.plots import band, style

source, plan = flylab.endless(flylab.MNIST1D()), flylab.Plan(n_steps=500, eval_every=500)
grid = {"learning_rate": [1e-2], "iid_noise_scale": [0.02, 0.05, 0.1, 0.2, 0.3, 0.5], "seed": range(4)}
with style():
    figure = Figure(figsize=(6, 4))
    ax = figure.subplots()
    for title, model in {"CNN": convolutional.cnn(), "MLP": dense.mlp()}.items():
        population = flylab.train_members(flylab.supervised(model), source, plan, grid)
        band(ax, attach_units(population.results).test_accuracy.isel(step=-1, learning_rate=0), label=title, marker=".")
    ax.set(title="After 500 steps on endless data, 4 seeds", xlabel="white noise (iid_noise_scale)")
    ax.legend()
    figure.savefig("04_accuracy_against_a_data_parameter.png", dpi=110)
