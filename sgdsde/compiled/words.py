"""Threefry4x64-20 compiled: eight counters at once where the processor has registers of 512 bits. The twin of :mod:`sgdsde.threefry`."""

from __future__ import annotations

import numpy as np
from numba import njit

from sgdsde.compiled.jit import compiled_loop
from sgdsde.threefry import PARITY, ROTATIONS

U = np.uint64
_PARITY = U(PARITY)


def _round(turns):  # type: ignore[no-untyped-def]
    """One round with its two rotations built in as constants of 64 bits: numba would make a float of a mixture of signed and unsigned numbers."""
    a, b, c, d = (U(number) for turn in turns for number in (turn, 64 - turn))

    @njit(inline="always")
    def mix(x0, x1, x2, x3):  # type: ignore[no-untyped-def]
        x0 = x0 + x1
        x2 = x2 + x3
        return x0, ((x1 << a) | (x1 >> b)) ^ x0, x2, ((x3 << c) | (x3 >> d)) ^ x2

    return mix


def _four(turns):  # type: ignore[no-untyped-def]
    """Four rounds; in every second one x₁ and x₃ have changed places."""
    first, second, third, fourth = (_round(pair) for pair in turns)

    @njit(inline="always")
    def rounds(x0, x1, x2, x3):  # type: ignore[no-untyped-def]
        x0, x1, x2, x3 = first(x0, x1, x2, x3)
        x0, x3, x2, x1 = second(x0, x3, x2, x1)
        x0, x1, x2, x3 = third(x0, x1, x2, x3)
        x0, x3, x2, x1 = fourth(x0, x3, x2, x1)
        return x0, x1, x2, x3

    return rounds


_even, _odd = _four(ROTATIONS[:4]), _four(ROTATIONS[4:])


@compiled_loop
def fill_words(counters, step, key0, key1, out):  # type: ignore[no-untyped-def]
    """Four words of each of the ``counters`` (uint64), one after the other in ``out``; the key's other two words are 0."""
    key4 = _PARITY ^ key0 ^ key1
    for i in range(counters.shape[0]):
        x0, x1, x2, x3 = _even(counters[i] + key0, step + key1, U(0), U(0))
        x0, x1, x2, x3 = _odd(x0 + key1, x1, x2, x3 + key4 + U(1))
        x0, x1, x2, x3 = _even(x0, x1, x2 + key4, x3 + key0 + U(2))
        x0, x1, x2, x3 = _odd(x0, x1 + key4, x2 + key0, x3 + key1 + U(3))
        x0, x1, x2, x3 = _even(x0 + key4, x1 + key0, x2 + key1, x3 + U(4))
        out[4 * i], out[4 * i + 1], out[4 * i + 2], out[4 * i + 3] = x0 + key0, x1 + key1, x2, x3 + U(5)
