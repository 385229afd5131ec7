"""One width sweep of double descent from a cold start, in a process of its own: compilation in full, training from
short runs.

    python bench/sweep.py mlp|cnn N_STEPS        prints minutes of flylab, compilation included, and of that alone

Every width trains two members (one per core) twice: the first time compiles what its bucket has not compiled yet, the
second gives the time per step. `run.py` calls this with an empty compilation cache.
"""

import sys
import time
from dataclasses import replace

import jax

from flylab import runtime
from flylab.studies.double_descent import CHANNELS, STUDY, Protocol, run

ARMS = {"mlp": "mlp-noise", "cnn": "cnn-noise"}
WIDTHS = {"mlp": STUDY.presets["paper"].widths, "cnn": tuple(n for n in CHANNELS if n <= 50)}
PROTOCOL: Protocol = replace(STUDY.presets["paper"], fresh_data=False)
N_SEEDS = PROTOCOL.n_seeds


def shortened(n_steps: int) -> Protocol:
    """The protocol cut down to so many steps, with evaluations at least as dense."""
    return replace(PROTOCOL, n_epochs=max(n_steps // PROTOCOL.epoch, 1), n_evaluations=1)


def minutes(name: str, n_steps: int) -> tuple[float, float]:
    """A sweep over all widths and seeds: minutes in all, and of compilation."""
    protocol, n_devices = shortened(n_steps), len(runtime.devices())
    key, seeds = jax.random.key(0), range(n_devices)
    n_groups = -(-N_SEEDS // n_devices)
    compiling = training = 0.0
    for width in WIDTHS[name]:
        cell = {"arm": ARMS[name], "n_train": protocol.data.n_train, "n_outputs": 10, "width": width}
        times = []
        for _ in range(2):
            begun = time.perf_counter()
            run(protocol, cell, seeds, key=key)
            times.append(time.perf_counter() - begun)
        compiling += times[0] - times[1]
        training += times[1] * PROTOCOL.n_steps / protocol.n_steps * n_groups
    return (compiling + training) / 60, compiling / 60


if __name__ == "__main__":
    print(*minutes(sys.argv[1], int(sys.argv[2])))
