"""Does pooling help, and does that depend on how many examples there are to learn from?

A small CNN learns MNIST-1D without pooling, with stride 2, and with max, average and L2 pooling, on training sets of
growing size (Greydanus & Kobak 2024, figure 9; the authors' notebook `pooling`). Each seed has its own data and
initialisation; the published run had one of each. Endless data, generated in each training step so that no example is
seen twice, are the limit of many examples.
"""

from typing import Any

import xarray as xr

from flylab.results.claims import Claim, independent
from flylab.results.effects import Effect, contrast, final, slope
from flylab.results.tables import Table, over_seeds, pivot
from flylab.studies.pooling.drawing import TITLES, figure, notebook, sizes, title
from flylab.studies.pooling.method import HIGH, LOW, SLOTS, Protocol, conditions, run, training, try_pooling
from flylab.study import Study

__all__ = [
    "CLAIMS", "HIGH", "LOW", "SLOTS", "STUDY", "TITLES", "Protocol", "conditions", "figure", "gain", "run",
    "sizes", "table", "title", "training", "try_pooling",
]  # fmt: skip

TRUE_POOLINGS = ("max", "average", "l2")


def gain(pooling: str, variable: str = "test_accuracy", **at: Any) -> Effect:
    """Return the points of final accuracy gained over no pooling, paired by seed."""
    return contrast(variable, pooling=(pooling, "none"), step=-1, **at)


def _restricts(pooling: str) -> Claim:
    statement = f"with 50 000 examples {TITLES[pooling]} pooling fits the training set less well than none"
    published = f"“restricting model expression” ({notebook('train_accuracy', pooling, HIGH)} vs 96.9)"
    return Claim(f"restricts-{pooling}", statement, "nb", published, "points",
                 gain(pooling, "train_accuracy", **MANY), below=0, independent_of=FIXED_SIZE)  # fmt: skip


def _claim(id_: str, pooling: str, statement: str, source: str, published: str, at: dict[str, Any], **region) -> Claim:
    """Return a claim about the gain of a pooling; endless data have one size."""
    effect = gain(pooling, **at) if "n_train" in at else gain(pooling, **at).then(lambda gains: gains.mean("n_train"))
    is_endless = at["source"] == "endless"
    arms, shared = (("train_sizes", "endless"), "these test examples") if is_endless else (FIXED_SIZE, "")
    statement = statement.format(TITLES[pooling])
    return Claim(f"{id_}-{pooling}", statement, source, published, "points", effect, independent_of=arms, on=shared,
                 **region)  # fmt: skip


ENDLESS = ("endless", "endless_n_test")
FIXED_SIZE = ("train_sizes", *ENDLESS)
FEW, MANY = {"source": "published", "n_train": LOW}, {"source": "published", "n_train": HIGH}


def _l2_lead(**at: Any) -> Effect:
    """Return the points of final accuracy that L2 pooling has over max pooling."""
    return contrast("test_accuracy", pooling=("l2", "max"), source="published", step=-1, **at)


CLAIMS = independent(["poolings", "eval_every"], (
    *(_claim("low-data", name, "with 1000 examples {} pooling is ≥ 10 points better than none", "nb",
             f"{notebook('test_accuracy', name, LOW)} vs 59.2", FEW, above=10) for name in TRUE_POOLINGS),
    Claim("stride-is-not-pooling", "with 1000 examples stride 2 is not better than no pooling", "nb", "57.4 vs 59.2",
          "points", gain("stride", **FEW), below=0, independent_of=FIXED_SIZE),
    *(_claim("high-data-equal", name, "with 50 000 examples {} pooling differs from none by less than 1 point",
             "blog, paper", "not much difference", MANY, within=(-1, 1)) for name in TRUE_POOLINGS),
    *(_claim("high-data-hinders", name, "with 50 000 examples {} pooling is worse than none", "paper",
             f"hindered (nb: {notebook('test_accuracy', name, HIGH)} vs 96.3)", MANY, below=0)
      for name in TRUE_POOLINGS),
    Claim("max-vs-l2", "with 50 000 examples L2 pooling is better than max pooling", "blog", "yes (nb: 97.1 vs 98.1)",
          "points", _l2_lead(n_train=HIGH), above=0, independent_of=FIXED_SIZE),
    Claim("max-vs-l2-slope", "L2 pooling gains on max pooling as the training set grows", "blog",
          "yes (nb: −1.0 at both ends)", "points per decade", _l2_lead().then(slope, "n_train", base=10), above=0,
          requires={"n_train": (LOW, HIGH)}, independent_of=ENDLESS),
    *map(_restricts, TRUE_POOLINGS),
    *(_claim("endless-equal", name, "with endless data {} pooling differs from none by less than 1 point", "here", "–",
             {"source": "endless"}, within=(-1, 1)) for name in TRUE_POOLINGS),
))  # fmt: skip


def table(results: xr.Dataset) -> Table:
    """Return the test accuracy by pooling and training-set size."""
    last = final(results.test_accuracy)
    columns = {name: last.sel(source=source, n_train=n) for (source, n), name in sizes(results).items()}
    return pivot(over_seeds(results, "Test accuracy (%) by training examples"), columns, "pooling", name=title)


PRESETS = {
    "smoke": Protocol(n_seeds=2, n_steps=10, eval_every=5, train_sizes=(LOW, HIGH), endless_n_test=100, channels=4),
    "quick": Protocol(n_seeds=4, n_steps=3000, train_sizes=(LOW,)),
    "paper": Protocol(),
}
MINUTES = {"smoke": 0.5, "quick": 1, "paper": 17}
STUDY = Study.of_module(__name__)
