"""What pages may ask of the machine: of their user's own, or of one that a whole class shares."""

from typing import NamedTuple


class Limits(NamedTuple):
    """Bounds for all pages of a server.

    Attributes:
        flops: most operations of one training.
        examples: most training and test examples together.
        at_once: trainings that run, taking turns; the others wait in a queue.
        waiting: most trainings in the queue.
        each: most trainings of one page that run or wait.
        kept: trainings that pages find again.
        pages: most open pages.
        pause: milliseconds between two messages while a slider moves.
        refresh: seconds between two looks at what is running.
        is_class: whether others share the machine: then pages neither run studies nor write files.
    """

    flops: float
    examples: int
    at_once: int
    waiting: int
    each: int
    kept: int
    pages: int
    pause: int
    refresh: float
    is_class: bool


ALONE = Limits(flops=1e13, examples=30_000, at_once=4, waiting=12, each=16, kept=24, pages=64, pause=60, refresh=0.5,
               is_class=False)  # fmt: skip
# 60 pages that are redrawn three times a second already fill two cores; a training takes seconds, not minutes
CLASS = Limits(flops=2e12, examples=6000, at_once=2, waiting=160, each=2, kept=200, pages=200, pause=300, refresh=2,
               is_class=True)  # fmt: skip
_chosen = [ALONE]


def now() -> Limits:
    """Return the limits of this process."""
    return _chosen[0]


def choose(limits: Limits) -> None:
    """Set the limits of this process."""
    _chosen[0] = limits
