"""Faults by force: kill -9, damage, full disks, hangs, deaths, NaN, signals, clocks. After each the run resumes, and ends equal to one left in peace.

In-process drivers where nothing must be killed; processes of their own where something must. ``benchmarks/faults.py`` runs the campaign at a large count.
"""

from __future__ import annotations

import ctypes
import errno
import os
import random
import resource
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from campaign import campaign
from errands import slow_square
from running import STUDIES, Bench, alive, fingerprint, last_session, only_run, stored_lines, wait_until, workers_of

from sgdsde.runs import main_run
from sgdsde.runs.command import Exit
from sgdsde.runs.identity import code_digest
from sgdsde.store import FolderLock, chunk_path
from sgdsde.store import files as files_module


def go(out: Path, *words: str) -> int:
    """A driver in this process."""
    executor = () if "--executor" in words else ("--executor", "serial")
    if not executor and not out.exists():
        code_digest.cache_clear()  # workers read the code now; a file edited since this process began must not divide them
    return main_run(["walk", "--experiments", str(STUDIES), "--out", str(out), *executor, *words])


@pytest.fixture(scope="module")
def peace(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The fingerprint of the run that all of these must equal."""
    out = tmp_path_factory.mktemp("peace")
    assert go(out) == Exit.COMPLETE
    return fingerprint(only_run(out))


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    """A copy of the package that others may read as well."""
    folder = Path(tempfile.mkdtemp(prefix="sgdsde-bench-"))
    folder.chmod(0o755)
    yield Bench.make(folder)
    shutil.rmtree(folder)


@pytest.mark.parametrize("executor", ["process:2", "thread:2"])
def test_the_executor_changes_nothing(tmp_path: Path, peace: dict[str, str], executor: str) -> None:
    assert go(tmp_path / "r", "--executor", executor) == Exit.COMPLETE
    assert fingerprint(only_run(tmp_path / "r")) == peace


def test_another_seed_or_block_size_does_change_it(tmp_path: Path, peace: dict[str, str]) -> None:
    """The comparison by fingerprints can fail."""
    for words in (("--seed", "1"), ("--block_paths", "32")):
        out = tmp_path / words[0]
        assert go(out, *words) == Exit.COMPLETE
        assert fingerprint(only_run(out)) != peace


def flip(path: Path, place: int | None = None) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2 if place is None else place] ^= 4
    path.write_bytes(bytes(data))


def on_disk(folder: Path, key: str) -> Path:
    return chunk_path(folder, key)


DAMAGE: dict[str, tuple[Callable[[Path], object], int]] = {
    "flipped chunks": (lambda run: [flip(on_disk(run, key)) for key in ("00000003", "00000007")], 2),
    "truncated chunk": (lambda run: on_disk(run, "00000003").write_bytes(on_disk(run, "00000003").read_bytes()[:100]), 1),
    "lost chunk": (lambda run: on_disk(run, "00000003").unlink(), 1),
    "flipped manifest": (lambda run: flip(run / "blocks.jsonl", 30), 1),
    "torn manifest": (lambda run: (run / "blocks.jsonl").write_bytes((run / "blocks.jsonl").read_bytes()[:-20]), 1),
    "lost manifest": (lambda run: (run / "blocks.jsonl").unlink(), 16),
    "torn recipe": (lambda run: (run / "run.json").write_bytes(b"{"), 0),
    "torn result": (lambda run: (run / "result.json").write_bytes(b"{"), 0),
    "flipped reducers": (lambda run: flip(run / "merged.safetensors"), 0),
    "torn sessions": (lambda run: (run / "sessions.jsonl").write_bytes((run / "sessions.jsonl").read_bytes()[:-9]), 0),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_damage_is_set_aside_and_only_it_is_computed_again(tmp_path: Path, peace: dict[str, str], capsys: pytest.CaptureFixture[str], how: str) -> None:
    assert go(tmp_path) == Exit.COMPLETE
    damage, blocks = DAMAGE[how]
    damage(only_run(tmp_path).folder)
    capsys.readouterr()
    assert go(tmp_path) == Exit.COMPLETE
    run = only_run(tmp_path)
    assert fingerprint(run) == peace
    assert last_session(run)["blocks"] == blocks
    assert run.state == "complete"
    said = capsys.readouterr().err
    if 0 < blocks < 16:
        assert "computed again" in said
        assert "quarantine/" in said or how == "lost chunk"


def test_nothing_is_done_twice(tmp_path: Path) -> None:
    assert go(tmp_path) == Exit.COMPLETE
    assert go(tmp_path) == Exit.COMPLETE
    run = only_run(tmp_path)
    assert last_session(run)["blocks"] == 0
    assert (run.folder / "blocks.jsonl").read_bytes().count(b"\n") == 16


@pytest.mark.parametrize(("fault", "words"), [("nan", "holds NaN or infinity"), ("inf", "holds NaN or infinity"), ("raise", "RuntimeError: a passing trouble")])
def test_a_passing_trouble_is_tried_again(tmp_path: Path, peace: dict[str, str], capsys: pytest.CaptureFixture[str], fault: str, words: str) -> None:
    assert go(tmp_path / "r", "--fault", fault, "--once", str(tmp_path / "marker")) == Exit.COMPLETE
    assert "once more in 0.5 s" in (said := capsys.readouterr().err)
    assert words in said
    run = only_run(tmp_path / "r")
    assert {name: digest for name, digest in fingerprint(run).items() if name[0] == "0"} == {name: digest for name, digest in peace.items() if name[0] == "0"}


@pytest.mark.parametrize(("fault", "tries"), [("nan", 2), ("refuse", 1)])
def test_a_lasting_trouble_costs_its_own_blocks_only(tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str, tries: int) -> None:
    assert go(tmp_path, "--fault", fault, "--attempts", "2") == Exit.FAILED
    said = capsys.readouterr().err
    assert f"failed for good after {tries} attempt(s)" in said
    assert "4 block(s) failed for good, 12 of 16 are stored" in said
    run = only_run(tmp_path)
    assert (run.done, run.state, run.result()) == (12, "stopped", None)
    assert sorted(run.merged()) == ["c0", "c2", "c3"]


def test_when_everything_fails_the_rest_is_given_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert go(tmp_path, "--fault", "refuse", "--cells", "2", "--paths", "1600", "--fault_cell", "0") == Exit.FAILED
    assert "10 block(s) failed for good" in capsys.readouterr().err


def test_a_hanging_worker_is_killed_and_its_block_computed_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--fault", "hang", "--once", str(tmp_path / "m"))
    assert go(tmp_path / "r", *words, "--executor", "process:1", "--deadline", "2") == Exit.COMPLETE
    assert "no end after 2 s; the workers are killed and started anew" in capsys.readouterr().err


def test_at_the_end_an_idle_worker_overtakes_a_hanging_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--fault", "hang", "--once", str(tmp_path / "m"))
    start = time.monotonic()
    assert go(tmp_path / "r", *words, "--executor", "process:2") == Exit.COMPLETE  # no deadline: 600 s at least
    assert time.monotonic() - start < 60
    assert "an idle worker starts it as well" in capsys.readouterr().err


def test_a_block_that_kills_every_worker_fails_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--fault", "die", "--paths", "16", "--attempts", "1", "--executor", "process:2")
    assert go(tmp_path / "r", *words) == Exit.FAILED
    said = capsys.readouterr().err
    assert "a worker died" in said
    assert "its worker died" in said
    assert "1 block(s) failed for good, 3 of 4 are stored" in said


def test_two_drivers_on_one_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert go(tmp_path) == Exit.COMPLETE
    with FolderLock(only_run(tmp_path).folder):
        assert only_run(tmp_path).state == "running"
        assert go(tmp_path) == Exit.BUSY
    assert f"in use by process {os.getpid()}" in capsys.readouterr().err.replace("\n", " ")


def test_clocks_may_jump(tmp_path: Path, peace: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    dice = random.Random(0)
    monkeypatch.setattr(time, "time", lambda: dice.choice([0.0, -1e9, 4e9, 1.7e9]) + dice.random())
    assert go(tmp_path / "r", "--executor", "process:2", "--deadline", "60") == Exit.COMPLETE
    flip(on_disk(only_run(tmp_path / "r").folder, "00000003"))
    assert go(tmp_path / "r") == Exit.COMPLETE
    assert fingerprint(only_run(tmp_path / "r")) == peace


@pytest.mark.parametrize("step", [0, 1, 5, 20, 33])
def test_the_disk_fills_up(tmp_path: Path, peace: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], step: int) -> None:
    """A faulty writer: from the given call of the operating system on, writes store a part and report ENOSPC."""
    calls, real = 0, os.write

    def write(descriptor: int, data: bytes) -> int:
        nonlocal calls
        calls += 1
        if calls > step:
            real(descriptor, bytes(data)[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data)

    monkeypatch.setattr(files_module.os, "write", write)
    assert go(tmp_path) == Exit.STORAGE
    assert "the disk is full" in capsys.readouterr().err.replace("\n", " ")
    monkeypatch.undo()
    held = only_run(tmp_path).done if (next(iter(tmp_path.iterdir())) / "run.json").exists() else 0
    assert go(tmp_path) == Exit.COMPLETE
    run = only_run(tmp_path)
    assert fingerprint(run) == peace
    assert last_session(run)["blocks"] == 16 - held


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
    said = capsys.readouterr().err
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
    assert "stopped at once by SIGTERM" in capsys.readouterr().err


def test_sigterm_to_everyone_lets_workers_finish(tmp_path: Path, bench: Bench) -> None:
    """Slurm signals every process of a step, a terminal the whole group: workers leave it to the driver."""
    with alive(bench.start("--pause", "0.3", "--executor", "process:2", out=tmp_path)) as process:
        wait_until(lambda: stored_lines(tmp_path) > 0)
        os.killpg(process.pid, signal.SIGTERM)
        _, said = process.communicate(timeout=60)
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


def test_an_operating_system_limit_on_file_size(tmp_path: Path, bench: Bench) -> None:
    """RLIMIT_FSIZE: the manifest may not grow past 2 kB. Without the limit the same command completes."""
    done = bench.run("--executor", "serial", out=tmp_path, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY)))
    assert done.status == Exit.STORAGE, done.stderr
    assert "exceed the allowed file size" in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr
    held = only_run(tmp_path).done
    assert 0 < held < 16
    assert bench.run("--executor", "serial", out=tmp_path).status == Exit.COMPLETE
    assert last_session(only_run(tmp_path))["blocks"] == 16 - held


def test_a_real_full_disk(tmp_path: Path, bench: Bench) -> None:
    """A small tmpfs, where mounting is allowed."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True, check=False).returncode:
        pytest.skip("mounting a tmpfs is not allowed here")
    try:
        done = bench.run("--executor", "serial", "--cells", "40", out=disk)
        assert done.status == Exit.STORAGE, done.stderr
        assert "the disk is full" in done.stderr.replace("\n", " ")
        held = only_run(disk).done
        assert held > 0
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        assert bench.run("--executor", "serial", "--cells", "40", out=disk).status == Exit.COMPLETE
        assert last_session(only_run(disk))["blocks"] == 160 - held
        fingerprint(only_run(disk))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_folder_that_may_not_be_written(tmp_path: Path, bench: Bench) -> None:
    """Permissions do not bind root, unless it gives the capability up."""
    folder = tmp_path / "readonly"
    folder.mkdir()
    folder.chmod(0o555)
    done = bench.run("--executor", "serial", out=folder / "runs", preexec_fn=bound_by_permissions)
    assert done.status == Exit.STORAGE, done.stderr
    assert "permission denied. Choose a folder that can be written with --out" in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr


def test_a_stored_run_that_may_not_be_written_can_still_be_read(tmp_path: Path, bench: Bench) -> None:
    """Resuming is refused in words; reading needs no permission to write."""
    assert bench.run("--executor", "serial", out=tmp_path / "runs").status == Exit.COMPLETE
    run = only_run(tmp_path / "runs")
    for path in (run.folder, *run.folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    done = bench.run("--executor", "serial", out=tmp_path / "runs", preexec_fn=bound_by_permissions)
    assert done.status == Exit.STORAGE, done.stderr
    assert "permission denied" in done.stderr.replace("\n", " ")
    assert (run.state, run.done) == ("complete", 16)


def bound_by_permissions() -> None:
    """Before exec: drop CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH from what the new program may have."""
    libc = ctypes.CDLL(None)
    for capability in (1, 2):
        libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


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


def lives(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False


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
