"""What durability costs: a run's blocks against the bare loop, two worker processes against one, and the driver alone at 10⁵ empty blocks.

``python benchmarks/blocks.py`` prints the tables and stores ``benchmarks/blocks.md``. Ratios of one run, repetitions in turn, medians. The speed-up needs
two cores that nobody else uses: the load average stands beside it. The overhead is measured inside one process (time outside the blocks over time inside
them), so that other people's load cancels.
"""

from __future__ import annotations

import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from page import Page

from sgdsde.runs.driver import Driver
from sgdsde.runs.job import run_study_job
from sgdsde.runs.listing import folder_of_studies, load
from sgdsde.runs.one import Run
from sgdsde.runs.product import Product, product_of
from sgdsde.runs.study import key_of
from sgdsde.runs.threads import single_threaded
from sgdsde.runs.workers import Processes, Serial, Workers
from sgdsde.store import BlockStore

STUDY, EMPTY = "stationary-variance", 100_000


def a_run(out: Path, **settings: Any) -> Run:
    folder = folder_of_studies()
    study = load(STUDY, folder)
    return Run(STUDY, study, study.config(**settings), folder, out)


def drive(run: Run, workers: Workers, keys: Sequence[str]) -> tuple[float, float]:
    """Seconds to compute and store the blocks, and seconds spent inside blocks; opening the folder is left out."""
    with BlockStore(run.folder, run.recipe()) as store:
        start = time.perf_counter()
        outcome = Driver(run_study_job, run.job, store=store, workers=workers).run(keys)
        seconds = time.perf_counter() - start
        inside = sum(float(entry.facts["seconds"]) for entry in store.entries.values())
    assert outcome.stored == len(keys)
    return seconds, inside


def bare(run: Run, keys: Sequence[str]) -> float:
    """Seconds of the same blocks in a plain loop that forgets them."""
    start = time.perf_counter()
    with single_threaded():
        for key in keys:
            job = run.job(key)
            run.study.block(run.config, job.cell, paths=job.paths, seed=job.seed)
    return time.perf_counter() - start


