"""Train one of the published networks as users of other libraries do, in a process of its own.

    python bench/contenders.py CONTENDER NETWORK N_MEMBERS N_THREADS        started by peers.py

Write "ready" when compiled; then, for each number of steps read from standard input, the seconds that they take. All
train with Adam on batches of 100 from the published training set, in single precision, and never evaluate. Images are
random, since their pixels do not matter to the time.
"""

import copy
import functools
import math
import os
import sys
import time
from collections.abc import Callable

import numpy as np

from flylab.data import MNIST1D, Dataset, published

BATCH = 100
N_IMAGES = 300  # few, as flylab evaluates them once, at the end of steps that are few, too
IMAGES = {"mnist cnn": (28, 28, 1), "cifar cnn": (32, 32, 3)}  # height, width and channels of what a network sees
WIDTHS = {"mnist cnn": (16, 16, 16), "cifar cnn": (32, 48, 64)}  # channels of its layers: 7 370 and 52 730 parameters
Steps = Callable[[int], object]  # trains for a number of steps


def chunk(name: str) -> int:
    """Return the fewest steps of a network that are timed at once."""
    return 5 if name in IMAGES else 50


def training_set(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the published signals `(4000, 40)`, or a network's images with flat pixels, and labels."""
    if name in IMAGES:
        rng = np.random.default_rng(0)
        return rng.random((N_IMAGES, math.prod(IMAGES[name])), np.float32), rng.integers(0, 10, N_IMAGES)
    train = published(MNIST1D()).train
    return train.x.astype(np.float32), train.y.astype(np.int64)


def torch_steps(name: str, step: Callable, n_threads: int) -> Steps:
    """Return a loop over batches in fixed order of a function of signals, or images with channels first, and labels."""
    import torch

    torch.set_num_threads(n_threads)
    x, y = map(torch.tensor, training_set(name))
    if name in IMAGES:
        x = x.reshape(len(x), *IMAGES[name]).permute(0, 3, 1, 2).contiguous()

    def steps(n: int) -> None:
        for i in range(n):
            at = i * BATCH % len(x)
            step(x[at : at + BATCH], y[at : at + BATCH])

    return steps


def torch_loop(name: str, n_members: int, n_threads: int) -> Steps:
    """One network in a plain loop, as in a notebook."""
    import torch

    import torch_loop

    model = torch_loop.MODELS[name]()
    return torch_steps(name, _torch_step(model, torch.optim.Adam(model.parameters(), 1e-2)), n_threads)


def torch_compile(name: str, n_members: int, n_threads: int) -> Steps:
    """The same, with `torch.compile` and the fused Adam."""
    import torch

    import torch_loop

    model = torch_loop.MODELS[name]()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2, fused=True)
    return torch_steps(name, _torch_step(torch.compile(model), optimizer), n_threads)


def _torch_step(model, optimizer) -> Callable:
    import torch

    def step(x, y) -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()

    return step


def torch_func(name: str, n_members: int, n_threads: int, *, compiled: bool = False) -> Steps:
    """An ensemble: stacked parameters, vmapped gradients, one Adam for all."""
    import torch_loop

    return torch_steps(name, ensemble_step(torch_loop.MODELS[name], n_members, compiled), n_threads)


def ensemble_step(make: Callable, n_members: int, compiled: bool | str | None, device: str = "cpu") -> Callable:
    """Return a function that takes one step of every network of an ensemble of `torch.func`.

    Args:
        make: makes a network.
        n_members: networks.
        compiled: whether to compile the gradients, or the mode of `torch.compile`.
        device: "cpu" or "cuda".
    """
    import torch
    from torch.func import functional_call, grad, stack_module_state, vmap

    models = [make().to(device) for _ in range(n_members)]
    params, buffers = stack_module_state(models)
    base = copy.deepcopy(models[0]).to("meta")

    def loss(params, buffers, x, y):
        return torch.nn.functional.cross_entropy(functional_call(base, (params, buffers), (x,)), y)

    gradients = vmap(grad(loss), in_dims=(0, 0, None, None))
    if compiled:
        gradients = torch.compile(gradients, mode=compiled if isinstance(compiled, str) else "default")
    optimizer = torch.optim.Adam(list(params.values()), 1e-2, fused=True)

    def step(x, y) -> None:
        for parameter, gradient in zip(params.values(), gradients(params, buffers, x, y).values(), strict=True):
            parameter.grad = gradient
        optimizer.step()

    return step


def jax_vmap(name: str, n_members: int, n_threads: int) -> Steps:
    """Networks under one `vmap`, with Optax's Adam in a `scan`, in JAX's default setting."""
    import jax
    import jax.numpy as jnp
    import optax

    import plain_jax

    x, y = (jnp.asarray(part).reshape(-1, BATCH, *part.shape[1:]) for part in training_set(name))
    init, apply = plain_jax.NETWORKS[name]
    optimizer = optax.adam(1e-2)

    def loss(params, x, y):
        return optax.softmax_cross_entropy_with_integer_labels(apply(params, x), y).mean()

    def train(state, steps):
        def step(state, i):
            params, moments = state
            gradients = jax.grad(loss)(params, x[i % len(x)], y[i % len(x)])
            updates, moments = optimizer.update(gradients, moments)
            return (optax.apply_updates(params, updates), moments), None

        return jax.lax.scan(step, state, steps)[0]

    params = jax.vmap(init)(jax.random.split(jax.random.key(0), n_members))
    state, size = (params, jax.vmap(optimizer.init)(params)), chunk(name)
    train = jax.jit(jax.vmap(train, in_axes=(0, None)), donate_argnums=0)

    def steps(n: int) -> None:
        nonlocal state
        for first in range(0, n, size):
            state = train(state, first + jnp.arange(size))
        jax.block_until_ready(state)

    return steps


def flylab(name: str, n_members: int, n_threads: int) -> Steps:
    """Train networks with flylab, which chooses devices and threads itself."""
    from flylab.models import convolutional
    from flylab.models.registry import get_model
    from flylab.training.objectives import supervised
    from flylab.training.population import train_members
    from flylab.training.step import Plan

    splits = published(MNIST1D(n_valid=0, n_test=10))
    if name in IMAGES:
        train = Dataset(*training_set(name))
        splits = splits._replace(train=train, test=Dataset(train.x[:10], train.y[:10]))
        model = convolutional.cnn2d(IMAGES[name], width=WIDTHS[name])
    else:
        model = get_model(name)
    objective = supervised(model)
    grid = {"learning_rate": [1e-2], "seed": range(n_members)}
    return lambda n: train_members(objective, splits, Plan(n, eval_every=n), grid)


CONTENDERS: dict[str, Callable[[str, int, int], Steps]] = {
    "PyTorch loop": torch_loop,
    "torch.compile": torch_compile,
    "torch.func": torch_func,
    "torch.func compiled": functools.partial(torch_func, compiled=True),
    "JAX vmap": jax_vmap,
    "flylab": flylab,
}


def main() -> None:
    """Serve."""
    contender, name, n_members, n_threads = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")  # libraries may print
    os.dup2(2, 1)
    steps = CONTENDERS[contender](name, int(n_members), int(n_threads))
    steps(int(sys.stdin.readline()))  # compile
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        began = time.perf_counter()
        steps(int(line))
        print(time.perf_counter() - began, file=answers, flush=True)


if __name__ == "__main__":
    main()
