"""Numbers as text for ticks, legends and cells: plain where that is short, else 3.2e-4."""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import LogFormatterSciNotation

_SMALL, _LARGE = 1e-2, 1e5  # fractions below, and numbers from there on, are written with exponents


def numbers(values: Sequence[Any]) -> list[str]:
    """Return numbers as text, of three digits or as many as tell them apart; other values as Python writes them.

    Fractions are written alike: if one needs an exponent, all have one.

    >>> numbers([1e-4, 10**-3.5, 0.01, 1, 250000.0])
    ['1e-4', '3.16e-4', '1e-2', '1', '2.5e5']
    >>> numbers([0.0, 0.02, 0.5]), numbers([100, 50000]), numbers(["mlp", True])
    (['0', '0.02', '0.5'], ['100', '50000'], ['mlp', 'True'])
    >>> numbers([0.1234, 0.1231, 12345.0])
    ['0.1234', '0.1231', '12345']
    """
    least = min((abs(value) for value in values if isinstance(value, float) and value), default=1.0)
    small = 1 if least < _SMALL else _SMALL
    at_digits = ([_text(value, small, digits) for value in values] for digits in range(3, 18))
    return next((texts for texts in at_digits if len(set(texts)) == len(set(values))), [*map(str, values)])


def _text(value: Any, small: float, digits: int = 3) -> str:
    if not isinstance(value, float) or not math.isfinite(value):
        return str(value)
    if value and not small <= abs(value) < _LARGE:
        mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    digits = max(digits, math.floor(math.log10(abs(value))) + 1) if value else digits
    return f"{value:.{digits}g}"


def rounded(value: float, digits: int) -> str:
    """Return a number with so many digits, the zeros at its end, too.

    >>> rounded(64.0, 3), rounded(100.0, 3), rounded(123456.0, 2)
    ('64.0', '100', '1.2e5')
    """
    text = f"{value:#.{digits}g}"
    return numbers([float(text)])[0] if "e" in text else text.rstrip(".")


class LogTicks(LogFormatterSciNotation):
    """Labels the ticks that matplotlib would label on a logarithmic axis, by `numbers`."""

    def __call__(self, x: float, pos: Any = None) -> str:
        """Return the label of a tick."""
        if self.axis is None or not super().__call__(x, pos):
            return ""
        low = min(self.axis.get_view_interval())
        return _text(float(x), 1 if low < 0.99 * _SMALL else _SMALL)


def write_ticks(axes: Sequence[Axes]) -> None:
    """Label logarithmic axes by `numbers` where they have matplotlib's own labels, such as $10^{-4}$."""
    for axis in (axis for ax in axes for axis in (ax.xaxis, ax.yaxis)):
        if type(axis.get_major_formatter()) is LogFormatterSciNotation:
            axis.set_major_formatter(LogTicks())
        if type(axis.get_minor_formatter()) is LogFormatterSciNotation:
            axis.set_minor_formatter(LogTicks(labelOnlyBase=False))
