"""`flylab data`: write MNIST-1D to a file, or draw it."""

import io
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from flylab.base.config import override_flat
from flylab.base.files import check_target
from flylab.cli.options import EXPANDED, with_options
from flylab.cli.terminal import say
from flylab.data import MNIST1D


def data(
    *, output: Annotated[Path | None, EXPANDED, Parameter(alias="-o")] = None,
    format: Literal["npz", "parquet", "csv", "safetensors"] | None = None,  # noqa: A002
    plot: Annotated[Path | None, EXPANDED] = None, **changes: Any,
) -> None:  # fmt: skip
    """Run `flylab data`.

    Args:
        output: File to write, with the configuration and a checksum; `flylab.data.load` reads it.
        format: Format of the file; by default its ending says it.
        plot: Picture to write: ten examples of each class, and how one is made. It ends in .png, .svg or .pdf.
    """
    from flylab.data import formats, published

    config = override_flat(MNIST1D(), changes)
    if output is None and plot is None:
        raise ValueError("nothing to do: -o FILE writes the data set, --plot FILE.png draws it")
    for path, check in ((plot, _picture), (output, lambda path: formats.format_of(path, format))):
        if path is not None:  # before any work
            check(path)
            check_target(path)
    if plot is not None:
        _draw(plot, config)
    if output is not None:
        formats.save(output, published(config), format)
        say(output)


with_options(data, {"published": MNIST1D()})


def _picture(path: Path) -> str:
    kind = path.suffix.lstrip(".").lower()
    if kind not in ("png", "svg", "pdf"):
        raise ValueError(f"--plot {path} has no ending .png, .svg or .pdf; give it one")
    return kind


def _draw(path: Path, config: MNIST1D) -> None:
    from flylab.base.files import write_atomic
    from flylab.results.plots import data_figure

    buffer = io.BytesIO()
    data_figure(config).savefig(buffer, format=_picture(path))
    write_atomic(path, buffer.getvalue())
    say(path)
