"""`BaseProtocol`: the fields that the protocols of all studies have, and how fields are checked."""

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from flylab.base.constraints import Checked

MOST_SEEDS = 10**7
NSeeds = Annotated[int, Meta(ge=1, le=MOST_SEEDS)]
Published = Literal["logistic", "mlp", "cnn", "gru"]  # `models.registry.PUBLISHED`


@dataclass(frozen=True)
class BaseProtocol(Checked):
    """A study's protocol: its fields are checked by their annotations, see `flylab.base.constraints`."""

    n_seeds: NSeeds = 10
    """Seeds: independent repetitions."""
