"""Data sets as files: npz, parquet, csv and safetensors, with the config and a checksum inside.

All four hold the same: signals and labels of the three sets, the time axis, and one JSON text with the config. npz and
safetensors name their arrays `x_train`, `y_train`, …, `t`; parquet and csv have a row per example, with the columns
`split`, `label`, `x0`, `x1`, …
"""

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from flylab.config import from_json, to_json
from flylab.data.mnist1d import MNIST1D
from flylab.data.splits import SETS, Dataset, Splits
from flylab.extras import need
from flylab.files import write_atomic

VERSION = 1
_MARK = "flylab data"


class DataFileError(ValueError):
    """A file that is not a data set of ours, is damaged, or was written by another version."""


class _Unpacked(NamedTuple):
    about: dict[str, Any]
    arrays: Callable[[], dict[str, np.ndarray]]  # read once it is known that we can


class _Packed(NamedTuple):
    about: dict[str, Any]  # format, config, checksum, and what a table's columns do not say
    arrays: dict[str, np.ndarray]


def save(path: str | Path, splits: Splits, format: str | None = None) -> Path:  # noqa: A002
    """Write a data set and its config; a crash leaves the old file or the new one.

    Args:
        path: where to.
        splits: as from `published`. NumPy or JAX arrays; their types are kept.
        format: "npz", "parquet", "csv" or "safetensors"; by default what the path's ending says.

    Returns:
        the path.

    Raises:
        ValueError: for an unknown format, one whose package is not installed, or sets that a file cannot hold.
        OSError: if the path cannot be written.

    >>> import tempfile
    >>> from flylab.data import MNIST1D, published
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save(f"{folder}/small.csv", published(MNIST1D(n_train=10, n_valid=10, n_test=10)))
    ...     load(path).config.n_train
    10
    """
    path = Path(path)
    kind = format_of(path, format)
    if not isinstance(splits.config, MNIST1D | None):
        raise ValueError(f"config={splits.config!r} cannot be stored: give an MNIST1D, or None")
    config = None if splits.config is None else json.loads(to_json(splits.config))
    arrays = {
        f"{axis}_{name}": _native(getattr(getattr(splits, name), axis)) for name in SETS for axis in ("x", "y")
    } | {"t": _native(splits.t)}
    for axis, kinds in (("x", "iuf"), ("y", "iu")):
        types = {arrays[f"{axis}_{name}"].dtype for name in SETS}
        if len(types) > 1 or types.pop().kind not in kinds:
            found = ", ".join(f"{name}: {arrays[f'{axis}_{name}'].dtype}" for name in SETS)
            raise ValueError(f"{axis} of the three sets has types {found}: give one type of numbers")
    about = {"format": f"{_MARK} {VERSION}", "config": config, "checksum": _checksum(config, arrays)}
    write_atomic(path, FORMATS[kind].pack(_Packed(about, arrays)))
    return path


def format_of(path: Path, format: str | None = None) -> str:  # noqa: A002
    """The format of a file to be written: the given one, or what the ending says.

    Raises:
        ValueError: for an unknown one.
    """
    kind = path.suffix.lstrip(".").lower() if format is None else format
    if kind not in FORMATS:
        what = f"the ending of {path}" if format is None else f"format={format!r}"
        raise ValueError(f"{what} is not a format of data files: give one of {', '.join(FORMATS)}")
    return kind


def _native(values: Any) -> np.ndarray:
    values = np.asarray(values)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def load(path: str | Path) -> Splits:
    """Read a data set that `save` or `flylab data` wrote, in any of the formats, and verify its checksum.

    Raises:
        FileNotFoundError: if there is none.
        DataFileError: if it is foreign, damaged or of another version: which, and what to do.
    """
    path = Path(path)
    content = path.read_bytes()
    kind = next((kind for kind, one in FORMATS.items() if content.startswith(one.begins)), "safetensors")
    try:
        return _splits(path, *FORMATS[kind].unpack(content))
    except (ImportError, DataFileError):  # which package is missing, and how to get it; or what is wrong
        raise
    except Exception as error:  # whatever the readers raise at a truncated or foreign file
        raise DataFileError(
            f"{path} cannot be read as {kind} ({type(error).__name__}): it is damaged, not a data file of flylab, or "
            "of a newer one"
        ) from error


def _splits(path: Path, about: dict[str, Any], read: Callable[[], dict[str, np.ndarray]]) -> Splits:
    mark, _, version = about["format"].rpartition(" ")
    if mark != _MARK:
        raise DataFileError(f"{path} is not a data file of flylab")
    if version != str(VERSION):
        raise DataFileError(
            f"{path} has version {version}, this flylab reads {VERSION}: read it with the one that wrote it"
        )
    arrays = read()
    if about["checksum"] != _checksum(about["config"], arrays):
        raise DataFileError(f"{path} does not match its checksum: it was changed or damaged; write it again")
    config = None if about["config"] is None else from_json(MNIST1D, json.dumps(about["config"]))
    train, valid, test = (Dataset(arrays[f"x_{name}"], arrays[f"y_{name}"]) for name in SETS)
    return Splits(train, valid, test, arrays["t"], None if config is None else config.patterns, config)


