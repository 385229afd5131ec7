"""Data sets as npz, parquet, csv and safetensors files, which include the config and a checksum.

All four formats hold the same content: the signals and labels of the three sets, the time axis, and the config as JSON.
npz and safetensors name their arrays `x_train`, `y_train`, …, `t`; parquet and csv have a row per example, with the
columns `split`, `label`, `x0`, `x1`, …
"""

import contextlib
import hashlib
import io
import json
import math
import re
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from flylab.base.bounds import TooLargeError, check_memory
from flylab.base.config import from_json, to_json
from flylab.base.files import read_bytes, user_path, write_atomic
from flylab.base.optional import need
from flylab.data.mnist1d import MNIST1D
from flylab.data.splits import SETS, Dataset, Splits

VERSION = 1
_MARK = "flylab data"
_DTYPE = re.compile(r"[<>|=]?[iuf](1|2|4|8|16)")


class DataFileError(ValueError):
    """A file that flylab did not write, that is damaged, or that another version wrote."""


class _Packed(NamedTuple):
    about: dict[str, Any]  # format, config and checksum; for tables also shapes and types
    arrays: dict[str, np.ndarray]


def save(path: str | Path, splits: Splits, format: str | None = None) -> Path:  # noqa: A002
    """Write a data set and its config to a file, atomically: a crash leaves the old file or the new one.

    Args:
        path: the file to write.
        splits: the data set, as from `published`, in NumPy or JAX arrays; their types are kept.
        format: "npz", "parquet", "csv" or "safetensors". The default follows the path's ending.

    Returns:
        The path.

    Raises:
        ValueError: if the format is unknown, or the sets have types or shapes that a file cannot hold.
        MissingExtraError: if the format's package is not installed.
        OSError: if the path cannot be written.

    >>> import tempfile
    >>> from flylab.data import MNIST1D, published
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save(f"{folder}/small.csv", published(MNIST1D(n_train=10, n_valid=10, n_test=10)))
    ...     load(path).config.n_train
    10
    """
    path = user_path(path)
    kind = format_of(path, format)
    if not isinstance(splits.config, MNIST1D | None):
        raise ValueError(f"config={splits.config!r} must be an MNIST1D or None")
    config = None if splits.config is None else json.loads(to_json(splits.config))
    arrays = {
        f"{axis}_{name}": _native(getattr(getattr(splits, name), axis)) for name in SETS for axis in ("x", "y")
    } | {"t": _native(splits.t)}
    if problem := _problem_of(arrays):
        raise ValueError(problem)
    about = {"format": f"{_MARK} {VERSION}", "config": config, "checksum": _checksum(config, arrays)}
    write_atomic(path, FORMATS[kind].pack(_Packed(about, arrays)))
    return path


def _problem_of(arrays: dict[str, np.ndarray]) -> str:
    """Return what makes the arrays of the three sets invalid, or an empty text."""
    for axis, kinds, wanted in (("x", "iuf", "numeric"), ("y", "iu", "integer")):
        arrays_of_sets = [arrays[f"{axis}_{name}"] for name in SETS]
        types = {array.dtype for array in arrays_of_sets}
        if len(types) > 1 or types.pop().kind not in kinds:
            listed = ", ".join(f"{name}: {array.dtype}" for name, array in zip(SETS, arrays_of_sets, strict=True))
            return f"{axis} must have the same {wanted} type in the three sets; it has {listed}"
        if len({array.shape[1:] for array in arrays_of_sets}) > 1 or any(not array.ndim for array in arrays_of_sets):
            shapes = ", ".join(str(array.shape) for array in arrays_of_sets)
            return f"{axis} must have examples of the same shape in the three sets; its shapes are {shapes}"
    for name in SETS:
        x, y = arrays[f"x_{name}"], arrays[f"y_{name}"]
        if y.ndim != 1 or len(x) != len(y):
            return f"y_{name} must have one label for each example; x_{name} has shape {x.shape} and y_{name} {y.shape}"
    t = arrays["t"]
    is_axis = t.ndim == 1 and t.dtype.kind in "iuf"
    return "" if is_axis else f"t must be one-dimensional and numeric; it is {t.dtype} of shape {t.shape}"


def format_of(path: Path, format: str | None = None) -> str:  # noqa: A002
    """Return the format of a file to write: `format`, or the one that the path's ending names.

    Raises:
        ValueError: if there is no such format.
    """
    kind = path.suffix.lstrip(".").lower() if format is None else format
    if kind not in FORMATS:
        subject = f"the ending of {path}" if format is None else f"format={format!r}"
        raise ValueError(f"{subject} must be one of {', '.join(FORMATS)}")
    return kind


