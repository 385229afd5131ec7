"""TODO"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from flylab.base.config import conform, hints

MOST_SEEDS = 10**7


@dataclass(frozen=True)
class BaseProtocol:
    """What every study's protocol has."""

    n_seeds: int = 10
    """Seeds: independent repetitions."""

    def __post_init__(self) -> None:
        for name, kind in hints(type(self)).items():  # from Python lists are as good; a protocol is a value, and hashed
            value = getattr(self, name)
            if isinstance(value, list | range | np.ndarray):
                value = tuple(np.asarray(value).tolist())
            object.__setattr__(
                self, name, conform(name, value.item() if isinstance(value, np.generic) else value, kind)
            )
        self._require(whole=("n_seeds",))
        if self.n_seeds > MOST_SEEDS:
            raise ValueError(f"n_seeds={self.n_seeds} is not allowed: give at most {MOST_SEEDS}")

    def _require(
        self,
        *,
        whole: Iterable[str] = (),
        positive: Iterable[str] = (),
        known: Mapping[str, Iterable[str]] = MappingProxyType({}),
    ) -> None:
        """Refuse fields that are not numbers ≥ 1, or > 0, or some of the known names; also tuples of such."""
        for names, is_good, one, several in (
            (whole, lambda value: 1 <= value < 2**31, "a whole number ≥ 1 and < 2³¹", "whole numbers ≥ 1 and < 2³¹"),
            (positive, lambda value: value > 0, "a number > 0", "numbers > 0"),
        ):
            for name in names:
                value = getattr(self, name)
                values = value if isinstance(value, tuple) else (value,)
                if not all(map(is_good, values)):
                    wanted = several if isinstance(value, tuple) else one
                    raise ValueError(f"{name}={value} is not allowed: give {wanted}")
        for name, allowed in known.items():
            if unknown := set(getattr(self, name)) - set(allowed):
                listed = ", ".join(sorted(unknown))
                raise ValueError(f"{name}={listed} is not allowed: give some of {', '.join(allowed)}")
