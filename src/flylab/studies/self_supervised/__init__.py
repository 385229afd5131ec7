"""Does a network learn what tells digits apart from nothing but random views of them, and in which layer?

A CNN learns to match two random views of a signal among the views of others, without labels (SimCLR, Chen et al. 2020).
Linear probes then read the digit from every layer (Greydanus & Kobak 2024, figure 8; the authors' notebook
`self-supervised-learning`). Inner layers may beat the output: "guillotine regularisation" (Bordes et al. 2023).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import xarray as xr

from flylab.data import MNIST1D
from flylab.results.claims import Claim, independent, sharing
from flylab.results.effects import Effect, n_test_of, pick
from flylab.results.tables import Table, over_seeds, pivot
from flylab.studies.self_supervised.drawing import figure
from flylab.studies.self_supervised.measures import (
    NOTEBOOK,
    TITLES,
    at_layer,
    best_layer,
    curve,
    lost_at_output,
    networks,
    title,
)
from flylab.studies.self_supervised.method import HEADS, Protocol, conditions, run, training
from flylab.studies.self_supervised.probes import BEFORE_HEAD
from flylab.study import Study

__all__ = [
    "BEFORE_HEAD", "CLAIMS", "HEADS", "NOTEBOOK", "STUDY", "TITLES", "Protocol", "at_layer", "best_layer",
    "conditions", "curve", "figure", "lost_at_output", "run", "table", "training",
]  # fmt: skip


def _effect(measure: Callable, *args: Any, head: str = "default", on: str = "train") -> Effect:
    """Return the effect `measure(results, *args)` of a network that learned by SimCLR."""
    return Effect(lambda results: measure(results, *args), {"head": head, "on": on, "objective": "simclr"})


def _before_head(on: str = "train", objective: str = "simclr") -> Effect:
    """Return the linear accuracy before the default head."""
    return pick("linear_accuracy", head="default", on=on, objective=objective, layer=BEFORE_HEAD)


def _guillotine(head: str) -> Claim:
    effect = _effect(lost_at_output, head, head=head)
    statement = f"{TITLES[head]}: accuracy peaks inside and is lower at the output"
    return Claim(f"guillotine-{head}", statement, "paper", "yes", "points", effect, above=0)


def _layer(head: str, layer: int, value: float) -> Claim:
    effect = _effect(at_layer, layer, head, head=head)
    id_, statement = f"layer-{head}-{layer}", f"linear accuracy after layer {layer} is {value} ± 3 %"
    if head == "deep":  # of two kinds of seeds, whose mean is that of neither
        near = effect.holds(lambda accuracy: abs(accuracy - value) <= 3)
        return Claim(id_, f"{TITLES[head]}: in most seeds {statement}", "nb", f"{value}", "% of seeds", near, above=50)
    level = replace(effect, n_test=n_test_of)
    return Claim(id_, f"{TITLES[head]}: {statement}", "nb", f"{value}", "%", level, within=(value - 3, value + 3))


def _peak(head: str, layer: int, source: str) -> Claim:
    effect = _effect(best_layer, head, head=head).holds(lambda best: best == layer)
    statement = f"{TITLES[head]}: in most seeds layer {layer} is the most accurate"
    id_ = f"peak-place-{head}.{source.partition(',')[0]}"
    return Claim(id_, statement, source, f"{layer}", "% of seeds", effect, above=50)


def _peaks(head: str) -> list[Claim]:
    """Return the paper's claim and the notebook's, one where they agree."""
    layer = NOTEBOOK[head].index(max(NOTEBOOK[head]))
    if layer == PAPER_PEAK:
        return [_peak(head, layer, "paper, nb")]
    return [_peak(head, PAPER_PEAK, "paper"), _peak(head, layer, "nb")]


PAPER_PEAK = 2  # "after the second layer", for all heads
CLAIMS = independent(["objectives", "heads", "on"], sharing("this data set", (
    Claim("probe", "linear accuracy before the default head is ≥ 80 %", "paper, nb", "82", "%",
          replace(_before_head(), n_test=n_test_of), above=80),
    *map(_guillotine, HEADS),
    Claim("layer-0", "linear accuracy on the signals themselves is 32.8 ± 3 %", "nb", "32.8", "%",
          replace(_effect(at_layer, 0, "default"), n_test=n_test_of), within=(29.8, 35.8), is_sanity_check=True),
    *(_layer(head, layer, value) for head in HEADS for layer, value in enumerate(NOTEBOOK[head]) if layer),
    Claim("deep-learns", "deep head: in most seeds linear accuracy before the head is ≥ 70 %", "here", "nb: 79.5",
          "% of seeds", _effect(at_layer, BEFORE_HEAD, "deep", head="deep").holds(lambda accuracy: accuracy >= 70),
          above=50),
    *(claim for head in HEADS for claim in _peaks(head)),
    Claim("probe-all", "trained on all 5000 signals: linear accuracy before the default head is ≥ 80 %", "paper", "82",
          "%", replace(_before_head(on="all"), n_test=n_test_of), above=80),
    Claim("vicreg", "VICReg in SimCLR's place: linear accuracy before the default head within ± 5 points", "here", "–",
          "points", _before_head(objective="vicreg") - _before_head(), within=(-5, 5)),
)))  # fmt: skip


def table(results: xr.Dataset) -> Table:
    """Return the linear accuracy after every layer."""
    places = networks(results)
    curves = [curve(results, head, on, objective).reset_coords(drop=True) for objective, on, head in places]
    layers = xr.concat(curves, "network", join="outer").assign_coords(network=[title(*place) for place in places])
    columns = {_layer_name(layer): layers.sel(layer=layer) for layer in layers.layer.values}
    return pivot(over_seeds(results, "Linear accuracy (%) after each layer"), columns, "network")


def _layer_name(layer: int) -> str:
    return "signal" if layer == 0 else f"conv {layer}" if layer <= BEFORE_HEAD else f"layer {layer}"


PRESETS = {
    "smoke": Protocol(n_seeds=2, n_epochs=2, objectives=("simclr", "vicreg"), on=("train", "all"),
                      data=MNIST1D(n_train=200, n_valid=0, n_test=60)),
    "quick": Protocol(n_seeds=4, n_epochs=100),
    "paper": Protocol(n_seeds=10, objectives=("simclr", "vicreg"), on=("train", "all")),
}  # fmt: skip
MINUTES = {"smoke": 0.5, "quick": 2, "paper": 24}
STUDY = Study.of_module(__name__)
