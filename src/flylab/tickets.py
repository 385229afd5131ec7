"""Lottery tickets as artifacts: the masks that the study `lottery` finds, for other studies to go on with."""

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import xarray as xr

from flylab import store
from flylab.config import from_json
from flylab.data import MNIST1D
from flylab.models import Model, zoo
from flylab.models.masks import Mask, pack, unpack

TICKET = Path(__file__).parent / "artifacts" / "ticket.nc"


class Ticket(NamedTuple):
    """The network a ticket belongs to, its mask, and where it comes from."""

    model: Model
    mask: Mask
    provenance: dict[str, Any]


@functools.cache
def model_of(name: str, width: int, length: int, n_outputs: int) -> Model:
    """The network of the zoo that is pruned."""
    size = {"length" if name in ("cnn", "gru") else "n_in": length, "n_outputs": n_outputs}
    size |= {"mlp": {"width": width}, "cnn": {"channels": width}, "gru": {"hidden": width}}.get(name, {})
    return zoo.ALL[name](**size)


def save_ticket(mask: Mask, protocol: str, provenance: Mapping[str, Any], path: Path) -> None:
    """Write a ticket as packed bits, with the protocol (as JSON) and the provenance of its search."""
    bits = xr.Dataset({"mask": (("byte",), pack(mask))})
    store.save(path, bits.assign_attrs(protocol=protocol, provenance=json.dumps(dict(provenance), sort_keys=True)))


def load_ticket(path: Path = TICKET) -> Ticket:
    """A ticket that `save_ticket` wrote; by default the committed one.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is damaged.

    >>> load_ticket().mask["hidden1"]["w"].shape
    (500, 40)
    """
    bits = store.open_checked(path)
    try:
        protocol = json.loads(bits.attrs["protocol"])
        data = from_json(MNIST1D, json.dumps(protocol["data"]))
        model = model_of(protocol["model"], protocol["width"], data.final_seq_length, data.outputs)
        shapes = jax.eval_shape(model.init, jax.random.key(0))
        mask, provenance = unpack(bits["mask"].values, shapes), dict(json.loads(bits.attrs["provenance"]))
    except Exception as error:  # whatever a foreign file makes JSON, a model or JAX raise
        raise ValueError(f"{path} holds no ticket ({error!r}): give a file that save_ticket has written") from None
    return Ticket(model, mask, provenance)
