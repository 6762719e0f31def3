"""Chunks: trees come back as they were; readers of hostile bytes never run and never crash."""

from __future__ import annotations

import json
import math
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
from hypothesis import given, settings
from hypothesis import strategies as st
from stores import scalars

from sgdsde.store import DamagedChunk, decode, encode
from sgdsde.store.chunk import MAX_HEADER, header_length
from sgdsde.types import InputError

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
