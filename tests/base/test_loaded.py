"""Modules whose files have changed since they were loaded."""

import importlib
import os
import sys
import time

import pytest

from flylab.base import loaded


@pytest.fixture
def beside(tmp_path, monkeypatch):
    """A module in a folder of its own, imported."""
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / "loaded_beside.py"
    path.write_text("K = 1\n")
    yield path, importlib.import_module("loaded_beside")
    sys.modules.pop("loaded_beside", None)


def edit(path, text):
    path.write_text(text)
    later = time.time() + 5  # Python's own bytecode goes by whole seconds
    os.utime(path, (later, later))


def test_a_module_is_current_until_its_file_changes(beside):
    path, module = beside
    assert loaded.is_current(module)
    edit(path, "K = 2\n")
    assert not loaded.is_current(module)


def test_a_change_before_the_first_question_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / "loaded_before.py"
    path.write_text("K = 1\n")
    module = importlib.import_module("loaded_before")
    edit(path, "K = 2\n")
    assert not loaded.is_current(module)


def test_a_reload_is_current(beside):
    path, module = beside
    assert loaded.is_current(module)
    edit(path, "K = 2\n")
    assert loaded.is_current(importlib.reload(module))
    assert module.K == 2


def test_what_has_changed_is_imported_anew(beside):
    path, module = beside
    loaded.note_beside(path)
    loaded.forget_changed(path)
    assert sys.modules["loaded_beside"] is module
    edit(path, "K = 2\n")
    loaded.forget_changed(path)
    assert importlib.import_module("loaded_beside").K == 2
