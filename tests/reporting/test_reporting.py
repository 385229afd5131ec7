"""Finished runs are found and opened, their pages are whole, and importing the package is light."""

import pytest

import flylab
from flylab import reporting


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


def test_public_names_exist():
    assert all(callable(getattr(reporting, name)) for name in reporting.__all__)
    with pytest.raises(AttributeError, match="nope"):
        reporting.nope  # noqa: B018
