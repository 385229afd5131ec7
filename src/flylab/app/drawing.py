"""Pictures of the playground and the quiz: data, how an example is made, learning curves, mistakes."""

import numpy as np

from flylab.app import look, quiz, svg
from flylab.app.background import Training, confusion, first_layer, misread
from flylab.app.settings import Settings
from flylab.data import MNIST1D, Splits
from flylab.data.published import stages
from flylab.models import model_title
from flylab.results.statistics import interval, plus_minus
from flylab.results.tables import Table, html_table
from flylab.training.networks import Population

STAGES = ("pad", "scale", "translate", "add noise", "shear", "resample")


def examples(splits: Splits, config: MNIST1D) -> str:
    """Plot eight training examples of each class, one row for each class."""
    (x, y), n_each = splits.train, 8
    rows = [(str(label), x[y == label][:n_each]) for label in config.labels]
    return svg.signals(rows, list(range(len(rows))), f"{n_each} training examples of each class")


def construction(config: MNIST1D, place: int, number: int = 0) -> str:
    """Plot the steps that make an example of the class at `place`."""
    steps, patterns = stages(config, config.seed + number), config.patterns
    named = [("template", np.asarray(patterns.x[place]), place)]
    named += [(name, stage[place], place) for name, stage in zip(STAGES, steps, strict=True)]
    return svg.small_multiples(named, f"construction of an example of class {patterns.y[place]}")


def _line(population: Population, variable: str, label: str, ink: int) -> svg.Line:
    curve = population.results[variable].squeeze("learning_rate", drop=True).transpose("step", "seed")
    intervals = [interval(row) for row in curve.values]
    mean = [value.mean for value in intervals]
    low = [value.mean if np.isnan(value.low) else value.low for value in intervals]  # one seed has no interval
    high = [value.mean if np.isnan(value.high) else value.high for value in intervals]
    return svg.Line(label, curve.step.values.tolist(), mean, low, high, ink)


def curves(training: Training, what: str = "accuracy", on: str = "test") -> str:
    """Plot the learning curves of all networks with bands over seeds."""
    settings = training.settings
    lines = [
        _line(population, f"{on}_{what}", model_title(name), settings.models.index(name))
        for name, population in training.populations.items()
    ]
    top = 100.0 if what == "accuracy" else max((max(line.y) for line in lines), default=1.0)
    words = {"accuracy": f"{on} accuracy (%)", "loss": f"{on} loss (nats)"}[what]
    return svg.curves(lines, "optimiser steps", words, (0, settings.n_steps), (0, top))


def accuracies(training: Training) -> str:
    """Return the last accuracies as a table."""
    rows = []
    for name, population in training.populations.items():
        last = population.results.squeeze("learning_rate", drop=True).isel(step=-1)
        rows.append([model_title(name), *(plus_minus(last[f"{on}_accuracy"]) for on in ("train", "test"))])
    return html_table(Table("", ("network", "training accuracy (%)", "test accuracy (%)"), rows))


def mistakes(settings: Settings, splits: Splits, population: Population) -> str:
    """Plot a network's confusion matrix, the examples that it misreads most often, and its first layer."""
    x, y = splits.test
    n = settings.data.outputs
    parts = [look.titled("Confusion", svg.matrix(confusion(population, y, n), [str(k) for k in range(n)], "true class",
             "read as"), "percent of each class, mean over seeds")]  # fmt: skip
    named = [
        (f"{y[i]} read as {instead} ({share:.0f} %)", x[i], int(y[i])) for i, instead, share in misread(population, y)
    ]
    if named:
        few = svg.small_multiples(named, "test examples that most seeds misread", cell=(150, 70), columns=3)
        parts.append(look.titled("Misread", few, "true class, what most read instead, share of seeds that misread it"))
    layer = first_layer(population)
    if layer is not None:
        left = 100 * float((layer != 0).mean())
        pruned = f"; {left:.0f} % of the weights are left" if settings.pruned else ""
        drawn = svg.weights(layer, "weights of the first layer")
        explanation = f"seed 0, one row for each unit{pruned}; blue is positive, red negative"
        parts.append(look.titled("First layer", drawn, explanation))
    return look.row(*parts)


