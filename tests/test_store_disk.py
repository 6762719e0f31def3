"""Disks that fill up, refuse or break: what was acknowledged stays, and the store says so in words."""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stores import filled, store

from sgdsde.store import Finished, StorageError, chunk_path, encode, write_durably
from sgdsde.store import files as files_module


class Faulty:
    """Calls of the operating system: counted, and refused from a given one on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...] = ("write", "fsync", "replace")) -> None:
        self.calls: list[str] = []
        self.fail_at, self.number = math.inf, errno.ENOSPC
        for name in names:
            monkeypatch.setattr(files_module.os, name, self._wrap(name, getattr(os, name)))

    def _wrap(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            self.calls.append(name)
            if len(self.calls) > self.fail_at:
                if name == "write" and len(arguments[1]) > 1:
                    real(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])  # a full disk takes a part
                raise OSError(self.number, os.strerror(self.number))
            return real(*arguments)

        return call


def test_a_file_is_synced_then_renamed_then_its_folder_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faulty = Faulty(monkeypatch)
    write_durably(tmp_path / "x", b"data")
    assert faulty.calls == ["write", "fsync", "replace", "fsync"]


def test_wherever_the_disk_fills_up_what_was_acknowledged_stays_and_the_rest_comes_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ENOSPC at every single call of a commit in turn: the store says so, refuses to go on, and reopens with every acknowledged block intact."""
    faulty = Faulty(monkeypatch)
    folder = tmp_path / "r"
    filled(folder)
    faulty.calls.clear()
    with store(folder) as blocks:
        before = len(faulty.calls)
        blocks.commit([Finished("00000009", encode(np.arange(9)), {})])
        steps = len(faulty.calls) - before
    for step in range(steps):
        folder = tmp_path / f"r{step}"
        faulty.fail_at = math.inf
        filled(folder)
        with store(folder) as blocks:
            faulty.calls.clear()
            faulty.fail_at = step
            with pytest.raises(StorageError, match=r"the disk is full \(.* MiB free\).*run the same command again"):
                blocks.commit([Finished("00000009", encode(np.arange(9)), {})])
            faulty.fail_at = math.inf
            with pytest.raises(StorageError, match="disk is full"):
                blocks.commit([Finished("00000008", encode(1), {})])
        with store(folder) as blocks:
            assert set(blocks.entries) >= {"00000000", "00000001", "00000002"}
            assert blocks.verify() == []
            blocks.commit([Finished("00000009", encode(np.arange(9)), {})])
            assert len(blocks) == 4
        assert not list(folder.rglob("*.tmp"))


@pytest.mark.parametrize(
    ("number", "words"), [(errno.EROFS, "read-only.*--out"), (errno.EACCES, "permission denied"), (errno.EIO, "input/output"), (errno.EDQUOT, "quota")]
)
def test_the_file_system_refuses_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str) -> None:
    faulty = Faulty(monkeypatch)
    faulty.fail_at, faulty.number = 0, number
    with pytest.raises(StorageError, match=words):
        store(tmp_path / "r")


def test_a_file_where_the_folder_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"Cannot .*--out"):
        store(tmp_path / "file" / "run")


def test_what_a_killed_writer_left_is_swept_away(tmp_path: Path) -> None:
    filled(tmp_path)
    left = [tmp_path / ".run.json.7.tmp", tmp_path / "chunks" / "00000" / ".00000003.safetensors.7.tmp"]
    for path in left:
        path.write_bytes(b"half")
    with store(tmp_path) as blocks:
        assert len(blocks) == 3
    assert not any(path.exists() for path in left)


def test_a_sector_that_cannot_be_read_is_that_blocks_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tmp_path)
    bad = chunk_path(tmp_path, "00000001")
    real = open

    def broken(path: Any, *arguments: Any, **options: Any) -> Any:
        if path == bad:
            raise OSError(errno.EIO, "Input/output error")
        return real(path, *arguments, **options)

    with store(tmp_path) as blocks:
        monkeypatch.setattr("builtins.open", broken)
        assert blocks.verify() == ["00000001"]
        monkeypatch.undo()
