"""Lottery tickets as artifacts: the masks that the study `lottery` finds, for other studies to go on with."""

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import xarray as xr

from flylab.base import netcdf
from flylab.base.config import from_json
from flylab.data import MNIST1D
from flylab.models import Model
from flylab.models.masks import Mask, masked, pack, unpack
from flylab.models.registry import get_model, register_model

TICKET = Path(__file__).parents[1] / "artifacts" / "ticket.nc"


class Ticket(NamedTuple):
    """The network a ticket belongs to, its mask, and where it comes from."""

    model: Model
    mask: Mask
    provenance: dict[str, Any]


@register_model("ticket", title="lottery-ticket MLP")
@functools.cache
def ticket_mlp(length: int = 40, n_outputs: int = 10) -> Model:
    """The MLP of the committed ticket, pruned by its mask.

    Raises:
        ValueError: for another size than the ticket's, 40 positions and 10 outputs.
    """
    if (length, n_outputs) != (40, 10):
        raise ValueError(f"the ticket is for 40 positions and 10 outputs, not {length} and {n_outputs}")
    ticket = load_ticket()
    return masked(ticket.model, ticket.mask)


@functools.cache
def model_of(name: str, width: int, length: int, n_outputs: int) -> Model:
    """The network of flylab that is pruned."""
    size = {} if name == "logistic" else {"width": width}
    return get_model(name, length, n_outputs, **size)


def save_ticket(mask: Mask, protocol: str, provenance: Mapping[str, Any], path: Path) -> None:
    """Write a ticket as packed bits, with the protocol (as JSON) and the provenance of its search."""
    bits = xr.Dataset({"mask": (("byte",), pack(mask))})
    netcdf.save(path, bits.assign_attrs(protocol=protocol, provenance=json.dumps(dict(provenance), sort_keys=True)))


def load_ticket(path: Path = TICKET) -> Ticket:
    """A ticket that `save_ticket` wrote; by default the committed one.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is damaged.

    >>> load_ticket().mask["hidden1"]["w"].shape
    (500, 40)
    """
    bits = netcdf.open_checked(path)
    try:
        protocol = json.loads(bits.attrs["protocol"])
        data = from_json(MNIST1D, json.dumps(protocol["data"]))
        model = model_of(protocol["model"], protocol["width"], data.final_seq_length, data.outputs)
        shapes = jax.eval_shape(model.init, jax.random.key(0))
        mask, provenance = unpack(bits["mask"].values, shapes), dict(json.loads(bits.attrs["provenance"]))
    except Exception as error:  # whatever a foreign file makes JSON, a model or JAX raise
        raise ValueError(f"{path} holds no ticket ({error!r}): give a file that save_ticket has written") from None
    return Ticket(model, mask, provenance)
