"""Pictures of the playground: data, how an example is made, learning curves, mistakes."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup

from flylab.app import look, settings, state, svg
from flylab.app.background import Training
from flylab.app.mistakes import confusion, first_layer, misread
from flylab.data import MNIST1D, Splits
from flylab.data.published import stages
from flylab.models import model_title
from flylab.results.statistics import interval, plus_minus
from flylab.results.tables import Table, html_table
from flylab.training.networks import Population

STAGES = ("pad", "scale", "translate", "add noise", "shear", "resample")


def examples(splits: Splits, config: MNIST1D, n_each: int = 3) -> str:
    """Plot training examples of each class, one column for each class."""
    x, y = splits.train
    columns = [(str(label), x[y == label][:n_each], svg.CLASSES[label]) for label in config.labels]
    return svg.signals(columns, f"{n_each} training examples of each class")


def construction(config: MNIST1D, place: int, number: int = 0) -> str:
    """Plot the steps that make an example of the class at `place`; the last ones shuffle it, if the data set does."""
    steps, patterns = stages(config, config.seed + number), config.patterns
    named = [("template", np.asarray(patterns.x[place]))]
    named += [(name, stage[place]) for name, stage in zip(STAGES, steps, strict=True)]
    if config.shuffle_seq:
        named.append(("shuffle", named[-1][1][settings.positions(config)]))
    label = int(patterns.y[place])
    return svg.small_multiples(
        [(name, signal, svg.CLASSES[label]) for name, signal in named], f"construction of an example of class {label}",
        (len(named), 3),
    )  # fmt: skip


class Run(NamedTuple):
    """A training on the page, and what sets it apart from the others there."""

    label: str
    training: Training


def runs_of(trainings: Sequence[Training]) -> list[Run]:
    """Return trainings with labels; the last is the one that the others are compared with."""
    last = trainings[-1].settings
    labels = [state.description(training.settings, last) for training in trainings[:-1]]
    same = state.description(last, trainings[0].settings) if len(trainings) > 1 else ""
    return [Run(*pair) for pair in zip((*labels, same), trainings, strict=True)]


def _line(population: Population, variable: str, label: str, model: str, run: int) -> svg.Line:
    curve = population.results[variable].squeeze("learning_rate", drop=True).transpose("step", "seed")
    intervals = [interval(row) for row in curve.values]
    mean = [value.mean for value in intervals]
    low = [value.mean if np.isnan(value.low) else value.low for value in intervals]  # one seed has no interval
    high = [value.mean if np.isnan(value.high) else value.high for value in intervals]
    return svg.Line(label, curve.step.values.tolist(), mean, low, high, svg.ink(model), run)


def curves(runs: Sequence[Run], what: str = "accuracy", on: str = "test") -> str:
    """Plot the learning curves of all networks with bands over seeds: a colour for each model, dashes for each run."""
    lines = [
        _line(population, f"{on}_{what}", ", ".join(filter(None, (model_title(name), run.label))), name, i)
        for i, run in enumerate(runs[::-1])
        for name, population in run.training.populations.items()
    ]
    top = 100.0 if what == "accuracy" else max((max(line.y) for line in lines), default=1.0)
    words = {"accuracy": f"{on} accuracy (%)", "loss": f"{on} loss (nats)"}[what]
    n_steps = max(run.training.settings.n_steps for run in runs)
    return svg.curves(lines, "optimiser steps", words, (0, n_steps), (0, top))


def accuracies(runs: Sequence[Run]) -> str:
    """Return the last accuracies as a table, which is the legend of the curves, too."""
    rows = []
    for i, run in enumerate(runs[::-1]):
        for name, population in run.training.populations.items():
            last = population.results.squeeze("learning_rate", drop=True).isel(step=-1)
            drawn = Markup('<span class="flylab-swatch">{}</span>').format(Markup(svg.swatch(svg.ink(name), i)))
            title = drawn + ", ".join(filter(None, (model_title(name), run.label)))
            rows.append([title, *(plus_minus(last[f"{on}_accuracy"]) for on in ("train", "test"))])
    return html_table(Table("", ("network", "training (%)", "test (%)"), rows))


def mistakes(training: Training, name: str) -> str:
    """Plot a network's confusion matrix, the examples that it misreads most often, and its first layer."""
    population, chosen = training.populations[name], training.settings
    x, y = settings.splits(chosen.data).test
    n = chosen.data.outputs
    parts = [look.titled("Confusion", svg.matrix(confusion(population, y, n), [str(k) for k in range(n)], "true class",
             "read as"), "percent of each class, mean over seeds")]  # fmt: skip
    named = [
        (f"{y[i]} read as {instead} ({share:.0f} %)", x[i], svg.CLASSES[y[i]])
        for i, instead, share in misread(population, y)
    ]
    if named:
        few = svg.small_multiples(named, "test examples that most seeds misread", (3, 2), 450)
        parts.append(look.titled("Misread", few, "true class, what most read instead, share of seeds that misread it"))
    layer = first_layer(population)
    if layer is not None:
        left = 100 * float((layer != 0).mean())
        pruned = f"; {left:.0f} % of the weights are left" if chosen.pruned else ""
        drawn = svg.weights(layer, "weights of the first layer")
        explanation = f"seed 0, one row for each unit{pruned}; blue is positive, orange negative"
        parts.append(look.titled("First layer", drawn, explanation))
    return look.row(*parts)


def status(trainings: Sequence[Training], trained: dict[str, Any] | None) -> dict[str, Any]:
    """Return what the rail says of the trainings on the page, see `Rail.status`."""
    if not trainings:
        return {"text": "", "share": 0, "busy": False, "done": False, "pinned": False, "trained": None}
    shares = [training.share for training in trainings]
    share, last = sum(shares) / len(shares), trainings[-1]
    is_busy = not all(training.is_over for training in trainings)
    now = next((one for one in trainings if not one.is_over), last)
    words = {"begun": "compiling …", "training": f"{100 * share:.0f} % done", "done": "done",
             "stopped": f"stopped at {100 * last.share:.0f} %", "failed": f"failed: {last.error}"}  # fmt: skip
    text = f"place {now.place} in the queue" if now.place else words[now.phase]
    return {"text": text, "share": round(share, 3), "busy": is_busy, "done": not is_busy,
            "pinned": len(trainings) > 1, "trained": trained}  # fmt: skip


def results(runs: Sequence[Run], differs: Sequence[tuple[str, str, str]]) -> str:
    """Plot the curves and accuracies of runs; grey, with what was different, if other settings are chosen now."""
    notice = ""
    if differs:
        parts = ", ".join(f"{label} {old}" for label, old, _ in differs)
        notice = f'<p class="flylab-notice">These results were trained with {look.text(parts)}.</p>'
    said = "accuracy, mean over seeds ± half of the 95 % interval; bands are 95 % intervals"
    drawn = look.row(curves(runs), look.titled("", f'<div class="flylab-scroll">{accuracies(runs)}</div>', said))
    return learnt(f'{notice}<div class="{"flylab-stale" if differs else ""}">{drawn}</div>')


def learnt(part: str) -> str:
    """Put results, or what stands in their place, where the rail leads after Train on a phone."""
    return f'<div class="flylab-results">{look.titled("What the networks learn", part)}</div>'
