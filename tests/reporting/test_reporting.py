"""Finished runs are found and opened, their pages are whole, and importing the package is light."""

import json

import pytest
import xarray as xr

import flylab
from flylab import reporting
from flylab.base import netcdf


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    flylab.run("learning_rate", preset="smoke", out=out)
    (folder,) = out.glob("learning_rate/*")
    return folder


def test_damaged_results_are_named_with_what_to_do(tmp_path):
    (tmp_path / "results.nc").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"results\.nc .*; run the study again"):
        reporting.load(tmp_path)


def test_the_page_is_whole_and_its_content_escaped(folder):
    (folder / "provenance.json").write_text('{"parity": "failed", "processor": "<b>fast</b>"}')
    verdicts = reporting.publish(folder)
    page = (folder / "report.html").read_text()
    assert page.startswith("<!doctype html>")
    assert page.rstrip().endswith("</html>")
    assert "{{" not in page
    assert all(f"<b>{verdict.id}</b>" in page for verdict in verdicts)
    assert "Warning: computed on a device that failed" in page
    assert "&lt;b&gt;fast" in page


CONTROL = {
    "an attribute": lambda data: data.assign_attrs(preset="smoke\x1b[2J"),
    "the name of an attribute": lambda data: data.assign_attrs({"a\x9b": "b"}),
    "a unit": lambda data: data.assign(a=data.a.assign_attrs(units="\u202es")),
    "a label": lambda data: data.assign_coords(model=["mlp", "cnn\x01"]),
    "the name of a variable": lambda data: data.rename(a="a\x07"),
    "the name of a dimension": lambda data: data.rename(model="model\r"),
}


@pytest.mark.parametrize("damage", CONTROL.values(), ids=CONTROL)
def test_control_characters_are_refused(tmp_path, damage):
    data = xr.Dataset({"a": ("model", [1.0, 2.0])}, {"model": ["mlp", "größer\n"]}, {"study": "train", "lines": "a\nb"})
    netcdf.save(tmp_path / "results.nc", data)
    assert reporting.load(tmp_path).attrs["lines"] == "a\nb"
    netcdf.save(tmp_path / "results.nc", damage(data))
    with pytest.raises(ValueError, match=r"control characters \('") as refused:
        reporting.load(tmp_path)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("word", ["mlp\nrm -rf ~", "mlp\x1b]52;c;\x07", "\r"])
def test_a_command_line_is_one_line(folder, word):
    attrs = flylab.load(folder).attrs
    protocol = json.loads(attrs["protocol"])
    with pytest.raises(ValueError, match="control characters"):
        reporting.repeat_command(attrs | {"protocol": json.dumps(protocol | {"model": word})})


def test_public_names_exist():
    assert all(callable(getattr(reporting, name)) for name in reporting.__all__)
    with pytest.raises(AttributeError, match="nope"):
        reporting.nope  # noqa: B018
