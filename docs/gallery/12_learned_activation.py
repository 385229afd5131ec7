"""The metalearned activation function and the usual ones"""

import jax
import jax.numpy as jnp
from matplotlib.figure import Figure

from flylab.models import activations
from flylab.results.plots import COLOURS, style

x = jnp.linspace(-5, 5, 400)
usual = {"ELU": jax.nn.elu, "ReLU": jax.nn.relu, "Swish": jax.nn.swish}
with style():
    figure = Figure(figsize=(6, 4))
    ax = figure.subplots()
    for colour, (title, function) in zip(COLOURS[:3], usual.items(), strict=True):
        ax.plot(x, function(x), color=colour, linewidth=1.2, label=title)
    ax.plot(x, activations.learned(x), color="k", linewidth=2.4, label="learned")
    ax.set(xlabel="input", ylabel="activation", ylim=(-2, 5))
    ax.legend()
    figure.savefig("12_learned_activation.png", dpi=110)
