"""Check the statistics of verdicts by simulation with known truth, and print a table in Markdown.

`python bench/simulations.py` takes some minutes on one core. What it simulates are the functions that judge claims.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from scipy import stats

from flylab.results.places import cross_fitted_rise
from flylab.results.power import seeds_needed
from flylab.results.sampling import components, with_test_set
from flylab.results.sequences import critical, log_ratio, mean_sequence, share_sequence
from flylab.results.statistics import Interval, interval, share_interval
from flylab.results.verdicts import decide

DRAWS: dict[str, tuple[Callable[..., Any], float]] = {
    "normal": (lambda rng, size: rng.normal(size=size), 0.0),
    "uniform": (lambda rng, size: rng.random(size), 0.5),
    "exponential": (lambda rng, size: rng.exponential(size=size), 1.0),
}
MOST = 100  # seeds that are added, one by one


class Row(NamedTuple):
    """A line of the table: what was simulated, what was promised, and what came, in percent."""

    what: str
    promised: str
    found: str


def percent(is_so: Any) -> str:
    """Return a share with the simulation's own 95 % error."""
    is_so = np.asarray(is_so, float)
    return f"{100 * is_so.mean():.1f} ± {196 * is_so.std() / math.sqrt(is_so.size):.1f}"


def covers(measured: Interval, truth: float) -> bool:
    return measured.low <= truth <= measured.high


def coverage(rng: np.random.Generator) -> Iterator[Row]:
    """Yield how often intervals for one look hold the truth."""
    for n, name, times in ((4, "normal", 4000), (4, "exponential", 4000), (10, "normal", 4000), (10, "uniform", 4000),
                           (10, "exponential", 4000), (30, "normal", 1000), (30, "exponential", 1000),
                           (100, "exponential", 400)):  # fmt: skip
        draw, truth = DRAWS[name]
        method = "Student t" if n < 30 else "bootstrap"
        found = [covers(interval(draw(rng, n)), truth) for _ in range(times)]
        yield Row(f"coverage, {method}, {n} seeds, {name}", "95", percent(found))
    for n, share in ((4, 50), (10, 90), (30, 50), (30, 97)):
        counts = rng.binomial(n, share / 100, 20_000)
        is_in = np.array([covers(share_interval([100.0] * k + [0.0] * (n - k)), share) for k in range(n + 1)])
        yield Row(f"coverage, binomial, {n} seeds, share {share} %", "≥ 95", percent(is_in[counts]))
    for agreement in (1.0, 0.5):
        found = []
        for _ in range(4000):
            shared, own = rng.random(1000) < 0.7, rng.random((10, 1000)) < 0.7
            correct = np.where(rng.random((10, 1000)) < agreement, shared, own)
            found.append(covers(with_test_set(interval(100 * correct.mean(1) + rng.normal(0, 0.5, 10)), 1000), 70))
        errors = "the same" if agreement == 1 else "half the same"
        yield Row(f"coverage, level with its test set's error, 10 seeds, errors {errors}", "≥ 95", percent(found))
    found = [components(rng.normal(size=30), rng.normal(0, math.sqrt(3), 30)) for _ in range(4000)]
    yield Row("coverage, data's share of the variance", "95", percent([c.low <= 200 / 3 <= c.high for c in found]))


