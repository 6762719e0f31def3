"""Floors and shares: for each kind of work what the machine must at least do (normals, flops, bytes), and how near to that the package runs; one thread.

``python benchmarks/floors.py`` prints the tables and stores ``benchmarks/floors.md``. Rates of the floors are of this machine; shares are ratios of one run.
A share of 1 means that nothing but the floor takes time; 1 − share is what could still be gained without better random numbers, matrix products or memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from clock import in_turn
from floor_rates import Floors
from models import ETA, SUBSTEPS, dense, element_wise, turned_well, well
from page import Page, short
from small_matrices import COLUMNS, rows

import sgdsde as sg
from sgdsde import compiled

#: paths of the state-dependent rows, by model, and where eigenvectors are computed
PATHS = {"SME1": (20_000, 20_000), "SME2": (20_000, 20_000), "HASME": (8_000, 1_000), "HASMEProduct": (8_000, 1_000)}


def run(kernel: sg.Kernel, paths: int, dtype: torch.dtype, ticks: int) -> object:
    start = torch.full((kernel.dim,), 0.3, dtype=dtype)
    return sg.simulate(kernel, start, horizon=ticks * kernel.tick, paths=paths, seed=1, progress=False)


def linear(floors: Floors, ticks: int, scale: int) -> Iterator[tuple[str, int, str, float, sg.Kernel]]:
    """(work, paths, the floor in words, floor seconds, kernel)."""
    rate, steps = floors.normals(), SUBSTEPS * ticks
    for paths in (1_000, 10_000, 100_000, 300_000):
        yield (
            "element-wise linear, d = 10",
            paths // scale,
            "normals",
            paths // scale * 10 * steps / rate,
            sg.kernels.EulerMaruyama(element_wise(10), ETA / SUBSTEPS),
        )
    for dim in (1, 100, 1000):
        paths = 500_000 // dim // scale
        yield f"element-wise linear, d = {dim}", paths, "normals", paths * dim * steps / rate, sg.kernels.EulerMaruyama(element_wise(dim), ETA / SUBSTEPS)
    for dim in (10, 100, 500):
        sde, paths = dense(dim), 1_000_000 // dim // scale
        least = paths * steps * (dim / rate + 2 * 2 * dim**2 / floors.flops(dim))
        yield f"dense linear, d = {dim}", paths, "normals + two products", least, sg.kernels.EulerMaruyama(sde, sde.eta / SUBSTEPS)


def nonlinear(floors: Floors, ticks: int, scale: int) -> Iterator[tuple[str, int, str, float, sg.Kernel]]:
    """The same for models whose every step evaluates the objective."""
    for name, make, dims in (("double well", well, (1, 4)), ("turned double well", turned_well, (2, 5, 10))):
        for dim in dims:
            for model, (many, few) in PATHS.items():
                paths = few if dim > 3 and make is turned_well else many
                least = paths // scale * dim * SUBSTEPS * ticks / floors.normals()
                yield f"{name}, d = {dim}, {model}, Heun", paths // scale, "normals", least, make(model, dim)


def main() -> None:
    torch.set_num_threads(1)
    page, given = Page.from_command_line("floors", "Floors of the CPU, and shares")
    ticks, scale, repeats = (2, 20, 1) if given.quick else (10, 1, 3)
    page.text(f"One thread of linear algebra; medians of {repeats}.")
    rates = page.table(["dtype", "threads", "normals/s", "flops/s, d = 500", "bytes/s in cache", "bytes/s in memory"])
    page.text(
        "“Floor / time”: the least time that the random numbers (and products) of the work take, over the time it took. In the rows of linear models the",
        "step is a precomputed affine map. In those of the double well every step evaluates gradients and, but for SME-1, Hessians at two points; turned: the",
        "Hessian is full and so is Σ, which does not commute with it.",
    )
    shares = page.table(["dtype", "threads", "work", "paths", "floor", "floor / time"])
    for dtype in (torch.float32, torch.float64):
        floors = Floors(dtype)
        speeds = (floors.normals(), floors.flops(500), floors.bytes(2**14), floors.bytes(2**25))
        rates.row(short(dtype), 1, *(f"{speed:.2g}" for speed in speeds))
        for kind in (linear, nonlinear):
            for work, paths, words, least, kernel in kind(floors, ticks, scale):
                found = in_turn({"it": partial(run, kernel, paths, dtype, ticks)}, repeats=repeats, shortest=0)["it"]
                shares.row(short(dtype), 1, work, f"{paths:,}", words, f"{least / found:.2f}" if least / found > 0.095 else f"{least / found:.3f}")
                if (work, paths) == ("element-wise linear, d = 10", 100_000 // scale):
                    must = "≥ 0.75 of the rate of filling the same normals, a core"
                    page.promise("diagonal/linear ensembles, CPU", must, least / found, at_least=0.75, dtype=short(dtype), threads="1")
    if compiled.available():
        page.text("Small matrices by compiled loops (numba), against what runs without it; the turned double well in five and ten dimensions is made of these.")
        small = page.table(COLUMNS)
        for dtype in (torch.float32, torch.float64):
            for dim, count, eigen, over_lapack, series, over_torch in rows(dtype, scale=scale, repeats=repeats):
                gain = f"{over_lapack:.1f}" if over_lapack is not None else "LAPACK runs"
                small.row(short(dtype), 1, dim, f"{count:,}", f"{1e6 * eigen:.2f}", gain, f"{1e6 * series:.2f}", f"{over_torch:.1f}")
    page.close()


if __name__ == "__main__":
    main()
