"""Learning curves, and accuracies after the last step beside the published ones."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from flylab.results.plots import COLOURS, band, dots, panels, published_values, style
from flylab.studies.architectures.measures import HUMAN, compared, curves, last, paper, stopped, titles
from flylab.studies.architectures.method import IMAGE_NETWORKS, NETWORKS
from flylab.training.learners import learner_title


@style()
def figure(results: xr.Dataset) -> Figure:
    """Plot learning curves, the last accuracies beside the paper's, and those on each data set if there are several."""
    shown = [model for model in NETWORKS[::-1] if model in results.model]
    colours: dict[str, str] = dict(zip((*shown, "resnet"), COLOURS, strict=False))
    datasets = compared(results)
    more = ["Data sets, stopped by validation"] if len(datasets) > 1 else []
    titles = ("Training accuracy", "Test accuracy", "Test accuracy after the last step", *more)
    drawn, (train, test, ends, *rest) = panels(*titles, size=(18 if more else 13.5, 4.4))
    for ax, quantity in ((train, "train_accuracy"), (test, "test_accuracy")):
        for model in shown:
            for arrangement, line in (("plain", "-"), ("shuffled", "--")):
                curve = curves(results, quantity, model, arrangement).dropna("step", how="all")  # steps of other sets
                if not curve.sizes["step"]:
                    continue
                label = learner_title(model) + ("" if arrangement == "plain" else ", shuffled")
                band(ax, curve, label=label, color=colours[model], linestyle=line, linewidth=1.5)
        ax.set(ylim=(0, 102))
    test.axhline(HUMAN, color="0.7", linestyle=":", linewidth=1)
    train.legend(fontsize=8, ncols=2, loc="lower right")
    _by_model(ends, results, shown, colours)
    for ax in rest:
        _by_dataset(ax, results, datasets, colours)
    return drawn


def _by_dataset(ax, results: xr.Dataset, datasets: list[str], colours: dict[str, str]) -> None:
    for i, model in enumerate(IMAGE_NETWORKS):
        accuracies = [stopped(results, model, dataset=dataset) for dataset in datasets]
        rows = np.arange(len(datasets)) + 0.14 * (i - 1.5)
        dots(ax, accuracies, rows, horizontal=True, color=colours[model], label=learner_title(model))
    ax.set(yticks=range(len(datasets)), yticklabels=[titles(results.attrs)[name] for name in datasets], xlim=(0, 101))
    ax.set(ylim=(len(datasets) - 0.5, -0.5), xlabel="test accuracy (%)")
    ax.legend(fontsize=8, loc="center left")


def _by_model(ax, results: xr.Dataset, shown: list[str], colours: dict[str, str]) -> None:
    for row, model in enumerate(shown):
        for offset, arrangement, face in ((-0.16, "plain", colours[model]), (0.16, "shuffled", "white")):
            line = {"color": colours[model], "markerfacecolor": face}
            dots(ax, last(results, model, arrangement), row + offset, horizontal=True, **line)
            mean, spread = paper(model, arrangement)
            if mean is not None:
                published_values(ax, mean, row + offset + 0.12, spread=spread, horizontal=True)
    ax.errorbar([], [], fmt="o", color="0.3", label="plain")
    ax.errorbar([], [], fmt="o", color="0.3", markerfacecolor="white", label="shuffled")
    ax.axvline(HUMAN, color="0.7", linestyle=":", linewidth=1)
    ax.text(HUMAN - 1, len(shown) - 0.45, "human", fontsize=8, color="0.4", ha="right", va="center")
    ax.set(yticks=range(len(shown)), yticklabels=[*map(learner_title, shown)], ylim=(len(shown) - 0.3, -0.5))
    ax.set(xlim=(0, 100), xlabel="test accuracy (%)")
    ax.legend(fontsize=8, loc="lower left")
