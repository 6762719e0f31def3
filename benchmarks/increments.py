"""Random increments: what each kind costs to draw, and what an ensemble on it costs; ratios of one run, one thread.

``python benchmarks/increments.py`` prints the table and stores ``benchmarks/increments.md``. The floor of an element-wise ensemble is its numbers: two-point
increments are cheap enough that the step itself becomes the floor.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from clock import in_turn
from page import Page, short

import sgdsde as sg
from sgdsde import compiled
from sgdsde.counter import counter_normals, key_of
from sgdsde.kernel import State
from sgdsde.rng import normals, stream

ETA, DIM, SUBSTEPS = 0.1, 10, 4
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


def main() -> None:
    torch.set_num_threads(1)
    page, given = Page.from_command_line(Path(__file__).stem, "Random increments")
    paths, ticks, repeats = (5_000, 2, 1) if given.quick else (50_000, 20, 3)
    page.text(
        f"Diagonal linear SDE, d = {DIM}, {paths:,} paths, {ticks * SUBSTEPS} steps; median of {repeats} CPU times.",
        "Rates over those of the default; the last column is the share of the ensemble's time that drawing alone would take.",
    )
    table = page.table(["dtype", "threads", "increments", "drawing", "whole ensemble", "drawing / whole"])
    for dtype in (torch.float32, torch.float64):
        found = kernels()
        drawing = in_turn({name: draws(kernel, name, dtype) for name, kernel in found.items()}, repeats=repeats)
        running = in_turn({name: wide(kernel, DIM, dtype, paths, ticks) for name, kernel in found.items()}, repeats=repeats, shortest=0)
        base = "block streams (default)"
        for name in found:
            share = drawing[name] / (BLOCK * DIM) / (running[name] / (paths * DIM * ticks * SUBSTEPS))
            table.row(short(dtype), 1, name, f"{drawing[base] / drawing[name]:.2f}", f"{running[base] / running[name]:.2f}", f"{share:.2f}")
    page.text(
        "Counter streams give a path the same numbers in any block, on any device and after any resumption"
        f" ({'compiled by numba' if compiled.available() else 'without numba'} here). Two- and four-point increments are right in their",
        "moments (weak orders 1 and 2) and refused where the law of the path counts: exits, bridges, couplings.",
        "On a CUDA device counter streams are fused into the step (`sgdsde/kernels/fused.py`): `device.md`.",
    )
    counter_table(page, repeats, paths * DIM, ticks)
    page.close()


def linear_kernels(dim: int, dense: bool) -> dict[str, sg.Kernel]:
    """Heun on HA-SME and SGD: diagonal, or with Σ turned against H."""
    spectrum = torch.linspace(0.5, 2, dim, dtype=torch.float64)
    turn = torch.linalg.qr(torch.randn(dim, dim, dtype=torch.float64, generator=stream(0, "bench")))[0]
    H = turn @ torch.diag(spectrum) @ turn.T if dense else spectrum
    noise = sg.noises.Gaussian(sg.objectives.Quadratic(H), torch.diag(spectrum.flip(0)))
    return {"Heun, HA-SME": sg.kernels.Heun(sg.sdes.HASME(noise, ETA), ETA / SUBSTEPS), "SGD": sg.kernels.SGD(noise, ETA)}


def counter_table(page: Page, repeats: int, numbers: int, ticks: int) -> None:
    """Whole ensembles of linear models, counter streams over the default."""
    page.text(
        "",
        "Whole ensembles of linear models, as many numbers a step as above: rate with `CounterStreams` over the default's. In one dimension one of a word's",
        "two normals is used.",
    )
    table = page.table(["dtype", "threads", "matrices", "d", "Heun, HA-SME", "SGD"])
    for dtype in (torch.float32, torch.float64):
        for dense, dims in ((False, (1, 2, 3, 10, 100)), (True, (2, 4, 10, 16))):
            for dim in dims:
                gains = []
                for kernel in linear_kernels(dim, dense).values():
                    both = {"default": kernel, "counter": sg.kernels.CounterStreams(kernel)}
                    times = in_turn({name: wide(each, dim, dtype, numbers // dim, ticks) for name, each in both.items()}, repeats=repeats, shortest=0)
                    gains.append(times["default"] / times["counter"])
                table.row(short(dtype), 1, "dense" if dense else "diagonal", dim, *(f"{gain:.1f}" for gain in gains))


def wide(kernel: sg.Kernel, dim: int, dtype: torch.dtype, paths: int, ticks: int) -> Callable[[], object]:
    return partial(sg.simulate, kernel, torch.ones(dim, dtype=dtype), horizon=ticks * ETA, paths=paths, seed=1, progress=False)


if __name__ == "__main__":
    main()
