"""The playground's training: each runs in its own thread, reports progress, and ends with its pages."""

import copy
import functools
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

from flylab.app import limits
from flylab.app.settings import Settings, mask, network, splits
from flylab.app.state import settings_of, usual
from flylab.training.dispatch import let_go
from flylab.training.networks import Population
from flylab.training.objectives import supervised
from flylab.training.population import watch_members

Phase = Literal["begun", "training", "done", "stopped", "failed"]

# A compiled program uses all devices. So trainings take turns, and each turn is one evaluation interval.
_TURNS = ThreadPoolExecutor(1, "flylab-turns")
_CHANGED = threading.Condition()  # of the trainings that are not over
MOST_PROGRAMS = 40  # trainings until compiled programs are dropped: the memory maps of a process are limited


def key_of(settings: Settings) -> str:
    """Return a short name of settings, which tells nothing of them."""
    return hashlib.sha256(repr(settings).encode()).hexdigest()[:12]


class BusyError(ValueError):
    """Too many trainings are running."""


class Training:
    """Train several networks side by side in the background.

    Trainings of all pages stand in one queue, of which the first ones run. A training ends when all pages that asked
    for it have stopped it or are gone: a marimo page's thread ends when its tab is closed. The last trainings are kept,
    so that a page that is loaded again finds its results.

    Attributes:
        settings: the data, the networks and their training.
        populations: one population for each model, up to its last evaluation. The dictionary is replaced, not changed.
        phase: the state of the training; in the phase "failed", `error` gives the reason.
    """

    running: "list[Training]" = []  # noqa: RUF012 (shared on purpose: the queue of this process)
    recent: "OrderedDict[str, Training]" = OrderedDict()  # noqa: RUF012 (likewise)

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.populations: dict[str, Population] = {}
        self.phase: Phase = "begun"
        self.error = ""
        page, most = threading.current_thread(), limits.now()
        self._owners = [page]
        self._thread = threading.Thread(target=self._run, daemon=True, name="flylab-training")
        with _CHANGED:
            if sum(page in one._owners for one in self.running) >= most.each:
                raise BusyError(f"{most.each} trainings of this page are not over; stop them, or wait")
            if len(self.running) >= most.at_once + most.waiting:
                raise BusyError(f"{most.waiting} trainings are waiting already; try again in some minutes")
            self.running.append(self)
            self.recent.pop(self.key, None)
            self.recent[self.key] = self
            while len(self.recent) > most.kept:
                self.recent.popitem(last=False)
        self._thread.start()

    @classmethod
    def found(cls, key: str) -> "Training | None":
        """Return a kept training for the page that asks; if it is running, it now ends with this page, too."""
        with _CHANGED:
            training, page = cls.recent.get(key), threading.current_thread()
            if training is not None and page not in training._owners:
                training._owners.append(page)
        return training

    @classmethod
    def of(cls, settings: Settings) -> "Training":
        """Return the kept training with these settings, which has the bits of a new one, or begin one.

        Raises:
            BusyError: if too many are running.
        """
        before = cls.found(key_of(settings))
        return cls(settings) if before is None or before.phase in ("stopped", "failed") else before

    @classmethod
    def all_of(cls, wanted: Sequence[Settings]) -> "tuple[Training, ...]":
        """Return trainings with these settings, see `of`; if one is refused, none is begun.

        Raises:
            BusyError: if too many are running.
        """
        made: list[Training] = []
        try:
            for settings in wanted:
                made.append(cls.of(settings))
        except BusyError:
            for training in made:
                training.stop()
            raise
        return tuple(made)

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

    @property
    def place(self) -> int:
        """The place in the queue, from 1 on; 0 if the training runs or is over."""
        with _CHANGED:
            before = self.running.index(self) if self in self.running else 0
        return max(before + 1 - limits.now().at_once, 0)

    def stop(self) -> "Training":
        """Stop at the next evaluation, and return the training; one that other pages want goes on, without this page.

        Then what is returned is the training as it is now, stopped.
        """
        page = threading.current_thread()
        with _CHANGED:
            self._owners = [owner for owner in self._owners if owner is not page]
            _CHANGED.notify_all()
            if self.is_over or not self._is_wanted:
                return self
        left = copy.copy(self)
        left.phase = "stopped"
        return left

    @property
    def _is_wanted(self) -> bool:
        return any(owner.is_alive() for owner in self._owners)

    def join(self, timeout: float | None = None) -> None:
        """Wait until the training has ended, for at most `timeout` seconds."""
        self._thread.join(timeout)

    def _run(self) -> None:
        try:
            with _CHANGED:
                while self.place and self._is_wanted:
                    _CHANGED.wait(1)  # nobody tells of a page that is gone
            self._train()
        except Exception as error:  # shown on the page: nobody would see a thread's traceback
            self.phase, self.error = "failed", str(error) or type(error).__name__
        finally:
            with _CHANGED:
                self.running.remove(self)
                _CHANGED.notify_all()
            _TURNS.submit(_drop_programs)

    def _train(self) -> None:
        watched: dict[str, Iterator[Population]] = {}
        for name in self.settings.models if self._is_wanted else ():
            objective = supervised(_TURNS.submit(network, self.settings, name).result())
            watched[name] = watch_members(objective, splits(self.settings.data), self.settings.plan, self.settings.grid)
        for _ in self.settings.plan.evaluated:
            for name in self.settings.models:
                if not self._is_wanted:
                    self.phase = "stopped"
                    return
                self.populations = {**self.populations, name: _TURNS.submit(next, watched[name]).result()}
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
