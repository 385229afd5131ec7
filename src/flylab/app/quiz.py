"""The human baseline: people read test examples; their accuracy beside that of networks (Greydanus 2020: 95.8 %)."""

import functools
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import binomtest

from flylab.base import files, netcdf
from flylab.base.config import plain
from flylab.data import MNIST1D, Dataset, published
from flylab.data.arrangements import shuffled

ARTIFACT = Path(__file__).parents[1] / "artifacts" / "predictions.nc"
PAPER = 95.8  # percent of 1000 examples, by one of the authors
ARRANGEMENTS = ("plain", "shuffled")
LENGTHS = (10, 25, 50, 100)
MODELS = {"logistic": "logistic regression", "mlp": "MLP", "cnn": "CNN", "gru": "GRU"}


@dataclass(frozen=True)
class Sitting:
    """Some test examples, and what a person has read so far.

    Attributes:
        arrangement: "plain", or "shuffled" as networks get them.
        items: numbers of test examples.
        answers: of the first items, digits.
        started: seconds since 1970.
    """

    arrangement: str
    items: tuple[int, ...]
    answers: tuple[int, ...] = ()
    started: float = 0.0

    @classmethod
    def begun(cls, n: int, arrangement: str, seed: int | None = None) -> "Sitting":
        """A new one of n examples drawn at random.

        Raises:
            ValueError: for another length or arrangement than there are.
        """
        if n not in LENGTHS or arrangement not in ARRANGEMENTS:
            raise ValueError(f"{n} {arrangement} examples: choose one of {LENGTHS}, {' or '.join(ARRANGEMENTS)}")
        drawn = np.random.default_rng(seed).permutation(len(test_set(arrangement).y))[:n]
        return cls(arrangement, tuple(int(i) for i in drawn), started=time.time())

    def answered(self, digit: int) -> "Sitting":
        """One more answer. After the last nothing changes.

        Raises:
            ValueError: for what is no digit.
        """
        if digit not in range(10):
            raise ValueError(f"{digit} is not an answer: give a digit from 0 to 9")
        return self if self.is_over else replace(self, answers=(*self.answers, digit))

    @property
    def is_over(self) -> bool:
        """Whether all are answered."""
        return len(self.answers) == len(self.items)

    @property
    def truth(self) -> tuple[int, ...]:
        """The true classes."""
        y = test_set(self.arrangement).y
        return tuple(int(y[i]) for i in self.items)

    @property
    def n_right(self) -> int:
        """Right answers so far."""
        return sum(answer == truth for answer, truth in zip(self.answers, self.truth, strict=False))


@functools.cache
def test_set(arrangement: str) -> Dataset:
    """The published test examples, in order or with their positions shuffled as in the studies."""
    order = shuffled(40) if arrangement == "shuffled" else None
    return published(MNIST1D(permutation=order)).test


def accuracy(n_right: int, n: int, level: float = 0.95) -> tuple[float, float, float]:
    """Percent right with Wilson's interval.

    >>> [round(value, 1) for value in accuracy(9, 10)]
    [90.0, 59.6, 98.2]
    """
    found = binomtest(n_right, n).proportion_ci(level, method="wilson")
    return 100 * n_right / n, 100 * float(found.low), 100 * float(found.high)


# ── networks on the same examples ────────────────────────────────────────────────────────────────────────────────────


def save_predictions(results: xr.Dataset, path: Path = ARTIFACT) -> None:
    """Keep of a run of `architectures` what its networks predicted: the artifact that the quiz compares with."""
    at = {"dataset": "mnist1d", "source": "published", "model": list(MODELS)}
    prediction = results.prediction.sel(at).isel(example=slice(1000)).drop_vars(["dataset", "source"])
    kept = prediction.transpose("model", "arrangement", "seed", "example").astype("uint8")
    netcdf.save(path, kept.to_dataset(name="prediction").assign_attrs(protocol=results.attrs["protocol"]))


@functools.cache
def predictions() -> xr.DataArray:
    """Of the published networks on the test set: `(model, arrangement, seed, example)`."""
    return netcdf.open_checked(ARTIFACT).prediction


def networks_on(arrangement: str, items: Sequence[int]) -> dict[str, tuple[float, float]]:
    """For each network its accuracy in percent on these examples, mean over seeds, and on all of them."""
    y, found = test_set(arrangement).y, {}
    for model, title in MODELS.items():
        right = predictions().sel(model=model, arrangement=arrangement).values == y
        found[title] = (100 * float(right[:, list(items)].mean()), 100 * float(right.mean()))
    return found


def both_missed(sittings: Sequence[Sitting], arrangement: str, model: str = "cnn") -> list[tuple[int, int, int]]:
    """Examples that people and most seeds of a network misread: (example, people's answer, the network's)."""
    y = test_set(arrangement).y
    read = predictions().sel(model=model, arrangement=arrangement).values
    found = {}
    for sitting in sittings:
        for i, answer in zip(sitting.items, sitting.answers, strict=False):
            if sitting.arrangement == arrangement and answer != y[i] and (read[:, i] != y[i]).mean() > 0.5:
                found[i] = (i, answer, int(np.bincount(read[:, i]).argmax()))
    return list(found.values())


def errors_by_class(sittings: Sequence[Sitting]) -> list[tuple[int, int, int]]:
    """(class, how often it was shown, how often misread)."""
    counts = {k: [0, 0] for k in range(10)}
    for sitting in sittings:
        for answer, truth in zip(sitting.answers, sitting.truth, strict=False):
            counts[truth][0] += 1
            counts[truth][1] += answer != truth
    return [(k, n, wrong) for k, (n, wrong) in counts.items()]


# ── kept on this machine ─────────────────────────────────────────────────────────────────────────────────────────────


def save(out: Path, sitting: Sitting) -> Path:
    """Keep a sitting under `out/quiz`.

    Raises:
        OSError: if it cannot be written.
    """
    path = out / "quiz" / f"{int(sitting.started * 1000)}.json"
    files.write_atomic(path, json.dumps(plain(sitting)))
    return path


def load(out: Path) -> list[Sitting]:
    """All sittings that were kept; files that are none are passed over."""
    found = []
    for path in sorted((out / "quiz").glob("*.json")):
        try:
            found.append(_sitting(json.loads(path.read_bytes())))
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            continue
    return found


def _sitting(data: Mapping[str, Any]) -> Sitting:
    items, answers = (tuple(int(value) for value in data[name]) for name in ("items", "answers"))
    n = len(test_set("plain").y)
    if data["arrangement"] not in ARRANGEMENTS or not all(0 <= i < n for i in items) or len(answers) > len(items):
        raise ValueError("no sitting")
    if not all(0 <= answer <= 9 for answer in answers):
        raise ValueError("no sitting")
    return Sitting(data["arrangement"], items, answers, float(data["started"]))


def exported(sittings: Sequence[Sitting]) -> bytes:
    """One row an answer, as CSV."""
    lines = ["started,arrangement,example,true_class,answer"]
    for one in sittings:
        for i, answer, truth in zip(one.items, one.answers, one.truth, strict=False):
            lines.append(f"{one.started:.0f},{one.arrangement},{i},{truth},{answer}")
    return ("\n".join(lines) + "\n").encode()
