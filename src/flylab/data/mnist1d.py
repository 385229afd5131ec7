"""`MNIST1D`: every data parameter of the data set in one frozen value."""

import operator
import sys
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from flylab.base.config import shown
from flylab.data.templates import Templates, digits

MOST = 2**31 - 1  # of anything that is counted: arrays are indexed by 32 bits on devices


@dataclass(frozen=True)
class MNIST1D:
    """How an MNIST-1D data set is made. The default is the published one: 4000 + 1000 examples of 40 points.

    The data parameters keep the names of the reference implementation (Greydanus & Kobak 2024, `mnist1d` on PyPI), and what
    it accepts is accepted here.

    Attributes:
        n_train: training examples.
        n_valid: validation examples: a set of its own, made with `seed + 1`, so that the published ones stay whole.
        n_test: test examples. `n_train + n_test`, and `n_valid`, must be multiples of the number of classes.
        template_len: with `padding[1]`, the number of points that a padded template is stretched to.
        padding: least and greatest number of zeros appended to a template.
        scale_coeff: width of the uniform amplitude jitter around 1.
        max_translation: circular shifts are drawn from 0 … max_translation − 1 points.
        corr_noise_scale: amplitude of the smooth noise in the padded region.
        iid_noise_scale: amplitude of the white noise added everywhere.
        shear_scale: width of the uniform jitter of the added linear trend.
        shuffle_seq: permute the positions, by a permutation drawn from `seed`.
        final_seq_length: points of an example, after resampling.
        seed: of all random draws.
        templates: the pattern of each class; by default the ten digits.
        permutation: an order of the positions to apply at the end (see `arrangements`); by default none.
        classes: the labels to keep, e.g. `(0, 1)`; by default all. The set is made of these classes only.
        label_noise: share of the training labels that are redrawn uniformly from all labels.
        label_noise_repeats: whether a redraw may give the true label again (then fewer labels end up wrong).
        random_labels: replace every label, of all sets, by a uniform one of so many; by default none.
        n_outputs: outputs of a network that reads the set, where they are to be more than it has labels.

    Raises:
        ValueError: naming the data parameter, its value and what is allowed.

    >>> MNIST1D(max_translation=0)
    Traceback (most recent call last):
    ValueError: max_translation=0 is not allowed: give a whole number ≥ 1
    """

    n_train: int = 4000
    n_valid: int = 1000
    n_test: int = 1000
    template_len: int = 12
    padding: tuple[int, int] = (36, 60)
    scale_coeff: float = 0.4
    max_translation: int = 48
    corr_noise_scale: float = 0.25
    iid_noise_scale: float = 0.02
    shear_scale: float = 0.75
    shuffle_seq: bool = False
    final_seq_length: int = 40
    seed: int = 42
    templates: Templates | None = None
    permutation: tuple[int, ...] | None = None
    classes: tuple[int, ...] | None = None
    label_noise: float = 0.0
    label_noise_repeats: bool = True
    random_labels: int | None = None
    n_outputs: int | None = None

    def __post_init__(self) -> None:
        for name in ("n_train", "n_valid", "n_test"):
            _whole(self, name, at_least=0, at_most=MOST)
        if not isinstance(self.templates, Templates | None):
            _refuse("templates", self.templates, "give Templates, e.g. by Templates.of")
        _whole(self, "template_len", at_most=MOST)
        _whole(self, "max_translation", at_least=1, at_most=2**62)
        _whole(self, "final_seq_length", at_least=1, at_most=MOST)
        _whole(self, "seed", at_least=0, at_most=2**32 - (2 if self.n_valid else 1))
        for name in ("scale_coeff", "corr_noise_scale", "iid_noise_scale", "shear_scale", "label_noise"):
            value = getattr(self, name)
            is_number = isinstance(value, int | float | np.floating | np.integer) and not isinstance(value, bool)
            number = value.item() if isinstance(value, np.generic) else value
            if not is_number or not abs(number) <= sys.float_info.max:
                _refuse(name, value, "give a finite number")
            object.__setattr__(self, name, float(value))
        for name in ("shuffle_seq", "label_noise_repeats"):
            if not isinstance(getattr(self, name), bool | np.bool_):
                _refuse(name, getattr(self, name), "give True or False")
            object.__setattr__(self, name, bool(getattr(self, name)))
        self._check_padding()
        self._check_labels()
        self._check_counts()
        self._check_permutation()

    def _check_padding(self) -> None:
        try:
            low, high = (operator.index(value) for value in self.padding)
        except (TypeError, ValueError):
            _refuse("padding", self.padding, "give two whole numbers, the least and the greatest")
        object.__setattr__(self, "padding", (low, high))
        if max(low, high) > MOST:
            _refuse("padding", self.padding, f"give numbers ≤ {MOST}")
        if low < 0 or high < -2:  # the reference draws low + int(u·(high − low + 1)), which must not be negative
            _refuse("padding", self.padding, "the number of zeros must not be negative")
        if self.n_points < 1 + (self.final_seq_length > 1):
            _refuse("template_len", self.template_len, f"template_len + padding[1] = {self.n_points} must be ≥ 2")

    def _check_counts(self) -> None:
        if self.n_train + self.n_test < self.n_classes:
            _refuse("n_train", self.n_train, f"n_train + n_test must be ≥ {self.n_classes}, one of each class")
        if (self.n_train + self.n_test) % self.n_classes:
            wanted = f"their sum must be a multiple of the {self.n_classes} classes"
            _refuse("n_train + n_test", f"{self.n_train} + {self.n_test}", wanted)
        if self.n_valid % self.n_classes:
            _refuse("n_valid", self.n_valid, f"give a multiple of the {self.n_classes} classes")

    def _check_labels(self) -> None:
        if self.classes is not None:
            known = self._all_patterns.y
            try:
                kept = tuple(operator.index(label) for label in self.classes)
            except TypeError:
                kept = ()
            if not kept or len(set(kept)) < len(kept) or not set(kept) <= set(known):
                names = ", ".join(map(str, dict.fromkeys(known)))
                _refuse("classes", self.classes, f"give some of {names}, each once")
            object.__setattr__(self, "classes", kept)
        if not 0 <= self.label_noise <= 1:
            _refuse("label_noise", self.label_noise, "give a share between 0 and 1")
        if self.random_labels is not None:
            _whole(self, "random_labels", at_least=1, at_most=MOST)
            if self.label_noise:
                _refuse("label_noise", self.label_noise, "with random_labels no label is true; give 0")
        if self.n_outputs is not None:
            _whole(self, "n_outputs", at_least=self._greatest_label + 1, at_most=MOST)

    def _check_permutation(self) -> None:
        if self.permutation is None:
            return
        try:
            order = tuple(operator.index(position) for position in self.permutation)
        except TypeError:
            order = ()
        if len(order) != self.final_seq_length or sorted(order) != list(range(len(order))):
            _refuse("permutation", self.permutation, f"give each of 0 … {self.final_seq_length - 1} once")
        object.__setattr__(self, "permutation", order)

    @property
    def _all_patterns(self) -> Templates:
        return digits() if self.templates is None else self.templates

    @property
    def patterns(self) -> Templates:
        """The templates in use: the given ones, or the ten digits; of them, those of `classes`."""
        found = self._all_patterns
        if self.classes is None:
            return found
        rows = [row for label in self.classes for row, own in enumerate(found.y) if own == label]
        return Templates(tuple(found.x[row] for row in rows), found.t, tuple(found.y[row] for row in rows))

    @property
    def n_classes(self) -> int:
        """Number of patterns, one a class."""
        if self.templates is None:
            return 10 if self.classes is None else len(self.classes)
        return len(self.patterns.y)

    @property
    def labels(self) -> tuple[int, ...]:
        """The labels that examples can have."""
        return tuple(dict.fromkeys(self.patterns.y) if self.random_labels is None else range(self.random_labels))

    @property
    def outputs(self) -> int:
        """Number of outputs that a network needs: `n_outputs`, or as many as the greatest label asks for."""
        return self._greatest_label + 1 if self.n_outputs is None else self.n_outputs

    @property
    def _greatest_label(self) -> int:
        return max(self.patterns.y) if self.random_labels is None else self.random_labels - 1

    @property
    def n_points(self) -> int:
        """Points of a padded template, before the final resampling."""
        return self.template_len + self.padding[1]


def _whole(config: MNIST1D, name: str, at_least: int | None = None, at_most: int | None = None) -> None:
    value = getattr(config, name)
    wanted = "give a whole number" + (f" ≥ {at_least}" if at_least is not None else "")
    try:
        number = operator.index(value)
    except TypeError:
        _refuse(name, value, wanted)
    is_above = at_most is not None and number > at_most
    if is_above:
        wanted += f" and ≤ {at_most}"
    if isinstance(value, bool) or is_above or (at_least is not None and number < at_least):
        _refuse(name, value, wanted)
    object.__setattr__(config, name, number)


def _refuse(name: str, value: object, remedy: str) -> NoReturn:
    said = value if isinstance(value, str) else shown(value)
    raise ValueError(f"{name}={said} is not allowed: {remedy}")
