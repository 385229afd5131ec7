"""Time ensembles of `torch.func` on a GPU, as their users write them: stacked parameters, vmapped gradients, Adam.

    python bench/gpu_torch.py [--budget 90] [--out torch.json] [--quick]        called by gpu.py

Single precision without TF32, fixed batches of 100 on the device, no evaluations.
"""

import argparse
import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch

import torch_loop
from contenders import IMAGES, ensemble_step

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
MODELS = {name: torch_loop.MODELS[name] for name in ("mlp", "cnn", *IMAGES)}


def loop(name: str, x, y):
    """Return a function that takes one step of one network, in a plain loop."""
    model = MODELS[name]().to(DEVICE)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2, fused=DEVICE == "cuda")

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()

    return step


def seconds(step, n: int) -> float:
    """Return the wall time of one step."""
    for _ in range(3):
        step()
    _wait()
    began = time.perf_counter()
    for _ in range(n):
        step()
    _wait()
    return (time.perf_counter() - began) / n


def _wait() -> None:
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    """Time all contenders while there is time, and write the JSON after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=float, default=90)
    parser.add_argument("--out", type=Path, default=Path("torch.json"))
    parser.add_argument("--only", default="", help="time only contenders whose names contain this text")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    began = time.monotonic()
    results: dict[str, Any] = {"torch": f"{torch.__version__} on {DEVICE}"}
    signals, y = torch.randn(100, 40, device=DEVICE), torch.randint(0, 10, (100,), device=DEVICE)
    images = {name: torch.randn(100, n, height, width, device=DEVICE) for name, (height, width, n) in IMAGES.items()}
    modes = [("compiled", "default"), ("compiled with graphs", "reduce-overhead")] if DEVICE == "cuda" else []
    widths = (4,) if given.quick else (128, 1024)
    wanted = [
        (name, width, title, mode) for title, mode in [("eager", None), *modes] for width in widths for name in MODELS
    ]
    for name, width, title, mode in [(name, 1, "loop", None) for name in MODELS] + wanted:
        if time.monotonic() - began > given.budget:
            break
        if given.only not in f"{name} {title} {width}":
            continue
        try:
            began_here, x = time.perf_counter(), images.get(name, signals)
            step = loop(name, x, y)
            if title != "loop":
                step = partial(ensemble_step(MODELS[name], width, mode, DEVICE), x, y)
            step()
            _wait()
            first = time.perf_counter() - began_here
            one = seconds(step, 2)
            each = seconds(step, max(2, min(100, int(3 / one))))
            value = {
                "us": round(each / width * 1e6, 4),
                "ms_per_step": round(each * 1e3, 3),
                "first_s": round(first, 1),
            }
        except Exception as error:
            value = f"{type(error).__name__}: {str(error)[:300]}"
        results[f"{name} {title} {width}"] = value
        given.out.write_text(json.dumps(results, indent=1))
        torch.compiler.reset()
        if DEVICE == "cuda":
            torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
