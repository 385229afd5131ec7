"""The ten 12-point digit templates that every MNIST-1D example grows from."""

import functools
import itertools
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from jaxtyping import Float, Int
from msgspec import Meta

from flylab.base.constraints import MOST, Checked, PositiveInt, check

MOST_CLASSES, MOST_PARTS = 10_000, 100  # of composed templates
# Traced by hand by the data set's author (Greydanus 2020); read top to bottom, the value is the pen's position.
_DIGITS = (
    (5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5),
    (5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5),
    (5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5),
    (5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5),
    (5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5),
    (5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5),
    (5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5),
    (5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5),
)


@dataclass(frozen=True)
class Templates(Checked):
    """The noise-free pattern of each class.

    Attributes:
        x: the patterns, `n_classes` tuples of `length` values.
        t: their common time axis, `length` values.
        y: the integer label of each pattern.

    Raises:
        ValueError: if the lengths disagree, a pattern has fewer than two points, or a value is not finite.

    >>> Templates.of([[0, 1, 0], [0, -1, 0]]).y
    (0, 1)
    """

    x: tuple[tuple[float, ...], ...]
    t: tuple[float, ...]
    y: tuple[Annotated[int, Meta(ge=-MOST, le=MOST)], ...]

    def __post_init__(self) -> None:
        try:
            super().__post_init__()
        except ValueError as error:
            raise ValueError(f"templates: {error}") from None
        if not self.x or len(self.y) != len(self.x):
            raise ValueError(f"templates: {len(self.x)} patterns but {len(self.y)} labels; give one label each")
        lengths = {len(row) for row in self.x} | {len(self.t)}
        if len(lengths) != 1 or min(lengths) < 2:
            raise ValueError(f"templates: lengths {sorted(lengths)}; all patterns and t need one length ≥ 2")

    @classmethod
    def of(cls, x, t=None, y=None) -> "Templates":
        """Return templates from arrays or lists: `x (n_classes, length)`, `t (length,)`, `y (n_classes,)`.

        By default `t` is the published time axis, from −5/6 to 5/6, and `y` counts from 0.
        """
        x = np.asarray(x, float)
        if x.ndim != 2:
            raise ValueError(f"templates: x has shape {x.shape}; it must be (n_classes, length)")
        t = np.linspace(-5, 5, x.shape[1]) / 6.0 if t is None else np.asarray(t, float)
        y = np.arange(len(x)) if y is None else np.asarray(y)
        return cls(tuple(map(tuple, x.tolist())), tuple(t.tolist()), tuple(int(label) for label in y))

    def arrays(
        self,
    ) -> tuple[Float[np.ndarray, "n_classes length"], Float[np.ndarray, " length"], Int[np.ndarray, " n_classes"]]:
        """Return `x`, `t` and `y` as NumPy arrays."""
        return np.array(self.x), np.array(self.t), np.array(self.y)


@functools.cache
def digits() -> Templates:
    """Return the ten published digits: whitened, starting and ending at 0, 12 points each (Greydanus 2020).

    >>> len(digits().x), len(digits().t)
    (10, 12)
    """
    x = np.array(_DIGITS, float)
    x -= x.mean(1, keepdims=True)
    x /= x.std(1, keepdims=True)
    x -= x[:, :1]
    return Templates.of(x / 6.0)


def compose(templates: Templates | None = None, n: int = 2) -> Templates:
    """Return all sequences of `n` templates as templates: 100 classes of 24 points from the ten digits, by default.

    Class `i · n_templates + j` is template i followed by template j (for `n = 2`). The published digits start and end
    at 0, so that nothing jumps where they meet. Give the data set `n` times the usual `template_len`, `padding`,
    `max_translation` and `final_seq_length`, so that each part keeps its size in points.

    Args:
        templates: what to compose; by default the ten digits.
        n: templates in a sequence.

    Returns:
        `n_templates ** n` templates of `n · length` points, labelled from 0; labels of `templates` are ignored.

    Raises:
        ValueError: if `n` is no positive integer or above 100, or there are more than 10 000 sequences.

    >>> from flylab.data import MNIST1D
    >>> pairs = compose()
    >>> config = MNIST1D(templates=pairs, template_len=24, final_seq_length=80)
    >>> config.n_classes, len(pairs.t)
    (100, 24)
    """
    n = check("n", n, PositiveInt)
    x = check("templates", digits() if templates is None else templates, Templates).arrays()[0]
    if n > MOST_PARTS or len(x) ** n > MOST_CLASSES:
        raise ValueError(f"n={n}: {len(x)} templates have {len(x)}^{n} sequences; at most {MOST_CLASSES} sequences of "
                         f"at most {MOST_PARTS} templates are possible")  # fmt: skip
    return Templates.of([np.concatenate(rows) for rows in itertools.product(x, repeat=n)])
