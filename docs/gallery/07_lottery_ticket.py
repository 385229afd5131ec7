"""The mask of a lottery ticket: the inputs that its first layer still reads"""

import numpy as np
from matplotlib.figure import Figure

from flylab.models.tickets import load_ticket
from flylab.results.plots import COLOURS, style

mask = np.asarray(load_ticket().mask["hidden1"]["w"])  # (units, positions)
mask = mask[mask.any(1)]  # units that still read an input
centre = (mask * np.arange(mask.shape[1])).sum(1) / mask.sum(1)
with style():
    figure = Figure(figsize=(6, 5.5))
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    above.imshow(mask[np.argsort(centre)], aspect="auto", cmap="binary", interpolation="nearest")
    above.set(title=f"First layer: {len(mask)} units that read an input", ylabel="hidden unit, by its centre")
    above.grid(False)
    below.bar(range(mask.shape[1]), mask.sum(0), color=COLOURS[0])
    below.set(xlabel="position", ylabel="survivors")
    figure.savefig("07_lottery_ticket.png", dpi=110)
