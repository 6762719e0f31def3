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


def runs(kernel: sg.Kernel, dtype: torch.dtype, paths: int, ticks: int) -> Callable[[], object]:
    return partial(sg.simulate, kernel, torch.ones(DIM, dtype=dtype), horizon=ticks * ETA, paths=paths, seed=1, progress=False)


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
        running = in_turn({name: runs(kernel, dtype, paths, ticks) for name, kernel in found.items()}, repeats=repeats, shortest=0)
        base = "block streams (default)"
        for name in found:
            share = drawing[name] / (BLOCK * DIM) / (running[name] / (paths * DIM * ticks * SUBSTEPS))
            table.row(short(dtype), 1, name, f"{drawing[base] / drawing[name]:.2f}", f"{running[base] / running[name]:.2f}", f"{share:.2f}")
    page.text(
        "Counter streams give a path the same numbers in any block, on any device and after any resumption. Two- and four-point increments are right in their",
        "moments (weak orders 1 and 2) and refused where the law of the path counts: exits, bridges, couplings.",
        "On a CUDA device counter streams are fused into the step (`sgdsde/kernels/fused.py`): `device.md`.",
    )
    page.close()


if __name__ == "__main__":
    main()
