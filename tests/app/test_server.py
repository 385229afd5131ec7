"""What the server does for many pages at once."""

import importlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from flylab.app import server


def test_pages_compile_their_cells_in_turn(monkeypatch):
    kernel: Any = importlib.import_module("marimo._runtime.runtime")
    alone, at_once = threading.Lock(), []

    def compile_cell(code, cell_id):
        at_once.append(not alone.acquire(blocking=False))
        time.sleep(0.01)
        alone.release()
        return code + cell_id

    monkeypatch.setattr(kernel, "compile_cell", compile_cell)
    for _ in range(2):  # a class has two sets of pages
        server._compile_in_turn()
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda i: kernel.compile_cell("x", cell_id=str(i)), range(8))) == [
            f"x{i}" for i in range(8)
        ]
    assert at_once == [False] * 8
