"""Differences of protocols as text."""

import pytest

from flylab.results.protocols import changes, reductions

PAPER = {
    "n_steps": 6000,
    "rate": 0.01,
    "sizes": [1000, 2000],
    "way": "linear",
    "is_fresh": True,
    "data": {"n_train": 4000},
}


@pytest.mark.parametrize(
    ("differing", "changed", "reduced"),
    [
        ({}, [], []),
        ({"n_steps": 3000}, ["n_steps=3000"], ["n_steps 3000 of 6000"]),
        ({"n_steps": 9000}, ["n_steps=9000"], ["n_steps 9000, not 6000"]),
        ({"rate": 0.001}, ["rate=0.001"], ["rate 0.001 of 0.01"]),
        ({"rate": None}, ["rate=None"], ["rate None, not 0.01"]),
        ({"sizes": [1000]}, ["sizes=1000"], ["sizes 1 of 2"]),
        ({"sizes": [5, 6]}, ["sizes=5 6"], ["sizes 5 6, not 1000 2000"]),
        ({"sizes": list(range(1000, 1030))}, ["sizes=(30 values)"], ["sizes (30 values), not 1000 2000"]),
        ({"way": "geometric"}, ["way=geometric"], ["way geometric, not linear"]),
        ({"is_fresh": False}, ["is_fresh=False"], ["is_fresh False, not True"]),
        ({"data": {"n_train": 500}}, ["n_train=500"], ["n_train 500 of 4000"]),
        ({"data": {}}, ["no n_train"], []),
        ({"more": 1}, ["more=1"], []),
    ],
)  # fmt: skip
def test_differences(differing, changed, reduced):
    assert list(changes(PAPER | differing, PAPER).values()) == changed
    assert list(reductions(PAPER | differing, PAPER).values()) == reduced
