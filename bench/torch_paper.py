"""Estimate the time of the plain PyTorch loop for the curves of `flylab run double-descent paper`, from short runs.

    python bench/torch_paper.py

Networks train one after the other, each kind with its better number of threads. They are evaluated only before and
after training.
"""

import sweep
import torch_loop
from flylab.data import published
from flylab.studies.double_descent import CHANNELS, STUDY, WIDTHS
from flylab.studies.double_descent.method import CURVES

N_STEPS = 600
PROTOCOL = STUDY.presets["paper"]


def main() -> None:
    """Time every width, and print minutes."""
    splits, per_step = published(sweep.PROTOCOL.data), {}
    for name, widths in (("mlp", WIDTHS), ("cnn", CHANNELS)):

        def seconds(n: int, width: int, n_threads: int, name=name) -> float:
            return torch_loop.seconds(name, splits, n, N_STEPS, n_threads, width)

        by_threads = [
            {w: (seconds(N_STEPS + 1, w, n_threads) - seconds(1, w, n_threads)) / N_STEPS for w in widths}
            for n_threads in (1, 2)
        ]
        per_step[name] = min(by_threads, key=lambda by_width: sum(by_width.values()))
        print(f"a sweep of {name}s: {sum(per_step[name].values()) * PROTOCOL.n_steps * PROTOCOL.n_seeds / 60:.1f} min")
    conditions = [one for one in STUDY.conditions(PROTOCOL) if one["treatment"] in CURVES]
    total = sum(per_step[str(condition["treatment"])[:3]][condition["width"]] for condition in conditions)
    print(
        f"all {len(conditions) * PROTOCOL.n_seeds} networks: {total * PROTOCOL.n_steps * PROTOCOL.n_seeds / 60:.0f} min"
    )


if __name__ == "__main__":
    main()