def _native(values: Any) -> np.ndarray:
    values = np.asarray(values)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def load(path: str | Path) -> Splits:
    """Read a data set that `save` or `flylab data` wrote, and verify its checksum.

    The format is recognised from the content; the path may have any ending.

    Raises:
        FileNotFoundError: if there is no such file.
        DataFileError: if flylab did not write the file, the file is damaged, or another version wrote it.
        MissingExtraError: if the format's package is not installed.
    """
    path = user_path(path)
    content = read_bytes(path)
    kind = next((kind for kind, candidate in FORMATS.items() if content.startswith(candidate.magic)), "safetensors")
    try:
        return _splits(path, FORMATS[kind].unpack(content))
    except (ImportError, DataFileError):  # these name the missing package, or the problem, already
        raise
    except Exception as error:  # readers raise many kinds of errors on truncated and foreign files
        detail = f": {error}" if isinstance(error, TooLargeError) else ""
        raise DataFileError(
            f"{path} cannot be read as {kind} ({type(error).__name__}{detail}): it is damaged, not a data file of "
            "flylab, or written by a newer version"
        ) from error


def _splits(path: Path, content: "_Packed | _Table") -> Splits:
    about = content.about
    mark, _, version = about["format"].rpartition(" ")
    if mark != _MARK:
        raise DataFileError(f"{path} is not a data file of flylab")
    if version != str(VERSION):
        raise DataFileError(
            f"{path} has version {version}, this flylab reads {VERSION}: read it with the version that wrote it"
        )
    arrays = _from_table(content) if isinstance(content, _Table) else content.arrays
    if problem := _problem_of(arrays):
        raise DataFileError(f"{path} is not a data file of flylab: {problem}")
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


def _to_npz(packed: _Packed) -> bytes:
    content = b""
    for write in (np.savez_compressed, np.savez):  # uncompressed where the reader would refuse the compressed file
        buffer = io.BytesIO()
        write(buffer, allow_pickle=False, flylab=np.array(json.dumps(packed.about)), **packed.arrays)
        content = buffer.getvalue()
        with contextlib.suppress(TooLargeError):
            return _checked_npz(content)
    return content


