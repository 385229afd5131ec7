"""What the essay guessed and what came out, for the pages of studies; the role `verdict` writes every number."""

import itertools

_DATA = {"mnist1d": "MNIST-1D", "digits": "digits", "mnist": "MNIST", "cifar10": "CIFAR-10"}


def _each(study: str, *claims: str) -> str:
    """Return claims on each data set as a list."""
    lines = (f"- {_DATA[name]}: {{verdict}}`{study}/{claim}-{name}`\n"
             for claim, name in itertools.product(claims, _DATA))  # fmt: skip
    return "".join(lines)


_STUDY = "tickets_at_scale"
ANSWERS = {
    _STUDY: f"""**What was guessed.** On MNIST-1D, survivors in a ticket's first layer are neighbours more often than
by chance, which the essay reads as a spatial prior that pruning has found. It guesses that tickets of larger networks
have one, too.

**What came out.** Do survivors cluster in the published width, and in the widest network? Chance, a ratio of 1, keeps
the survivors of every unit and every input.

{_each(_STUDY, "clusters", "widest-clusters")}
Does that grow with the network, the training data, and sparsity? The effect is the change of a coefficient (Cole 1949)
that is 0 by chance, and 1 where survivors have as many neighbours as their inputs allow.

{_each(_STUDY, "grows-with-width", "grows-with-data", "grows-with-sparsity")}
With the points of a signal: {{verdict}}`{_STUDY}/grows-with-length`

What is a ticket worth? Its accuracy less that of the dense network; less that of random masks that differ in the places
of survivors only; and its gain over the dense network less that on permuted pixels:

{_each(_STUDY, "wins", "positions-matter", "advantage-is-spatial")}
On other images, less such random masks: MNIST's ticket on digits: {{verdict}}`{_STUDY}/transfers-mnist-to-digits`;
the digits' on MNIST: {{verdict}}`{_STUDY}/transfers-digits-to-mnist`

Are two networks that grow from one ticket joined by a line without a barrier (Frankle et al. 2020)?

{_each(_STUDY, "stable-late", "barrier-falls")}
""",
}
