"""Measure the floor of a training step: its matrix products alone, at the speed that XLA reaches for their shapes.

    python bench/floor.py NETWORK        started by peers.py, which it answers as contenders.py does

All devices compute at once, each in one thread, as when flylab trains. The floor of the GRU has its hyperbolic tangents
besides, which take longer than its products.
"""

import os
import sys
import time
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from flylab.base import runtime

BATCH = 100
Shape = tuple[int, int, int]  # of (m, k) × (k, n)


def trained(n_out: int, n_in: int, columns: int = BATCH, *, first: bool = False) -> list[Shape]:
    """Return a linear layer's products: forward, and the gradients of its weights and, unless first, its inputs."""
    forward, weights, inputs = (n_out, n_in, columns), (n_out, columns, n_in), (n_in, n_out, columns)
    return [forward, weights] if first else [forward, weights, inputs]


PRODUCTS: dict[str, list[Shape]] = {
    "logistic": trained(10, 40, first=True),
    "mlp": [*trained(100, 40, first=True), *trained(100, 100), *trained(10, 100)],
    "cnn": [
        *trained(25, 5, 19 * BATCH, first=True),
        *trained(25, 75, 10 * BATCH),
        *trained(25, 75, 5 * BATCH),
        *trained(10, 125),
    ],
    "mnist cnn": [
        *trained(16, 9, 14 * 14 * BATCH, first=True),
        *trained(16, 144, 7 * 7 * BATCH),
        *trained(16, 144, 4 * 4 * BATCH),
        *trained(10, 256),
    ],
    "cifar cnn": [
        *trained(32, 27, 16 * 16 * BATCH, first=True),
        *trained(48, 288, 8 * 8 * BATCH),
        *trained(64, 432, 4 * 4 * BATCH),
        *trained(10, 1024),
    ],
    "gru": [*trained(24, 8), *trained(24, 8)] * 40 + trained(10, 480),
    "masked mlp": [*trained(500, 40, first=True), *trained(500, 500), *trained(10, 500)],
}
TANHS = {"gru": (40, 2 * 3 * 6 * BATCH)}  # how often, and how many at once


def seconds_each(repeat: Callable, arrays: Sequence[jax.Array], times: int) -> float:
    """Return the seconds that one repetition takes, with all devices at work at once.

    Args:
        repeat: (times, *arrays) → an array, after so many repetitions.
        arrays: what each device works on.
        times: repetitions.
    """
    devices = runtime.devices()
    mesh, each = Mesh(np.array(devices), ("device",)), PartitionSpec("device")

    def on_each(times, *arrays):
        return repeat(times, *(array[0] for array in arrays))[None]

    program = jax.jit(
        jax.shard_map(on_each, mesh=mesh, in_specs=(PartitionSpec(), *[each] * len(arrays)), out_specs=each),
        compiler_options=runtime.compiler_options(),
    )
    placed = [jax.device_put(jnp.stack([array] * len(devices)), NamedSharding(mesh, each)) for array in arrays]
    jax.block_until_ready(program(times, *placed))
    began = time.perf_counter()
    jax.block_until_ready(program(times, *placed))
    return (time.perf_counter() - began) / times


def product(times, a, b):
    """Compute `a @ b` so many times; a changes by one number, so that the product is not moved out of the loop."""
    return jax.lax.fori_loop(0, times, lambda _, a: a.at[0, 0].set((a @ b)[0, 0]), a)


def tanh(times, x):
    """Compute hyperbolic tangents of their own results."""
    return jax.lax.fori_loop(0, times, lambda _, x: jnp.tanh(x), x)


def floor_seconds(name: str) -> float:
    """Return the wall time per step and member, with a member on every device."""
    total, key = 0.0, jax.random.key(0)
    for shape in set(PRODUCTS[name]):
        m, k, n = shape
        factors = jax.random.normal(key, (m, k)), jax.random.normal(key, (k, n)) / k**0.5
        times = max(20, int(2e9 / (2 * m * k * n)))  # about 20 ms
        total += PRODUCTS[name].count(shape) * seconds_each(product, factors, times)
    if name in TANHS:
        n, size = TANHS[name]
        total += n * seconds_each(tanh, [jnp.linspace(-3.0, 3.0, size)], 5000)
    return total / len(runtime.devices())


def main() -> None:
    """Serve."""
    (name,) = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    runtime.initialise()  # before anything else starts JAX, with one device
    sys.stdin.readline()
    floor_seconds(name)  # compile
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        print(floor_seconds(name) * int(line), file=answers, flush=True)


if __name__ == "__main__":
    main()
