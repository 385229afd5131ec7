"""Options of the commands: those that several share, and one for every field of a configuration."""

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import docstring_parser
from cyclopts import CoercionError, Group, Parameter, convert

from flylab.base.files import user_path

EXPANDED = Parameter(converter=lambda kind, tokens: user_path(tokens[0].value))  # a shell leaves --out=~/runs as it is
File = Annotated[Path, EXPANDED]
Runs = Annotated[File, Parameter(help="Folder of all runs, of a study, or of one run, or the results.nc in it.")]
Out = Annotated[File, Parameter(help="Folder of all runs.")]
Switch = Annotated[bool, Parameter(negative=(), show_default=False)]
Force = Annotated[Switch, Parameter(help="Train everything again.")]
Json = Annotated[Switch, Parameter(help="Print JSON.")]
OPTIONS = Group("Options", sort_key=0)
FUNCTIONS = Group("Your own functions", sort_key=9)
RUNS = Path("runs")


def exactly(kind: Any, tokens: Any) -> Any:
    """Convert words by cyclopts's rules without its rounding, which makes the integer 2 of 2.5."""
    return convert(kind, tokens, lambda leaf, word: int(word) if leaf is int else convert(leaf, [word]))


def as_field(kind: Any, tokens: Any) -> Any:
    """Convert words like `exactly`; leave words that do not fit as they are, for the configuration to refuse."""
    try:
        return exactly(kind, tokens)
    except (CoercionError, ValueError):
        words = tuple(_number_or_word(token.value) for token in tokens)
        return words if get_origin(kind) is tuple else words[0]


def as_field_or_none(kind: Any, tokens: Any) -> Any:
    """Convert words like `as_field`; the word None stands for itself."""
    return None if [token.value.lower() for token in tokens] == ["none"] else as_field(kind, tokens)


def _number_or_word(word: str) -> int | float | str:
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(word)
    return word


def with_options(command: Callable[..., Any], presets: Mapping[str, Any]) -> Callable[..., Any]:
    """Give a command that takes `**changes` an option for every field of a configuration and of those nested in it.

    Cyclopts can make options of a dataclass, too, but fills the fields that are not given from the class instead of
    from an instance, such as a preset.

    Args:
        command: The function; it receives the options that are given as keywords.
        presets: Configurations of one class by name. Help shows their values, with the names where they differ.
    """
    options = []
    values = [{name: value for name, value, *_ in _fields(config)} for config in presets.values()]
    for name, _, kind, help_, group in _fields(next(iter(presets.values()))):
        words = [_words(value[name]) for value in values]
        shown = words[0] if len(set(words)) == 1 else ", ".join(map("{} ({})".format, words, presets))
        details = Parameter(
            help=help_, group=group, converter=as_field_or_none if NoneType in get_args(kind) else as_field,
            negative=None if kind is bool else (), show_default=(lambda _, shown=shown: shown) if shown else False,
        )  # fmt: skip
        option = inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=values[0][name])
        options.append(option.replace(annotation=Annotated[kind, details]))
    signature = inspect.signature(command)
    own = [parameter for parameter in signature.parameters.values() if parameter.kind is not parameter.VAR_KEYWORD]
    command.__signature__ = signature.replace(parameters=[*own, *options])  # type: ignore[attr-defined]
    return command


def with_functions(command: Callable[..., Any], slots: Mapping[str, Any]) -> Callable[..., Any]:
    """Give a command an option for every slot of a study, which takes places of functions."""
    signature = inspect.signature(command)
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=(), annotation=Annotated[
            tuple[str, ...], Parameter(help=f"FILE.py:FUNCTION …, {slot.help}", group=FUNCTIONS, show_default=False)])
        for name, slot in slots.items()
    ]  # fmt: skip
    command.__signature__ = signature.replace(parameters=[*signature.parameters.values(), *options])  # type: ignore[attr-defined]
    return command


def _fields(config: Any, depth: int = 1) -> Iterator[tuple[str, Any, Any, str, Group]]:
    """Yield name, value, type, meaning and heading of every field that words can give, the type without constraints."""
    kinds, meanings = get_type_hints(type(config)), {}
    for base in reversed(type(config).__mro__[:-1]):
        meanings |= {entry.arg_name: entry.description for entry in docstring_parser.parse_from_object(base).params}
    for name, kind in kinds.items():
        if is_dataclass(value := getattr(config, name)):
            yield from _fields(value, depth + 1)
        elif not any(map(is_dataclass, get_args(kind))):
            meaning = meanings.get(name) or ""
            yield name, value, kind, meaning[:1].upper() + meaning[1:], Group(type(config).__name__, sort_key=depth)


def _words(value: Any) -> str:
    """Return a value as it is given on the command line; nothing for one that no word stands for."""
    return " ".join(map(str, value)) if isinstance(value, tuple) else "" if value is None else str(value)
