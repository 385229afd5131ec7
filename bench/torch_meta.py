"""Metalearning in plain PyTorch, as in the published notebooks: autograd's graph unrolls the inner run."""

import time

import torch
from torch.nn import functional


def _linear(n_in: int, n_out: int) -> list[torch.Tensor]:
    bound = n_in**-0.5
    return [torch.empty(n_out, n_in).uniform_(-bound, bound).requires_grad_(), torch.zeros(n_out).requires_grad_()]


def learning_rate_seconds(splits, n_outer: int, n_threads: int, n_steps: int = 200) -> float:
    """Return the wall time of an outer step: tanh MLP 40-50-10, gradient descent on batches of 50, mean inner loss."""
    torch.set_num_threads(n_threads)
    x, y = torch.tensor(splits.train.x, dtype=torch.float32), torch.tensor(splits.train.y)
    initial = [*_linear(40, 50), *_linear(50, 10)]
    rate = torch.tensor(0.15, requires_grad=True)
    outer = torch.optim.SGD([rate], 0.3)
    start = time.perf_counter()
    for _ in range(n_outer):
        params, losses = initial, []
        for step in range(n_steps):
            at = step * 50 % len(x)
            w, b, v, c = params
            logits = functional.linear(torch.tanh(functional.linear(x[at : at + 50], w, b)), v, c)
            losses.append(functional.cross_entropy(logits, y[at : at + 50]))
            gradient = torch.autograd.grad(losses[-1], params, create_graph=True)
            params = [p - rate * g for p, g in zip(params, gradient, strict=True)]
        outer.zero_grad()
        torch.stack(losses).mean().backward(inputs=[rate])
        outer.step()
    return (time.perf_counter() - start) / n_outer


def activation_seconds(splits, n_threads: int, n_steps: int = 301) -> float:
    """Return the wall time of an outer step: MLP 40-128-10 with ELU + 0.2 · MLP(1-100-1), and RMSProp.

    The outer loss is the mean loss of the last two thirds of the steps.
    """
    torch.set_num_threads(n_threads)
    x, y = torch.tensor(splits.train.x, dtype=torch.float32), torch.tensor(splits.train.y)
    params = [*_linear(40, 128), *_linear(128, 10)]
    weights = [*_linear(1, 100), *_linear(100, 1)]

    def activation(z):
        h = torch.tanh(functional.linear(z.reshape(-1, 1), weights[0], weights[1]))
        h = h + 0.1 * (2 * torch.rand(100) - 1)
        return functional.elu(z) + 0.2 * functional.linear(h, weights[2], weights[3]).reshape(z.shape)

    start = time.perf_counter()
    losses, squares = [], [torch.ones_like(p) for p in params]
    for step in range(n_steps):
        at = step * 100 % len(x)
        w, b, v, c = params
        h = activation(functional.linear(x[at : at + 100], w, b)) + 0.1 * (2 * torch.rand(128) - 1)
        losses.append(functional.cross_entropy(functional.linear(h, v, c), y[at : at + 100]))
        gradient = torch.autograd.grad(losses[-1], params, create_graph=True)
        squares = [0.4 * s + 0.6 * g * g for s, g in zip(squares, gradient, strict=True)]
        params = [p - 1e-2 * g / (s + 1e-8).sqrt() for p, g, s in zip(params, gradient, squares, strict=True)]
    outer = torch.autograd.grad(torch.stack(losses[n_steps // 3 :]).mean(), weights)
    with torch.no_grad():
        for weight, gradient in zip(weights, outer, strict=True):
            weight -= 0.3 * gradient.clamp(-0.1, 0.1)
    return time.perf_counter() - start
