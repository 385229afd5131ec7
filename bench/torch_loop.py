"""The plain PyTorch training loop that flylab is compared with: one network at a time, as in a notebook.

Models, data, optimiser, batches and evaluations are those of the studies `architectures` and `double_descent`.
"""

import time
from functools import partial

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


def plain_mlp(width: int) -> nn.Module:
    """Return the MLP 40-width-width-10 of the published notebook on double descent."""
    layers = (nn.Linear(40, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10))
    return nn.Sequential(*layers)


class Mlp(nn.Module):
    """The published MLP: two hidden layers, the second residual."""

    def __init__(self, width: int = 100) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(40, width), nn.Linear(width, width), nn.Linear(width, 10)

    def forward(self, x):
        """Map inputs `(batch, 40)` to outputs `(batch, 10)`."""
        h = self.a(x).relu()
        return self.c(h + self.b(h).relu())


class Cnn(nn.Module):
    """The published CNN: three strided convolutions."""

    def __init__(self, channels: int = 25) -> None:
        super().__init__()
        self.a, self.b = nn.Conv1d(1, channels, 5, 2, 1), nn.Conv1d(channels, channels, 3, 2, 1)
        self.c, self.d = nn.Conv1d(channels, channels, 3, 2, 1), nn.Linear(5 * channels, 10)

    def forward(self, x):
        """Map inputs `(batch, 40)` to outputs `(batch, 10)`."""
        return self.d(self.c(self.b(self.a(x[:, None]).relu()).relu()).relu().flatten(1))


class Gru(nn.Module):
    """The published GRU: bidirectional, 6 units, with an output from all steps."""

    def __init__(self) -> None:
        super().__init__()
        self.gru, self.out = nn.GRU(1, 6, bidirectional=True, batch_first=True), nn.Linear(480, 10)

    def forward(self, x):
        """Map inputs `(batch, 40)` to outputs `(batch, 10)`."""
        return self.out(self.gru(x[..., None])[0].flatten(1))


class PoolingCnn(nn.Module):
    """Two convolutions of 20 channels: without pooling, with stride 2, or with pooling by 2 after each."""

    def __init__(self, pooling: str) -> None:
        super().__init__()
        stride = 2 if pooling == "stride" else 1
        self.a, self.b = nn.Conv1d(1, 20, 3, stride, 1), nn.Conv1d(20, 20, 3, stride, 1)
        pools = {"max": nn.MaxPool1d(2), "average": nn.AvgPool1d(2), "l2": nn.LPPool1d(2, 2)}
        self.pool = pools.get(pooling, nn.Identity())
        self.c = nn.Linear(800 if pooling == "none" else 200, 10)

    def forward(self, x):
        """Map inputs `(batch, 40)` to outputs `(batch, 10)`."""
        return self.c(self.pool(self.b(self.pool(self.a(x[:, None]).relu())).relu()).flatten(1))


class Cnn2d(nn.Module):
    """Three strided convolutions of images, and a linear layer."""

    def __init__(self, shape: tuple[int, int, int], widths: tuple[int, int, int]) -> None:
        super().__init__()
        self.a, self.b, self.c = (
            nn.Conv2d(n_in, n_out, 3, 2, 1) for n_in, n_out in zip((shape[2], *widths), widths, strict=False)
        )
        self.d = nn.Linear(widths[-1] * 4 * 4, 10)  # 28 and 32 pixels both become 4

    def forward(self, x):
        """Map images `(batch, channels, height, width)` to outputs `(batch, 10)`."""
        return self.d(self.c(self.b(self.a(x).relu()).relu()).relu().flatten(1))


def contrasted() -> nn.Module:
    """Return the CNN with SimCLR's head 125-125-16."""
    model = Cnn()
    model.d = nn.Sequential(nn.Linear(125, 125), nn.ReLU(), nn.Linear(125, 16))  # pyright: ignore[reportAttributeAccessIssue]
    return model


