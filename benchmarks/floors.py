"""Floors and shares: for each kind of work what the machine must at least do (normals, flops, bytes), and how near to that the package runs; one thread.

``python benchmarks/floors.py`` prints the tables and writes ``benchmarks/floors.md``. Rates of the floors are of this machine; shares are ratios of one run.
A share of 1 means that nothing but the floor takes time; 1 − share is what could still be gained without better random numbers, matrix products or memory.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

import sgdsde as sg
from sgdsde.rng import normals, stream

ETA, TICKS, REPEATS, BLOCK = 0.1, 10, 3, 8192


def seconds(work: Callable[[], object], inner: int = 1) -> float:
    """Median seconds of one call."""
    found = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        for _ in range(inner):
            work()
        found.append((time.perf_counter() - start) / inner)
    return statistics.median(found)


def normals_rate(dtype: torch.dtype) -> float:
    """Normals per second of the package's own fill, in a cache-sized block."""
    like, generator = torch.empty(BLOCK, 1, dtype=dtype), stream(0, "bench")
    return BLOCK * 8 / seconds(lambda: normals(like, 8, generator), 20)


def flops_rate(dim: int, dtype: torch.dtype) -> float:
    """Flops per second of a block of points times a dim × dim matrix."""
    x, F = torch.ones(BLOCK, dim, dtype=dtype), torch.ones(dim, dim, dtype=dtype)
    out = torch.empty_like(x)
    return 2 * BLOCK * dim**2 / seconds(lambda: torch.mm(x, F, out=out), 5)


def bytes_rate(dtype: torch.dtype, size: int) -> float:
    """Bytes per second of y += a·x: two reads and a write."""
    x, y = torch.ones(size, dtype=dtype), torch.ones(size, dtype=dtype)
    return 3 * size * x.element_size() / seconds(lambda: y.add_(x, alpha=1e-9), max(1, 2**22 // size))


def linear(dim: int, *, dense: bool) -> sg.sdes.SME1:
    if dense:
        A = torch.randn(dim, dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64) / dim**0.5
        return sg.sdes.SME1(sg.noises.Gaussian(sg.objectives.Quadratic(A @ A.T + torch.eye(dim)), A.T @ A + torch.eye(dim)), ETA / 4)
    return sg.sdes.SME1(sg.noises.Gaussian(sg.objectives.Quadratic(torch.linspace(0.5, 2, dim, dtype=torch.float64)), 1.0), ETA)


def run(kernel: sg.Kernel, paths: int, dtype: torch.dtype) -> float:
    start = torch.full((kernel.dim,), 0.3, dtype=dtype)
    return seconds(partial(sg.simulate, kernel, start, horizon=TICKS * kernel.tick, paths=paths, seed=1, progress=False))


def kinds(dtype: torch.dtype, rate: float) -> list[tuple[str, int, str, float, float]]:
    """(work, paths, the floor in words, floor seconds, seconds)."""
    rows = []
    for paths in (1_000, 10_000, 100_000, 300_000):
        kernel = sg.kernels.EulerMaruyama(linear(10, dense=False), ETA / 4)
        rows.append(("element-wise linear, d = 10", paths, "normals", paths * 10 * 4 * TICKS / rate, run(kernel, paths, dtype)))
    for dim in (1, 100, 1000):
        kernel, paths = sg.kernels.EulerMaruyama(linear(dim, dense=False), ETA / 4), 500_000 // dim
        rows.append((f"element-wise linear, d = {dim}", paths, "normals", paths * dim * 4 * TICKS / rate, run(kernel, paths, dtype)))
    for dim in (10, 100, 500):
        dense, paths = linear(dim, dense=True), 1_000_000 // dim
        kernel = sg.kernels.EulerMaruyama(dense, dense.eta / 4)
        floor = paths * 4 * TICKS * (dim / rate + 2 * 2 * dim**2 / flops_rate(dim, dtype))
        rows.append((f"dense linear, d = {dim}", paths, "normals + two products", floor, run(kernel, paths, dtype)))
    well = sg.noises.Gaussian(sg.objectives.DoubleWell(dim=4), 0.04)
    for model in ("SME1", "SME2", "HASME"):
        kernel, paths = sg.kernels.Heun(getattr(sg.sdes, model)(well, ETA), ETA / 4), 20_000 if model != "HASME" else 2_000
        rows.append((f"double well in 4-D, {model}, Heun", paths, "normals", paths * 4 * 4 * TICKS / rate, run(kernel, paths, dtype)))
    return rows


def main() -> None:
    torch.set_num_threads(1)
    lines = ["# Floors of the CPU, and shares", ""]
    lines += [f"{platform.processor() or platform.machine()}, torch {torch.__version__}, Python {platform.python_version()}, one thread; medians of {REPEATS}."]
    lines += [
        f"Load average before: {os.getloadavg()[0]:.1f}.",
        "",
        "| dtype | normals/s | flops/s, d = 500 | bytes/s in cache | bytes/s in memory |",
        "|---|---|---|---|---|",
    ]
    rows: list[str] = []
    for dtype in (torch.float32, torch.float64):
        name, rate = str(dtype).removeprefix("torch."), normals_rate(dtype)
        lines.append(f"| {name} | {rate:.2g} | {flops_rate(500, dtype):.2g} | {bytes_rate(dtype, 2**14):.2g} | {bytes_rate(dtype, 2**25):.2g} |")
        for work, paths, floor, least, found in kinds(dtype, rate):
            rows.append(f"| {name} | {work} | {paths:,} | {floor} | {least / found:.2f} |")
            print(rows[-1], flush=True)
    lines += ["", "| dtype | work | paths | floor | floor / time |", "|---|---|---|---|---|", *rows, ""]
    Path(__file__).with_suffix(".md").write_text("\n".join(lines))


if __name__ == "__main__":
    main()
