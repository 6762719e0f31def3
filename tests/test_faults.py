"""Faults by force in this process: damage, full disks, hangs, deaths, NaN, clocks. After each the run resumes, and ends equal to one left in peace."""

from __future__ import annotations

import errno
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from running import fingerprint, go, last_session, only_run, said_by
from stores import flip

from sgdsde.runs.command import Exit
from sgdsde.store import FolderLock, chunk_path
from sgdsde.store import files as files_module


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
    said = said_by(capsys)
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
    assert "once more in 0.5 s" in (said := said_by(capsys))
    assert words in said
    run = only_run(tmp_path / "r")
    assert {name: digest for name, digest in fingerprint(run).items() if name[0] == "0"} == {name: digest for name, digest in peace.items() if name[0] == "0"}


@pytest.mark.parametrize(("fault", "tries"), [("nan", 2), ("refuse", 1)])
def test_a_lasting_trouble_costs_its_own_blocks_only(tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str, tries: int) -> None:
    assert go(tmp_path, "--fault", fault, "--attempts", "2") == Exit.FAILED
    said = said_by(capsys)
    assert f"failed for good after {tries} attempt(s)" in said
    assert "4 block(s) failed for good, 12 of 16 are stored" in said
    run = only_run(tmp_path)
    assert (run.done, run.state, run.result()) == (12, "stopped", None)
    assert sorted(run.merged()) == ["c0", "c2", "c3"]


def test_when_everything_fails_the_rest_is_given_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert go(tmp_path, "--fault", "refuse", "--cells", "2", "--paths", "1600", "--fault_cell", "0") == Exit.FAILED
    assert "10 block(s) failed for good" in said_by(capsys)


def test_a_hanging_worker_is_killed_and_its_block_computed_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--fault", "hang", "--once", str(tmp_path / "m"))
    assert go(tmp_path / "r", *words, "--executor", "process:1", "--deadline", "2") == Exit.COMPLETE
    assert "no end after 2 s; the workers are killed and started anew" in said_by(capsys)


def test_at_the_end_an_idle_worker_overtakes_a_hanging_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--fault", "hang", "--once", str(tmp_path / "m"))
    start = time.monotonic()
    assert go(tmp_path / "r", *words, "--executor", "process:2") == Exit.COMPLETE  # no deadline: 600 s at least
    assert time.monotonic() - start < 60
    assert "an idle worker starts it as well" in said_by(capsys)


def test_a_block_that_kills_every_worker_fails_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--fault", "die", "--paths", "16", "--attempts", "1", "--executor", "process:2")
    assert go(tmp_path / "r", *words) == Exit.FAILED
    said = said_by(capsys)
    assert "a worker died" in said
    assert "its worker died" in said
    assert "1 block(s) failed for good, 3 of 4 are stored" in said


def test_two_drivers_on_one_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert go(tmp_path) == Exit.COMPLETE
    with FolderLock(only_run(tmp_path).folder):
        assert only_run(tmp_path).state == "running"
        assert go(tmp_path) == Exit.BUSY
    assert f"in use by process {os.getpid()}" in said_by(capsys)


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
    assert "the disk is full" in said_by(capsys)
    monkeypatch.undo()
    held = only_run(tmp_path).done if (next(iter(tmp_path.iterdir())) / "run.json").exists() else 0
    assert go(tmp_path) == Exit.COMPLETE
    run = only_run(tmp_path)
    assert fingerprint(run) == peace
    assert last_session(run)["blocks"] == 16 - held
