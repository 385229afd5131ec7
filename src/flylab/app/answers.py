"""Pictures and tables of the quiz: an example, the templates, and how people and networks did."""

import numpy as np

from flylab.app import look, quiz, svg
from flylab.data import MNIST1D
from flylab.results.tables import Table, html_table


def example(signal: np.ndarray) -> str:
    """Plot an example as everything else is plotted: positions to the right, values upwards."""
    w, h, bound = 330, 170, max(float(np.abs(signal).max()), 1e-9)
    line = svg.polyline(np.linspace(8, w - 8, len(signal)), h / 2 - (h / 2 - 8) * signal / bound, svg.CLASSES[0], 2.6)
    return svg.picture(w, h, "a test example; which digit is it?", [line], 480)


def templates() -> str:
    """Plot the ten templates as the quiz plots its examples."""
    patterns = MNIST1D().patterns
    named = [(str(y), np.asarray(x), svg.CLASSES[y]) for x, y in zip(patterns.x, patterns.y, strict=True)]
    return svg.small_multiples(named, "the templates of the digits 0 to 9", (5, 5), 460)


def question(asked: quiz.Sitting) -> str:
    """Show the example to read beside the templates and, in practice, whether the last answer was right."""
    i = len(asked.answers)
    said = ""
    if asked.is_practice and i:
        truth, answer = asked.truth[i - 1], asked.answers[-1]
        said = f"Right, it is a {truth}." if truth == answer else f"You read {answer}, but it is a {truth}."
    signal = quiz.test_set(asked.arrangement).x[asked.items[i]]
    shown = look.titled(f"{i + 1} of {len(asked.items)}", example(signal))
    last = f'<p role="status" class="flylab-verdict">{said}&nbsp;</p>' if asked.is_practice else ""
    return last + look.row(shown, look.titled("The templates", templates()))


def sitting(done: quiz.Sitting) -> str:
    """Show the result of a sitting beside the results of networks on the same examples."""
    share, low, high = quiz.accuracy(done.n_right, len(done.items))
    rows = [["you", f"{share:.0f} ({low:.0f} … {high:.0f})", "–"]]
    rows += [[title, f"{on_these:.0f}", f"{on_all:.1f}"] for title, (on_these, on_all) in
             quiz.networks_on(done.arrangement, done.items).items()]  # fmt: skip
    rows.append(["paper's author (plain)", "–", f"{quiz.PAPER}"])
    head = ["", f"these {len(done.items)}", "all 1000"]
    x = quiz.test_set(done.arrangement).x
    named = [(f"{truth}, read as {answer}", x[i], svg.CLASSES[truth]) for i, truth, answer in
             zip(done.items, done.truth, done.answers, strict=True) if truth != answer]  # fmt: skip
    wrong = "<p>All right!</p>"
    if named:
        wrong = look.titled("Misread", svg.small_multiples(named[:24], "examples that you misread", (4, 2), 560))
    table = look.titled("", html_table(Table("", head, rows)), "% right, and the 95 % interval of your accuracy")
    return look.titled(f"{done.n_right} of {len(done.items)} right", look.row(table, wrong))


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
        named = [
            (f"{x.y[i]}: you {answer}, CNN {network}", x.x[i], svg.CLASSES[x.y[i]]) for i, answer, network in missed
        ]
        drawn = svg.small_multiples(named[:24], "examples missed by both", (4, 2), 600) if named else "<p>None yet.</p>"
        missed_by_both = look.titled("Missed by you and by most CNNs", drawn)
        parts.append(look.titled(f"So far, {arrangement}: {total}", look.row(table, missed_by_both)))
    return "".join(parts)
