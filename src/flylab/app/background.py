"""The playground's training: each runs in its own thread, reports progress, and ends with its page."""

import functools
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
from sklearn.metrics import confusion_matrix

from flylab.app.settings import Settings, mask, network, splits
from flylab.app.state import settings_of, usual
from flylab.training.dispatch import let_go
from flylab.training.networks import Population
from flylab.training.objectives import supervised
from flylab.training.population import watch_members

Phase = Literal["begun", "training", "done", "stopped", "failed"]

# A compiled program uses all devices. So trainings take turns, and each turn is one evaluation interval.
_TURNS = ThreadPoolExecutor(1, "flylab-turns")
MOST_AT_ONCE = 4  # trainings of all pages together
MOST_KEPT = 24  # trainings that pages find again
MOST_PROGRAMS = 40  # trainings until compiled programs are dropped: the memory maps of a process are limited


def key_of(settings: Settings) -> str:
    """Return a short name of settings, which tells nothing of them."""
    return hashlib.sha256(repr(settings).encode()).hexdigest()[:12]


class BusyError(ValueError):
    """Too many trainings are running."""


class Training:
    """Train several networks side by side in the background.

    A training ends when `stop` is called, and when the threads that asked for it have ended. A marimo page's thread
    ends when its tab is closed. The last trainings are kept, so that a page that is loaded again finds its results.

    Attributes:
        settings: the data, the networks and their training.
        populations: one population for each model, up to its last evaluation. The dictionary is replaced, not changed.
        phase: the state of the training; in the phase "failed", `error` gives the reason.
    """

    running: "set[Training]" = set()  # noqa: RUF012 (shared on purpose: all trainings of this process)
    recent: "OrderedDict[str, Training]" = OrderedDict()  # noqa: RUF012 (likewise)

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.populations: dict[str, Population] = {}
        self.phase: Phase = "begun"
        self.error = ""
        self._stop_requested = threading.Event()
        self._owners = [threading.current_thread()]
        self._thread = threading.Thread(target=self._run, daemon=True, name="flylab-training")
        if len(self.running) >= MOST_AT_ONCE:
            raise BusyError(f"{MOST_AT_ONCE} trainings are running already; stop one, or wait")
        self.running.add(self)
        self.recent.pop(self.key, None)
        self.recent[self.key] = self
        while len(self.recent) > MOST_KEPT:
            self.recent.popitem(last=False)
        self._thread.start()

    @classmethod
    def found(cls, key: str) -> "Training | None":
        """Return a kept training for the page that asks; if it is running, it now ends with this page."""
        if (training := cls.recent.get(key)) is not None:
            training._owners.append(threading.current_thread())
        return training

    @classmethod
    def of(cls, settings: Settings) -> "Training":
        """Return the kept training with these settings, which has the bits of a new one, or begin one.

        Raises:
            BusyError: if too many are running.
        """
        before = cls.found(key_of(settings))
        return cls(settings) if before is None or before.phase in ("stopped", "failed") else before

    @property
    def key(self) -> str:
        """The name by which pages find the training again."""
        return key_of(self.settings)

    @property
    def is_over(self) -> bool:
        """Whether the training has ended."""
        return self.phase in ("done", "stopped", "failed")

    @property
    def share(self) -> float:
        """The share of the training that is done, 0 … 1."""
        steps = [int(population.results.step[-1]) for population in self.populations.values()]
        return sum(steps) / (len(self.settings.models) * self.settings.n_steps)

    def stop(self) -> None:
        """Stop at the next evaluation."""
        self._stop_requested.set()

    def join(self, timeout: float | None = None) -> None:
        """Wait until the training has ended, for at most `timeout` seconds."""
        self._thread.join(timeout)

    def _run(self) -> None:
        try:
            self._train()
        except Exception as error:  # shown on the page: nobody would see a thread's traceback
            self.phase, self.error = "failed", str(error) or type(error).__name__
        finally:
            self.running.discard(self)
            _TURNS.submit(_drop_programs)

    def _train(self) -> None:
        watched: dict[str, Iterator[Population]] = {}
        for name in self.settings.models:
            objective = supervised(_TURNS.submit(network, self.settings, name).result())
            watched[name] = watch_members(objective, splits(self.settings.data), self.settings.plan, self.settings.grid)
        for _ in self.settings.plan.evaluated:
            for name, population in watched.items():
                if self._stop_requested.is_set() or not any(owner.is_alive() for owner in self._owners):
                    self.phase = "stopped"
                    return
                self.populations = {**self.populations, name: _TURNS.submit(next, population).result()}
                self.phase = "training"
        self.phase = "done"


@functools.cache
def prepare() -> threading.Thread:
    """Begin to compile what an untouched page trains, once, so that its first curves come at once."""

    def compiled() -> None:
        settings = settings_of(usual())
        for name in settings.models:
            objective = supervised(network(settings, name))
            population = watch_members(objective, splits(settings.data), settings.plan, settings.grid)
            for _ in range(2):  # before the first step, and after some
                _TURNS.submit(next, population).result()

    thread = threading.Thread(target=compiled, daemon=True, name="flylab-prepare")
    thread.start()
    return thread


_n_trainings: list[int] = [0]  # since compiled programs were last dropped


def _drop_programs() -> None:
    """Drop all compiled programs after every `MOST_PROGRAMS` trainings, once none is running."""
    _n_trainings[0] += 1
    if _n_trainings[0] >= MOST_PROGRAMS and not Training.running:
        _n_trainings[0] = 0
        let_go()
        network.cache_clear()
        mask.cache_clear()


def confusion(population: Population, labels: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the confusion matrix in percent of each true class (rows), mean over seeds, `(n_classes, n_classes)`."""
    predictions = population.results.prediction.values.reshape(-1, len(labels))
    truth = np.tile(labels, len(predictions))
    return 100 * confusion_matrix(truth, predictions.ravel(), labels=range(n_classes), normalize="true")


def misread(population: Population, labels: np.ndarray, n: int = 12) -> list[tuple[int, int, float]]:
    """Return the n examples that most seeds misread: (example, most frequent wrong class, percent of seeds)."""
    predictions = population.results.prediction.values.reshape(-1, len(labels))
    wrong = predictions != labels
    worst = np.argsort(-wrong.mean(0), kind="stable")[:n]
    misreadings = []
    for i in worst:
        if wrong[:, i].any():
            instead = np.bincount(predictions[wrong[:, i], i]).argmax()
            misreadings.append((int(i), int(instead), float(100 * wrong[:, i].mean())))
    return misreadings


def first_layer(population: Population) -> np.ndarray | None:
    """Return seed 0's weights of the first layer, `(n_units, n_inputs)`, or None if they are not one array."""
    params = population.params
    layer = params if "w" in params else next(iter(params.values()))
    if not isinstance(layer, dict) or "w" not in layer:
        return None
    weights = np.asarray(layer["w"])[0, 0]
    return weights.reshape(len(weights), -1)
