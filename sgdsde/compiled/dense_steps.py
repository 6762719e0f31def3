"""Small dense linear steps with counter-based normals, compiled for the CPU: K steps of a few paths in the first-level cache.

    x⁺_i = s_i + Σ_j F_ij x_j + Σ_j G_ij z_j(key, step, path)         (every linear model with non-commuting H and Σ; G holds √dt)

Coordinates are rows and paths columns while the steps are taken, so that a sum runs over many paths at once. It is added in the order that is written, without
fused multiply–adds: the numbers are those of :func:`sgdsde.kernels.counted_linear.dense_step` to the last digit.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from torch import Tensor

from sgdsde.compiled.jit import compiled_loop
from sgdsde.compiled.pairs import normal_pair
from sgdsde.compiled.words import U, fill_words

#: paths of a chunk
_PATHS = 64


def dense_steps(x: Tensor, F: Tensor, s: Tensor, G: Tensor, *, key: tuple[int, int], first_path: int, first_step: int, steps: int) -> Tensor:
    """``steps`` steps of paths first_path, first_path + 1, …; ``x [P, d]`` is left alone, F ``[d, d]``, s ``[d]``, G ``[d, m]``."""
    out = x.contiguous().clone()
    parts = (part.contiguous().numpy() for part in (F, s, G))
    _dense_steps(out.numpy(), *parts, U(key[0]), U(key[1]), first_path, first_step, steps)
    return out


@compiled_loop
def _dense_steps(x, F, s, G, key0, key1, first_path, first_step, steps):  # type: ignore[no-untyped-def]
    dim, width = G.shape
    count = (width + 1) // 2
    words = np.empty(_PATHS * count + 8, np.uint64)
    pairs = np.empty((2, _PATHS * count), x.dtype)
    z = np.zeros((2 * count, _PATHS), x.dtype)
    here, there = np.zeros((dim, _PATHS), x.dtype), np.zeros((dim, _PATHS), x.dtype)
    for begin in range(0, len(x), _PATHS):
        rows = min(_PATHS, len(x) - begin)
        for row in range(rows):
            for i in range(dim):
                here[i, row] = x[begin + row, i]
        first = first_path + begin
        shared = first % 2 if width == 1 else 0  # in one dimension of noise two paths share a word
        word = first // 2 if width == 1 else first * count
        many = (shared + rows + 1) // 2 if width == 1 else rows * count
        counters = np.arange(word // 4, (word + many - 1) // 4 + 1).astype(np.uint64)
        halves = words.view(np.int32)[2 * (word % 4) :]
        for step in range(first_step, first_step + steps):
            fill_words(counters, U(step), key0, key1, words)
            _draw(halves, pairs[0], pairs[1], many)
            if width == 1:
                for row in range(rows):
                    z[0, row] = pairs[(shared + row) % 2, (shared + row) // 2]
            else:
                _spread(pairs[0], pairs[1], rows, z)
            for i in range(dim):
                _fill(there[i], s[i])
                for j in range(dim):
                    _add(there[i], F[i, j], here[j])
                for j in range(width):
                    _add(there[i], G[i, j], z[j])
            here, there = there, here
        for row in range(rows):
            for i in range(dim):
                x[begin + row, i] = here[i, row]


@compiled_loop
def _draw(halves, cosines, sines, many):  # type: ignore[no-untyped-def]
    """The pairs of ``many`` words."""
    like = cosines[0]
    for i in range(many):
        cosines[i], sines[i] = normal_pair(halves[2 * i], halves[2 * i + 1], like)


@compiled_loop
def _spread(cosines, sines, rows, z):  # type: ignore[no-untyped-def]
    """The normals of all paths, one coordinate a row of ``z``."""
    count = len(z) // 2
    for j in range(count):
        for row in range(rows):
            z[2 * j, row] = cosines[row * count + j]
            z[2 * j + 1, row] = sines[row * count + j]


@njit(inline="always")
def _fill(row, value):  # type: ignore[no-untyped-def]
    for p in range(_PATHS):
        row[p] = value


@njit(inline="always")
def _add(row, factor, along):  # type: ignore[no-untyped-def]
    for p in range(_PATHS):
        row[p] += factor * along[p]
