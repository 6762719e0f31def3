"""The store: nothing acknowledged is lost or believed without its digest, whatever happens to the files; readers of hostile bytes never run and never crash."""

from __future__ import annotations

import errno
import fcntl
import json
import math
import multiprocessing
import os
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
from hypothesis import given, settings
from hypothesis import strategies as st

from sgdsde.store import (
    BlockStore,
    DamagedChunk,
    Finished,
    FolderBusy,
    FolderLock,
    StorageError,
    chunk_path,
    decode,
    encode,
    is_held,
    read_manifest,
    write_durably,
)
from sgdsde.store import files as files_module
from sgdsde.store import manifest as manifest_module
from sgdsde.store.chunk import MAX_HEADER, header_length
from sgdsde.store.manifest import Entry, acknowledged, is_key, parse, quarantined
from sgdsde.types import InputError

scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=True) | st.text(max_size=8)
arrays = st.sampled_from(
    [np.zeros((0, 3)), np.float32([1, np.nan]), np.arange(6).reshape(2, 3), np.array(True), np.array(2.5, dtype=">f8"), np.uint8([1, 255])]
)
keys = st.text(min_size=1, max_size=6).filter(lambda key: not key.startswith("$"))
trees = st.recursive(scalars | arrays, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=8)


def equal(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return (
            isinstance(b, np.ndarray)
            and a.dtype.newbyteorder("=") == b.dtype.newbyteorder("=")
            and a.shape == b.shape
            and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
        )
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, float) and math.isnan(a):
        return isinstance(b, float) and math.isnan(b)
    return type(a) is type(b) and a == b and (not isinstance(a, float) or math.copysign(1, a) == math.copysign(1, b))


@given(trees)
@settings(max_examples=150, deadline=None)
def test_a_tree_comes_back_as_it_was_and_equal_trees_are_equal_bytes(tree: Any) -> None:
    data = encode(tree)
    assert equal(tree, decode(data))
    assert data == encode(decode(data))


@pytest.mark.parametrize(
    "value", [object(), {"a": {1: 2}}, {"$a": 1}, np.array(["x"]), np.array([None]), 1j, np.zeros(1, dtype=complex), {"a": [b"x"]}, {"a": set()}]
)
def test_what_is_no_tree_is_refused_with_its_place(value: Any) -> None:
    with pytest.raises(InputError, match="result"):
        encode(value)


def test_other_readers_of_safetensors_read_a_chunk(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(encode({"a": np.arange(3.0), "b": 1}))
    with safetensors.safe_open(tmp_path / "x.safetensors", "np") as file:
        assert json.loads(file.metadata()["tree"]) == {"a": {"$array": "0"}, "b": 1}
        assert file.get_tensor("0").tolist() == [0, 1, 2]


@given(st.binary(max_size=200) | st.tuples(st.integers(0, 300), st.integers(0, 255)))
@settings(max_examples=300, deadline=None)
def test_hostile_bytes_are_damage_and_nothing_else(data: Any) -> None:
    """Arbitrary bytes, and a real chunk with one byte changed: an intact tree or DamagedChunk, never another error."""
    if isinstance(data, tuple):
        whole = bytearray(encode({"a": np.arange(4.0), "b": [1, float("nan")]}))
        whole[data[0] % len(whole)] = data[1]
        data = bytes(whole)
    with suppress(DamagedChunk):
        decode(data)


def header(**content: Any) -> bytes:
    text = json.dumps({"__metadata__": {"tree": '{"$array":"0"}'}, **content}).encode()
    return len(text).to_bytes(8, "little") + text


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F64", "shape": [10**15], "data_offsets": [0, 8 * 10**15]},
        {"dtype": "F64", "shape": [2**62, 4], "data_offsets": [0, 0]},
        {"dtype": "F64", "shape": [-1], "data_offsets": [0, 8]},
        {"dtype": "F64", "shape": [True], "data_offsets": [0, 8]},
        {"dtype": "O", "shape": [1], "data_offsets": [0, 8]},
        {"dtype": "F64", "shape": [1], "data_offsets": [4, 12]},
        {"dtype": "F64", "shape": [1]},
        7,
    ],
)
def test_an_array_that_does_not_fit_its_bytes_is_damage_before_memory_is_taken(entry: Any) -> None:
    tracemalloc.start()
    with pytest.raises(DamagedChunk):
        decode(header(**{"0": entry}) + bytes(8))
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_a_header_longer_than_its_file_or_than_any_header_is_damage() -> None:
    for claimed, size in ((2**60, 1000), (MAX_HEADER, 2**40), (1000, 900)):
        with pytest.raises(DamagedChunk, match="header claims"):
            header_length(claimed.to_bytes(8, "little"), size)


