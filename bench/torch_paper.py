"""What the plain PyTorch loop would take for all of `flylab run double-descent paper`, from short runs.

    python bench/torch_paper.py

One network after the other, each kind at its better number of threads; evaluations before and after only.
"""

import sweep
import torch_loop
from flylab.data import published
from flylab.studies.double_descent import CHANNELS, STUDY, WIDTHS

N_STEPS = 600
PROTOCOL = STUDY.presets["paper"]


def main() -> None:
    """Measure every width and print minutes."""
    splits, per_step = published(sweep.PROTOCOL.data), {}
    for name, widths in (("mlp", WIDTHS), ("cnn", CHANNELS)):

        def seconds(n: int, width: int, n_threads: int, name=name) -> float:
            return torch_loop.seconds(name, splits, n, N_STEPS, n_threads, width)

        tried = [
            {w: (seconds(N_STEPS + 1, w, n_threads) - seconds(1, w, n_threads)) / N_STEPS for w in widths}
            for n_threads in (1, 2)
        ]
        per_step[name] = min(tried, key=lambda one: sum(one.values()))
        print(f"a sweep of {name}s: {sum(per_step[name].values()) * PROTOCOL.n_steps * PROTOCOL.n_seeds / 60:.1f} min")
    conditions = STUDY.conditions(PROTOCOL)
    total = sum(per_step[str(condition["treatment"])[:3]][condition["width"]] for condition in conditions)
    print(
        f"all {len(conditions) * PROTOCOL.n_seeds} networks: {total * PROTOCOL.n_steps * PROTOCOL.n_seeds / 60:.0f} min"
    )


if __name__ == "__main__":
    main()
