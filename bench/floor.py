"""Measure the floor of a training step: its matrix products alone, at the speed that XLA reaches for their shapes.

    python bench/floor.py NETWORK        started by peers.py, which it answers as contenders.py does

All devices compute at once, each in one thread, as when flylab trains. The floor of the GRU has its hyperbolic tangents
besides, which take longer than its products.
"""

import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp

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
    "gru": [*trained(24, 8), *trained(24, 8)] * 40 + trained(10, 480),
    "masked mlp": [*trained(500, 40, first=True), *trained(500, 500), *trained(10, 500)],
}
TANHS = {"gru": (40, 2 * 3 * 6 * BATCH)}  # how often, and how many at once


def repeated_product(shape: Shape):
    """Return a compiled function (arrays, n) that computes a product n times."""
    m, k, n = shape
    a = jax.random.normal(jax.random.key(0), (m, k))
    b = jax.random.normal(jax.random.key(1), (k, n)) / k**0.5

    def run(a, b, times):
        def body(_, a):  # a changes by one number, so that the product is not moved out of the loop
            return a.at[0, 0].set((a @ b)[0, 0])

        return jax.lax.fori_loop(0, times, body, a)

    return jax.jit(run, compiler_options=runtime.compiler_options()), (a, b)


def repeated_tanh(size: int):
    """Return a compiled function (arrays, n) that computes `size` hyperbolic tangents n times."""

    def run(x, times):
        return jax.lax.fori_loop(0, times, lambda _, x: jnp.tanh(x), x)

    return jax.jit(run, compiler_options=runtime.compiler_options()), (jnp.linspace(-3.0, 3.0, size),)


def seconds_each(run, arrays: Sequence, times: int) -> float:
    """Return the seconds that one repetition takes on all devices at once."""
    placed = [[jax.device_put(array, device) for array in arrays] for device in runtime.devices()]

    def repeat(arrays: Sequence) -> None:
        jax.block_until_ready(run(*arrays, times))

    with ThreadPoolExecutor(len(placed)) as threads:  # JAX may run what is short in the thread that asks for it
        list(threads.map(repeat, placed))
        began = time.perf_counter()
        list(threads.map(repeat, placed))
        return (time.perf_counter() - began) / times


def floor_seconds(name: str) -> float:
    """Return the wall time per step and member, with a member on every device."""
    total = 0.0
    for shape in set(PRODUCTS[name]):
        times = max(20, int(2e9 / (2 * shape[0] * shape[1] * shape[2])))  # about 20 ms
        total += PRODUCTS[name].count(shape) * seconds_each(*repeated_product(shape), times)
    if name in TANHS:
        n, size = TANHS[name]
        total += n * seconds_each(*repeated_tanh(size), 5000)
    return total / len(runtime.devices())


def main() -> None:
    """Serve."""
    (name,) = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.stdin.readline()
    floor_seconds(name)  # compile
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        print(floor_seconds(name) * int(line), file=answers, flush=True)


if __name__ == "__main__":
    main()