class Views(Dataset):
    """Two random views of every signal, made on access."""

    def __init__(self, x: np.ndarray) -> None:
        self.x, self.t = x.astype(np.float32), np.arange(x.shape[1], dtype=np.float32) - (x.shape[1] - 1) / 2

    def __len__(self) -> int:
        return len(self.x)

    def view(self, x: np.ndarray) -> np.ndarray:
        """Return a signal detrended and shifted, with another slope and offset."""
        x = x - x.mean()
        x = x - self.t * (self.t @ x) / (self.t @ self.t)
        slope, offset = np.random.randn(2)
        return (np.roll(x, np.random.randint(10)) + 0.04 * slope * self.t + 0.3 * offset).astype(np.float32)

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        return self.view(self.x[i]), self.view(self.x[i])


def contrastive_seconds(splits, n_threads: int) -> float:
    """Return the wall time of one epoch of SimCLR with Adam: batches of 100 signals, two views of each."""
    torch.set_num_threads(n_threads)
    loader = DataLoader(Views(splits.train.x), batch_size=100, shuffle=True)
    model = contrasted()
    optimizer, target = torch.optim.Adam(model.parameters(), 1e-2), torch.arange(100)
    start = time.perf_counter()
    for first, second in loader:
        z = nn.functional.normalize(model(torch.cat([first, second])), dim=1)
        optimizer.zero_grad()
        nn.functional.cross_entropy(z[:100] @ z[100:].T / 0.5, target).backward()
        optimizer.step()
    return time.perf_counter() - start


POOLINGS = ("none", "stride", "max", "average", "l2")
MODELS = {"logistic": lambda: nn.Linear(40, 10), "mlp": Mlp, "cnn": Cnn, "gru": Gru, "masked mlp": lambda: Mlp(500)}
MODELS |= {
    "mnist cnn": partial(Cnn2d, (28, 28, 1), (16, 16, 16)),
    "cifar cnn": partial(Cnn2d, (32, 32, 3), (32, 48, 64)),
}
MODELS |= {f"pooling {name}": partial(PoolingCnn, name) for name in POOLINGS}
SURVIVORS = {"masked mlp": 0.08}  # share of weights in a lottery ticket's mask
SWEEPS = {"mlp": plain_mlp, "cnn": Cnn}


def seconds(name: str, splits, n_steps: int, eval_every: int, n_threads: int, width: int | None = None) -> float:
    """Return the wall time of training one network for `n_steps` steps on batches of 100, with evaluations.

    Published networks train with Adam on batches in fixed order. With a `width`, the network is one of a sweep, and
    trains with SGD and momentum on batches that are reshuffled in every epoch.
    """
    torch.set_num_threads(n_threads)
    sets = [
        (torch.tensor(data.x, dtype=torch.float32), torch.tensor(data.y))
        for data in (splits.train, splits.valid, splits.test)
        if len(data.y)
    ]
    x, y = sets[0]
    model, criterion = MODELS[name]() if width is None else SWEEPS[name](width), nn.CrossEntropyLoss()
    if width is None:
        optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    else:
        optimizer = torch.optim.SGD(model.parameters(), 1e-2, momentum=0.9)
    share = SURVIVORS.get(name, 1.0)
    masks = [(p, (torch.rand_like(p) < share).float()) for p in model.parameters()] if share < 1 else []
    history = []

    def evaluate() -> None:
        with torch.no_grad():
            for inputs, labels in sets:
                logits = model(inputs)
                history.append((criterion(logits, labels).item(), (logits.argmax(1) == labels).float().mean().item()))

    start = time.perf_counter()
    for step in range(n_steps):
        if step % eval_every == 0:
            evaluate()
        at = step * 100 % len(x)
        if width is not None and at == 0:
            order = torch.randperm(len(sets[0][1]))
            x, y = sets[0][0][order], sets[0][1][order]
        optimizer.zero_grad()
        criterion(model(x[at : at + 100]), y[at : at + 100]).backward()
        optimizer.step()
        with torch.no_grad():
            for parameter, mask in masks:
                parameter.mul_(mask)
    evaluate()
    return time.perf_counter() - start
