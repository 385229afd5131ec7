"""The published networks as PyTorch modules, with parameters of the names that `weights.state_dict` gives."""

from collections.abc import Callable

from flylab.base.optional import need

need("torch", "torch", "a PyTorch module")  # before the import below, for its clear error

import torch  # noqa: E402
from torch import nn  # noqa: E402


class Mlp(nn.Module):
    """The published MLP: two hidden layers, the second residual."""

    def __init__(self, length: int, n_outputs: int, width: int = 100) -> None:
        super().__init__()
        self.hidden1, self.hidden2 = nn.Linear(length, width), nn.Linear(width, width)
        self.output = nn.Linear(width, n_outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map signals `(batch, length)` to outputs `(batch, n_outputs)`."""
        h = self.hidden1(x).relu()
        return self.output(h + self.hidden2(h).relu())


class Cnn(nn.Module):
    """The published CNN: three convolutions of stride 2."""

    def __init__(self, length: int, n_outputs: int, channels: int = 25) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv1d(1, channels, 5, 2, 1), nn.Conv1d(channels, channels, 3, 2, 1)
        self.conv3 = nn.Conv1d(channels, channels, 3, 2, 1)
        self.output = nn.Linear(self._features(torch.zeros(1, length)).shape[1], n_outputs)

    def _features(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv3(self.conv2(self.conv1(x[:, None]).relu()).relu()).relu().flatten(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map signals `(batch, length)` to outputs `(batch, n_outputs)`."""
        return self.output(self._features(x))


class Gru(nn.Module):
    """The published GRU: bidirectional, 6 units, read at all steps."""

    def __init__(self, length: int, n_outputs: int, width: int = 6) -> None:
        super().__init__()
        self.gru = nn.GRU(1, width, bidirectional=True, batch_first=True)
        self.output = nn.Linear(2 * width * length, n_outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map signals `(batch, length)` to outputs `(batch, n_outputs)`."""
        return self.output(self.gru(x[..., None])[0].flatten(1))


MODULES: dict[str, Callable[[int, int], nn.Module]] = {"logistic": nn.Linear, "mlp": Mlp, "cnn": Cnn, "gru": Gru}
