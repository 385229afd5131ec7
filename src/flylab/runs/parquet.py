"""The results of a sweep as a table, for pandas and others."""

import warnings
from pathlib import Path

import xarray as xr

from flylab.base import files

STAMP = b"flylab_results"  # metadata with the checksum of the results


def save_parquet(path: Path, results: xr.Dataset) -> None:
    """Write a row for each member and step, unless the file has these results; warn if pyarrow is not installed."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        warnings.warn(f"{path.name} is not written, as it needs pyarrow: pip install 'flylab[data]'", stacklevel=4)
        return
    stamp = results.attrs["checksum"].encode()
    try:
        if (pq.read_schema(path).metadata or {}).get(STAMP) == stamp:
            return
    except (OSError, pa.ArrowException):  # no such file, or a damaged one
        pass
    names = [name for name, variable in results.data_vars.items() if variable.dtype.kind == "f" or variable.ndim == 0]
    rows = results[names].to_dataframe().reset_index().dropna(how="all", subset=names)
    table = pa.Table.from_pandas(rows, preserve_index=False)
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), STAMP: stamp})
    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer)
    files.write_atomic(path, buffer.getvalue().to_pybytes())
