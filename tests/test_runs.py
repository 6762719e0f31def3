"""Runs: how they are cut, mapped over workers, watched, read while they go on, drawn and exported."""

from __future__ import annotations

import hashlib
import io
import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from errands import blas_threads, not_nine, square, unhurried, where
from running import STUDIES, fingerprint, go, only_run

from sgdsde.runs import Stop, durable_map
from sgdsde.runs.command import Exit
from sgdsde.runs.product import NotFinite, product_of, refuse_non_finite
from sgdsde.runs.progress import Progress, duration
from sgdsde.runs.study import Layout, block_seed, key_of
from sgdsde.runs.threads import single_threaded
from sgdsde.runs.workers import Borrowed, Processes, Serial, WorkersLost
from sgdsde.types import InputError


def test_every_path_is_in_one_block() -> None:
    layout = Layout(("a", "b"), 100, 32, 0)
    assert (layout.per_cell, layout.blocks) == (4, 8)
    places = [layout.place(index) for index in range(layout.blocks)]
    assert places == [(cell, part) for cell in "ab" for part in range(4)]
    assert [layout.paths_of(part) for part in range(4)] == [32, 32, 32, 4]


def test_seeds_of_blocks_differ_in_everything_that_names_them() -> None:
    seeds = {block_seed(seed, cell, part) for seed in range(3) for cell in ("a", "b") for part in range(50)}
    assert len(seeds) == 300
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert block_seed(0, "a", 1) == int.from_bytes(hashlib.sha256(b"0:a:1").digest()[:8], "big") >> 1  # fixed: stored runs depend on it


def test_non_finite_results_are_refused_with_their_place() -> None:
    refuse_non_finite({"a": [1, None, "x", np.arange(3)], "b": {"c": 1.0}})
    for tree, place in (({"a": [0.0, float("nan")]}, r"result.a\[1\]"), ({"b": {"c": np.array([1, np.inf])}}, "result.b.c")):
        with pytest.raises(NotFinite, match=place):
            refuse_non_finite(tree)


@pytest.mark.parametrize("kind", ["serial", "threads", "processes"])
def test_durable_map_computes_once_and_reads_after_that(tmp_path: Path, kind: str) -> None:
    jobs = {f"job-{value}": value for value in (1, 2, 3, -1)}
    told: list[tuple[str, int, bool]] = []

    def go() -> Any:
        if kind == "serial":
            return durable_map(square, jobs, tmp_path, recipe={"a": 1}, keep=not_nine, done=lambda *news: told.append(news))
        pool: Any = ThreadPoolExecutor if kind == "threads" else ProcessPoolExecutor
        options = {} if kind == "threads" else {"mp_context": multiprocessing.get_context("spawn")}
        with pool(2, **options) as executor:
            return durable_map(square, jobs, tmp_path, recipe={"a": 1}, workers=executor, keep=not_nine, done=lambda *news: told.append(news))

    first, second = go(), go()
    assert first.results == second.results == {"job-1": 1, "job-2": 4, "job-3": 9}
    assert first.failed == {"job--1": "InputError: negative"}
    assert first.stored_before == set()
    assert second.stored_before == {"job-1", "job-2"}  # 9 is handed back and tried again each time
    assert sorted(told[-3:]) == [("job-1", 1, True), ("job-2", 4, True), ("job-3", 9, False)]


def test_a_stopped_map_goes_on(tmp_path: Path) -> None:
    stop = Stop()
    jobs = {f"{value:03d}": value for value in range(9)}
    first = durable_map(square, jobs, tmp_path, recipe={}, stop=stop, done=lambda key, *_: stop.ask("test") if key == "003" else None)
    assert (first.stopped, len(first.results)) == (True, 4)
    second = durable_map(square, jobs, tmp_path, recipe={})
    assert (second.stopped, len(second.results), len(second.stored_before)) == (False, 9, 4)


def test_worker_processes_have_one_thread_and_a_device_of_their_own() -> None:
    workers = Processes(2, gpus=(3, 5))
    try:
        found = [future.result(60) for future in [workers.submit(unhurried, where) for _ in range(4)]]
        assert {part["CUDA_VISIBLE_DEVICES"] for part in found} == {"3", "5"}
        assert len({(part["pid"], part["CUDA_VISIBLE_DEVICES"]) for part in found}) == 2  # a worker keeps its device
        assert {part["OMP_NUM_THREADS"] for part in found} == {part["threads"] for part in found} == {"1"}
        assert os.environ.get("CUDA_VISIBLE_DEVICES") is None
        assert len(workers.pids()) == 2
    finally:
        workers.close()


def test_blocks_in_this_process_have_one_thread_too() -> None:
    before = blas_threads()
    with single_threaded():
        with single_threaded():
            assert blas_threads() == 1
        assert blas_threads() == 1
    assert blas_threads() == before


