"""What the essay says about regularisers, and what else the comparison shows."""

from functools import partial
from typing import Any

from flylab.data.images.identity import TITLES as IMAGES
from flylab.results.claims import Claim, independent, sharing
from flylab.results.effects import Effect
from flylab.studies.regularisation.measures import accuracy, agreement, clearer
from flylab.studies.regularisation.method import METHODS, TITLES

ALL = tuple(METHODS)


def _against(dataset: str, source: str, published: str) -> tuple[Claim, ...]:
    requires: dict[str, Any] = {"dataset": ("mnist1d", dataset), "regulariser": ALL}
    where = {"needs": f"needs --dataset {dataset}"} if dataset != "digits" else {}
    name = IMAGES[dataset]
    larger = f"differences between regularisers are larger, in standard errors, on MNIST-1D than on {name}"
    return (
        Claim(f"discriminates-regularisers.{dataset}", f"for equal FLOPs {larger} (log₂ of the ratio)", source,
              published, "log₂", Effect(partial(clearer, than=dataset, at_equal_flops=True), requires), above=0,
              **where),
        Claim(f"discriminates-regularisers.seeds.{dataset}", f"for equally many seeds {larger} (log₂ of the ratio)",
              "here", "–", "log₂", Effect(partial(clearer, than=dataset, at_equal_flops=False), requires), above=0,
              **where),
        Claim(f"same-order.{dataset}", f"MNIST-1D orders regularisers as {name} does (Kendall's τ of a seed's orders)",
              "here", "–", "τ", Effect(partial(agreement, other=dataset), requires), above=0, **where),
    )  # fmt: skip


def _helps(method: str) -> Claim:
    effect = Effect(lambda r: (accuracy(r, "mnist1d").sel(regulariser=method) - accuracy(r, "mnist1d").sel(regulariser="none")),
                    {"dataset": "mnist1d", "regulariser": ("none", method)})  # fmt: skip
    return Claim(f"helps.{method}", f"on MNIST-1D {TITLES[method]} raises the test accuracy of the MLP", "here", "–",
                 "points", effect, above=0)  # fmt: skip


CLAIMS = independent(
    ["dataset", "data_dir"],
    (
        *sharing("these data sets", (*_against("mnist", "blog", "hard to judge on MNIST"),
                                     *_against("digits", "here", "–"))),
        *independent(["regularisers"], sharing("this data set", tuple(map(_helps, ALL[1:])))),
    ),
)  # fmt: skip
