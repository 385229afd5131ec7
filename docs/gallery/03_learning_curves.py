"""Learning curves of a population, with bands over seeds"""

from matplotlib.figure import Figure

import flylab
from flylab.base.units import attach_units
from flylab.models import convolutional, dense
from flylab.results.plots import band, style

splits, plan = flylab.published(), flylab.Plan(n_steps=1500, eval_every=50)
grid = {"learning_rate": [1e-2], "seed": range(6)}
with style():
    figure = Figure(figsize=(6, 4))
    ax = figure.subplots()
    for title, model in {
        "CNN": convolutional.cnn(),
        "MLP": dense.mlp(),
        "logistic regression": dense.logistic(),
    }.items():
        population = flylab.train_members(flylab.supervised(model), splits, plan, grid)
        band(ax, attach_units(population.results).test_accuracy.sel(learning_rate=1e-2), label=title)
    ax.set_title("Mean of 6 seeds and its 95 % interval")
    ax.legend(loc="lower right")
    figure.savefig("03_learning_curves.png", dpi=110)
