"""The doctor finds what is well, and what is not."""

import json

import numpy as np
import pytest

from flylab.base import runtime
from flylab.cli import doctor
from flylab.cli.main import main
from flylab.reporting import warning_of


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(runtime, "PARITY", tmp_path / "doctor" / "parity.json")


@pytest.mark.slow
def test_devices_compute_what_numpy_does():
    assert all(finding.is_good for finding in doctor.parities())
    assert runtime.parity() == "passed"
    assert doctor.worst(doctor.trained(runtime.devices()[-1]), doctor.reference()) < 1e-5  # well within what is allowed


@pytest.mark.slow
def test_a_device_that_computes_wrongly_fails_and_its_verdicts_carry_a_warning(monkeypatch, tmp_path, capsys):
    right = doctor.trained
    monkeypatch.setattr(doctor, "trained", lambda device: right(device) * (1 + 2e-3))
    assert main(["doctor"]) == 1
    assert "BAD  parity of" in capsys.readouterr().out
    assert runtime.parity() == "failed"
    assert main(["run", "train", "smoke", "--n-steps", "2", "--out", str(tmp_path)]) == 0
    assert "failed the parity test" in capsys.readouterr().err
    (report,) = tmp_path.glob("train/*/report.html")
    assert "Warning: computed on a device" in report.read_text()
    assert main(["claims", str(tmp_path)]) == 0
    assert "failed the parity test" in capsys.readouterr().err


@pytest.mark.slow
def test_groups_are_tried_where_there_are_any(monkeypatch):
    assert not any("groups" in finding.what for finding in doctor.parities())
    monkeypatch.setenv("FLYLAB_GROUP", "4")
    (finding,) = (finding for finding in doctor.parities() if "groups" in finding.what)
    assert finding.is_good
    right = doctor.trained_in_groups
    monkeypatch.setattr(doctor, "trained_in_groups", lambda order=1: right() + 1e-6 * (order < 0))
    (finding,) = (finding for finding in doctor.parities() if "groups" in finding.what)
    assert not finding.is_good
    assert "other bits in another order" in finding.value
    assert runtime.parity() == "failed"


def test_what_is_no_number_is_not_within_tolerance():
    assert doctor.worst(np.array([1.0, np.nan]), np.ones(2)) == np.inf


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"x": 3}'])
def test_what_was_not_tested_is_not_said_to_pass(content):
    runtime.PARITY.parent.mkdir()
    runtime.PARITY.write_text(content)
    assert runtime.parity() == "not tested"


def test_json(capsys):
    assert main(["doctor", "--json"]) in (0, 1)  # the machine may be short of something
    names = {finding["what"] for finding in json.loads(capsys.readouterr().out)}
    assert {"flylab", "jax", "cores", "devices", "matmul peak", "compiled programs"} <= names
    assert any(name.startswith("parity of") for name in names)


def test_a_run_without_provenance_has_no_warning(tmp_path):
    assert warning_of(tmp_path) == ""
    (tmp_path / "provenance.json").write_text("[")
    assert warning_of(tmp_path) == ""
