"""Does metalearning an activation on larger networks, or for the final loss, refine what it finds?

The essay reports that an activation learned on a small MLP for a low early training loss has a middle rank by final
test loss when it is taken to images, and suspects that "running the same metalearning algorithm on larger models and
datasets would further refine" it (Greydanus 2020). Here functions are learned on a deep MLP and on a CNN of MNIST-1D
and, with `--dataset mnist1d mnist`, on a CNN of MNIST: for early training loss as in the essay, and for final loss.
Every function is then used in every network, and ranked among eight usual ones, beside the functions that the
published protocol found. All train at the one learning rate at which functions are learned.
"""

from collections.abc import Callable
from typing import Any

import xarray as xr

from flylab.base.optional import need
from flylab.data import MNIST1D
from flylab.data.images import digest
from flylab.models import activations
from flylab.results.claims import Claim
from flylab.results.effects import Effect
from flylab.results.statistics import plus_minus
from flylab.results.tables import Table, over_seeds
from flylab.studies.activation_at_scale.drawing import figure
from flylab.studies.activation_at_scale.measures import TITLES, gain, learned_in, rank, title
from flylab.studies.activation_at_scale.method import (
    USUAL,
    Protocol,
    conditions,
    image_sets,
    n_steps,
    resources,
    run,
)
from flylab.study import Condition, Study

__all__ = [
    "CLAIMS", "STUDY", "USUAL", "Protocol", "conditions", "figure", "image_sets", "input_digest", "n_steps", "rank",
    "resources", "run", "table",
]  # fmt: skip

EVOLUTION = ("n_pairs", "sigma")


def _where(target: str, *others: str, evolved: bool = False) -> dict[str, Any]:
    """Return what claims on a target need, and the fields that they do not depend on."""
    has_images = "cnn2d" in (target, *others)
    needs = ["--dataset mnist1d mnist"] * has_images + ["--goals early final evolved"] * evolved
    fields = ("dataset", "goals") if evolved else ("dataset", "goals", *EVOLUTION)
    shared = {"on": "this data set"} if has_images else {}
    return shared | {"needs": f"needs {' '.join(needs)}" if needs else "", "independent_of": fields}


def _ranked(name: str, target: str, variable: str) -> Effect:
    """Return the rank of a kind of learned function among the usual ones and itself."""
    return Effect(lambda r: rank(r, name, target, variable), {"activation": (name, *USUAL), "target": target})


def _is_low(name: str, target: str, variable: str) -> Effect:
    return _ranked(name, target, variable).holds(lambda place: place <= 2)


def _on_one(t: str) -> tuple[Claim, ...]:
    """Return the claims on one target."""
    here, on = _where(t), TITLES[t]
    early, final, evolved = f"{t}.early", f"{t}.final", f"{t}.evolved"
    return (
        Claim(f"own-early.{t}", f"for most seeds, a function learned on the {on} for early training loss is first or "
              "second of nine there, by it", "here", "–", "% of seeds", _is_low(early, t, "early_loss"), above=50,
              **here),
        Claim(f"own-final.{t}", f"for most seeds, a function learned on the {on} for final loss is first or second of "
              "nine there, by final test loss", "here", "–", "% of seeds", _is_low(final, t, "test_loss"), above=50,
              **here),
        Claim(f"gain.{t}", f"with functions learned on the {on} for final loss its test accuracy is at least 1 point "
              "above that with the best usual function (by mean validation accuracy)", "here", "–", "points",
              Effect(lambda r: gain(r, final, t), {"activation": (final, *USUAL), "target": t}), above=1, **here),
        Claim(f"final-rank.{t}", f"on the {on}, functions learned for final loss rank at least one place better by "
              "final test loss than those learned for early training loss", "here", "–", "places",
              _ranked(early, t, "test_loss") - _ranked(final, t, "test_loss"), above=1, **here),
        Claim(f"larger-refines.{t}", f"on the {on}, functions learned on it for early training loss rank at least one "
              "place better by final test loss than those learned by the published protocol on a small MLP", "blog",
              "suspected", "places", _ranked("published", t, "test_loss") - _ranked(early, t, "test_loss"), above=1,
              **here),
        Claim(f"evolved-rank.{t}", f"on the {on}, functions learned for final loss by evolution, through whole "
              "trainings, rank better by final test loss than those learned by truncated unrolls", "here", "–",
              "places",
              _ranked(final, t, "test_loss") - _ranked(evolved, t, "test_loss"), above=0, **_where(t, evolved=True)),
    )  # fmt: skip


def _transfers(s: str, t: str) -> Claim:
    return Claim(
        f"transfers.{s}-{t}", f"for most seeds, a function learned on the {TITLES[s]} for early training loss is first "
        f"or second of nine on the {TITLES[t]}, by it", "here", "–", "% of seeds",
        _is_low(f"{s}.early", t, "early_loss"), above=50, **_where(t, s),
    )  # fmt: skip


CLAIMS = (
    *(claim for target in TITLES for claim in _on_one(target)),
    *(_transfers(source, target) for source in TITLES for target in TITLES if source != target),
)


def input_digest(protocol: Protocol) -> Callable[[Condition], str | None]:
    """Return the digest of the images, which every function is tested on; refuse evolution without its package."""
    if "evolved" in protocol.goals:
        need("evosax.algorithms", "evolution", "the goal evolved")  # before anything is trained
    found = "".join(map(digest, image_sets(protocol).values()))
    return lambda condition: found or None


def table(results: xr.Dataset) -> Table:
    """Tabulate, for each target, ranks among nine by early training loss and final test loss, and test accuracy."""
    targets, rows = results.target.values.tolist(), []
    for name in (*learned_in(results), *USUAL):
        row = [title(name)]
        for target in targets:
            row += [plus_minus(rank(results, name, target, variable)) if name not in USUAL else "–"
                    for variable in ("early_loss", "test_loss")]  # fmt: skip
            row.append(plus_minus(results.test_accuracy.sel(activation=name, target=target)))
        rows.append(row)
    columns = [f"{TITLES[target]}: {what}" for target in targets for what in ("rank, early", "rank, final", "test (%)")]
    return Table(over_seeds(results, "Learned on, and for"), ["", *columns], rows)


PRESETS = {
    "smoke": Protocol(n_seeds=2, n_outer_steps=2, n_steps=6, n_early=3, width=8,
                      data=MNIST1D(n_train=100, n_valid=50, n_test=50)),
    "quick": Protocol(),
    "evolved": Protocol(dataset=("mnist1d", "mnist"), goals=("early", "final", "evolved")),
    "paper": Protocol(n_seeds=10, n_outer_steps=100, n_steps=800, n_early=80,
                      data=MNIST1D(n_train=4000, n_valid=1000, n_test=1000)),
}  # fmt: skip
MINUTES = {"smoke": 0.4, "quick": 5, "evolved": 60, "paper": 23}
ARTIFACTS = {"activation": activations.FUNCTIONS}
STUDY = Study.of_module(__name__)
