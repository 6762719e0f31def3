"""The manifest and the recipe: torn lines, flipped bits and hostile keys cost what they must and no more."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stores import filled, flip, scalars, store

from sgdsde.store import Finished, encode, is_held, read_manifest
from sgdsde.store import manifest as manifest_module
from sgdsde.store.manifest import Entry, acknowledged, is_key, parse, quarantined
from sgdsde.types import InputError


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