def example(signal: np.ndarray) -> str:
    """Plot an example as the paper does: the value to the right, the position downwards."""
    w, h, bound = 150, 300, max(float(np.abs(signal).max()), 1e-9)
    x = w / 2 + (w / 2 - 8) * signal / bound
    line = svg.polyline(x, np.linspace(8, h - 8, len(signal)), svg.colour(0), 3)
    return svg.picture(w, h, "a test example; which digit is it?", [line], most=190)


def templates() -> str:
    """Plot the ten templates as the quiz plots its examples."""
    patterns, parts = MNIST1D().patterns, []
    w, h = 70, 120
    for i, (x, y) in enumerate(zip(patterns.x, patterns.y, strict=True)):
        signal = np.asarray(x)
        across = i * w + w / 2 + (w / 2 - 10) * signal / np.abs(signal).max()
        parts.append(svg.polyline(across, 24 + (h - 30) * np.linspace(0, 1, len(signal)), svg.colour(i), 2.4))
        parts.append(svg.text(i * w + w / 2, 16, str(y), 14, "middle"))
    return svg.picture(10 * w, h, "the templates of the digits 0 to 9", parts, most=820)


def sitting(done: quiz.Sitting) -> str:
    """Show the result of a sitting beside the results of networks on the same examples."""
    share, low, high = quiz.accuracy(done.n_right, len(done.items))
    rows = [["you", f"{share:.0f} ({low:.0f} … {high:.0f})", "–"]]
    rows += [[title, f"{on_these:.0f}", f"{on_all:.1f}"] for title, (on_these, on_all) in
             quiz.networks_on(done.arrangement, done.items).items()]  # fmt: skip
    rows.append(["an author of the paper (plain)", "–", f"{quiz.PAPER}"])
    head = ["", "these examples: % right (95 % interval)", "all 1000: % right"]
    x = quiz.test_set(done.arrangement).x
    named = [(f"{truth}, read as {answer}", x[i], truth) for i, truth, answer in
             zip(done.items, done.truth, done.answers, strict=True) if truth != answer]  # fmt: skip
    wrong = "<p>All right!</p>"
    if named:
        wrong = look.titled("Misread", svg.small_multiples(named[:24], "examples that you misread", (140, 80), 4))
    return look.titled(f"{done.n_right} of {len(done.items)} right", look.row(html_table(Table("", head, rows)), wrong))


def sittings(all_: list[quiz.Sitting]) -> str:
    """Show the results of all sittings on this machine together."""
    parts = []
    for arrangement in quiz.ARRANGEMENTS:
        done = [sitting for sitting in all_ if sitting.arrangement == arrangement and sitting.answers]
        if not done:
            continue
        n, right = sum(len(sitting.answers) for sitting in done), sum(sitting.n_right for sitting in done)
        share, low, high = quiz.accuracy(right, n)
        rows = [[str(k), str(shown), str(wrong)] for k, shown, wrong in quiz.errors_by_class(done) if shown]
        n_sittings = f"{len(done)} sitting{'s' * (len(done) > 1)}"
        total = f"{right} of {n} right in {n_sittings}: {share:.1f} % ({low:.1f} … {high:.1f})"
        table = html_table(Table("", ("class", "shown", "misread"), rows))
        missed, x = quiz.both_missed(done, arrangement), quiz.test_set(arrangement)
        named = [(f"{x.y[i]}: you {answer}, CNN {network}", x.x[i], int(x.y[i])) for i, answer, network in missed]
        drawn = (
            svg.small_multiples(named[:24], "examples missed by both", (150, 70), 4) if named else "<p>None yet.</p>"
        )
        missed_by_both = look.titled("Missed by you and by most CNNs", drawn)
        parts.append(look.titled(f"So far, {arrangement}: {total}", look.row(table, missed_by_both)))
    return "".join(parts)
