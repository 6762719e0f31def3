"""Random increments: what each kind costs to draw, and what an ensemble on it costs; ratios of one run, one thread.

``python benchmarks/increments.py`` prints the table and writes ``benchmarks/increments.md``. The floor of an element-wise ensemble is its numbers: two-point
increments are cheap enough that the step itself becomes the floor.
"""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

import sgdsde as sg
from sgdsde.counter import counter_normals, key_of
from sgdsde.kernel import State
from sgdsde.rng import normals, stream

ETA, DIM, SUBSTEPS, PATHS, TICKS, REPEATS = 0.1, 10, 4, 100_000, 20, 7
BLOCK = 8192


def kernels() -> dict[str, sg.Kernel]:
    objective = sg.objectives.Quadratic(torch.linspace(0.5, 2, DIM, dtype=torch.float64))
    sde = sg.sdes.SME1(sg.noises.Gaussian(objective, 1.0), ETA)
    euler, heun = sg.kernels.EulerMaruyama(sde, ETA / SUBSTEPS), sg.kernels.Heun(sde, ETA / SUBSTEPS)
    return {
        "block streams (default)": euler,
        "counter streams": sg.kernels.CounterStreams(euler),
        "two-point": sg.kernels.WeakIncrements(euler),
        "four-point (Heun)": sg.kernels.WeakIncrements(heun),
    }


def draws(kernel: sg.Kernel, name: str, dtype: torch.dtype) -> Callable[[], object]:
    """One step's increments for a block."""
    theta, generator = torch.zeros(BLOCK, DIM, dtype=dtype), stream(0, "bench")
    if name.startswith("block"):
        return partial(normals, theta, DIM, generator)
    if name.startswith("counter"):
        return partial(counter_normals, key_of(0, "bench"), 0, torch.arange(BLOCK), DIM, dtype=dtype)
    return partial(kernel.increments, State(theta), 0, generator)


def runs(kernel: sg.Kernel, dtype: torch.dtype) -> Callable[[], object]:
    return partial(sg.simulate, kernel, torch.ones(DIM, dtype=dtype), horizon=TICKS * ETA, paths=PATHS, seed=1, progress=False)


def medians(work: dict[str, Callable[[], object]], inner: int) -> dict[str, float]:
    """Median seconds of ``inner`` calls of each, taken in turn."""
    timings: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(REPEATS):
        for name, function in work.items():
            start = time.perf_counter()
            for _ in range(inner):
                function()
            timings[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in timings.items()}


def main() -> None:
    torch.set_num_threads(1)
    rows = []
    for dtype in (torch.float32, torch.float64):
        found = kernels()
        drawing = medians({name: draws(kernel, name, dtype) for name, kernel in found.items()}, 20)
        running = medians({name: runs(kernel, dtype) for name, kernel in found.items()}, 1)
        base = "block streams (default)"
        for name in found:
            share = drawing[name] / 20 / (BLOCK * DIM) / (running[name] / (PATHS * DIM * TICKS * SUBSTEPS))
            rows.append(
                f"| {str(dtype).removeprefix('torch.')} | {name} | {drawing[base] / drawing[name]:.2f} | {running[base] / running[name]:.2f} | {share:.2f} |"
            )
            print(rows[-1], flush=True)
    lines = [
        "# Random increments",
        "",
        f"Diagonal linear SDE, d = {DIM}, {PATHS:,} paths, {TICKS * SUBSTEPS} steps; median of {REPEATS}; one thread.",
        f"{platform.processor() or platform.machine()}, torch {torch.__version__}, Python {platform.python_version()}.",
        "Rates over those of the default; the last column is the share of the ensemble's time that drawing alone would take.",
        "",
        "| dtype | increments | drawing | whole ensemble | drawing / whole |",
        "|---|---|---|---|---|",
        *rows,
        "",
        "Counter streams give a path the same numbers in any block, on any device and after any resumption. Two- and four-point increments are right in their",
        "moments (weak orders 1 and 2) and refused where the law of the path counts: exits, bridges, couplings.",
        "The fused CUDA step (`sgdsde/kernels/fused.py`) is tested in Triton's interpreter; it has not been measured on a device yet.",
        "",
    ]
    Path(__file__).with_suffix(".md").write_text("\n".join(lines))


if __name__ == "__main__":
    main()
