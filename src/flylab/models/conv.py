"""A fast stack of 1-D convolutions, batch last, with each layer's positions in *phase order*.

A layer of stride s reads every s-th position. If its input stores the positions of each phase (i mod s) side by side,
every tap is a few contiguous runs, and the layer is one matrix product of long rows. Each layer's order is therefore
chosen for the strides that follow: position i is sorted by its mixed-radix digits (i mod s₁, ⌊i/s₁⌋ mod s₂, …, rest).
Gathering the taps then copies runs. So does its transpose, which is written by hand, because JAX would derive scatters
and pads. The stack takes half the time of `layers.conv1d` under vmap.
"""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from flylab.base.types import Params
from flylab.models.layers import Pooling, affine, conv1d_length, pooling_of


class Conv(NamedTuple):
    """One convolution of a stack.

    Attributes:
        channels: output channels.
        kernel: kernel size.
        stride: stride.
        padding: zeros added on both sides.
        pooling: pooling of neighbouring pairs after the ReLU: a name of `layers.POOLINGS`, or a function of the left
            and the right of each pair; or None.
    """

    channels: int
    kernel: int
    stride: int = 1
    padding: int = 0
    pooling: Pooling | None = None


PAIRS = Conv(0, kernel=2, stride=2)  # a pooling reads its input like this convolution


def stack_lengths(length: int, specs: tuple[Conv, ...]) -> list[int]:
    """Return the number of positions of a stack's input, and after each convolution and pooling."""
    lengths = [length]
    for hop in _hops(specs):
        lengths.append(conv1d_length(lengths[-1], hop.kernel, hop.stride, hop.padding))
    return lengths


def _hops(specs: tuple[Conv, ...]) -> list[Conv]:
    return [hop for spec in specs for hop in ((spec, PAIRS) if spec.pooling else (spec,))]


def conv_stack(
    params: Sequence[Params], x: Float[Array, "n_in length batch"], specs: tuple[Conv, ...]
) -> Float[Array, "n_out length_out batch"]:
    """Apply a stack of convolutions, each followed by a ReLU and its pooling, to a batch; positions in natural order.

    Equals `pool1d(relu(conv1d(…)))` layer by layer, vmapped over the batch. Do not vmap over the parameters: the
    hand-written transposes would take twice the time.
    """
    gathers = iter(plan_stack(x.shape[1], specs))
    h = ordered(x, [hop.stride for hop in _hops(specs)])
    for param, spec in zip(params, specs, strict=True):
        h = jax.nn.relu(_convolve(param, h, next(gathers)))
        if spec.pooling is not None:
            h = pooling_of(spec.pooling)(*take(h, next(gathers)))  # pyright: ignore[reportGeneralTypeIssues]
    return h


def _convolve(param: Params, h: Float[Array, "n_in length batch"], gather: "Gather"):
    n_out, kernel, n_in = param["w"].shape
    batch = h.shape[-1]
    taps = jnp.reshape(take(h, gather), (kernel * n_in, -1))  # pyright: ignore[reportArgumentType]
    out = affine(param["w"].reshape(n_out, kernel * n_in), param["b"], taps)
    return out.reshape(n_out, -1, batch)


class Gather(NamedTuple):
    """The input slots that each tap of a layer reads, as runs to copy, and the runs of the transpose.

    Attributes:
        taps: for each tap, runs `(start, length)` of input slots in the order of output slots; start −1 means zeros.
        sources: runs `(length, ((tap, start), …))` of input slots, with the output slots that read them.
    """

    taps: tuple[tuple[tuple[int, int], ...], ...]
    sources: tuple[tuple[int, tuple[tuple[int, int], ...]], ...]


