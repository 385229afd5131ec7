"""Trainings of the playground: each in a thread of its own, watched while it runs, gone when its page is."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np

from flylab.app.settings import Settings, mask, network, splits
from flylab.training.objectives import supervised
from flylab.training.population import Population, let_go, watch_members

Phase = Literal["begun", "training", "done", "stopped", "failed"]

# One program trains on all devices: trainings take turns, an evaluation each, in the order in which they ask.
_TURNS = ThreadPoolExecutor(1, "flylab-turns")
MOST_AT_ONCE = 4  # trainings of all pages
MOST_PROGRAMS = 40  # trainings whose compiled programs are kept: a process may map only so much memory


class BusyError(ValueError):
    """Too many trainings are under way."""


class Training:
    """Networks that train side by side in the background.

    It stops when asked to, and by itself once the thread that began it has ended: a marimo page's, when its tab is
    closed.

    Attributes:
        settings: what is trained.
        populations: by model, up to the last evaluation; replaced, never changed.
        phase: how far it is; `error` says why it failed.
    """

    running: "set[Training]" = set()  # noqa: RUF012 (all trainings of this process)

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.populations: dict[str, Population] = {}
        self.phase: Phase = "begun"
        self.error = ""
        self._asked_to_stop = threading.Event()
        self._owner = threading.current_thread()
        self._thread = threading.Thread(target=self._run, daemon=True, name="flylab-training")
        if len(self.running) >= MOST_AT_ONCE:
            raise BusyError(f"{MOST_AT_ONCE} trainings are under way already; stop one, or wait")
        self.running.add(self)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self.phase in ("done", "stopped", "failed")

    @property
    def share(self) -> float:
        """Of the training that is done, 0 … 1."""
        steps = [int(one.results.step[-1]) for one in self.populations.values()]
        return sum(steps) / (len(self.settings.models) * self.settings.n_steps)

    def stop(self) -> None:
        """End after the evaluation under way."""
        self._asked_to_stop.set()

    def join(self, timeout: float | None = None) -> None:
        """Wait until it is over."""
        self._thread.join(timeout)

    def _run(self) -> None:
        try:
            self._train()
        except Exception as error:  # said on the page: a thread's own traceback nobody would see
            self.phase, self.error = "failed", str(error) or type(error).__name__
        finally:
            self.running.discard(self)
            _TURNS.submit(_let_go)

    def _train(self) -> None:
        watched: dict[str, Iterator[Population]] = {}
        for name in self.settings.models:
            own = supervised(_TURNS.submit(network, self.settings, name).result())
            watched[name] = watch_members(own, splits(self.settings.data), self.settings.plan, self.settings.grid)
        for _ in self.settings.plan.evaluated:
            for name, population in watched.items():
                if self._asked_to_stop.is_set() or not self._owner.is_alive():
                    self.phase = "stopped"
                    return
                self.populations = {**self.populations, name: _TURNS.submit(next, population).result()}
                self.phase = "training"
        self.phase = "done"


_since: list[int] = [0]  # trainings since programs were let go


def _let_go() -> None:
    """Forget compiled programs now and then, when nobody trains."""
    _since[0] += 1
    if _since[0] >= MOST_PROGRAMS and not Training.running:
        _since[0] = 0
        let_go()
        network.cache_clear()
        mask.cache_clear()


# ── what a page shows of it ──────────────────────────────────────────────────────────────────────────────────────────


def confusion(population: Population, labels: np.ndarray, n_classes: int) -> np.ndarray:
    """Share in percent of each true class (rows) that was read as each class, mean over seeds."""
    predictions = population.results.prediction.values.reshape(-1, len(labels))
    counts = np.zeros((n_classes, n_classes))
    for predicted in predictions:
        np.add.at(counts, (labels, predicted), 1)
    totals = counts.sum(1, keepdims=True)
    return 100 * np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)


def misread(population: Population, labels: np.ndarray, n: int = 12) -> list[tuple[int, int, float]]:
    """The examples that most seeds misread: (example, the class most read instead, share of seeds in percent)."""
    predictions = population.results.prediction.values.reshape(-1, len(labels))
    wrong = predictions != labels
    worst = np.argsort(-wrong.mean(0), kind="stable")[:n]
    found = []
    for i in worst:
        if wrong[:, i].any():
            instead = np.bincount(predictions[wrong[:, i], i]).argmax()
            found.append((int(i), int(instead), float(100 * wrong[:, i].mean())))
    return found


def first_layer(population: Population) -> np.ndarray | None:
    """The first layer's weights `(n_units, n_inputs)` of seed 0, or None where it has none that are a matrix."""
    params = population.params
    layer = params if "w" in params else next(iter(params.values()))
    if not isinstance(layer, dict) or "w" not in layer:
        return None
    weights = np.asarray(layer["w"])[0, 0]
    return weights.reshape(len(weights), -1)