def store(folder: Path, **recipe: Any) -> BlockStore:
    return BlockStore(folder, recipe or {"x": 1})


def filled(folder: Path, count: int = 3) -> None:
    with store(folder) as blocks:
        blocks.commit([Finished(f"{index:08d}", encode({"v": np.full(3, index)}), {"seconds": 1.0}) for index in range(count)])


def test_what_is_acknowledged_is_there_next_time(tmp_path: Path) -> None:
    filled(tmp_path / "r")
    with store(tmp_path / "r") as blocks:
        assert len(blocks) == 3
        assert blocks.verify() == []
        assert blocks.read("00000002")["v"].tolist() == [2, 2, 2]
        with pytest.raises(InputError, match="no block"):
            blocks.read("00000009")


def flip(path: Path, place: int = -3) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 0x10
    path.write_bytes(bytes(data))


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


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_last_line_costs_its_block_only(tmp_path: Path, cut: int) -> None:
    filled(tmp_path)
    path = tmp_path / manifest_module.NAME
    path.write_bytes(path.read_bytes()[:-cut])
    with store(tmp_path) as blocks:
        assert len(blocks) == (3 if cut == 1 else 2)  # without its newline alone the line is whole
        assert bool(blocks.repairs) == (cut > 1)
        blocks.commit([Finished("00000002", encode({"v": np.full(3, 2)}), {})])
    found = read_manifest(path)
    assert len(found.entries) == 3
    assert not found.damaged


def test_any_flipped_bit_of_the_manifest_costs_one_line_at_most(tmp_path: Path) -> None:
    filled(tmp_path)
    data = (tmp_path / manifest_module.NAME).read_bytes()
    whole = parse(data).entries
    for place in range(0, len(data), 5):
        flipped = bytearray(data)
        flipped[place] ^= 1 << (place % 8)
        found = parse(bytes(flipped)).entries
        assert len(found) >= len(whole) - (2 if data[place] == 10 else 1)  # a lost newline joins two lines
        assert all(whole[key].sha256 == entry.sha256 for key, entry in found.items())


def test_a_damaged_manifest_is_kept_and_mended(tmp_path: Path) -> None:
    filled(tmp_path)
    path = tmp_path / manifest_module.NAME
    flip(path, 30)
    damaged = path.read_bytes()
    with store(tmp_path) as blocks:
        assert len(blocks) == 2
    assert (tmp_path / "quarantine" / f"{path.name}.1").read_bytes() == damaged
    assert not read_manifest(path).damaged


def test_a_damaged_recipe_is_kept_and_written_anew(tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / "run.json").write_bytes(b'{"format": 1, "recipe": {"x"')
    with store(tmp_path) as blocks:
        assert len(blocks) == 3
        assert "run.json" in blocks.repairs[0]
    assert json.loads((tmp_path / "run.json").read_text())["recipe"] == {"x": 1}


def test_another_recipe_is_refused_and_nothing_is_touched(tmp_path: Path) -> None:
    filled(tmp_path)
    with pytest.raises(InputError, match=r"another run: it differs in x.*--out"):
        store(tmp_path, x=2)
    (tmp_path / "run.json").write_text(json.dumps({"format": 99, "recipe": {"x": 1}, "origin": {}}))
    with pytest.raises(InputError, match="Update sgdsde"):
        store(tmp_path)
    assert not is_held(tmp_path)


