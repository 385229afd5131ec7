"""Cache a data set in a pickle file; beside it, the sidecar `<file>.json` records the arguments.

The rule: loading gives what making would give. A file without a sidecar of flylab is never overwritten.
"""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from flylab.base.config import plain
from flylab.base.files import free, read_bytes, read_json
from flylab.compat import pickles

FORMAT = "flylab mnist1d cache 1"
ARGS = (
    "num_samples", "train_split", "template_len", "padding", "scale_coeff", "max_translation", "corr_noise_scale",
    "iid_noise_scale", "shear_scale", "shuffle_seq", "final_seq_length", "seed",
)  # fmt: skip
COMPARED = ("x", "y", "x_test", "y_test")
TOLERANCE = 1e-9  # between the reference package's data set and flylab's


@dataclass(frozen=True)
class Identity:
    """The arguments and the templates' fingerprint, which determine a data set."""

    args: dict[str, Any]
    templates: str

    @classmethod
    def of(cls, args: Any, template: dict[str, Any]) -> "Identity":
        """Return the identity of arguments with attributes; unknown ones are ignored.

        Raises:
            AttributeError: for a missing argument.
        """
        known = plain({name: getattr(args, name) for name in ARGS}) | {"shuffle_seq": bool(args.shuffle_seq)}
        return cls(known, _fingerprint(template))

    def changes(self, other: "Identity") -> str:
        """Return the arguments that differ, as "name: old → new"; "" if none does."""
        names = [name for name in ARGS if self.args.get(name) != other.args[name]]
        changed = [f"{name}: {self.args.get(name)} → {other.args[name]}" for name in names]
        return ", ".join(changed + ["other templates"] * (self.templates != other.templates))


class Cached(NamedTuple):
    """The result of a look into the cache."""

    data: Any  # the data set; None if it must be made
    may_save: bool  # whether the data set may be saved there once it is made
    note: str = ""  # a warning for the user


OVERWRITE = Cached(None, True)


def look(path: Path, identity: Identity, make: Callable[[], dict[str, Any]]) -> Cached:
    """Look for the data set of `identity` at `path`; `make` makes it for comparison.

    A broken file is overwritten if flylab wrote it, else renamed.

    Raises:
        UnsafePickleError: if the file asks for more than arrays.
    """
    if not path.is_file():  # there is none, or it is a device
        return OVERWRITE
    content, sidecar = read_bytes(path), _read(path)
    try:
        data = pickles.loads(content, str(path))
    except pickles.UnreadablePickleError as error:
        note = f"{error}. The data set is made anew, the file is"
        if sidecar:
            return Cached(None, True, f"{note} overwritten")
        aside = free(path.with_name(f"{path.name}.broken"))  # flylab did not write it
        try:
            os.replace(path, aside)
        except OSError:
            return Cached(None, False, f"{note} kept")
        return Cached(None, True, f"{note} now called {aside.name}")
    if sidecar and sidecar["sha256"] == _sha256(content):
        if changes := Identity(sidecar["args"], sidecar["templates"]).changes(identity):
            if sidecar["args"].get("seed") is None:  # nobody can make that one again
                return Cached(None, False, f"{path} was made with other arguments ({changes}) and no seed: it is kept")
            return Cached(
                None,
                True,
                f"{path} was made with other arguments ({changes}): a new data set overwrites it",
            )
        return Cached(data, False)
    if identity.args["seed"] is None or _same(data, make()):
        return Cached(data, False)
    note = (
        f"{path} is of unknown origin and not what these arguments make: the set is made anew, the file is kept (the "
        "reference package would return it). To overwrite it, give regenerate=True with download=False; to keep both, "
        f"another path; to read it, call from_pickle({str(path)!r})"
    )
    return Cached(None, False, note)


def save(path: Path, identity: Identity, data: dict[str, Any]) -> str:
    """Write the data set, then its sidecar, and return "". If `look` could not read it back, only return why.

    Raises:
        OSError: if the file cannot be written, naming the path.
    """
    content = pickles.dumps(data)
    try:
        pickles.loads(content)
    except ValueError as error:
        return f"the data set is not saved to {path}, since it could not be read back: {error}"
    pickles.write(path, content)
    if _beside(path).exists() and _read(path) is None:
        return f"{_beside(path)} is not flylab's and is kept: the arguments of {path} are not recorded"
    if path.is_file():  # a device has no sidecar
        sidecar = {"format": FORMAT, "args": identity.args, "templates": identity.templates, "sha256": _sha256(content)}
        pickles.write(_beside(path), json.dumps(sidecar, indent=1) + "\n")
    return ""


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _read(path: Path) -> dict[str, Any] | None:
    """Return flylab's sidecar of `path`, or None if it is missing or damaged."""
    try:
        sidecar = read_json(_beside(path))
    except (OSError, ValueError):
        return None
    kinds = {"format": str, "args": dict, "templates": str, "sha256": str}
    is_ours = isinstance(sidecar, dict) and all(isinstance(sidecar.get(name), kind) for name, kind in kinds.items())
    return sidecar if is_ours and sidecar["format"] == FORMAT else None


def _same(data: Any, made: dict[str, Any]) -> bool:
    """Return whether a file's content is a data set with the signals and labels of `made`."""
    if not isinstance(data, dict) or not all(isinstance(data.get(name), np.ndarray) for name in COMPARED):
        return False
    for name in COMPARED:
        are_numbers = [array[name].dtype.kind in "iuf" for array in (data, made)]
        if data[name].shape != made[name].shape or are_numbers[0] != are_numbers[1]:
            return False
    signals = all(np.allclose(data[name], made[name], rtol=0, atol=TOLERANCE) for name in ("x", "x_test"))
    return signals and all(np.array_equal(data[name], made[name]) for name in ("y", "y_test"))


def _fingerprint(template: dict[str, Any]) -> str:
    """Return the SHA-256 of patterns, time axis and labels."""
    digest = hashlib.sha256()
    for name in ("x", "t"):
        values = np.ascontiguousarray(template[name], float)
        digest.update(json.dumps([name, values.shape]).encode() + values.tobytes())
    digest.update(json.dumps(np.asarray(template["y"]).tolist(), default=repr).encode())
    return digest.hexdigest()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