def overhead(repeats: int) -> list[tuple[int, float, float, float]]:
    """For block sizes: seconds a block, what durable blocks add (%), time outside the blocks over time inside them (%); medians."""
    rows = []
    default = a_run(Path()).config.block_paths
    for size in (default // 64, default // 8, default):
        config = {"paths": 8 * size, "block_paths": size, "models": ("SGD", "SME1"), "x": (0.5,)}
        ratios, outside, length = [], [], []
        for repeat in range(repeats):
            with tempfile.TemporaryDirectory(dir=".") as folder:
                run = a_run(Path(folder), **config, seed=repeat)
                keys = [key_of(index) for index in range(run.layout.blocks)]
                loop = bare(run, keys)
                durable, inside = drive(run, Serial(), keys)
                ratios.append(durable / loop - 1)
                outside.append(durable / inside - 1)
                length.append(inside / len(keys))
        rows.append((size, statistics.median(length), 100 * statistics.median(ratios), 100 * statistics.median(outside)))
    return rows


def speed_up(repeats: int, paths: int) -> tuple[list[float], list[float], list[float], list[float]]:
    """Two worker processes against one, and against the bare loop; how busy the two are; the load average before each repetition. Pools are warm."""
    against_one, against_loop, busy, loads = [], [], [], []
    crews = {count: Processes(count) for count in (1, 2)}
    settings = {"paths": 8 * paths, "block_paths": paths, "models": ("SGD", "SME2"), "x": (0.5,)}
    try:
        for repeat in range(repeats + 1):
            loads.append(os.getloadavg()[0])
            seconds = {}
            for count, crew in crews.items():
                with tempfile.TemporaryDirectory(dir=".") as folder:
                    run = a_run(Path(folder), **settings, seed=10 * repeat + count)
                    keys = [key_of(index) for index in range(run.layout.blocks)]
                    seconds[count], inside = drive(run, crew, keys)
            if repeat:  # the first one warms the workers
                against_one.append(seconds[1] / seconds[2])
                against_loop.append(bare(run, keys) / seconds[2])
                busy.append(inside / seconds[2])
    finally:
        for crew in crews.values():
            crew.close()
    return against_one, against_loop, busy, loads


class Instant(Workers):
    """Workers that are always done already: what is left is the driver."""

    name = "instant"

    def __init__(self, count: int) -> None:
        self.count, self.ahead = count, 0

    def submit(self, function: Callable[[Any], Any], job: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(function(job))
        return future


EMPTY_PRODUCT = product_of({}, seconds=0.0, device="cpu")


def nothing(job: Any) -> Product:
    return replace(EMPTY_PRODUCT)


def empty_blocks(folder: Path, count: int, window: int) -> dict[str, float]:
    """The driver's own time for ``count`` empty blocks, the manifest's size, and what resuming costs."""
    keys = [key_of(index) for index in range(count)]
    with BlockStore(folder, {}) as store:
        start, cpu = time.perf_counter(), time.process_time()
        outcome = Driver(nothing, int, store=store, workers=Instant(window)).run(keys)
        wall, used = time.perf_counter() - start, time.process_time() - cpu
        assert outcome.stored == count
    start = time.perf_counter()
    with BlockStore(folder, {}) as store:
        opened = time.perf_counter() - start
        assert len(store) == count
        start = time.perf_counter()
        assert store.verify() == []
        checked = time.perf_counter() - start
    size = (folder / "blocks.jsonl").stat().st_size
    return {"wall": 1e3 * wall / count, "cpu": 1e3 * used / count, "bytes": size / count, "open": 1e6 * opened / count, "check": 1e6 * checked / count}


def main() -> None:
    torch.set_num_threads(1)
    page, given = Page.from_command_line(Path(__file__).stem, "Durable blocks: what they cost")
    repeats, paths, count = (1, 8_192, 2_000) if given.quick else (3, 65_536, EMPTY)
    one, loop, busy, loads = speed_up(repeats, paths)
    rows = overhead(repeats)
    with tempfile.TemporaryDirectory(dir=".") as folder:
        empty = empty_blocks(Path(folder), count, window=256)
    page.text(f"The study `{STUDY}`, float64, one thread a worker. Every block is a file with fsync and rename, and a line of the manifest with fsync.")
    page.text("## Speed-up of a CPU-bound ensemble on two worker processes")
    table = page.table(["dtype", "threads", "against one worker process", "against the bare loop", "blocks under way, of 2"])
    table.row("float64", "2 × 1", *(f"{statistics.median(found):.2f}" for found in (one, loop, busy)))
    page.text(
        f"Medians of {repeats} by the wall; load average before each repetition {', '.join(f'{load:.1f}' for load in loads)}: the two workers are",
        "themselves two of it; more is somebody else's, and takes its share from both sides. How many blocks are under way does not depend on the load.",
    )
    page.text("## Durable blocks against the bare loop, one process")
    table = page.table(["dtype", "threads", "paths a block", "seconds a block", "durable / bare loop − 1", "outside / inside the blocks − 1"])
    for size, length, ratio, outside in rows:
        table.row("float64", 1, f"{size:,}{' (default)' if size == rows[-1][0] else ''}", f"{length:.3f}", f"{ratio:+.2f} %", f"{outside:.2f} %")
    page.text("The first ratio compares two runs and carries the noise of the machine; the second is taken within one run.")
    page.text(f"## The driver alone: {count:,} empty blocks, 256 results waiting at a time")
    table = page.table(["dtype", "threads", "ms a block", "of it processor", "bytes of manifest a block", "open, µs a block", "check digests, µs a block"])
    table.row("none", 1, f"{empty['wall']:.3f}", f"{empty['cpu']:.3f}", f"{empty['bytes']:.0f}", f"{empty['open']:.1f}", f"{empty['check']:.1f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    page.text(f"Results that wait together are stored with one flush of the manifest and one of the folder. Peak memory of this process {peak:.0f} MiB.")
    page.close()


if __name__ == "__main__":
    main()
