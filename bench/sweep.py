"""Time one width sweep of double descent from a cold start, in a process of its own.

    python bench/sweep.py mlp|cnn N_STEPS        prints flylab's minutes in all, and those of compilation alone

Compilation is measured in full; training is extrapolated from short runs. Every width trains two members (one per
core) for a quarter of N_STEPS, and for all of them: first to compile what is not compiled yet, then to be timed. The
time of a whole run follows from both; evaluations are as frequent as in a whole run. `run.py` calls this with an empty
compilation cache.
"""

import sys
import time
from dataclasses import replace

import jax

from flylab.base import runtime
from flylab.studies import double_descent
from flylab.studies.double_descent import CHANNELS, STUDY, Protocol

TREATMENTS = {"mlp": "mlp-noise", "cnn": "cnn-noise"}
WIDTHS = {"mlp": double_descent.WIDTHS, "cnn": tuple(n for n in CHANNELS if n <= 50)}
PROTOCOL: Protocol = replace(STUDY.presets["paper"], fresh_data=False)
N_SEEDS = PROTOCOL.n_seeds
EVERY = PROTOCOL.n_steps // (PROTOCOL.n_evaluations + 1)  # mean number of steps between evaluations


def shortened(n_steps: int) -> Protocol:
    """Return the protocol with `n_steps` steps, evaluated at the first, the last, and after every `EVERY` steps."""
    return replace(PROTOCOL, n_epochs=max(n_steps // PROTOCOL.epoch, 1), n_evaluations=1 + n_steps // EVERY)


def minutes(name: str, n_steps: int) -> tuple[float, float]:
    """Return the minutes of a sweep over all widths and seeds: in all, and for compilation."""
    few, many = shortened(n_steps // 4), shortened(n_steps)
    n_devices = len(runtime.devices())  # before anything else starts JAX
    key = jax.random.key(0)
    n_groups = -(-N_SEEDS // n_devices)
    compiling = training = 0.0
    for width in WIDTHS[name]:
        condition = {"treatment": TREATMENTS[name], "n_train": PROTOCOL.data.n_train, "n_outputs": 10, "width": width}
        times = []
        for protocol in (few, many, few, many):
            start = time.perf_counter()
            STUDY.run(protocol, condition, range(n_devices), key=key)
            times.append(time.perf_counter() - start)
        compiling += times[0] - times[2]  # a whole sweep compiles for one number of steps only
        per_step = (times[3] - times[2]) / (many.n_steps - few.n_steps)
        training += (times[2] + per_step * (PROTOCOL.n_steps - few.n_steps)) * n_groups
    return (compiling + training) / 60, compiling / 60


if __name__ == "__main__":
    print(*minutes(sys.argv[1], int(sys.argv[2])))
