"""The class of the reference package that holds arguments."""

from typing import Any


class ObjectView:
    """A view of a dictionary's items as attributes; setting an attribute sets the item.

    >>> view = ObjectView({"seed": 42})
    >>> view.seed = 43
    >>> vars(view)
    {'seed': 43}
    """

    def __init__(self, d: dict[str, Any]) -> None:
        self.__dict__ = d

    def __getattr__(self, name: str) -> Any:  # for missing attributes; tells type checkers that any may exist
        raise AttributeError(f"{name!r} is missing; there are {', '.join(map(str, vars(self))) or 'no attributes'}")