line = st.one_of(
    st.binary(max_size=60),
    st.just(acknowledged(Entry("a-1", "0" * 64, "0" * 16, 100, {})).rstrip(b"\n")),
    st.just(quarantined("a-1", "why").rstrip(b"\n")),
    st.builds(
        lambda content: manifest_module.line_of(content).rstrip(b"\n"),
        st.dictionaries(st.sampled_from(["block", "sha256", "size", "head"]), scalars.filter(lambda v: v == v and v not in (math.inf, -math.inf))),
    ),
)


@given(st.lists(line, max_size=8), st.booleans())
@settings(max_examples=200, deadline=None)
def test_hostile_manifests_are_read_without_a_crash(lines: list[bytes], ended: bool) -> None:
    found = parse(b"\n".join(lines) + b"\n" * ended)
    assert all(is_key(key) for key in [*found.entries, *found.taken_back])


@pytest.mark.parametrize("key", ["../x", "a/b", "", ".hidden", "A", "x" * 81, "ü", "a b", "a\n", None, 7, "-x"])
def test_keys_can_never_be_paths(tmp_path: Path, key: Any) -> None:
    assert not is_key(key)
    if isinstance(key, str):
        content = {"block": key, "sha256": "0" * 64, "head": "0" * 16, "size": 100}
        assert parse(manifest_module.line_of(content)).entries == {}
        with store(tmp_path) as blocks, pytest.raises(InputError, match="cannot name a block"):
            blocks.commit([Finished(key, encode(1), {})])


def test_two_drivers_the_second_refuses_in_words(tmp_path: Path) -> None:
    with store(tmp_path):
        assert is_held(tmp_path)
        with pytest.raises(FolderBusy, match=rf"in use by process {os.getpid()} on .* Two drivers must not share a folder"):
            store(tmp_path)
    assert not is_held(tmp_path)
    with store(tmp_path):
        pass


@pytest.mark.parametrize("owner", [b"", b"{", b"[]", b'{"pid": "x"}', b'{"pid": 1e400, "host": 3, "since": []}', b"[" * 100_000, None])
def test_a_lock_without_a_readable_owner_still_refuses_and_a_stale_owner_does_not(tmp_path: Path, owner: bytes | None) -> None:
    with FolderLock(tmp_path):
        (tmp_path / "owner.json").unlink()
        if owner is not None:
            (tmp_path / "owner.json").write_bytes(owner)
        with pytest.raises(FolderBusy, match="in use by"):
            FolderLock(tmp_path)
    (tmp_path / "owner.json").write_bytes(owner or b"")
    FolderLock(tmp_path).release()


def test_a_lock_file_that_was_replaced_does_not_let_a_second_driver_in_unseen(tmp_path: Path) -> None:
    """Whoever deletes ``lock`` breaks the first driver's claim; the second then holds the new file, and a third is refused by it."""
    with FolderLock(tmp_path):
        (tmp_path / "lock").unlink()
        with FolderLock(tmp_path), pytest.raises(FolderBusy):
            FolderLock(tmp_path)


def _sleep(started: Any, release: Any) -> None:
    started.set()
    release.wait(30)


def test_a_forked_child_does_not_keep_the_lock_of_its_dead_parent(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    started, release = context.Event(), context.Event()
    lock = FolderLock(tmp_path)
    child = context.Process(target=_sleep, args=(started, release))
    child.start()
    started.wait(30)
    lock.release()
    FolderLock(tmp_path).release()
    release.set()
    child.join()


def test_a_reader_that_asks_does_not_keep_a_driver_out(tmp_path: Path) -> None:
    FolderLock(tmp_path).release()
    descriptor = os.open(tmp_path / "lock", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    with pytest.raises(FolderBusy):
        FolderLock(tmp_path)  # one that stays
    os.close(descriptor)
    assert not is_held(tmp_path)
    FolderLock(tmp_path).release()


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
