"""The values that the sources print, for claims and figure.

"nb-old" and "nb" are the two generations of the authors' notebook `lottery_tickets`, of which the older one is the
blog's. All are test accuracies in percent after the last step, means of the two runs that each prints.
"""

from typing import NamedTuple

SAMPLING_ERROR = 3.0
"""Points: 1.96 · √(0.65 · 0.35 / 1000), the sampling error at 65 % of the 1000 test examples that both runs have."""


class Level(NamedTuple):
    """A treatment's published accuracy on fresh data."""

    treatment: str
    arrangement: str
    by_source: dict[str, float]


LEVELS = (
    Level("dense", "plain", {"nb-old": 63.6, "nb": 64.2}),
    Level("ticket", "plain", {"nb-old": 70.6, "nb": 65.9}),
    Level("random", "plain", {"nb-old": 59.2, "nb": 60.0}),
    Level("reinitialised", "plain", {"nb-old": 67.3, "nb": 65.5}),
    Level("dense-reinitialised", "plain", {"nb-old": 64.0, "nb": 63.8}),
    Level("dense", "shuffled", {"nb-old": 64.6, "nb": 63.8}),
    Level("ticket", "shuffled", {"nb-old": 62.8, "nb": 62.8}),
    Level("dense", "reversed", {"nb-old": 64.6, "nb": 63.1}),
    Level("ticket", "reversed", {"nb-old": 68.8, "nb": 62.8}),
    Level("dense", "exchanged", {"nb-old": 64.5, "nb": 64.1}),
    Level("ticket", "exchanged", {"nb-old": 66.2, "nb": 61.9}),
)
SEARCHED_TICKET, SEARCHED_DENSE = 75.0, (61.0, 66.0)  # nb, in the search at 92 %
