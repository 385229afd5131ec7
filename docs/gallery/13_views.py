"""Random views of a signal, for learning without labels"""

import jax
import jax.numpy as jnp
from matplotlib.figure import Figure

import flylab
from flylab.data.views import view
from flylab.results.plots import COLOURS, style

train = flylab.published().train
keys = jax.random.split(jax.random.key(0), 4)
with style():
    figure = Figure(figsize=(9, 4.2))
    for row, digit in zip(figure.subplots(3, 5, sharex=True, sharey=True), (0, 3, 8), strict=True):
        signal = jnp.asarray(train.x[train.y == digit][0])
        for i, (ax, x) in enumerate(zip(row, (signal, *(view(key, signal) for key in keys)), strict=True)):
            ax.plot(x, color=COLOURS[1 if i else 0], linewidth=1.4)
            ax.set_title(f"view {i}" if i else f"a signal of class {digit}", fontsize=9)
    figure.supxlabel("position", fontsize=9)
    figure.savefig("13_views.png", dpi=90)
