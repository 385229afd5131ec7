"""What the data parameters do: three examples, one parameter at a time"""

from dataclasses import replace

from matplotlib.figure import Figure

import flylab
from flylab.results.plots import style

usual = flylab.MNIST1D(n_train=100, n_valid=10, n_test=10)
values_of = {
    "iid_noise_scale": (0, 0.1, 0.5),
    "corr_noise_scale": (0, 0.25, 1),
    "shear_scale": (0, 0.75, 3),
    "max_translation": (1, 24, 60),
}
with style():
    figure = Figure(figsize=(9, 6.5))
    for row, (name, values) in zip(figure.subplots(4, 3, sharex=True), values_of.items(), strict=True):
        for ax, value in zip(row, values, strict=True):
            splits = flylab.published(replace(usual, **{name: value}))
            ax.plot(splits.train.x[splits.train.y == 3][:3].T, linewidth=1.2, alpha=0.8)
            ax.set_title(f"{name} = {value}", fontsize=9)
    figure.supxlabel("position", fontsize=9)
    figure.supylabel("three examples of class 3, standardised", fontsize=9)
    figure.savefig("02_data_params.png", dpi=90)
