"""The conditions of a sweep: axes of a grid or of random samples, and a filter, from the plain values of TOML."""

import ast
import itertools
import math
import operator
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

Condition = dict[str, Any]  # a value for each axis
MOST_VALUES = 1_000_000  # on one axis
SPACED = ("linear", "log", "range")
RANDOM = ("uniform", "log_uniform", "choice")


class Axis(NamedTuple):
    """An axis of a sweep, with its values or a function that draws one.

    Attributes:
        name: the name of the field that the axis sets.
        values: the values of a grid's axis, in order.
        draw: the function of a random axis: a generator → a value.
    """

    name: str
    values: tuple = ()
    draw: Callable[[np.random.Generator], Any] | None = None


def axis(name: str, spec: Any, whole: bool = False) -> Axis:
    """Return the axis that a value of a TOML file describes.

    Args:
        name: the name of the field that the axis sets.
        spec: a list of values; `{"linear": [low, high, n]}` or `{"log": [low, high, n]}`, including both ends;
            `{"range": [start, stop, step]}`, excluding `stop`; or, for random samples, `{"uniform": [low, high]}`,
            `{"log_uniform": [low, high]}` or `{"choice": [values]}`.
        whole: whether the field takes integers only. Values are then rounded, and repeated ones dropped.

    Raises:
        ValueError: if `spec` describes no axis.

    >>> axis("width", {"log": [10, 1000, 3]}, whole=True).values
    (10, 100, 1000)
    """
    if isinstance(spec, Mapping):
        if len(spec) != 1 or next(iter(spec)) not in (*SPACED, *RANDOM):
            raise ValueError(
                f"axis {name}: {dict(spec)} must be a list, or a table with one of {', '.join(SPACED + RANDOM)}"
            )
        ((kind, arguments),) = spec.items()
        if kind == "choice":
            options = _listed(name, arguments)
            return Axis(name, draw=lambda rng: options[int(rng.integers(len(options)))])
        numbers = _numbers(name, kind, arguments)
        if kind in RANDOM:
            return Axis(name, draw=_drawn(kind, numbers, whole))
        values = [round(value) for value in _spaced(kind, numbers)] if whole else _spaced(kind, numbers)
        return Axis(name, tuple(dict.fromkeys(values)))
    values = _listed(name, spec)
    if len(set(map(repr, values))) < len(values):
        raise ValueError(f"axis {name}: {list(values)} must not repeat a value")
    return Axis(name, values)


def _listed(name: str, values: Any) -> tuple:
    if isinstance(values, str) or not isinstance(values, Sequence | np.ndarray | range):
        raise ValueError(f"axis {name}: {values!r} must be a list of values")
    listed = tuple(values.tolist() if isinstance(values, np.ndarray) else values)
    if not 0 < len(listed) <= MOST_VALUES:
        raise ValueError(f"axis {name} has {len(listed)} values; it must have 1 … {MOST_VALUES}")
    for value in listed:
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"axis {name}: {value} must be finite")
    return tuple(tuple(value) if isinstance(value, list) else value for value in listed)


def _numbers(name: str, kind: str, arguments: Any) -> list[float]:
    names = {"linear": "low, high, n", "log": "low, high, n", "range": "start, stop, step"}.get(kind, "low, high")
    subject = f"axis {name}: {kind} = {arguments!r}"
    is_list = isinstance(arguments, list | tuple) and len(arguments) == names.count(",") + 1
    if not is_list or not all(_is_number(value) and abs(value) < 1e300 for value in arguments):
        raise ValueError(f"{subject} must be [{names}]")
    numbers = list(arguments)
    low, high = numbers[:2]
    if kind in ("log", "log_uniform") and not (low > 0 and high > 0):
        raise ValueError(f"{subject} must have ends > 0")
    if kind in ("linear", "log") and not (isinstance(numbers[2], int) and 1 <= numbers[2] <= MOST_VALUES):
        raise ValueError(f"{subject} must have 1 … {MOST_VALUES} values")
    if kind == "range" and not (numbers[2] and 0 < (high - low) / numbers[2] <= MOST_VALUES):
        raise ValueError(f"{subject} must have 1 … {MOST_VALUES} steps from start to stop")
    if kind in RANDOM and not low < high:
        raise ValueError(f"{subject} must have low < high")
    return numbers


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _spaced(kind: str, numbers: list) -> list:
    low, high, last = numbers
    if kind == "range":
        n = math.ceil((high - low) / last)
        return [low + i * last for i in range(n)]
    spaced = np.linspace(low, high, last) if kind == "linear" else np.geomspace(low, high, last)
    return [float(f"{value:.12g}") for value in spaced]  # 0.3, not 0.30000000000000004


def _drawn(kind: str, numbers: list[float], whole: bool) -> Callable[[np.random.Generator], Any]:
    low, high = numbers

    def draw(rng: np.random.Generator) -> Any:
        if kind == "log_uniform":
            value = math.exp(rng.uniform(math.log(low), math.log(high)))
        else:
            value = rng.uniform(low, high)
        return round(value) if whole else float(f"{value:.12g}")

    return draw


