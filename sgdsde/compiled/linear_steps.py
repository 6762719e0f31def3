"""Element-wise linear steps with counter-based normals, compiled for the CPU: K steps of a few paths in the cache, one read and one write.

    x⁺_c = (F_c x_c + s_c) + G_c z(key, step, path, c)         (diagonal F and G: every model on a diagonal quadratic with diagonal noise; G holds √dt)

A normal is used where it is made, in the same pass. The order of the sums and products is the one written, so that the numbers are those of the same formula on
tensors (:func:`sgdsde.kernels.counted_linear.linear_steps`) to the last digit.
"""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from sgdsde.compiled.jit import compiled_loop
from sgdsde.compiled.pairs import normal_pair
from sgdsde.compiled.words import U, fill_words

#: words of a chunk, about: ten numbers for each of them are to stay in the first-level cache
_WORDS = {4: 512, 8: 256}


def linear_steps(x: Tensor, F: Tensor, s: Tensor, G: Tensor, *, key: tuple[int, int], first_path: int, first_step: int, steps: int) -> Tensor:
    """``steps`` steps of paths first_path, first_path + 1, …; ``x [P, width]``, width ≥ 2, is left alone, F, s, G are ``[width]``."""
    out = x.contiguous().clone()
    count = (x.shape[1] + 1) // 2
    whole = 4 // math.gcd(count, 4)  # so many paths have a whole number of counters
    rows = max(1, _WORDS[x.element_size()] // (count * whole)) * whole
    parts = (part.contiguous().numpy() for part in (F, s, G))
    _linear_steps(out.numpy(), *parts, U(key[0]), U(key[1]), first_path, first_step, steps, rows)
    return out


@compiled_loop
def _linear_steps(x, F, s, G, key0, key1, first_path, first_step, steps, rows):  # type: ignore[no-untyped-def]
    paths, width = x.shape
    count = (width + 1) // 2
    skip = first_path * count % 4
    words = np.empty(rows * count + 8, np.uint64)
    here = words.view(np.int32)[2 * skip :]
    cosines, sines = np.empty((4, rows * count), x.dtype), np.empty((4, rows * count), x.dtype)
    cosines[:], sines[:] = 0, 0  # a coordinate beyond the width stays 0
    for row in range(rows):
        for c in range(width):
            side, at = sines if c % 2 else cosines, row * count + c // 2
            side[1, at], side[2, at], side[3, at] = F[c], s[c], G[c]
    like = x[0, 0]
    for begin in range(0, paths, rows):
        here_rows = min(rows, paths - begin)
        pairs = here_rows * count
        word = (first_path + begin) * count
        counters = np.arange(word // 4, (word + pairs - 1) // 4 + 1).astype(np.uint64)
        for row in range(here_rows):
            for c in range(width):
                (sines if c % 2 else cosines)[0, row * count + c // 2] = x[begin + row, c]
        _walk(cosines, sines, words, here, counters, pairs, key0, key1, first_step, steps, like)
        for row in range(here_rows):
            for c in range(width):
                x[begin + row, c] = (sines if c % 2 else cosines)[0, row * count + c // 2]


@compiled_loop
def _walk(cosines, sines, words, halves, counters, pairs, key0, key1, first_step, steps, like):  # type: ignore[no-untyped-def]
    """The steps; the rows of both are points, F, s and G of the coordinates that take the cosines, or the sines."""
    x, F, s, G = cosines[0], cosines[1], cosines[2], cosines[3]
    y, E, r, H = sines[0], sines[1], sines[2], sines[3]
    for step in range(first_step, first_step + steps):
        fill_words(counters, U(step), key0, key1, words)
        for i in range(pairs):
            z, v = normal_pair(halves[2 * i], halves[2 * i + 1], like)
            x[i] = (F[i] * x[i] + s[i]) + G[i] * z
            y[i] = (E[i] * y[i] + r[i]) + H[i] * v
