"""Lottery tickets as files: masks found by the study `lottery`, for use in other studies."""

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
from flylab.models.registry import get_model, model_sizes, register_model

TICKET = Path(__file__).parents[1] / "artifacts" / "ticket.nc"


class Ticket(NamedTuple):
    """A lottery ticket: the dense network, the mask, and the provenance of the search that found it."""

    model: Model
    mask: Mask
    provenance: dict[str, Any]


@register_model("ticket", title="lottery-ticket MLP")
@functools.cache
def ticket_mlp(length: int = 40, n_outputs: int = 10) -> Model:
    """Build the MLP of the ticket that flylab ships, pruned by its mask.

    Raises:
        ValueError: for sizes other than the ticket's, 40 positions and 10 outputs.
    """
    if (length, n_outputs) != (40, 10):
        raise ValueError(f"length={length} and n_outputs={n_outputs} must be 40 and 10, the ticket's sizes")
    ticket = load_ticket()
    return masked(ticket.model, ticket.mask)


def model_of(name: str, width: int, length: int, n_outputs: int) -> Model:
    """Build the dense network that a ticket prunes; networks without a width ignore it."""
    size = {"width": width} if "width" in model_sizes(name) else {}
    return get_model(name, length, n_outputs, **size)


def save_ticket(mask: Mask, protocol: str, provenance: Mapping[str, Any], path: Path) -> None:
    """Save a ticket's mask, and the protocol (JSON) and provenance of its search."""
    bits = xr.Dataset({"mask": (("byte",), pack(mask))})
    netcdf.save(path, bits.assign_attrs(protocol=protocol, provenance=json.dumps(dict(provenance), sort_keys=True)))


def load_ticket(path: Path = TICKET) -> Ticket:
    """Load a ticket written by `save_ticket`; by default, the one that flylab ships.

    Raises:
        FileNotFoundError: if the file does not exist.
        ValueError: if the file is damaged or holds no ticket.

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
    except Exception as error:  # on a foreign file, JSON, the model or JAX may raise anything
        raise ValueError(f"{path} holds no ticket ({error!r}); pass a file written by save_ticket") from None
    return Ticket(model, mask, provenance)