class Grid(NamedTuple):
    """The conditions of a sweep.

    Attributes:
        axes: the axes, in order. Random axes share one dimension, `sample`.
        samples: number of random samples. Each depends on its number only, so that more samples extend fewer.
        sample_seed: the seed of the samples.
        is_kept: the filter: condition → whether the sweep has it.
    """

    axes: tuple[Axis, ...]
    samples: int = 0
    sample_seed: int = 0
    is_kept: Callable[[Condition], bool] = lambda condition: True

    @property
    def fixed_axes(self) -> tuple[Axis, ...]:
        """The axes that are not drawn."""
        return tuple(axis for axis in self.axes if axis.draw is None)

    @property
    def size(self) -> int:
        """Number of conditions before the filter."""
        return math.prod(len(axis.values) for axis in self.fixed_axes) * max(self.samples, 1)

    def sampled(self) -> list[Condition]:
        """Return the values of the random axes in each sample."""
        return [
            {
                axis.name: axis.draw(np.random.default_rng([self.sample_seed, i, zlib.crc32(axis.name.encode())]))
                for axis in self.axes
                if axis.draw is not None
            }
            for i in range(self.samples)
        ]

    def conditions(self) -> Iterator[tuple[Condition, Condition]]:
        """Yield each condition's coordinates among the results (`sample` is the sample's number) and its values."""
        pairs = [list(zip(coordinate_values(axis.values), axis.values, strict=True)) for axis in self.fixed_axes]
        samples = [({"sample": i}, sample) for i, sample in enumerate(self.sampled())] or [({}, {})]
        for chosen in itertools.product(*pairs):
            coordinates = {axis.name: pair[0] for axis, pair in zip(self.fixed_axes, chosen, strict=True)}
            values = {axis.name: pair[1] for axis, pair in zip(self.fixed_axes, chosen, strict=True)}
            for number, sample in samples:
                if self.is_kept(condition := values | sample):
                    yield coordinates | number, condition


def coordinate_values(values: Sequence) -> list:
    """Return an axis's values for a coordinate: numbers, or all as text if one of them is not a number."""
    if all(map(_is_number, values)):
        return list(values)
    return [" ".join(map(str, value)) if isinstance(value, tuple) else str(value) for value in values]


_UNARY = {ast.Not: operator.not_, ast.USub: operator.neg}
_BINARY = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
}  # fmt: skip
_COMPARE = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Eq: operator.eq,
    ast.NotEq: operator.ne, ast.In: lambda a, b: a in b, ast.NotIn: lambda a, b: a not in b,
}  # fmt: skip
MOST_CHARACTERS = 500


def parse_filter(text: str, names: Sequence[str]) -> Callable[[Condition], bool]:
    """Turn a filter such as `width * learning_rate < 1 and model == "cnn"` into a function of a condition.

    A filter consists of axis names, numbers, text, `+ - * / // %`, comparisons, `in`, `and`, `or`, `not` and lists; no
    code is run.

    Args:
        text: the filter.
        names: the names of the axes.

    Raises:
        ValueError: if the filter has anything else; and, when it is called, if it fails for a condition.

    >>> parse_filter("width * 2 <= 20", ["width"])({"width": 10})
    True
    """
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"the filter has {len(text)} characters; it must have at most {MOST_CHARACTERS}")
    try:
        evaluate = _compiled(ast.parse(text.strip(), mode="eval").body, text, names)
    except (SyntaxError, MemoryError):
        raise ValueError(f"the filter {text!r} must be an expression such as: width * learning_rate < 1") from None
    except RecursionError:
        raise ValueError(f"the filter {text!r} is nested too deeply") from None

    def is_kept(condition: Condition) -> bool:
        try:
            return bool(evaluate(condition))
        except (TypeError, ArithmeticError, ValueError, RecursionError) as error:
            raise ValueError(f"the filter {text!r} fails for {condition}: {error}") from None

    return is_kept


def _compiled(node: ast.expr, text: str, names: Sequence[str]) -> Callable[[Condition], Any]:
    """Turn an expression into a function of a condition, or raise if filters must not have it."""

    def compiled(parts: Sequence[ast.expr]) -> list[Callable[[Condition], Any]]:
        return [_compiled(part, text, names) for part in parts]

    match node:
        case ast.Name(name) if name in names:
            return operator.itemgetter(name)
        case ast.Constant(int() | float() | str() as value):
            return lambda condition: value
        case ast.List(items) | ast.Tuple(items):
            functions = compiled(items)
            return lambda condition: [function(condition) for function in functions]
        case ast.BoolOp(op, operands):
            combine, functions = all if isinstance(op, ast.And) else any, compiled(operands)
            return lambda condition: combine(function(condition) for function in functions)
        case ast.UnaryOp(op, operand) if type(op) in _UNARY:
            (function,) = compiled([operand])
            return lambda condition: _UNARY[type(op)](function(condition))
        case ast.BinOp(left, op, right) if type(op) in _BINARY:
            functions = compiled([left, right])
            return lambda condition: _BINARY[type(op)](*(float(_number(function(condition))) for function in functions))
        case ast.Compare(left, ops, others) if _COMPARE.keys() >= set(map(type, ops)):
            functions = compiled([left, *others])

            def compare(condition: Condition) -> bool:
                pairs = itertools.pairwise(function(condition) for function in functions)
                return all(_COMPARE[type(op)](*pair) for op, pair in zip(ops, pairs, strict=True))

            return compare
    raise ValueError(
        f"the filter {text!r} has {ast.unparse(node)!r}, which is no axis ({', '.join(names)}), number, text or "
        "operation of filters"
    )


def _number(value: Any) -> float:
    if not _is_number(value):
        raise TypeError(f"{value!r} is not a number")
    return value
