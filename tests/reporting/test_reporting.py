"""Finished runs are found and opened, their pages are whole, and importing the package is light."""

import json
import os
from dataclasses import replace

import pytest
import xarray as xr

import flylab
from flylab import reporting
from flylab.base import netcdf
from flylab.reporting import page


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


@pytest.mark.slow
def test_the_page_is_whole_and_its_content_escaped(folder):
    (folder / "provenance.json").write_text('{"parity": "failed", "processor": "<b>fast</b>"}')
    verdicts = reporting.publish(folder)
    text = (folder / "report.html").read_text()
    assert text.startswith("<!doctype html>")
    assert text.rstrip().endswith("</html>")
    assert "{{" not in text
    assert all(f"<b>{verdict.id}</b>" in text for verdict in verdicts)
    assert "Warning: computed on a device that failed" in text
    assert "&lt;b&gt;fast" in text
    assert text.index("A smoke run of 2 seeds") < text.index("<img")
    assert "<mark>" not in text
    assert all(f'<a href="{name}">' in text and (folder / name).exists() for name in ("results.nc", *page.FILES[:3]))


@pytest.mark.slow
def test_what_differs_from_the_preset_is_marked(folder):
    results = reporting.load(folder)
    protocol = json.loads(results.attrs["protocol"]) | {"width": 7}
    reporting.publish(folder, results.assign_attrs(protocol=json.dumps(protocol)))
    text = (folder / "report.html").read_text()
    assert "<mark>width=7</mark>" in text
    assert "<mark>7</mark> changed: the preset has 50" in text
    assert text.count("<mark>") == 3


@pytest.mark.slow
def test_a_figure_that_cannot_be_drawn_damages_nothing(folder, monkeypatch):
    results = reporting.load(folder)
    study = page.study_of(results)

    def fails(results):
        raise RuntimeError("latex could not be\nfound")

    reporting.publish(folder)
    monkeypatch.setattr(page, "study_of", lambda results: replace(study, figure=fails))
    (folder / "claims.json").unlink()
    with pytest.warns(UserWarning, match="the figure of learning_rate cannot be drawn .RuntimeError: latex could not"):
        verdicts = reporting.publish(folder)
    assert len(json.loads((folder / "claims.json").read_text())) == len(verdicts)
    assert "The figure could not be drawn" in (folder / "report.html").read_text()
    assert not [*folder.glob("figure.*")]  # the old one might be of other results
    monkeypatch.undo()
    run_again(folder)
    assert len([*folder.glob("figure.*")]) == 2


@pytest.mark.parametrize("name", page.FILES)
def test_files_that_are_missing_or_of_other_results_are_seen(name, folder, monkeypatch):
    run_again(folder)
    path, before = folder / name, (folder / name).read_bytes()
    checksum, published = reporting.load(folder).checksum.encode(), []
    assert checksum in before
    monkeypatch.setattr(page, "publish", lambda *args: published.append(args))
    path.unlink()
    for other in (None, before.replace(checksum, b"0" * 64)):
        if other is not None:
            path.write_bytes(other)
            os.utime(path, (2e9, 2e9))  # newer than the results
        run_again(folder)
        assert len(published) == 1
        published.clear()
    path.write_bytes(before)
    run_again(folder)
    assert not published


@pytest.mark.slow
def test_missing_files_are_made_again(folder):
    run_again(folder)
    before = {name: (folder / name).read_bytes() for name in page.FILES}
    for name in page.FILES:
        (folder / name).unlink()
    run_again(folder)
    assert {name: (folder / name).read_bytes() for name in page.FILES} == before


def run_again(folder):
    flylab.run("learning_rate", preset="smoke", out=folder.parents[1])


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
