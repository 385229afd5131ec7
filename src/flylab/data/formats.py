"""Data sets as files: npz, parquet, csv and safetensors, with the config and a checksum inside.

All four hold the same: signals and labels of the three sets, the time axis, and one JSON text with the config. npz and
safetensors name their arrays `x_train`, `y_train`, …, `t`; parquet and csv have a row per example, with the columns
`split`, `label`, `x0`, `x1`, …
"""

import contextlib
import hashlib
import io
import json
import math
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from flylab.base.config import from_json, to_json
from flylab.base.files import write_atomic
from flylab.base.optional import need
from flylab.data.mnist1d import MNIST1D
from flylab.data.splits import SETS, Dataset, Splits

VERSION = 1
_MARK = "flylab data"
_MOST, _GROWTH = 2**28, 64  # bytes that a file of any size may become, and times its size
_DTYPE = re.compile(r"[<>|=]?[iuf](1|2|4|8|16)")


class DataFileError(ValueError):
    """A file that is not a data set of ours, is damaged, or was written by another version."""


class _TooLargeError(Exception):
    """A small file that says that it holds very much."""


def _check_size(declared: int, content: bytes) -> None:
    if declared > max(_MOST, _GROWTH * len(content)):
        raise _TooLargeError(f"{len(content)} bytes that would become {declared}")


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
    if wrong := _objection(arrays):
        raise ValueError(wrong)
    about = {"format": f"{_MARK} {VERSION}", "config": config, "checksum": _checksum(config, arrays)}
    write_atomic(path, FORMATS[kind].pack(_Packed(about, arrays)))
    return path


def _objection(arrays: dict[str, np.ndarray]) -> str:
    """What is wrong with the arrays of the three sets; nothing if they are right."""
    for axis, kinds in (("x", "iuf"), ("y", "iu")):
        several = [arrays[f"{axis}_{name}"] for name in SETS]
        types = {array.dtype for array in several}
        if len(types) > 1 or types.pop().kind not in kinds:
            found = ", ".join(f"{name}: {array.dtype}" for name, array in zip(SETS, several, strict=True))
            return f"{axis} of the three sets has types {found}: give one type of numbers"
        if len({array.shape[1:] for array in several}) > 1 or any(not array.ndim for array in several):
            return f"{axis} of the three sets has shapes {', '.join(str(array.shape) for array in several)}"
    for name in SETS:
        x, y = arrays[f"x_{name}"], arrays[f"y_{name}"]
        if y.ndim != 1 or len(x) != len(y):
            return f"x_{name} has shape {x.shape} and y_{name} {y.shape}, not one label for each example"
    t = arrays["t"]
    return "" if t.ndim == 1 and t.dtype.kind in "iuf" else f"t is not a list of numbers, but {t.dtype} {t.shape}"


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
        said = f": {error}" if isinstance(error, _TooLargeError) else ""
        raise DataFileError(
            f"{path} cannot be read as {kind} ({type(error).__name__}{said}): it is damaged, not a data file of "
            "flylab, or of a newer one"
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
    if wrong := _objection(arrays):
        raise DataFileError(f"{path} is not a data file of flylab: {wrong}")
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
    content = b""
    for write in (np.savez_compressed, np.savez):  # what would be read with suspicion is not compressed
        buffer = io.BytesIO()
        write(buffer, allow_pickle=False, flylab=np.array(json.dumps(packed.about)), **packed.arrays)
        content = buffer.getvalue()
        with contextlib.suppress(_TooLargeError):
            return _checked_npz(content)
    return content


def _checked_npz(content: bytes) -> bytes:
    """A file's bytes, if its arrays are not larger than the file can honestly hold; NumPy believes what it reads."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        _check_size(sum(member.file_size for member in archive.infolist()), content)
        for member in archive.infolist():
            with archive.open(member) as file:
                version = np.lib.format.read_magic(file)
                read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
                shape, _, dtype = read[version](file)
                if math.prod(shape) * dtype.itemsize > member.file_size:
                    raise _TooLargeError(f"{member.filename} of {member.file_size} bytes with shape {shape}")
    return content


def _from_npz(content: bytes) -> _Unpacked:
    file = np.load(io.BytesIO(_checked_npz(content)), allow_pickle=False)
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
    for name in ("x", "y", "t_type"):
        if not _DTYPE.fullmatch(about[name]):  # a text of a million letters for each number is a type, too
            raise TypeError(about[name])
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
    whole, content = arrow.table(columns).replace_schema_metadata({"flylab": json.dumps(table.about)}), b""
    for options in ({}, {"compression": "none", "use_dictionary": ["split"]}):  # as for npz
        buffer = io.BytesIO()
        parquet.write_table(whole, buffer, **options)
        content = buffer.getvalue()
        with contextlib.suppress(_TooLargeError):
            _checked_parquet(content)
            break
    return content


def _checked_parquet(content: bytes) -> Any:
    """The open file, if its table is not larger than the file can honestly hold."""
    file = _arrow()[1].ParquetFile(io.BytesIO(content))
    about = file.metadata
    declared = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
    _check_size(max(declared, 8 * about.num_rows * about.num_columns), content)
    return file


def _from_parquet(content: bytes) -> _Unpacked:
    read = _checked_parquet(content).read()
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
