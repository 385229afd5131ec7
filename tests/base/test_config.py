from dataclasses import dataclass

import numpy as np
import pytest

from flylab.base.config import fingerprint, from_json, override, to_json
from flylab.data import MNIST1D, Templates


@dataclass(frozen=True)
class Config:
    rate: float = 1.0
    n: int = 3
    data: MNIST1D | None = None


def test_equal_values_equal_text():
    assert to_json(Config(rate=1)) == to_json(Config(rate=1.0)) == to_json(Config(rate=np.float64(1)))
    assert fingerprint(Config()) != fingerprint(Config(n=4))


def test_defaults_count():
    """Changing a default must change the fingerprint of a config that does not name it."""
    assert '"n":3' in to_json(Config())


@pytest.mark.parametrize(
    "config",
    [MNIST1D(), MNIST1D(permutation=tuple(range(40))[::-1]), MNIST1D(templates=Templates.of(np.eye(2, 5)), n_train=20)],
)
def test_round_trip(config):
    assert from_json(MNIST1D, to_json(config)) == config
    assert from_json(Config, to_json(Config(data=config))) == Config(data=config)


def test_pinned():
    """The names of all runs hang on these: a change breaks every store."""
    assert fingerprint(MNIST1D()) == "c4e3d5856aa5"


def test_unknown_fields_are_named():
    with pytest.raises(ValueError, match="'rte' is not a field of Config; it has rate, n, data"):
        override(Config(), rte=1)
    with pytest.raises(ValueError, match="x"):
        from_json(Config, '{"x":1}')


def test_only_plain_values():
    with pytest.raises(TypeError, match="cannot stand in a config"):
        to_json({"a": object()})
    with pytest.raises(ValueError, match="JSON"):
        to_json(float("nan"))
