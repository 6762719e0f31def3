"""Counter-based words and normals of given paths, compiled: the twin of :mod:`sgdsde.counter` to the last digit.

Counters are made a chunk at a time, which stays in the first-level cache; each once, though two paths may share it. The words of a path stand side by side.
"""

from __future__ import annotations

import numpy as np
import torch
from numba import njit
from torch import Tensor

from sgdsde.compiled.jit import compiled_loop
from sgdsde.compiled.pairs import normal_pair
from sgdsde.compiled.words import U, fill_words

#: counters of a chunk: 512 words
CHUNK = 128


def counter_fill(key: tuple[int, int], step: int, paths: Tensor, width: int, dtype: torch.dtype) -> Tensor:
    """N(0, I) ``[P, width]``."""
    z, count = torch.empty(len(paths), width, dtype=dtype), (width + 1) // 2
    if width % 2 == 0 and int(paths[-1]) - int(paths[0]) + 1 == len(paths):
        _fill_range(*_arguments(key, step, paths), count, z.flatten().numpy())
    else:
        _fill_normals(*_arguments(key, step, paths), count, z.numpy())
    return z


def counter_words(key: tuple[int, int], step: int, paths: Tensor, count: int) -> Tensor:
    """The words ``[P, count]``, int64."""
    words = torch.empty(len(paths), count, dtype=torch.int64)
    _fill_rows(*_arguments(key, step, paths), count, words.numpy().view(np.uint64))
    return words


def _arguments(key: tuple[int, int], step: int, paths: Tensor) -> tuple:
    return U(key[0]), U(key[1]), U(step), paths.contiguous().numpy()


@compiled_loop
def _lanes(paths, count):  # type: ignore[no-untyped-def]
    """The counters that the paths (ascending) need, each once, and where in their words each path's begin."""
    counters = np.empty(len(paths) * (count // 4 + 2), np.uint64)
    begins = np.empty(len(paths), np.int64)
    found = 0
    for row in range(len(paths)):
        word = paths[row] * count
        block, last = word // 4, (word + count - 1) // 4
        if found and counters[found - 1] == U(block):
            begins[row] = 4 * (found - 1) + word % 4
            block += 1
        else:
            begins[row] = 4 * found + word % 4
        while block <= last:
            counters[found] = U(block)
            found += 1
            block += 1
    return counters[:found], begins


@compiled_loop
def _fill_rows(key0, key1, step, paths, count, out):  # type: ignore[no-untyped-def]
    counters, begins = _lanes(paths, count)
    words = np.empty(4 * CHUNK, np.uint64)
    row = 0
    for first in range(0, len(counters), CHUNK):
        chunk = counters[first : first + CHUNK]
        fill_words(chunk, step, key0, key1, words)
        begin, end = 4 * first, 4 * (first + len(chunk))
        while row < len(paths) and begins[row] < end:
            at = begins[row] - begin
            for j in range(max(0, -at), min(count, 4 * len(chunk) - at)):
                out[row, j] = words[at + j]
            if begins[row] + count > end:
                break  # the rest of this path is in the next chunk
            row += 1


@compiled_loop
def _fill_normals(key0, key1, step, paths, count, out):  # type: ignore[no-untyped-def]
    counters, begins = _lanes(paths, count)
    words = np.empty(4 * CHUNK, np.uint64)
    halves = words.view(np.int32)  # low, high, low, high …
    pairs = np.empty(8 * CHUNK, out.dtype)
    like, width = pairs[0], out.shape[1]
    row = 0
    for first in range(0, len(counters), CHUNK):
        chunk = counters[first : first + CHUNK]
        fill_words(chunk, step, key0, key1, words)
        for i in range(4 * len(chunk)):
            pairs[2 * i], pairs[2 * i + 1] = normal_pair(halves[2 * i], halves[2 * i + 1], like)
        begin, end = 4 * first, 4 * (first + len(chunk))
        while row < len(paths) and begins[row] < end:
            at = 2 * (begins[row] - begin)
            for c in range(max(0, -at), min(width, 8 * len(chunk) - at)):
                out[row, c] = pairs[at + c]
            if begins[row] + count > end:
                break
            row += 1


@compiled_loop
def _fill_range(key0, key1, step, paths, count, out):  # type: ignore[no-untyped-def]
    """Neighbours of even width: pair follows pair."""
    block, skip = paths[0] * count // 4, paths[0] * count % 4
    words = np.empty(4 * CHUNK + 4, np.uint64)
    halves = words.view(np.int32)
    like = out[0]
    for begin in range(0, len(out) // 2, 4 * CHUNK):
        pairs = min(4 * CHUNK, len(out) // 2 - begin)
        fill_words(_counters(block + begin // 4, (skip + pairs + 3) // 4), step, key0, key1, words)
        here, there = halves[2 * skip : 2 * (skip + pairs)], out[2 * begin : 2 * (begin + pairs)]
        for i in range(pairs):
            there[2 * i], there[2 * i + 1] = normal_pair(here[2 * i], here[2 * i + 1], like)


@njit(inline="always")
def _counters(first, count):  # type: ignore[no-untyped-def]
    return np.arange(first, first + count).astype(np.uint64)