def test_anyones_executor_will_do_but_cannot_be_started_anew() -> None:
    with ThreadPoolExecutor(3) as pool:
        workers = Borrowed(pool)
        assert (workers.count, workers.submit(abs, -2).result()) == (3, 2)
        with pytest.raises(WorkersLost, match="use process:N"):
            workers.renew()
    future = Serial().submit(square, -1)
    assert isinstance(future.exception(), InputError)


def test_a_run_is_read_while_it_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    driver = threading.Thread(target=go, args=(tmp_path, "--pause", "0.05"))
    driver.start()
    seen, states = [], set()
    while driver.is_alive():
        if list(tmp_path.glob("*/run.json")):
            run = only_run(tmp_path)
            states.add(run.state)
            seen.append(run.done)
            assert sum(int(parts["end"].count) for parts in run.merged().values()) == 16 * run.done  # type: ignore[union-attr]
        time.sleep(0.03)
    driver.join()
    run = only_run(tmp_path)
    assert seen == sorted(seen)
    assert len(set(seen)) > 3
    assert "running" in states
    assert (run.state, run.done, run.total) == ("complete", 16, 16)
    assert len(list(run.blocks())) == 16
    result = run.result()
    assert result is not None
    assert [line["cell"] for line in result["lines"]] == ["c0", "c1", "c2", "c3"]
    assert "Itô" in result["conventions"]
    first, last = run.sessions()
    assert (last["how"], last["blocks"], last["devices"]) == ("complete", 16, ["cpu"])
    assert last["wall_s"] > 0.8
    assert last["peak_mib"]["driver"] > 10
    assert {"versions", "git", "machine", "began", "command"} <= set(first)
    metrics = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    assert metrics[-1]["done"] == 16
    assert metrics[-1]["ended"]
    assert "complete" in str(run)


def test_a_run_as_xarray_and_netcdf(tmp_path: Path) -> None:
    xarray = pytest.importorskip("xarray", reason="xarray is not installed: pip install 'sgdsde[io]'")
    assert go(tmp_path / "r", "--fault", "refuse") == Exit.FAILED
    run = only_run(tmp_path / "r")
    dataset = run.to_xarray()
    assert dataset["end_paths"].sel(cell=["c0", "c1"]).values.tolist() == [64, 0]  # the cell that failed is empty, not missing
    assert np.isnan(dataset["end_mean"].sel(cell="c1"))
    assert int(dataset["law_counts"].sel(cell="c0").sum()) == 64
    pytest.importorskip("h5py", reason="h5py is not installed: pip install 'sgdsde[io]'")
    run.to_netcdf(tmp_path / "run.nc")
    again = xarray.load_dataset(tmp_path / "run.nc", engine="h5netcdf")
    xarray.testing.assert_identical(again, dataset)
    assert again.attrs["conventions"] == run.conventions


def test_a_figure_is_drawn_and_the_same_again(tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert go(tmp_path / name, "--figure", "true") == Exit.COMPLETE
    one, two = fingerprint(only_run(tmp_path / "a")), fingerprint(only_run(tmp_path / "b"))
    assert one == two
    assert {"figure.svg", "figure.pdf", "figure.png", "figure.csv"} <= set(one)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_a_bar_on_a_terminal_and_sparse_lines_elsewhere() -> None:
    product = product_of({}, seconds=2.0)
    plain, now = io.StringIO(), [0.0]
    progress = Progress("walk", total=1000, done=0, metrics=None, stream=plain, clock=lambda: now[0])
    for index in range(1000):
        now[0] += 1.0
        progress.block(key_of(index), product)
        progress.beat(2, 998 - index)
    progress.close()
    lines = plain.getvalue().splitlines()
    assert 15 < len(lines) < 40  # 1000 s
    assert lines[0] == "walk: 2/1000 blocks, 1 blocks/s, 17 min left"
    assert progress.session()["work_s"] == 2000.0
    live = Terminal()
    progress = Progress("walk", total=10, done=4, metrics=None, stream=live)
    progress.resume(4)
    progress.block("00000004", product)
    progress.say("something happened")
    progress.close()
    assert "5/10" in live.getvalue()
    assert "sgdsde: something happened" in live.getvalue()
    assert [duration(seconds) for seconds in (None, 59.4, 600, 86_400)] == ["unknown", "59 s", "10 min", "24.0 h"]


def test_starting_a_run_does_not_wait_for_torch(tmp_path: Path) -> None:
    typed = ["walk", "--experiments", str(STUDIES), "--out", str(tmp_path), "--executor", "serial"]
    code = f"import sys; from sgdsde.runs import main_run, open_run; assert main_run({typed!r}) == 0; "
    done = subprocess.run([sys.executable, "-c", code + "assert 'torch' not in sys.modules"], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
