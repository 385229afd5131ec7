"""What the essay says of regularisers, and what else the comparison shows."""

from functools import partial
from typing import Any

from flylab.data.images.identity import TITLES
from flylab.results.claims import Claim, independent
from flylab.results.effects import Effect, contrast
from flylab.studies.regularisation.measures import agreement, clearer
from flylab.studies.regularisation.method import REGULARISERS


def _against(name: str, source: str, published: str) -> list[Claim]:
    """Return the claims that compare MNIST-1D with a set of images."""
    where: dict[str, Any] = {"requires": {"dataset": ("mnist1d", name), "regulariser": tuple(REGULARISERS)}, "above": 0,
             "on": "this set of images", "needs": "needs --dataset mnist" if name == "mnist" else ""}  # fmt: skip
    larger = f"differences between regularisers are larger, in standard errors, on MNIST-1D than on {TITLES[name]}"
    equal = {flops: Effect(partial(clearer, than=name, at_equal_flops=flops)) for flops in (True, False)}
    return [
        Claim(f"discriminates-regularisers.{name}", f"for equal FLOPs, {larger} (log₂ of the ratio)", source, published,
              "doublings", equal[True], **where),
        Claim(f"seeds.{name}", f"for equally many seeds, {larger} (log₂ of the ratio)", "here", "–", "doublings",
              equal[False], **where),
        Claim(f"same-order.{name}", f"MNIST-1D orders regularisers as {TITLES[name]} does (Kendall's τ of the orders "
              "of a seed)", "here", "–", "τ", Effect(partial(agreement, other=name)), **where),
    ]  # fmt: skip


def _helps(name: str, title: str) -> Claim:
    gain = contrast("test_accuracy", regulariser=(name, "none"), dataset="mnist1d", step=-1)
    return Claim(f"helps.{name}", f"on MNIST-1D, the MLP has a higher test accuracy with {title} than without "
                 "regulariser", "here", "–", "points", gain, above=0, independent_of=("regularisers",))  # fmt: skip


CLAIMS = independent(["dataset", "data_dir"], (
    *_against("mnist", "blog", "hard to judge on MNIST"),
    *_against("digits", "here", "–"),
    *(_helps(name, one.title) for name, one in REGULARISERS.items() if name != "none"),
))  # fmt: skip
