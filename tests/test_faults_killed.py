"""Drivers and workers that are killed or signalled: kill -9 at any moment, SIGTERM, a worker of a cluster.

Nothing acknowledged is lost, no process outlives its driver.

``benchmarks/faults.py`` runs the campaign at a large count.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from campaign import campaign
from errands import slow_square
from running import Bench, alive, fingerprint, go, last_session, lives, only_run, said_by, stored_lines, wait_until, workers_of

from sgdsde.runs.command import Exit
from sgdsde.store import FolderLock


def terminate(seconds: float, times: int = 1) -> None:
    """SIGTERM to this process from a thread, once the run is under way."""

    def send() -> None:
        for _ in range(times):
            time.sleep(seconds)
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=send, daemon=True).start()


def test_sigterm_finishes_the_block_and_says_resume(tmp_path: Path, peace: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    terminate(0.35)
    assert go(tmp_path, "--pause", "0.1") == Exit.RESUME
    assert signal.getsignal(signal.SIGTERM) is before
    said = said_by(capsys)
    assert "Run the same command again to go on" in said
    run = only_run(tmp_path)
    assert 0 < run.done < 16
    assert last_session(run)["how"] == "stopped by SIGTERM"
    assert go(tmp_path, "--pause", "0.1") == Exit.COMPLETE
    assert {digest for name, digest in fingerprint(only_run(tmp_path)).items() if name[0] == "0"} == {
        digest for name, digest in peace.items() if name[0] == "0"
    }


def test_a_second_sigterm_ends_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    terminate(0.3, times=2)
    start = time.monotonic()
    assert go(tmp_path, "--pause", "30") == Exit.RESUME
    assert time.monotonic() - start < 10
    assert "stopped at once by SIGTERM" in said_by(capsys)


def test_sigterm_to_everyone_lets_workers_finish(tmp_path: Path, bench: Bench) -> None:
    """Slurm signals every process of a step, a terminal the whole group: workers leave it to the driver."""
    with alive(bench.start("--pause", "0.3", "--executor", "process:2", out=tmp_path)) as process:
        wait_until(lambda: stored_lines(tmp_path) > 0)
        os.killpg(process.pid, signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    said = said.replace("\n", " ")
    assert process.returncode == Exit.RESUME, said
    assert "Run the same command again" in said
    assert "Traceback" not in said
    assert 0 < only_run(tmp_path).done < 16
    done = bench.run("--pause", "0.3", out=tmp_path)
    assert done.status == Exit.COMPLETE, done.stderr


def test_a_small_campaign_of_kill_9(tmp_path: Path, bench: Bench) -> None:
    """Six processes killed at random moments: drivers, workers, both, with damage in between (benchmarks/faults.md: 200 and more)."""
    report = campaign(bench, tmp_path, kills=6, seed=20240518, blocks=16)
    assert report.lost == []
    assert report.wrong_results == 0
    assert report.unexpected == []
    assert report.orphans == 0
    assert report.completed >= 1


@pytest.mark.slow
def test_a_larger_campaign_of_kill_9(tmp_path: Path, bench: Bench) -> None:
    report = campaign(bench, tmp_path, kills=60, seed=7)
    assert (report.lost, report.wrong_results, report.unexpected, report.orphans) == ([], 0, [], 0)


def test_workers_end_with_a_killed_driver_and_its_lock_is_free(tmp_path: Path, bench: Bench) -> None:
    with alive(bench.start("--pause", "20", "--executor", "process:2", out=tmp_path)) as process:
        wait_until(lambda: len(workers_of(process.pid)) == 2)
        workers = workers_of(process.pid)
        time.sleep(1.5)  # until they sleep in a block
        process.kill()
        process.wait()
        wait_until(lambda: not any(lives(pid) for pid in workers), seconds=10)
    with FolderLock(only_run(tmp_path).folder):
        pass


def test_a_cluster_survives_the_death_of_a_worker(tmp_path: Path, peace: dict[str, str]) -> None:
    """A real Dask LocalCluster through Client.get_executor(): one of its two workers is killed while it runs."""
    distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed: pip install 'sgdsde[distributed]'")
    from sgdsde.runs.cluster import Cluster
    from sgdsde.runs.durable import durable_map

    assert distributed
    cluster = Cluster(None, count=2)
    try:
        victim = next(iter(cluster._client.run(os.getpid).values()))
        threading.Timer(1.0, lambda: os.kill(victim, signal.SIGKILL)).start()
        jobs = {f"{index:08d}": index for index in range(30)}
        mapped = durable_map(slow_square, jobs, tmp_path / "map", recipe={}, workers=cluster)
        assert mapped.results == {key: index**2 for key, index in jobs.items()}
        assert not lives(victim)
    finally:
        cluster.close()
