"""A confusion matrix: which digits a CNN mistakes for which"""

import numpy as np
from matplotlib.figure import Figure

import flylab
from flylab.models import convolutional
from flylab.results.plots import style

splits = flylab.published()
grid = {"learning_rate": [1e-2], "seed": range(4)}
population = flylab.train_members(flylab.supervised(convolutional.cnn()), splits, flylab.Plan(n_steps=1500), grid)
counts = np.zeros((10, 10))
for predicted in population.results.prediction.squeeze("learning_rate").values:
    np.add.at(counts, (splits.test.y, predicted), 1)
shares = 100 * counts / counts.sum(1, keepdims=True)
with style():
    figure = Figure(figsize=(5.5, 5))
    ax = figure.subplots()
    ax.grid(False)
    ax.imshow(shares, cmap="Blues")
    for (row, column), share in np.ndenumerate(shares):
        if share >= 0.5:
            ax.text(
                column, row, f"{share:.0f}", ha="center", va="center", fontsize=8, color="white" if share > 50 else "k"
            )
    ax.set(title="CNN, 4 seeds: % of each class", xlabel="predicted class", ylabel="true class")
    ax.set(xticks=range(10), yticks=range(10))
    figure.savefig("05_confusion.png", dpi=110)
