"""How cost grows: rate against the floor for 10³…10⁷ paths, 1…1,000 dimensions and 10²…10⁶ steps, with memory and what limits; CPU or CUDA.

The time of N paths in d dimensions over n steps has parts that the machine sets, each from rates measured in the same run (``floor_rates.py``):

    random numbers   N·d·n / (normals a second)
    memory           5·N·d·n numbers read or written / (bytes a second in arrays of a block's size)      element-wise: x, ΔW, x⁺ three times
    products         2·2·N·d²·n / (flops a second of a block times a d × d matrix)                        dense: F x + G ΔW
    Python           blocks·n·(seconds of a step of one path)
    eigenvectors     3·N·n·(seconds of a d × d eigendecomposition in a batch)    HA-SME with Heun, d > 3: H at two points, Q at one

``python benchmarks/scaling.py`` prints and stores ``benchmarks/scaling.md``; ``--device cuda``: ``benchmarks/scaling-cuda.md``. Every cell runs as many
steps as fit its share of the time: what a step costs does not depend on how many there are, which the last table shows.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from clock import seconds
from ensembles import shipped
from floor_rates import Floors
from models import ETA, SUBSTEPS, dense, element_wise, turned_well, well
from page import Page, Table, fail, short

import sgdsde as sg
from sgdsde.loop import default_block_size

#: coordinate-steps of a cell, numbers of an ensemble, longest run: above that a cell is not run
BUDGET, MOST_NUMBERS, MOST_STEPS = {"cpu": 4e7, "cuda": 2e10}, {"cpu": 1e8, "cuda": 2e9}, 4000
QUICK = 200
#: seconds below which a cell is timed twice; fewest steps of a cell, so that its start and end are a small part
AGAIN, FEWEST = 1.0, 12
#: numbers of a block on a device: one launch does all of them
BLOCK_NUMBERS = 2**28
COLUMNS = ["device", "dtype", "threads", "model", "paths", "d", "steps", "coordinate-steps/s", "floor / time"]
PARTS = ("random numbers", "memory", "products", "eigenvectors", "Python")
COLUMNS += [*PARTS, "limited by", "MiB over the start", "MiB of states"]


@dataclass(frozen=True)
class Cell:
    """An ensemble to be timed."""

    model: str
    kernel: sg.Kernel
    paths: int
    steps: int

    @property
    def numbers(self) -> int:
        return self.paths * self.kernel.dim


def block_size(kernel: sg.Kernel, paths: int, device: str) -> int:
    """Paths a block: what stays in a core's cache; on a device as many as fill it."""
    return default_block_size(kernel, paths) if device == "cpu" else max(1, min(paths, BLOCK_NUMBERS // kernel.dim))


def run(cell: Cell, dtype: torch.dtype, device: str) -> Callable[[], object]:
    start = torch.full((cell.kernel.dim,), 0.3, dtype=dtype, device=device)
    horizon, size = cell.steps // SUBSTEPS * cell.kernel.tick, block_size(cell.kernel, cell.paths, device)
    return lambda: sg.simulate(cell.kernel, start, horizon=horizon, paths=cell.paths, seed=1, block_size=size, progress=False)


def with_memory(work: Callable[[], object], device: str) -> tuple[float, float]:
    """Seconds, and the peak of memory over what was there before, in MiB (on the CPU of pages that the process touched)."""
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        spent = seconds(work, device=device)
        return spent, (torch.cuda.max_memory_allocated() - before) / 2**20
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)  # what earlier work freed is no longer resident
    Path("/proc/self/clear_refs").write_text("5")  # the peak becomes what is resident now
    before = resident("VmRSS")
    spent = seconds(work)
    return spent, resident("VmHWM") - before


def resident(name: str) -> float:
    """VmRSS or VmHWM of this process, in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status does not tell {name}; this table needs Linux.")


def parts(cell: Cell, floors: Floors) -> dict[str, float]:
    """Seconds that each part would take alone."""
    kernel, dim, coordinates = cell.kernel, cell.kernel.dim, float(cell.numbers) * cell.steps
    size, fused = block_size(kernel, cell.paths, floors.device), "fused" in cell.model
    blocks = -(-cell.paths // size)
    found = {"random numbers": coordinates / floors.normals()}
    if cell.model.startswith("element-wise"):
        passes = 2 / cell.steps if fused else 5  # fused: one read and one write a launch
        found["memory"] = passes * coordinates * floors.itemsize / floors.bytes(min(cell.paths, size) * dim)
    if cell.model == "dense":
        found["products"] = 4 * coordinates * dim / floors.flops(dim)
    if "HASME" in cell.model and dim > 3:
        found["eigenvectors"] = 3 * cell.paths * cell.steps * floors.eigh(dim)
    if not fused:
        found["Python"] = blocks * cell.steps * floors.step(kernel)
    return found


def show(table: Table, cell: Cell, floors: Floors) -> float:
    """Time a cell; its coordinate-steps a second."""
    work = run(cell, floors.dtype, floors.device)
    run(Cell(cell.model, cell.kernel, min(cell.paths, 100), SUBSTEPS), floors.dtype, floors.device)()
    spent, peak = with_memory(work, floors.device)
    if spent < AGAIN:
        spent, peak = min((spent, peak), with_memory(work, floors.device))
    found = parts(cell, floors)
    floor = found["random numbers"] + found.get("products", 0.0)
    most = max(found, key=lambda name: found[name])
    shares = (f"{found[name] / spent:.2f}" if name in found else "" for name in PARTS)
    limited = most if found[most] > spent / 3 else "the model's arithmetic" if "HASME" in cell.model else "the run's start and end"
    rate, states = cell.numbers * cell.steps / spent, cell.numbers * floors.itemsize / 2**20
    where = (floors.device, short(floors.dtype), 1, cell.model, f"{cell.paths:,}", cell.kernel.dim, f"{cell.steps:,}")
    table.row(*where, f"{rate:.2g}", f"{floor / spent:.2f}", *shares, limited, f"{peak:.0f}", f"{states:.0f}")
    return rate


def cells(device: str, scale: int) -> Iterator[Cell]:
    """Paths times dimensions for the element-wise model; dimensions for the dense one and for a model that evaluates its objective."""
    budget, most = BUDGET[device] / scale, MOST_NUMBERS[device] / scale

    def steps(numbers: float, fewest: int = SUBSTEPS) -> int:
        return int(max(fewest, min(MOST_STEPS // (10 if scale > 1 else 1), budget // numbers) // SUBSTEPS * SUBSTEPS))

    for dim in (1, 10, 100, 1000):
        kernel: sg.Kernel = sg.kernels.EulerMaruyama(element_wise(dim), ETA / SUBSTEPS)
        for paths in (10**3, 10**4, 10**5, 10**6, 10**7):
            if paths * dim <= most:
                yield Cell("element-wise", kernel, paths, steps(paths * dim, FEWEST))
                if device != "cpu":
                    yield Cell("element-wise, fused", sg.kernels.CounterStreams(kernel), paths, 10 * steps(paths * dim, FEWEST))
    for dim in (1, 10, 100, 1000):
        sde, paths = dense(dim), int(min(most, 1e6) / max(dim, 10))
        yield Cell("dense", sg.kernels.EulerMaruyama(sde, sde.eta / SUBSTEPS), max(10, paths), steps(paths * dim * max(1, dim // 50)))
    for dim in (1, 2, 5, 10):
        for paths in (10**3, 10**5):
            if paths * dim <= most:
                name, make = ("double well", well) if dim == 1 else ("turned double well", turned_well)
                yield Cell(f"{name}, HASME, Heun", make("HASME", dim), paths, steps(500 * paths * dim))


def lengths(page: Page, floors: Floors) -> None:
    """Time of a step and memory against the number of steps; torchsde as shipped beside, whose Brownian tree grows."""
    table = page.table(["device", "dtype", "threads", "paths", "d", "steps", "µs a step", "MiB over the start", "torchsde as shipped, µs a step", "MiB"])
    longest = 10**3 if page.quick else 10**6
    for paths, dim, most, most_shipped in ((64, 10, longest, 0), (1000, 10, longest // 10, longest // 100), (10_000, 10, longest // 100, longest // 1000)):
        kernel = sg.kernels.EulerMaruyama(element_wise(dim), ETA / SUBSTEPS)
        peaks = []
        for steps in (10**2, 10**3, 10**4, 10**5, 10**6):
            if steps > most:
                continue
            spent, peak = with_memory(run(Cell("element-wise", kernel, paths, steps), floors.dtype, floors.device), floors.device)
            peaks.append(peak)
            peer, grown = float("nan"), float("nan")
            if steps <= most_shipped and floors.device == "cpu":
                peer, grown = with_memory(lambda paths=paths, steps=steps: shipped(paths, steps, floors.dtype, False), "cpu")
            others = (f"{1e6 * peer / steps:.0f}", f"{grown:.0f}") if peer == peer else ("", "")
            where = (floors.device, short(floors.dtype), 1, f"{paths:,}", dim, f"{steps:,}")
            table.row(*where, f"{1e6 * spent / steps:.1f}", f"{peak:.1f}", *others)
        if len(peaks) > 1:
            must, grown = "the longest run's peak at most 4 MiB (arrays of a few blocks) above the shortest's", peaks[-1] - peaks[0]
            page.promise(f"memory as steps grow, {paths:,} paths", must, grown, at_most=4, dtype=short(floors.dtype), threads="1")


def measure(page: Page, device: str) -> float:
    """All tables of this page for one device; the highest rate, in coordinate-steps a second."""
    floors, scale = Floors(torch.float32, device), QUICK if page.quick else 1
    page.text(
        f"Floors of {floors.name}, float32, one thread of linear algebra: {floors.normals():.2g} normals/s; {floors.flops(100):.2g} flops/s of a block times a",
        f"matrix at d = 100; {floors.bytes(2**17):.2g} bytes/s in arrays of 2¹⁷ numbers, {floors.bytes(2**24):.2g} in arrays of 2²⁴.",
        "“Floor / time”: what random numbers (and, for dense models, products) take alone, over the time. The columns after it hold each part's share of",
        "the time; they were measured one by one, so they need not add up to 1. “Limited by”: the largest part, where it is above a third. Ensembles of more",
        f"than {MOST_NUMBERS[device] / scale:.0e} numbers were not run. Memory: the peak over what was resident before; the last column holds the",
        "saved states alone.",
    )
    table = page.table(COLUMNS)
    best = max(show(table, cell, floors) for cell in cells(device, scale))
    page.text("## Number of steps")
    page.text("The same element-wise model: what a step costs, and memory, as the number of steps grows.")
    lengths(page, floors)
    return best


def main() -> None:
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description="How cost grows")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    page, given = Page.from_command_line("scaling", "How cost grows", parser)
    if given.device == "cuda":
        if not torch.cuda.is_available():
            fail("scaling.py --device cuda: torch finds no CUDA device here; nothing was measured or stored.", 2)
        page.name, page.title = "scaling-cuda", "How cost grows, on a CUDA device"
    measure(page, given.device)
    page.close()


if __name__ == "__main__":
    main()
