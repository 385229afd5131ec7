"""The human baseline: people classify test examples, and are compared with networks (Greydanus 2020: 95.8 %)."""

import contextlib
import functools
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal, get_args

import msgspec
import numpy as np
import xarray as xr
from scipy.stats import binomtest

from flylab.base import files, netcdf
from flylab.base.constraints import check
from flylab.data import MNIST1D, Dataset, published
from flylab.data.arrangements import shuffled
from flylab.models import model_title
from flylab.models.registry import PUBLISHED

ARTIFACT = Path(__file__).parents[1] / "artifacts" / "predictions.nc"
PAPER = 95.8  # accuracy in percent of one of the authors
Arrangement = Literal["plain", "shuffled"]
Length = Literal[10, 25, 50, 100]
ARRANGEMENTS, LENGTHS = get_args(Arrangement), get_args(Length)
Item = Annotated[int, msgspec.Meta(ge=0, lt=MNIST1D().n_test)]
Digit = Annotated[int, msgspec.Meta(ge=0, le=9)]


@dataclass(frozen=True)
class Sitting:
    """Some test examples, and a person's answers so far.

    Attributes:
        arrangement: "plain", or "shuffled" with the permutation that the studies use.
        items: indices of test examples.
        answers: digits, one for each of the first items.
        started: time of the start, in seconds since 1970.
        is_practice: whether each answer is corrected at once; such sittings do not count and are not saved.
    """

    arrangement: Arrangement
    items: tuple[Item, ...]
    answers: tuple[Digit, ...] = ()
    started: float = 0.0
    is_practice: bool = False

    @classmethod
    def begun(
        cls, n: Length, arrangement: Arrangement, seed: int | None = None, is_practice: bool = False
    ) -> "Sitting":
        """Return a new sitting of n examples drawn at random.

        Raises:
            ValueError: if `n` is not in `LENGTHS`, or `arrangement` not in `ARRANGEMENTS`.
        """
        check("n", n, Length)
        check("arrangement", arrangement, Arrangement)
        items = np.random.default_rng(seed).permutation(len(test_set(arrangement).y))[:n]
        return cls(arrangement, tuple(int(i) for i in items), (), time.time(), is_practice)

    def answered(self, digit: int) -> "Sitting":
        """Return the sitting with one more answer; a sitting that is over is returned unchanged.

        Raises:
            ValueError: if `digit` is not an integer from 0 to 9.
        """
        check("digit", digit, Digit)
        return self if self.is_over else replace(self, answers=(*self.answers, digit))

    def undone(self) -> "Sitting":
        """Return the sitting without its last answer; one that is over is returned unchanged."""
        return self if self.is_over else replace(self, answers=self.answers[:-1])

    @property
    def is_over(self) -> bool:
        """Whether all items are answered."""
        return len(self.answers) == len(self.items)

    @property
    def truth(self) -> tuple[int, ...]:
        """The true classes of the items."""
        y = test_set(self.arrangement).y
        return tuple(int(y[i]) for i in self.items)

    @property
    def n_right(self) -> int:
        """The number of correct answers so far."""
        return sum(answer == truth for answer, truth in zip(self.answers, self.truth, strict=False))


@functools.cache
def test_set(arrangement: str) -> Dataset:
    """Return the published test set, plain or with its positions shuffled as in the studies."""
    order = shuffled(40) if arrangement == "shuffled" else None
    return published(MNIST1D(permutation=order)).test


def accuracy(n_right: int, n: int, level: float = 0.95) -> tuple[float, float, float]:
    """Return the accuracy in percent with Wilson's confidence interval: (accuracy, low, high).

    >>> [round(value, 1) for value in accuracy(9, 10)]
    [90.0, 59.6, 98.2]
    """
    interval = binomtest(n_right, n).proportion_ci(level, method="wilson")
    return 100 * n_right / n, 100 * float(interval.low), 100 * float(interval.high)


def save_predictions(results: xr.Dataset, path: Path = ARTIFACT) -> None:
    """Save the networks' predictions from results of `architectures`, as the artifact that the quiz compares with."""
    condition = {"dataset": "mnist1d", "source": "published", "model": list(PUBLISHED)}
    prediction = results.prediction.sel(condition).isel(example=slice(1000)).drop_vars(["dataset", "source"])
    prediction = prediction.transpose("model", "arrangement", "seed", "example").astype("uint8")
    netcdf.save(path, prediction.to_dataset(name="prediction").assign_attrs(protocol=results.attrs["protocol"]))


@functools.cache
def predictions() -> xr.DataArray:
    """Return the published networks' predictions on the test set, `(model, arrangement, seed, example)`."""
    return netcdf.open_checked(ARTIFACT).prediction


def networks_on(arrangement: str, items: Sequence[int]) -> dict[str, tuple[float, float]]:
    """Return each network's accuracy in percent, mean over seeds: (on these examples, on the whole test set)."""
    y, accuracies = test_set(arrangement).y, {}
    for model in PUBLISHED:
        right = predictions().sel(model=model, arrangement=arrangement).values == y
        accuracies[model_title(model)] = (100 * float(right[:, list(items)].mean()), 100 * float(right.mean()))
    return accuracies


def both_missed(sittings: Sequence[Sitting], arrangement: str, model: str = "cnn") -> list[tuple[int, int, int]]:
    """Return the examples that people and most seeds of a network misread: (example, people's answer, network's)."""
    y = test_set(arrangement).y
    predicted = predictions().sel(model=model, arrangement=arrangement).values
    missed = {}
    for sitting in sittings:
        for i, answer in zip(sitting.items, sitting.answers, strict=False):
            if sitting.arrangement == arrangement and answer != y[i] and (predicted[:, i] != y[i]).mean() > 0.5:
                missed[i] = (i, answer, int(np.bincount(predicted[:, i]).argmax()))
    return list(missed.values())


def errors_by_class(sittings: Sequence[Sitting]) -> list[tuple[int, int, int]]:
    """Return for each class: (class, number of examples shown, number misread)."""
    counts = {k: [0, 0] for k in range(10)}
    for sitting in sittings:
        for answer, truth in zip(sitting.answers, sitting.truth, strict=False):
            counts[truth][0] += 1
            counts[truth][1] += answer != truth
    return [(k, n, wrong) for k, (n, wrong) in counts.items()]


def save(out: Path, sitting: Sitting) -> Path:
    """Save a sitting under `out/quiz` and return its path.

    Raises:
        OSError: if the file cannot be written.
    """
    path = out / "quiz" / f"{int(sitting.started * 1000)}.json"
    files.write_atomic(path, msgspec.json.encode(sitting))
    return path


def load(out: Path) -> list[Sitting]:
    """Return all saved sittings; files that are not sittings are skipped."""
    sittings = []
    for path in sorted((out / "quiz").glob("*.json")):
        with contextlib.suppress(OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            sitting = msgspec.json.decode(files.read_bytes(path), type=Sitting)
            if len(sitting.answers) <= len(sitting.items):
                sittings.append(sitting)
    return sittings


def exported(sittings: Sequence[Sitting]) -> bytes:
    """Return all answers as CSV, one row for each."""
    lines = ["started,arrangement,example,true_class,answer"]
    for sitting in sittings:
        for i, answer, truth in zip(sitting.items, sitting.answers, sitting.truth, strict=False):
            lines.append(f"{sitting.started:.0f},{sitting.arrangement},{i},{truth},{answer}")
    return ("\n".join(lines) + "\n").encode()
