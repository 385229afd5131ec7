"""`MNIST1D`: every data parameter of the data set in one frozen value."""

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from flylab.base.constraints import MOST, Checked, Fraction, NonNegativeInt, PositiveInt, Seed
from flylab.data.templates import Templates, digits


@dataclass(frozen=True)
class MNIST1D(Checked):
    """The parameters of an MNIST-1D data set; by default the published one: 4000 + 1000 examples of 40 points.

    The data parameters have the names of the reference implementation (Greydanus & Kobak 2024, `mnist1d` on PyPI) and
    accept the same values.

    Attributes:
        n_train: training examples.
        n_valid: validation examples, generated with `seed + 1`, so that the published sets stay whole.
        n_test: test examples. `n_train + n_test` and `n_valid` must be multiples of the number of classes.
        template_len: padded templates have `template_len + padding[1]` points.
        padding: least and greatest number of zeros appended to a template.
        scale_coeff: width of the uniform amplitude jitter around 1.
        max_translation: circular shifts are drawn from 0 … max_translation − 1 points.
        corr_noise_scale: amplitude of the smooth noise in the padded region.
        iid_noise_scale: amplitude of the white noise added everywhere.
        shear_scale: width of the uniform jitter of the added linear trend.
        shuffle_seq: permute the positions by a permutation drawn from `seed`.
        final_seq_length: points of an example after resampling.
        seed: seed of all random draws.
        templates: the pattern of each class; by default the ten digits.
        permutation: order of the positions, applied last (see `arrangements`); by default they keep theirs.
        classes: labels to keep, e.g. 0 and 1; by default all. Examples of these classes only are generated.
        label_noise: fraction of the training labels that are redrawn uniformly from all labels.
        label_noise_repeats: whether a redraw may repeat the true label (then fewer labels are wrong).
        random_labels: number of labels from which every label, in all sets, is drawn; by default labels are true.
        n_outputs: outputs of a network on this set, if more than its labels require.

    Raises:
        ValueError: naming the data parameter, its value and what is allowed.

    >>> MNIST1D(max_translation=0)
    Traceback (most recent call last):
    ValueError: max_translation=0 must be an integer ≥ 1
    """

    n_train: NonNegativeInt = 4000
    n_valid: NonNegativeInt = 1000
    n_test: NonNegativeInt = 1000
    template_len: Annotated[int, Meta(le=MOST)] = 12
    padding: tuple[NonNegativeInt, Annotated[int, Meta(ge=-2, le=MOST)]] = (36, 60)
    scale_coeff: float = 0.4
    max_translation: Annotated[int, Meta(ge=1, le=2**62)] = 48
    corr_noise_scale: float = 0.25
    iid_noise_scale: float = 0.02
    shear_scale: float = 0.75
    shuffle_seq: bool = False
    final_seq_length: PositiveInt = 40
    seed: Seed = 42
    templates: Templates | None = None
    permutation: tuple[int, ...] | None = None
    classes: tuple[int, ...] | None = None
    label_noise: Fraction = 0.0
    label_noise_repeats: bool = True
    random_labels: PositiveInt | None = None
    n_outputs: PositiveInt | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(self.n_valid == 0 or self.seed < 2**32 - 1, "seed", "< 4294967295: n_valid is made of seed + 1")
        # the reference draws low + int(u·(high − low + 1)) zeros: from high = −2 on this is never negative
        self._require(self.n_points > (self.final_seq_length > 1), "template_len",
                      f"such that template_len + padding[1] = {self.n_points} is ≥ 2")  # fmt: skip
        if self.classes is not None:
            known, kept = dict.fromkeys(self._all_patterns.y), set(self.classes)
            is_subset = 0 < len(self.classes) == len(kept) and kept <= set(known)
            self._require(is_subset, "classes", f"some of {', '.join(map(str, known))}, each once")
        self._require(not (self.label_noise and self.random_labels), "label_noise", "0 with random_labels")
        least = self._greatest_label + 1
        self._require(self.n_outputs is None or self.n_outputs >= least, "n_outputs", f"an integer ≥ {least}")
        n, k = self.n_train + self.n_test, self.n_classes
        if n < k or n % k:
            sizes = f"n_train + n_test = {self.n_train} + {self.n_test}"
            raise ValueError(f"{sizes} must be a positive multiple of the {k} classes")
        self._require(self.n_valid % k == 0, "n_valid", f"a multiple of the {k} classes")
        if self.permutation is not None:
            last = self.final_seq_length - 1
            is_order = len(self.permutation) == last + 1 and sorted(self.permutation) == list(range(last + 1))
            self._require(is_order, "permutation", f"each of 0 … {last} once")

    @property
    def _all_patterns(self) -> Templates:
        return digits() if self.templates is None else self.templates

    @property
    def patterns(self) -> Templates:
        """The templates in use: `templates` or the ten digits, restricted to `classes`."""
        patterns = self._all_patterns
        if self.classes is None:
            return patterns
        rows = [row for label in self.classes for row, y in enumerate(patterns.y) if y == label]
        return Templates(tuple(patterns.x[row] for row in rows), patterns.t, tuple(patterns.y[row] for row in rows))

    @property
    def n_classes(self) -> int:
        """Number of patterns, one per class."""
        return len(self.patterns.y)

    @property
    def labels(self) -> tuple[int, ...]:
        """The labels that examples can have."""
        return tuple(dict.fromkeys(self.patterns.y) if self.random_labels is None else range(self.random_labels))

    @property
    def outputs(self) -> int:
        """Number of outputs that a network needs: `n_outputs`, or the greatest label + 1."""
        return self._greatest_label + 1 if self.n_outputs is None else self.n_outputs

    @property
    def _greatest_label(self) -> int:
        return max(self.patterns.y) if self.random_labels is None else self.random_labels - 1

    @property
    def n_points(self) -> int:
        """Points of a padded template, before the final resampling."""
        return self.template_len + self.padding[1]
