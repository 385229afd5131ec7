"""Ctrl-C ends a command within seconds, whatever it is doing."""

import os
import signal
import subprocess
import sys
import time

import pytest

HEARS = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # what a shell's & starts is deaf
BUSY = """
import threading
from flylab.cli import interrupts
interrupts.install()
print("ready", flush=True)
while True:
    try:
        threading.Event().wait()  # no Python code runs, as while XLA compiles
    except KeyboardInterrupt:  # as callbacks do, where it cannot be raised
        pass
"""


def started(code):
    return subprocess.Popen([sys.executable, "-c", f"{HEARS}\n{code}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True)  # fmt: skip


def test_it_ends_a_process_that_runs_no_python_code():
    with started(BUSY) as process:
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said == "\nflylab: stopped; finished members are kept, and the same command resumes.\n"


@pytest.mark.long
@pytest.mark.parametrize("delay", [0.3, 1.0, 2.0, 3.5, 5.0, 7.0])
def test_a_run_ends_within_three_seconds(delay, tmp_path):
    words = ["flylab", "run", "architectures", "smoke", "--n-steps", "100000", "--out", str(tmp_path)]
    code = f"import sys; sys.argv = {words!r}\nfrom flylab.__main__ import main\nsys.exit(main())"
    with started(code) as process:
        time.sleep(delay)
        os.kill(process.pid, signal.SIGINT)
        began = time.monotonic()
        _, said = process.communicate(timeout=30)
    assert time.monotonic() - began < 3 + 2  # on a busy machine
    assert process.returncode == 130
    assert said.count("the same command resumes") == 1
    assert "Traceback" not in said
