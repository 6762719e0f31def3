"""Ensembles of SDEs on the CPU: ratios of one run against the rate of filling the same normals, and against torchsde as shipped.

The floor of this work is the random numbers: an Euler–Maruyama step of a diagonal linear SDE needs one normal per coordinate and four
memory passes that stay in cache. ``python benchmarks/ensembles.py`` prints the table and writes ``benchmarks/ensembles.md``. One thread a row
(two workers where it says so); every row is the median of its repetitions, taken in turn so that drift of the machine cancels.
"""

from __future__ import annotations

import platform
import statistics
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
import torchsde
from torch import Tensor

import sgdsde as sg
from sgdsde.rng import stream

ETA, DIM, TICKS, SUBSTEPS, REPEATS = 0.1, 10, 20, 4, 5
STEPS = TICKS * SUBSTEPS


class Shipped(torch.nn.Module):
    """SME-1 on a diagonal quadratic as a user of torchsde would write it."""

    noise_type, sde_type = "diagonal", "ito"

    def __init__(self, curvature: Tensor, scale: float) -> None:
        super().__init__()
        self.curvature, self.scale = curvature, scale

    def f(self, t: Tensor, y: Tensor) -> Tensor:
        return -self.curvature * y

    def g(self, t: Tensor, y: Tensor) -> Tensor:
        return torch.full_like(y, self.scale)


def model(dim: int) -> sg.sdes.SME1:
    objective = sg.objectives.Quadratic(torch.linspace(0.5, 2, dim, dtype=torch.float64))
    return sg.sdes.SME1(sg.noises.Gaussian(objective, 1.0), ETA)


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def fill(paths: int, dtype: torch.dtype) -> None:
    """The same number of normals, in cache-sized pieces, with nothing done to them."""
    buffer, generator = torch.empty(2**16, dtype=dtype), stream(0, "bench")
    for _ in range(paths * DIM * STEPS // 2**16):
        buffer.normal_(generator=generator)


def ours(paths: int, dtype: torch.dtype, workers: int, method: str = "EulerMaruyama") -> None:
    kernel = getattr(sg.kernels, method)(model(DIM), ETA / SUBSTEPS)
    start = torch.ones(DIM, dtype=dtype)
    options = {"horizon": TICKS * ETA, "paths": paths, "seed": 1, "progress": False}
    if workers == 1:
        sg.simulate(kernel, start, **options)
    else:
        with ThreadPoolExecutor(workers) as pool:
            sg.simulate(kernel, start, executor=pool, **options)


def shipped(paths: int, dtype: torch.dtype) -> None:
    sde = Shipped(torch.linspace(0.5, 2, DIM, dtype=dtype), ETA**0.5)
    times = torch.tensor([0.0, TICKS * ETA], dtype=dtype)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torchsde.sdeint(sde, torch.ones(paths, DIM, dtype=dtype), times, dt=ETA / SUBSTEPS, method="euler")


def main() -> None:
    torch.set_num_threads(1)
    paths = 100_000
    rows = []
    for dtype in (torch.float32, torch.float64):
        work = {
            "fill normals": lambda dtype=dtype: fill(paths, dtype),
            "sgdsde, 1 worker": lambda dtype=dtype: ours(paths, dtype, 1),
            "sgdsde, 2 workers": lambda dtype=dtype: ours(paths, dtype, 2),
            "torchsde as shipped": lambda dtype=dtype: shipped(paths, dtype),
        }
        timings: dict[str, list[float]] = {name: [] for name in work}
        for _ in range(REPEATS):
            for name, function in work.items():
                timings[name].append(seconds(function))
        median = {name: statistics.median(values) for name, values in timings.items()}
        for workers in (1, 2):
            taken = median[f"sgdsde, {workers} worker" + ("s" if workers > 1 else "")]
            rows.append(
                (str(dtype).removeprefix("torch."), workers, median["fill normals"] / taken / workers, median["torchsde as shipped"] / taken)
            )
    lines = [
        "# Ensembles of diagonal SDEs on the CPU",
        "",
        f"Euler–Maruyama on SME-1, diagonal quadratic, d = {DIM}, {paths:,} paths, {STEPS} steps; median of {REPEATS}; one thread of linear algebra a worker.",
        f"{platform.processor() or platform.machine()}, torch {torch.__version__}, torchsde {torchsde.__version__}, Python {platform.python_version()}.",
        "",
        "| dtype | workers | rate per core / rate of one core filling the same normals | times torchsde.sdeint as shipped (1 thread) |",
        "|---|---|---|---|",
        *(f"| {dtype} | {workers} | {share:.2f} | {gain:.1f} |" for dtype, workers, share, gain in rows),
        "",
    ]
    text = "\n".join(lines)
    Path(__file__).with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