def _checked_npz(content: bytes) -> bytes:
    """Return the content, or raise if its arrays declare more than it holds: NumPy would allocate what they declare."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        check_memory(sum(member.file_size for member in archive.infolist()), len(content))
        for member in archive.infolist():
            with archive.open(member) as file:
                version = np.lib.format.read_magic(file)
                read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
                shape, _, dtype = read[version](file)
                if math.prod(shape) * dtype.itemsize > member.file_size:
                    raise TooLargeError(f"{member.filename} has {member.file_size} bytes and declares shape {shape}")
    return content


def _from_npz(content: bytes) -> _Packed:
    file = np.load(io.BytesIO(_checked_npz(content)), allow_pickle=False)
    return _Packed(json.loads(str(file["flylab"])), {name: file[name] for name in file if name != "flylab"})


def _to_safetensors(packed: _Packed) -> bytes:
    arrays = {name: np.ascontiguousarray(array) for name, array in packed.arrays.items()}
    return _safetensors().save(arrays, {"flylab": json.dumps(packed.about)})


def _from_safetensors(content: bytes) -> _Packed:
    length = int.from_bytes(content[:8], "little")
    about = json.loads(content[8 : 8 + length])["__metadata__"]["flylab"]  # `safetensors.load` returns no metadata
    return _Packed(json.loads(about), _safetensors().load(content))


def _safetensors() -> Any:
    return need("safetensors.numpy", "data", "a safetensors file")


class _Table(NamedTuple):
    about: dict[str, Any]
    split: np.ndarray  # (n,), names of sets
    label: np.ndarray  # (n,)
    x: np.ndarray  # (n, n_columns)


def _sets(names: Sequence[str]) -> np.ndarray:
    """Return names of sets as an array, which gives each the room of the longest."""
    if not all(name in SETS for name in names):
        raise ValueError(f"a set is none of {', '.join(SETS)}")
    return np.array(names, dtype=str)


def _to_table(packed: _Packed) -> _Table:
    arrays, x = packed.arrays, packed.arrays["x_train"]
    about = packed.about | {
        "shape": x.shape[1:], "x": x.dtype.str, "y": arrays["y_train"].dtype.str,
        "t": arrays["t"].tolist(), "t_type": arrays["t"].dtype.str,
    }  # fmt: skip
    n_columns = int(np.prod(x.shape[1:]))
    return _Table(
        about,
        _sets([name for name in SETS for _ in arrays[f"y_{name}"]]),
        np.concatenate([arrays[f"y_{name}"] for name in SETS]),
        np.concatenate([arrays[f"x_{name}"].reshape(-1, n_columns) for name in SETS]),
    )


def _from_table(table: _Table) -> dict[str, np.ndarray]:
    about = table.about
    for name in ("x", "y", "t_type"):
        if not _DTYPE.fullmatch(about[name]):  # text types are refused: they could declare any width
            raise TypeError(about[name])
    x = table.x.reshape(-1, *about["shape"]).astype(about["x"])
    y = table.label.astype(about["y"])
    arrays = {"t": np.array(about["t"], about["t_type"])}
    for name in SETS:
        arrays |= {f"x_{name}": x[table.split == name], f"y_{name}": y[table.split == name]}
    return arrays


def _to_csv(packed: _Packed) -> bytes:
    """Write a comment line with the JSON, a header, and numbers with all their digits (pandas: `comment="#"`)."""
    table = _to_table(packed)
    lines = [f"# flylab {json.dumps(table.about)}", ",".join(["split", "label", *_columns(table.x)])]
    for name, label, row in zip(table.split.tolist(), table.label.tolist(), table.x.tolist(), strict=True):
        lines.append(f"{name},{label},{','.join(map(repr, row))}")
    return ("\n".join(lines) + "\n").encode()


def _from_csv(content: bytes) -> _Table:
    first, header, *lines = content.decode().splitlines()
    split, _, numbers = zip(*(line.partition(",") for line in lines), strict=True) if lines else ((), (), ())
    values = np.loadtxt(numbers, delimiter=",", ndmin=2) if lines else np.zeros((0, header.count(",")))
    return _Table(json.loads(first.removeprefix("# flylab ")), _sets(split), values[:, 0], values[:, 1:])


def _to_parquet(packed: _Packed) -> bytes:
    arrow, parquet = _arrow()
    table = _to_table(packed)
    split = arrow.array(table.split.tolist(), arrow.string()).dictionary_encode()
    columns = {"split": split, "label": arrow.array(table.label)}
    columns |= dict(zip(_columns(table.x), (arrow.array(column) for column in table.x.T), strict=True))
    arrow_table, content = arrow.table(columns).replace_schema_metadata({"flylab": json.dumps(table.about)}), b""
    for options in ({}, {"compression": "none", "use_dictionary": ["split"]}):  # as for npz
        buffer = io.BytesIO()
        parquet.write_table(arrow_table, buffer, **options)
        content = buffer.getvalue()
        with contextlib.suppress(TooLargeError):
            _checked_parquet(content)
            break
    return content


def _checked_parquet(content: bytes) -> Any:
    """Return the open file, or raise if its table declares more than the file can hold."""
    arrow, parquet = _arrow()
    file = parquet.ParquetFile(io.BytesIO(content), read_dictionary=["split"])
    metadata = file.metadata
    declared = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    check_memory(max(declared, 8 * metadata.num_rows * metadata.num_columns), len(content))
    for i in range(metadata.num_row_groups):
        if "DELTA_BYTE_ARRAY" in metadata.row_group(i).column(0).encodings:  # holds what texts have in common once
            raise TypeError("the column split is in an encoding that flylab does not write")
    for field in file.schema_arrow:  # a dictionary holds a text once for all rows, which would each get their own
        if field.name != "split" and not (arrow.types.is_integer(field.type) or arrow.types.is_floating(field.type)):
            raise TypeError(f"the column {field.name} is {field.type}")
    return file


def _from_parquet(content: bytes) -> _Table:
    table = _checked_parquet(content).read()
    x = np.stack([table[name].to_numpy() for name in table.column_names[2:]], axis=1)
    about = json.loads(table.schema.metadata[b"flylab"])
    split = table["split"].combine_chunks()
    split = _sets(split.dictionary.to_pylist())[split.indices.to_numpy()]
    return _Table(about, split, table["label"].to_numpy(), x)


def _arrow() -> tuple[Any, Any]:
    return need("pyarrow", "data", "a parquet file"), need("pyarrow.parquet", "data", "a parquet file")


def _columns(x: np.ndarray) -> list[str]:
    return [f"x{i}" for i in range(x.shape[1])]


class _Format(NamedTuple):
    pack: Callable[[_Packed], bytes]
    unpack: Callable[[bytes], _Packed | _Table]
    magic: bytes  # the first bytes of every file of the format


FORMATS: dict[str, _Format] = {
    "npz": _Format(_to_npz, _from_npz, b"PK"),
    "parquet": _Format(_to_parquet, _from_parquet, b"PAR1"),
    "csv": _Format(_to_csv, _from_csv, b"# flylab"),
    "safetensors": _Format(_to_safetensors, _from_safetensors, b"\xff"),  # has no magic bytes; `load` falls back to it
}
