"""Aliases for the arrays that the layers exchange. Their shapes are checked at run time, in tests only."""

from typing import TYPE_CHECKING, Any

Params = Any  # a tree of arrays
Hparams = dict[str, Any]  # values by name that may be swept or differentiated: a tree of arrays

if TYPE_CHECKING:  # type checkers see plain arrays, as only jaxtyping understands the shapes
    from jax import Array as Key
    from jax import Array as Labels
    from jax import Array as Logits
    from jax import Array as Scalar
    from jax import Array as Signal
    from jax import Array as Signals
else:
    from jaxtyping import Array, Float, Int
    from jaxtyping import Key as _Key

    Key = _Key[Array, ""]  # a typed key, as from jax.random.key
    Signal = Float[Array, "*shape"]  # one example of any fixed shape
    Signals = Float[Array, "*shape batch"]  # examples side by side, the batch last
    Labels = Int[Array, " batch"]
    Logits = Float[Array, "*outputs"]  # (n_outputs,) for one example, (n_outputs, batch) for many
    Scalar = Float[Array, ""] | float

__all__ = ["Hparams", "Key", "Labels", "Logits", "Params", "Scalar", "Signal", "Signals"]
