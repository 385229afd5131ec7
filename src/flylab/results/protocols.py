"""How protocols differ, as text: what a run changed of its preset, and what a preset reduces of `paper`."""

from collections.abc import Mapping
from typing import Any

_LONG = 40  # characters of a list that is written out


def flat(protocol: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a protocol, as JSON has it, with those of the configs in it beside them.

    >>> flat({"n_steps": 5, "data": {"n_train": 100}})
    {'n_steps': 5, 'n_train': 100}
    """
    own = {name: value for name, value in protocol.items() if not isinstance(value, dict)}
    for value in protocol.values():
        own |= value if isinstance(value, dict) else {}
    return own


def changes(protocol: Mapping[str, Any], preset: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields in which a protocol differs from a preset's, with text; both as JSON has them.

    >>> changes({"width": 100, "n_steps": 5}, {"width": 500, "n_steps": 5})
    {'width': 'width=100'}
    """
    ours, theirs = flat(protocol), flat(preset)
    names = [
        name for name in {**theirs, **ours} if name not in ours or name not in theirs or ours[name] != theirs[name]
    ]
    return {name: f"{name}={_text(ours[name])}" if name in ours else f"no {name}" for name in names}


def reductions(preset: Mapping[str, Any], paper: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields in which a preset differs from `paper`, with text; both as JSON has them.

    >>> quick, paper = {"n_rounds": 14, "sizes": [10], "way": "b"}, {"n_rounds": 100, "sizes": [10, 20], "way": "a"}
    >>> list(reductions(quick, paper).values())
    ['n_rounds 14 of 100', 'sizes 1 of 2', 'way b, not a']
    """
    ours, theirs = flat(preset), flat(paper)
    return {
        name: _reduction(name, ours[name], theirs[name])
        for name in ours
        if name in theirs and ours[name] != theirs[name]
    }


def _reduction(name: str, ours: Any, theirs: Any) -> str:
    if _is_number(ours) and _is_number(theirs) and 0 < ours < theirs:
        return f"{name} {ours:g} of {theirs:g}"
    if (
        isinstance(ours, list)
        and isinstance(theirs, list)
        and len(ours) < len(theirs)
        and all(v in theirs for v in ours)
    ):
        return f"{name} {len(ours)} of {len(theirs)}"
    return f"{name} {_text(ours)}, not {_text(theirs)}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: Any) -> str:
    text = (
        " ".join(map(str, value)) if isinstance(value, list) else f"{value:g}" if type(value) is float else str(value)
    )
    return text if len(text) <= _LONG or not isinstance(value, list) else f"({len(value)} values)"
