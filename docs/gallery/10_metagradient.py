"""The derivative of the loss with respect to the learning rate, against the length of the run"""

import jax
import numpy as np
from matplotlib.figure import Figure

import flylab
from flylab.models import dense
from flylab.results.plots import style

objective, splits, key = flylab.supervised(dense.shallow()), flylab.published(), jax.random.key(0)
plan = flylab.Plan(n_steps=200, batch_size=50, eval_every=200, optimizer="sgd")


def losses(rate):  # the loss of each step
    params = dense.shallow().init(key)
    return flylab.train(objective, params, splits, plan, {"learning_rate": rate}, key=key).history["loss"]


derivatives = jax.jit(lambda rate: jax.jvp(losses, (rate,), (np.float32(1),))[1])  # forward mode, alongside the run
with style():
    figure = Figure(figsize=(6, 4))
    ax = figure.subplots()
    for rate in (0.1, 0.5, 1, 2):
        ax.plot(np.abs(derivatives(np.float32(rate))), linewidth=1, label=f"learning rate {rate:g}")
    ax.set(yscale="log", xlabel="steps of the training run", ylabel="|d loss of the step / d learning rate|")
    ax.legend()
    figure.savefig("10_metagradient.png", dpi=110)
