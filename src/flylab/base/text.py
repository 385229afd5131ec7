"""Text from files and users, as terminals may show it."""


def visible(text: object) -> str:
    r"""Return text with control characters escaped, so that a terminal shows them and obeys none.

    >>> visible("a  b\x1b[31m")
    'a  b\\x1b[31m'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def one_line(text: object) -> str:
    r"""Return text as one line, with control characters escaped.

    >>> one_line("a \n\n b\x1b[31m")
    'a b\\x1b[31m'
    """
    return visible(" ".join(str(text).split()))
