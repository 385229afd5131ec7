"""Imports of optional packages, with an error that says how to install them."""

import importlib
from types import ModuleType


class MissingExtraError(ValueError, ImportError):
    """An optional package that is not installed."""


def need(package: str, extra: str, what: str) -> ModuleType:
    """Import an optional package, or a module of one.

    Args:
        package: the name of the package or module.
        extra: the extra of flylab that installs the package.
        what: the feature that needs the package, for the error.

    Returns:
        The module.

    Raises:
        MissingExtraError: if the package is not installed; the message has the command that installs it.

    >>> need("no_such_package", "data", "a test")
    Traceback (most recent call last):
    flylab.base.optional.MissingExtraError: a test needs the package no_such_package: pip install 'flylab[data]'
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        top = package.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != top:
            raise
        raise MissingExtraError(f"{what} needs the package {top}: pip install 'flylab[{extra}]'") from None
