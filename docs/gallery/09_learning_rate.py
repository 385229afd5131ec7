"""Gradient descent on a learning rate, down the loss of a whole training run"""

import numpy as np
import optax
from matplotlib.figure import Figure

import flylab
from flylab.models import dense
from flylab.results.plots import COLOURS, band, style
from flylab.training.metalearning import MetaPlan, metalearn

objective, splits = flylab.supervised(dense.shallow()), flylab.published()
inner = flylab.Plan(n_steps=200, batch_size=50, eval_every=200, optimizer="sgd", record_loss=True)
rates, seeds = np.geomspace(0.05, 2, 25).tolist(), range(4)
loss = flylab.train_members(objective, splits, inner, {"learning_rate": rates, "seed": seeds}).results.loss
plan = MetaPlan(inner, n_steps=30, optimizer=optax.sgd(0.3), save_hparams_at=tuple(range(30)))
learned = metalearn(objective, splits, plan, [{"learning_rate": 0.15}, {"learning_rate": 1.5}], seeds=seeds)
with style():
    figure = Figure(figsize=(6, 4))
    ax = figure.subplots()
    band(ax, loss.mean("update"), color=COLOURS[6], label="a grid of rates")
    for start, colour in enumerate(COLOURS[:2]):
        path = np.asarray(learned.saved_hparams["learning_rate"])[start].mean(0)
        ax.plot(path, learned.results.outer_loss[start].mean("seed"), "o", markersize=4, color=colour,
                label=f"descent from {path[0]:.2g}")  # fmt: skip
    ax.set(xscale="log", xlabel="learning rate", ylabel="mean training loss of 200 steps (nats)")
    ax.legend(title="mean of 4 seeds")
    figure.savefig("09_learning_rate.png", dpi=110)