def false_decisions(rng: np.random.Generator) -> Iterator[Row]:
    """Yield how often a claim that is just not true is supported, if seeds are added one by one until it is decided."""
    n = np.arange(4, MOST + 1)
    for name, side in (("normal", 1), ("uniform", 1), ("exponential", 1), ("exponential", -1)):
        draw, truth = DRAWS[name]
        values = side * (draw(rng, (10_000, MOST)) - truth)
        name += {1: ", claim ≥", -1: ", claim ≤"}[side]
        sums, squares = values.cumsum(1)[:, 3:], (values**2).cumsum(1)[:, 3:]
        t = sums / n / np.sqrt((squares - sums**2 / n) / (n - 1) / n)
        naive = t > stats.t.ppf(0.975, n - 1)
        valid = t > np.array([critical(int(size)) for size in n])
        valid[:, 0] = naive[:, 0]  # the first look is by Student's t
        yield Row(f"false decisions, {name}, Student t at each of {len(n)} looks", "(5)", percent(naive.any(1)))
        promised = "–" if name == "exponential, claim ≤" else "≤ 5"  # t of few skewed values keeps no promise
        yield Row(f"false decisions, {name}, flylab at each of {len(n)} looks", promised, percent(valid.any(1)))
    for share in (0.5, 0.9):
        counts = (rng.random((10_000, MOST)) < share).cumsum(1)
        exact = np.zeros((10_000, len(n)), bool)
        valid = np.zeros_like(exact)
        for i, size in enumerate(map(int, n)):
            k = counts[:, size - 1]
            exact[:, i] = stats.binom.sf(k - 1, size, share) < 0.025
            valid[:, i] = (k > size * share) & (log_ratio(k, size, share) > math.log(20))
        valid[:, 0] = exact[:, 0]
        yield Row(f"false decisions, share {share:.0%}, binomial at each look", "(5)", percent(exact.any(1)))
        yield Row(f"false decisions, share {share:.0%}, flylab at each look", "≤ 5", percent(valid.any(1)))


def power(rng: np.random.Generator) -> Iterator[Row]:
    """Yield how often the announced number of seeds settles a claim, where the present effect and spread are true."""
    for effect, low, high in ((0.3, 0.0, math.inf), (0.8, 0.0, math.inf), (0.1, -0.6, 0.7), (1.4, -1.0, 1.0)):
        present = effect + np.array([-1.0, 1.0] * 4) * math.sqrt(7 / 8)
        n = 8 + (seeds_needed(present, low, high) or 0)
        found = [decide(*mean_sequence(rng.normal(effect, 1, n))[1:3], (low, high)) != "undecided" for _ in range(4000)]
        region = f"≥ {low:g}" if high == math.inf else f"{low:g} … {high:g}"
        yield Row(f"power, effect {effect} sd, region {region}, {n} seeds in all", "90", percent(found))
    for k, size, bound in ((7, 8, 50), (4, 8, 80)):
        present = [100.0] * k + [0.0] * (size - k)
        n = size + (seeds_needed(present, bound, math.inf, is_share=True) or 0)
        counts = rng.binomial(n, k / size, 4000)
        is_settled = {int(c): decide(*share_sequence([100.0] * c + [0.0] * (n - c))[1:3], (bound, math.inf))
                      for c in set(counts.tolist())}  # fmt: skip
        found = [is_settled[c] != "undecided" for c in counts.tolist()]
        yield Row(f"power, share {100 * k / size:g} %, region ≥ {bound} %, {n} seeds in all", "≥ 90", percent(found))


def peaks(rng: np.random.Generator) -> Iterator[Row]:
    """Yield how often the interval of a cross-fitted height holds the truth, 0, on curves that do not rise."""
    for n, n_widths in ((4, 6), (6, 11), (20, 11)):
        found = []
        for _ in range(4000):
            heights = cross_fitted_rise(xr.DataArray(rng.normal(size=(n, n_widths)), dims=("seed", "width")), "width")
            found.append(covers(interval((heights.peak - heights.dip).values), 0.0))
        yield Row(f"coverage, cross-fitted height, {n} seeds, {n_widths} widths, no peak", "95", percent(found))


def main() -> None:
    """Print the table."""
    rng = np.random.default_rng(25)
    print("| simulated | promised, % | found, % |\n|---|---|---|")
    for part in (coverage, false_decisions, power, peaks):
        for row in part(rng):
            print(f"| {row.what} | {row.promised} | {row.found} |", flush=True)


if __name__ == "__main__":
    main()
