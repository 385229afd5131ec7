"""Learning curves of a population, with bands over seeds"""

from matplotlib.figure import Figure

import flylab
from flylab.labels import labelled
from flylab.models import zoo
from flylab.plot import band, style

splits, plan = flylab.published(), flylab.Plan(n_steps=1500, eval_every=50)
grid = {"learning_rate": [1e-2], "seed": range(6)}
with style():
    figure = Figure(figsize=(6, 4))
    ax = figure.subplots()
    for title, model in {"CNN": zoo.cnn(), "MLP": zoo.mlp(), "logistic regression": zoo.logistic()}.items():
        population = flylab.train_members(flylab.supervised(model), splits, plan, grid)
        band(ax, labelled(population.results).test_accuracy.sel(learning_rate=1e-2), label=title)
    ax.set_title("Mean of 6 seeds and its 95 % interval")
    ax.legend(loc="lower right")
    figure.savefig("03_learning_curves.png", dpi=110)
