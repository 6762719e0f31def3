"""The store: nothing acknowledged is lost or believed without its digest, whatever happens to its chunks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from stores import filled, flip, store

from sgdsde.store import DamagedChunk, Finished, chunk_path, encode, read_manifest
from sgdsde.store import manifest as manifest_module
from sgdsde.types import InputError


def test_what_is_acknowledged_is_there_next_time(tmp_path: Path) -> None:
    filled(tmp_path / "r")
    with store(tmp_path / "r") as blocks:
        assert len(blocks) == 3
        assert blocks.verify() == []
        assert blocks.read("00000002")["v"].tolist() == [2, 2, 2]
        with pytest.raises(InputError, match="no block"):
            blocks.read("00000009")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "bit flipped": flip,
    "bit flipped in the header": lambda path: flip(path, 12),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-5]),
    "torn to nothing": lambda path: path.write_bytes(b""),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "missing": lambda path: path.unlink(),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "another block": lambda path: path.write_bytes(path.with_name("00000002.safetensors").read_bytes()),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_chunk_is_set_aside_and_only_it_is_missing(tmp_path: Path, how: str) -> None:
    filled(tmp_path)
    path = chunk_path(tmp_path, "00000001")
    DAMAGE[how](path)
    with store(tmp_path) as blocks:
        with pytest.raises(DamagedChunk):
            blocks.read("00000001")
        assert blocks.verify() == ["00000001"]
        assert sorted(blocks.entries) == ["00000000", "00000002"]
        assert "00000001" in blocks.repairs[0]
        assert "computed again" in blocks.repairs[0]
    assert not path.exists()
    kept = list((tmp_path / "quarantine").glob("00000001*"))
    assert len(kept) == (how != "missing")
    with store(tmp_path) as blocks:  # the tombstone holds
        assert sorted(blocks.entries) == ["00000000", "00000002"]
        assert blocks.commit([Finished("00000001", encode({"v": np.full(3, 1)}), {})]) == []
    with store(tmp_path) as blocks:
        assert len(blocks) == 3
        assert blocks.verify() == []


def test_a_block_that_comes_out_differently_is_told(tmp_path: Path) -> None:
    filled(tmp_path)
    with store(tmp_path) as blocks:
        assert blocks.commit([Finished("00000000", encode(1), {})]) == ["00000000"]
    assert read_manifest(tmp_path / manifest_module.NAME).changed == ("00000000",)