def _checksum(config: Any, arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(json.dumps([name, arrays[name].dtype.str, arrays[name].shape]).encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()


# ── arrays by name ───────────────────────────────────────────────────────────────────────────────────────────────────


def _to_npz(packed: _Packed) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, flylab=np.array(json.dumps(packed.about)), **packed.arrays)
    return buffer.getvalue()


def _from_npz(content: bytes) -> _Unpacked:
    file = np.load(io.BytesIO(content), allow_pickle=False)
    return _Unpacked(json.loads(str(file["flylab"])), lambda: {name: file[name] for name in file if name != "flylab"})


def _to_safetensors(packed: _Packed) -> bytes:
    arrays = {name: np.ascontiguousarray(array) for name, array in packed.arrays.items()}
    return _safetensors().save(arrays, {"flylab": json.dumps(packed.about)})


def _from_safetensors(content: bytes) -> _Unpacked:
    length = int.from_bytes(content[:8], "little")
    about = json.loads(content[8 : 8 + length])["__metadata__"]["flylab"]  # `load` gives the arrays only
    return _Unpacked(json.loads(about), lambda: _safetensors().load(content))


def _safetensors() -> Any:
    return need("safetensors.numpy", "data", "a safetensors file")


# ── tables: a row per example ────────────────────────────────────────────────────────────────────────────────────────


class _Table(NamedTuple):
    about: dict[str, Any]
    split: list[str]
    label: np.ndarray  # (n,)
    x: np.ndarray  # (n, n_columns)


def _to_table(packed: _Packed) -> _Table:
    arrays, x = packed.arrays, packed.arrays["x_train"]
    about = packed.about | {
        "shape": x.shape[1:], "x": x.dtype.str, "y": arrays["y_train"].dtype.str,
        "t": arrays["t"].tolist(), "t_type": arrays["t"].dtype.str,
    }  # fmt: skip
    n_columns = int(np.prod(x.shape[1:]))
    return _Table(
        about,
        [name for name in SETS for _ in arrays[f"y_{name}"]],
        np.concatenate([arrays[f"y_{name}"] for name in SETS]),
        np.concatenate([arrays[f"x_{name}"].reshape(-1, n_columns) for name in SETS]),
    )


def _from_table(table: _Table) -> dict[str, np.ndarray]:
    about, split = table.about, np.array(table.split, dtype=str)
    x = table.x.reshape(-1, *about["shape"]).astype(about["x"])
    y = table.label.astype(about["y"])
    arrays = {"t": np.array(about["t"], about["t_type"])}
    for name in SETS:
        arrays |= {f"x_{name}": x[split == name], f"y_{name}": y[split == name]}
    return arrays


def _to_csv(packed: _Packed) -> bytes:
    """A comment line with the JSON, a header, and numbers with all their digits. (pandas: `comment="#"`.)"""
    table = _to_table(packed)
    lines = [f"# flylab {json.dumps(table.about)}", ",".join(["split", "label", *_columns(table.x)])]
    for name, label, row in zip(table.split, table.label.tolist(), table.x.tolist(), strict=True):
        lines.append(f"{name},{label},{','.join(map(repr, row))}")
    return ("\n".join(lines) + "\n").encode()


def _from_csv(content: bytes) -> _Unpacked:
    first, header, *lines = content.decode().splitlines()
    about = json.loads(first.removeprefix("# flylab "))

    def arrays() -> dict[str, np.ndarray]:
        split, numbers = [], []
        for line in lines:
            name, _, rest = line.partition(",")
            split.append(name)
            numbers.append(rest)
        values = np.loadtxt(numbers, delimiter=",", ndmin=2) if numbers else np.zeros((0, header.count(",")))
        return _from_table(_Table(about, split, values[:, 0], values[:, 1:]))

    return _Unpacked(about, arrays)


def _to_parquet(packed: _Packed) -> bytes:
    arrow, parquet = _arrow()
    table = _to_table(packed)
    columns = {"split": arrow.array(table.split, arrow.string()).dictionary_encode(), "label": arrow.array(table.label)}
    columns |= dict(zip(_columns(table.x), (arrow.array(column) for column in table.x.T), strict=True))
    buffer = io.BytesIO()
    parquet.write_table(arrow.table(columns).replace_schema_metadata({"flylab": json.dumps(table.about)}), buffer)
    return buffer.getvalue()


def _from_parquet(content: bytes) -> _Unpacked:
    _, parquet = _arrow()
    read = parquet.read_table(io.BytesIO(content))
    about = json.loads(read.schema.metadata[b"flylab"])

    def arrays() -> dict[str, np.ndarray]:
        x = [read[name].to_numpy() for name in read.column_names[2:]]
        return _from_table(_Table(about, read["split"].to_pylist(), read["label"].to_numpy(), np.stack(x, axis=1)))

    return _Unpacked(about, arrays)


def _arrow() -> tuple[Any, Any]:
    return need("pyarrow", "data", "a parquet file"), need("pyarrow.parquet", "data", "a parquet file")


def _columns(x: np.ndarray) -> list[str]:
    return [f"x{i}" for i in range(x.shape[1])]


class _Format(NamedTuple):
    pack: Callable[[_Packed], bytes]
    unpack: Callable[[bytes], _Unpacked]
    begins: bytes  # a file of it


FORMATS: dict[str, _Format] = {
    "npz": _Format(_to_npz, _from_npz, b"PK"),
    "parquet": _Format(_to_parquet, _from_parquet, b"PAR1"),
    "csv": _Format(_to_csv, _from_csv, b"# flylab"),
    "safetensors": _Format(_to_safetensors, _from_safetensors, b"\xff"),  # begins with a length: whatever is left
}
