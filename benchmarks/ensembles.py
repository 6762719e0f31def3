"""Ensembles of SDEs on the CPU: ratios of one run against the rate of filling the same normals, and against what others would run.

The floor of this work is the random numbers: an Euler–Maruyama step of a diagonal linear SDE needs one normal per coordinate and four
memory passes that stay in cache. ``python benchmarks/ensembles.py`` prints the table and stores ``benchmarks/ensembles.md``. Every row is the median of its
repetitions, taken in turn. diffrax runs in an environment of its own (``benchmarks/peers/make.sh``); where there is none the column says absent.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import torch
import torchsde
from clock import in_turn
from models import ETA, SUBSTEPS, element_wise
from page import HERE, Page, peer, short
from torch import Tensor

import sgdsde as sg
from sgdsde import compiled
from sgdsde.rng import normals, stream

DIM = 10
#: (paths, steps): torchsde's Brownian tree costs more a step the more steps there are
SIZES = ((100_000, 40), (10_000, 80), (5_000, 1000), (1_000, 1000))


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


class Streaming(torchsde.BaseBrownian):
    """Fresh increments on a grid that is walked once, forwards: the least that torchsde can be given for a Brownian motion."""

    levy_area_approximation, device = "none", torch.device("cpu")
    shape, dtype = (0, DIM), torch.float32  # of an ensemble: see __init__

    def __init__(self, paths: int, dtype: torch.dtype) -> None:
        self.shape, self.dtype, self.generator = (paths, DIM), dtype, torch.Generator().manual_seed(1)

    def __call__(self, ta: Tensor, tb: Tensor | None = None, return_U: bool = False, return_A: bool = False) -> Tensor:
        return torch.randn(self.shape, dtype=self.dtype, generator=self.generator) * float(tb - ta) ** 0.5

    def __repr__(self) -> str:
        return "Streaming()"


def fill(paths: int, steps: int, dtype: torch.dtype) -> None:
    """The same number of normals, in cache-sized pieces, by the package's own fill, with nothing done to them."""
    like, generator = torch.empty(2**13, 1, dtype=dtype), stream(0, "bench")
    for _ in range(max(1, paths * DIM * steps // 2**16)):
        normals(like, 8, generator)


def ours(paths: int, steps: int, dtype: torch.dtype, workers: int, counter: bool = False) -> None:
    kernel: sg.Kernel = sg.kernels.EulerMaruyama(element_wise(DIM), ETA / SUBSTEPS)
    kernel = sg.kernels.CounterStreams(kernel) if counter else kernel
    start = torch.ones(DIM, dtype=dtype)
    with ThreadPoolExecutor(workers) as pool:
        sg.simulate(kernel, start, horizon=steps // SUBSTEPS * ETA, paths=paths, seed=1, progress=False, executor=pool if workers > 1 else None)


def shipped(paths: int, steps: int, dtype: torch.dtype, streaming: bool) -> None:
    sde = Shipped(torch.linspace(0.5, 2, DIM, dtype=dtype), ETA**0.5)
    times = torch.tensor([0.0, steps // SUBSTEPS * ETA], dtype=dtype)
    motion = Streaming(paths, dtype) if streaming else None
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torchsde.sdeint(sde, torch.ones(paths, DIM, dtype=dtype), times, bm=motion, dt=ETA / SUBSTEPS, method="euler")


def plain(paths: int, steps: int, dtype: torch.dtype) -> None:
    """The loop that people write: all paths at once, a fresh tensor of normals a step."""
    curvature, scale, dt = torch.linspace(0.5, 2, DIM, dtype=dtype), ETA**0.5, ETA / SUBSTEPS
    generator = torch.Generator().manual_seed(1)
    x = torch.ones(paths, DIM, dtype=dtype)
    for _ in range(steps):
        x = x - curvature * x * dt + scale * dt**0.5 * torch.randn(paths, DIM, dtype=dtype, generator=generator)


def diffrax(paths: int, steps: int, dtype: torch.dtype) -> float | None:
    """Median seconds of three compiled runs by diffrax, None where there is none."""
    interpreter = peer("diffrax")
    if interpreter is None:
        return None
    script = HERE / "peers" / "diffrax_ensemble.py"
    words = [interpreter, script, paths, steps, short(dtype), DIM, ETA / SUBSTEPS]
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=True)
    return statistics.median(json.loads(done.stdout)["seconds"])


def main() -> None:
    torch.set_num_threads(1)
    page, given = Page.from_command_line(Path(__file__).stem, "Ensembles of diagonal SDEs on the CPU")
    page.text(
        f"Euler–Maruyama on SME-1, diagonal quadratic, d = {DIM}; medians of 7 runs, of 3 where they are long; torchsde {torchsde.__version__}.",
        "One thread of linear algebra a worker. Share: rate per core over the rate at which one core fills the same normals (the floor of this work; blocks",
        "smaller than the ensemble fill a second worker only where there are at least two). At the floor: by how much filling these normals on one core, and",
        "nothing else, would beat torchsde. Gain: over `torchsde.sdeint` (method euler) as shipped, with its own Brownian object; with one that draws a fresh",
        "increment a step; over a plain torch loop over all paths at once; and over diffrax (Euler, UnsafeBrownianPath, compiled; compilation not counted;",
        "held to one core). Counter streams: the same ensemble with `CounterStreams`, compiled by numba, which make their normals in the step and so need not",
        "wait for the rate of filling. Everything but the columns of two workers runs on one thread and counts its own CPU time.",
    )
    table = page.table(
        [
            "dtype",
            "threads",
            "paths",
            "steps",
            "share",
            "share a core, 2 workers",
            "at the floor",
            "over torchsde",
            "2 workers",
            "torchsde, streaming",
            "plain loop",
            "diffrax",
            "counter streams over torchsde",
            "2 workers, counter streams",
            "counter streams over diffrax",
        ]
    )
    for dtype in (torch.float32, torch.float64):
        for paths, steps in ((1000, 40),) if given.quick else SIZES:
            repeats = 1 if given.quick else 7 if paths * steps <= 1e6 else 3
            one = {
                "fill": partial(fill, paths, steps, dtype),
                "one": partial(ours, paths, steps, dtype, 1),
                "torchsde": partial(shipped, paths, steps, dtype, False),
                "streaming": partial(shipped, paths, steps, dtype, True),
                "plain": partial(plain, paths, steps, dtype),
            }
            if compiled.available():
                one["counter"] = partial(ours, paths, steps, dtype, 1, True)
            cpu = in_turn(one, repeats=repeats, shortest=0)
            two = {"two": partial(ours, paths, steps, dtype, 2), "fill": one["fill"]}
            if compiled.available():
                two["counter two"] = partial(ours, paths, steps, dtype, 2, True)
            wall = in_turn(two, repeats=repeats, shortest=0, clock=time.perf_counter)
            peers = diffrax(paths, steps, dtype)
            share = cpu["fill"] / cpu["one"]
            both = wall["fill"] / wall["two"]  # times the rate of filling, by the wall
            floor = cpu["torchsde"] / cpu["fill"]
            counter = cpu["torchsde"] / cpu["counter"] if "counter" in cpu else None
            counter_two = floor * wall["fill"] / wall["counter two"] if "counter" in cpu else None
            counter_peer = None if peers is None or counter is None else peers / cpu["counter"]
            gain = {name: cpu[name] / cpu["one"] for name in ("torchsde", "streaming", "plain")}
            table.row(
                short(dtype), "1 or 2", f"{paths:,}", f"{steps:,}", f"{share:.2f}", f"{both / 2:.2f}", f"{floor:.1f}", f"{gain['torchsde']:.1f}",
                f"{floor * both:.1f}",
                f"{gain['streaming']:.1f}", f"{gain['plain']:.1f}",
                "absent" if peers is None else f"{peers / cpu['one']:.1f}",
                *("absent" if value is None else f"{value:.1f}" for value in (counter, counter_two, counter_peer)),
            )  # fmt: skip
            where, work = {"dtype": short(dtype)}, f"diagonal/linear ensembles, CPU, {paths:,} paths, {steps:,} steps"
            for threads, found, most in (("1", gain["torchsde"], floor), ("2", floor * both, 2 * floor)):
                page.promise(work, "≥ 10× torchsde as shipped", found, at_least=10, most=most, threads=threads, **where)
            for threads, faster in (("1", counter), ("2", counter_two)):
                page.promise(f"{work}, counter streams", "≥ 10× torchsde as shipped", faster, at_least=10, threads=threads, **where)
            page.promise(f"{work}, counter streams", "≥ 5× diffrax", counter_peer, at_least=5, threads="1", **where)
            page.promise(work, "≥ 5× diffrax", None if peers is None else peers / cpu["one"], at_least=5, threads="1", **where)
    page.close()


if __name__ == "__main__":
    main()
