"""Ensembles of SDEs on the CPU: ratios of one run against the rate of filling the same normals, and against torchsde as shipped.

The floor of this work is the random numbers: an Euler–Maruyama step of a diagonal linear SDE needs one normal per coordinate and four
memory passes that stay in cache. ``python benchmarks/ensembles.py`` prints the table and writes ``benchmarks/ensembles.md``. One thread a row
(two workers where it says so); every row is the median of its repetitions, taken in turn so that drift of the machine cancels. diffrax runs in an environment
of its own, whose interpreter ``SGDSDE_DIFFRAX`` names; where it is not set the column says absent.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import torch
import torchsde
from torch import Tensor

import sgdsde as sg
from sgdsde.rng import normals, stream

ETA, DIM, SUBSTEPS, REPEATS = 0.1, 10, 4, 5
#: (paths, steps): torchsde's Brownian tree costs more a step the more steps there are
SIZES = ((100_000, 80), (10_000, 80), (10_000, 1000), (1_000, 1000))


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


def fill(paths: int, steps: int, dtype: torch.dtype) -> None:
    """The same number of normals, in cache-sized pieces, by the package's own fill, with nothing done to them."""
    like, generator = torch.empty(2**13, 1, dtype=dtype), stream(0, "bench")
    for _ in range(paths * DIM * steps // 2**16):
        normals(like, 8, generator)


def ours(paths: int, steps: int, dtype: torch.dtype, workers: int) -> None:
    kernel = sg.kernels.EulerMaruyama(model(DIM), ETA / SUBSTEPS)
    start = torch.ones(DIM, dtype=dtype)
    with ThreadPoolExecutor(workers) as pool:
        sg.simulate(kernel, start, horizon=steps // SUBSTEPS * ETA, paths=paths, seed=1, progress=False, executor=pool if workers > 1 else None)


def shipped(paths: int, steps: int, dtype: torch.dtype) -> None:
    sde = Shipped(torch.linspace(0.5, 2, DIM, dtype=dtype), ETA**0.5)
    times = torch.tensor([0.0, steps // SUBSTEPS * ETA], dtype=dtype)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torchsde.sdeint(sde, torch.ones(paths, DIM, dtype=dtype), times, dt=ETA / SUBSTEPS, method="euler")


def plain(paths: int, steps: int, dtype: torch.dtype) -> None:
    """The loop that people write: all paths at once, a fresh tensor of normals a step."""
    curvature, scale, dt = torch.linspace(0.5, 2, DIM, dtype=dtype), ETA**0.5, ETA / SUBSTEPS
    generator = torch.Generator().manual_seed(1)
    x = torch.ones(paths, DIM, dtype=dtype)
    for _ in range(steps):
        x = x - curvature * x * dt + scale * dt**0.5 * torch.randn(paths, DIM, dtype=dtype, generator=generator)


def diffrax(paths: int, steps: int, dtype: torch.dtype) -> float | None:
    """Median seconds of three compiled runs by diffrax, None where there is none."""
    interpreter = os.environ.get("SGDSDE_DIFFRAX")
    if not interpreter:
        return None
    script = Path(__file__).parent / "peers" / "diffrax_ensemble.py"
    words = [interpreter, str(script), str(paths), str(steps), str(dtype).removeprefix("torch."), str(DIM), str(ETA / SUBSTEPS)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return statistics.median(json.loads(done.stdout)["seconds"])


def medians(work: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median seconds of each, taken in turn."""
    timings: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(REPEATS):
        for name, function in work.items():
            timings[name].append(seconds(function))
    return {name: statistics.median(values) for name, values in timings.items()}


def main() -> None:
    torch.set_num_threads(1)
    rows = []
    for dtype in (torch.float32, torch.float64):
        for paths, steps in SIZES:
            median = medians(
                {
                    "fill": partial(fill, paths, steps, dtype),
                    "one": partial(ours, paths, steps, dtype, 1),
                    "two": partial(ours, paths, steps, dtype, 2),
                    "torchsde": partial(shipped, paths, steps, dtype),
                    "plain": partial(plain, paths, steps, dtype),
                }
            )
            one, two = median["fill"] / median["one"], median["fill"] / median["two"] / 2
            gains = f"{median['torchsde'] / median['one']:.1f} | {median['torchsde'] / median['two']:.1f}"
            peer = diffrax(paths, steps, dtype)
            gains += f" | {median['plain'] / median['one']:.1f} | " + ("absent" if peer is None else f"{peer / median['one']:.1f}")
            rows.append(f"| {str(dtype).removeprefix('torch.')} | {paths:,} | {steps:,} | {one:.2f} | {two:.2f} | {gains} |")
            print(rows[-1], flush=True)
    lines = [
        "# Ensembles of diagonal SDEs on the CPU",
        "",
        f"Euler–Maruyama on SME-1, diagonal quadratic, d = {DIM}; median of {REPEATS}; one thread of linear algebra a worker.",
        f"{platform.processor() or platform.machine()}, torch {torch.__version__}, torchsde {torchsde.__version__}, Python {platform.python_version()}.",
        "Share: rate per core over the rate at which one core fills the same normals (the floor of this work; blocks smaller than the ensemble fill",
        "a second worker only where there are at least two). Gain: over `torchsde.sdeint` as shipped (method euler, its own Brownian object), over a plain",
        "torch loop over all paths at once, and over diffrax (Euler, UnsafeBrownianPath, compiled; compilation not counted), each on one thread.",
        "",
        "| dtype | paths | steps | share, 1 worker | share per core, 2 workers | over torchsde | 2 workers | over a plain loop | over diffrax |",
        "|---|---|---|---|---|---|---|---|---|",
        *rows,
        "",
    ]
    Path(__file__).with_suffix(".md").write_text("\n".join(lines))


if __name__ == "__main__":
    main()
