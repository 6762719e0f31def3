"""Small stores for tests, what they may hold, and a flipped bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from sgdsde.store import BlockStore, Finished, encode

#: what a chunk or a line of the manifest may hold
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=True) | st.text(max_size=8)


def store(folder: Path, **recipe: Any) -> BlockStore:
    return BlockStore(folder, recipe or {"x": 1})


def filled(folder: Path, count: int = 3) -> None:
    with store(folder) as blocks:
        blocks.commit([Finished(f"{index:08d}", encode({"v": np.full(3, index)}), {"seconds": 1.0}) for index in range(count)])


def flip(path: Path, place: int = -3) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 0x10
    path.write_bytes(bytes(data))
