"""What a data set costs and what it tells: seconds per trained model, and the spread of accuracies, by data set.

    python bench/datasets.py [--dataset digits mnist …] [--data-dir FOLDER] [--n-steps 6000]

Each network is trained twice on every core by the protocol of `architectures`, and the second time is timed: nothing is
compiled then, evaluations are counted. A network's seconds are those of one core.
"""

import argparse
import time

import jax

from flylab.base import runtime
from flylab.studies import architectures
from flylab.training.learners import learner_title


def measure(protocol: architectures.Protocol, dataset: str, model: str) -> tuple[float, float]:
    """Mean test accuracy after the last step in percent, and seconds per trained model."""
    condition = {"dataset": dataset, "model": model, "arrangement": "plain", "source": "published"}
    seeds, key, seconds, results = range(len(runtime.devices())), jax.random.key(0), 0.0, None
    for _ in range(2):
        begun = time.perf_counter()
        results = architectures.run(protocol, condition, seeds, key=key)
        seconds = time.perf_counter() - begun
    assert results is not None
    return float(results.test_accuracy.isel(step=-1).mean()), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", nargs="*", default=["digits"], choices=list(architectures.NAMES))
    parser.add_argument("--data-dir")
    parser.add_argument("--n-steps", type=int, default=6000)
    asked = parser.parse_args()
    protocol = architectures.Protocol(n_steps=asked.n_steps, dataset=tuple(asked.dataset), data_dir=asked.data_dir)
    architectures.input_digest(protocol)  # what is missing is said before anything is trained
    models = architectures.IMAGE_NETWORKS
    print(f"{asked.n_steps} steps, {len(runtime.devices())} models side by side\n")
    print("| | spread: best − logistic, points | " + " | ".join(f"{learner_title(m)}, s" for m in models) + " |")
    print("|---" * (2 + len(models)) + "|")
    for dataset in protocol.dataset:
        accuracies, seconds = zip(*(measure(protocol, dataset, model) for model in models), strict=True)
        spread = max(accuracies[1:]) - accuracies[0]
        conditions = " | ".join(f"{one:.3g}" for one in seconds)
        print(f"| {architectures.NAMES[dataset]} | {spread:.1f} | {conditions} |", flush=True)


if __name__ == "__main__":
    main()
