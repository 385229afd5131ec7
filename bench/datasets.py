"""Measure seconds per trained model and the spread of accuracies, by data set.

    python bench/datasets.py [--dataset digits mnist …] [--data-dir FOLDER] [--n-steps 6000]

Each network is trained twice on every core by the protocol of `architectures`. The second time is measured: it includes
evaluations, but no compilation. The seconds of a network are those of one core.
"""

import argparse
import time

import jax

from flylab.base import runtime
from flylab.data.images import identity
from flylab.studies import architectures
from flylab.studies.architectures import measures, method
from flylab.training.learners import learner_title


def measure(protocol: architectures.Protocol, dataset: str, model: str) -> tuple[float, float]:
    """Return the mean final test accuracy in percent, and the seconds per trained model."""
    condition = {"dataset": dataset, "model": model, "arrangement": "plain", "source": "published"}
    seeds, key, seconds, results = range(len(runtime.devices())), jax.random.key(0), 0.0, None
    for _ in range(2):
        start = time.perf_counter()
        results = architectures.STUDY.run(protocol, condition, seeds, key=key)
        seconds = time.perf_counter() - start
    assert results is not None
    return float(results.test_accuracy.isel(step=-1).mean()), seconds


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", nargs="*", default=["digits"], choices=list(architectures.NAMES))
    parser.add_argument("--data-dir")
    parser.add_argument("--n-steps", type=int, default=6000)
    options = parser.parse_args()
    protocol = architectures.Protocol(
        n_steps=options.n_steps, dataset=tuple(options.dataset), data_dir=options.data_dir
    )
    titles = measures.titles(identity.attributes(method.image_sets(protocol)))  # reports missing data before training
    models = architectures.IMAGE_NETWORKS
    print(f"{options.n_steps} steps, {len(runtime.devices())} models side by side\n")
    print("| | spread: best − logistic, points | " + " | ".join(f"{learner_title(m)}, s" for m in models) + " |")
    print("|---" * (2 + len(models)) + "|")
    for dataset in protocol.dataset:
        accuracies, seconds = zip(*(measure(protocol, dataset, model) for model in models), strict=True)
        spread = max(accuracies[1:]) - accuracies[0]
        times = " | ".join(f"{value:.3g}" for value in seconds)
        print(f"| {titles[dataset]} | {spread:.1f} | {times} |", flush=True)


if __name__ == "__main__":
    main()