@functools.cache
def plan_stack(length: int, specs: tuple[Conv, ...]) -> list[Gather]:
    """Return the gather of each convolution and pooling, from the order of its input to that of its output."""
    hops = _hops(specs)
    strides = [hop.stride for hop in hops]
    orders = [_phase_order(n, strides[level:]) for level, n in enumerate(stack_lengths(length, specs))]
    return [_gather(orders[i], orders[i + 1], hop) for i, hop in enumerate(hops)]


def ordered(x: Float[Array, "n_in length batch"], strides: list[int]) -> Float[Array, "n_in length batch"]:
    """Reorder a signal into phase order, by a strided slice for each residue instead of a gather."""
    length, period = x.shape[1], math.prod(strides)
    phases = [x[:, residue::period] for residue in _phase_order(period, strides) if residue < length]
    return jax.lax.optimization_barrier(_join(phases))  # otherwise XLA recomputes it for every tap


def _phase_order(length: int, strides: list[int]) -> list[int]:
    """Sort positions 0 … length − 1 by their mixed-radix digits in `strides`, lowest digit first."""

    def digits(position: int) -> list[int]:
        key = []
        for stride in strides:
            key.append(position % stride)
            position //= stride
        return [*key, position]

    return sorted(range(length), key=digits)


def _gather(order_in: list[int], order_out: list[int], spec: Conv) -> Gather:
    slot_of = {position: slot for slot, position in enumerate(order_in)}
    reads = [[slot_of.get(q * spec.stride + tap - spec.padding, -1) for q in order_out] for tap in range(spec.kernel)]
    readers: list[dict[int, int]] = [{} for _ in order_in]  # for each input slot: tap → output slot that reads it
    for tap, slots in enumerate(reads):
        for out, slot in enumerate(slots):
            if slot >= 0:
                readers[slot][tap] = out
    return Gather(tuple(_runs(slots) for slots in reads), _source_runs(readers))


def _runs(slots: list[int]) -> tuple[tuple[int, int], ...]:
    """Encode runs of consecutive slots (and of −1) as `(start, length)`."""
    runs: list[list[int]] = []
    for slot in slots:
        if runs and (slot == -1 == runs[-1][0] or (runs[-1][0] >= 0 and slot == sum(runs[-1]))):
            runs[-1][1] += 1
        else:
            runs.append([slot, 1])
    return tuple((start, n) for start, n in runs)


def _source_runs(readers: list[dict[int, int]]) -> tuple[tuple[int, tuple[tuple[int, int], ...]], ...]:
    runs: list[tuple[int, dict[int, int]]] = []
    for reader in readers:
        if runs and reader == {tap: out + runs[-1][0] for tap, out in runs[-1][1].items()}:
            runs[-1] = (runs[-1][0] + 1, runs[-1][1])
        else:
            runs.append((1, reader))
    return tuple((n, tuple(sorted(reader.items()))) for n, reader in runs)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def take(h: Float[Array, "n_in length batch"], gather: Gather) -> Float[Array, "kernel n_in length_out batch"]:
    """Copy what each tap of a layer reads; the gradient adds it up again."""
    return _taken(h, gather)


def _taken(h, gather: Gather):
    n_in, _, batch = h.shape

    def run(start: int, n: int):
        return jnp.zeros((n_in, n, batch), h.dtype) if start < 0 else h[:, start : start + n]

    return jnp.stack([_join([run(start, n) for start, n in tap]) for tap in gather.taps])


def _take_forward(h, gather: Gather):
    return _taken(h, gather), None


def _take_backward(gather: Gather, _, g: Float[Array, "kernel n_in length_out batch"]):
    _, n_in, _, batch = g.shape

    def run(n: int, sources: tuple[tuple[int, int], ...]):
        total = sum(g[tap, :, start : start + n] for tap, start in sources)
        return total if sources else jnp.zeros((n_in, n, batch), g.dtype)

    return (_join([run(n, sources) for n, sources in gather.sources]),)


take.defvjp(_take_forward, _take_backward)


def _join(parts):
    return parts[0] if len(parts) == 1 else jnp.concatenate(parts, axis=1)
