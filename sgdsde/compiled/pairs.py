"""Box–Muller compiled, in the same sums and products in the same order as :mod:`sgdsde.box_muller`, of which it is the twin to the last digit.

Signed and unsigned numbers of one width each, and no branches: only so does LLVM put eight or sixteen of them in a register. Nothing is contracted to a fused
multiply–add, which would round otherwise than two operations on machines that have it.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, types
from numba.extending import overload

from sgdsde.box_muller import DOUBLE, NEAR, SINGLE, TURN
from sgdsde.compiled.jit import compiled_loop

f4, f8, i4, i8 = np.float32, np.float64, np.int32, np.int64
_EDGE_S, _NEAR = i4(SINGLE[0]), i4(NEAR)
_LOG_S, _R_S, _SIN_S, _COS_S = (tuple(f4(value) for value in part) for part in SINGLE[1:])
_EDGE_D = i8(DOUBLE[0])
_LOG_D, _R_D, _SIN_D, _COS_D = DOUBLE[1:]
_TURN_S, _TURN_D, _UNIT_S, _HALF, _TWO = f4(TURN), TURN, f4(2.0**-31), f4(0.5), f4(2)


@njit(inline="always", error_model="numpy")
def _single(low, high):  # type: ignore[no-untyped-def]
    """(r cos φ, r sin φ) in float32 of the two halves of a word, int32."""
    high = i4(high & i4(0x7FFFFFFF))
    u = (f4(high) + _HALF) * _UNIT_S
    near = high >= _NEAR
    shifted = i4(f4(u).view(np.int32) - _EDGE_S)
    e = f4(i4(shifted >> i4(23)))
    f = i4(i4(shifted & i4(0x007FFFFF)) + _EDGE_S).view(np.float32) - f4(1)
    f = (f4(i4(i4(0x7FFFFFFF) - high)) + _HALF) * -_UNIT_S if near else f
    e = f4(0) if near else e
    s = f / (f + _TWO)
    z = s * s
    half = (f * _HALF) * f
    R = ((z * _R_S[0] + _R_S[1]) * z + _R_S[2]) * z + _R_S[3]
    tail = s * (half + z * R)
    radius = f4(math.sqrt((e * _LOG_S[0] - ((half - (tail + e * _LOG_S[1])) - f)) * f4(-2)))
    quarter = i4(i4(low + i4(0x20000000)) >> i4(30))
    t = f4(i4(low - i4(quarter << i4(30)))) * _TURN_S
    t2 = t * t
    sine = t + (t * t2) * ((t2 * _SIN_S[0] + _SIN_S[1]) * t2 + _SIN_S[2])
    cosine = f4(1) - (t2 * _HALF - (t2 * t2) * ((t2 * _COS_S[0] + _COS_S[1]) * t2 + _COS_S[2]))
    odd = i4(quarter & i4(1)) != i4(0)
    first = radius * (sine if odd else cosine)
    second = radius * (cosine if odd else sine)
    turn_first = i4(i4(i4(quarter + i4(1)) >> i4(1)) << i4(31))
    turn_second = i4(i4(quarter >> i4(1)) << i4(31))
    return i4(f4(first).view(np.int32) ^ turn_first).view(np.float32), i4(f4(second).view(np.int32) ^ turn_second).view(np.float32)


@njit(inline="always", error_model="numpy")
def _double(low, high):  # type: ignore[no-untyped-def]
    """(r cos φ, r sin φ) in float64 of the two halves of a word, int32."""
    high, low = i8(high) & i8(0x7FFFFFFF), i8(low)
    shifted = f8((f8(high) + 0.5) * 2.0**-31).view(np.int64) - _EDGE_D
    e = f8(shifted >> i8(52))
    f = i8((shifted & i8(0x000FFFFFFFFFFFFF)) + _EDGE_D).view(np.float64) - 1.0
    s = f / (f + 2.0)
    z = s * s
    half = (f * 0.5) * f
    R = z * _R_D[0] + _R_D[1]
    R = (((R * z + _R_D[2]) * z + _R_D[3]) * z + _R_D[4]) * z + _R_D[5]
    R = R * z + _R_D[6]
    tail = s * (half + z * R)
    radius = math.sqrt((e * _LOG_D[0] - ((half - (tail + e * _LOG_D[1])) - f)) * -2.0)
    quarter = (low + i8(0x20000000)) >> i8(30)
    t = f8(low - (quarter << i8(30))) * _TURN_D
    t2 = t * t
    p = (((t2 * _SIN_D[0] + _SIN_D[1]) * t2 + _SIN_D[2]) * t2 + _SIN_D[3]) * t2 + _SIN_D[4]
    sine = t + (t * t2) * (p * t2 + _SIN_D[5])
    p = (((t2 * _COS_D[0] + _COS_D[1]) * t2 + _COS_D[2]) * t2 + _COS_D[3]) * t2 + _COS_D[4]
    cosine = 1.0 - (t2 * 0.5 - (t2 * t2) * (p * t2 + _COS_D[5]))
    odd = (quarter & i8(1)) != i8(0)
    first = radius * (sine if odd else cosine)
    second = radius * (cosine if odd else sine)
    turn_first = ((quarter + i8(1)) >> i8(1)) << i8(63)
    turn_second = (quarter >> i8(1)) << i8(63)
    return i8(f8(first).view(np.int64) ^ turn_first).view(np.float64), i8(f8(second).view(np.int64) ^ turn_second).view(np.float64)


def normal_pair(low, high, like):  # type: ignore[no-untyped-def]
    """The pair of a word in the precision of the number ``like``; compiled code takes the choice from :func:`_chosen`, before it runs."""
    return _single(low, high) if isinstance(like, np.float32) else _double(low, high)


@overload(normal_pair, inline="always")
def _chosen(low, high, like):  # type: ignore[no-untyped-def]
    if like == types.float32:
        return lambda low, high, like: _single(low, high)
    return lambda low, high, like: _double(low, high)


@compiled_loop
def fill_pairs(halves, cosines, sines):  # type: ignore[no-untyped-def]
    """The pairs of words, given as two int32 each."""
    like = cosines[0]
    for i in range(cosines.shape[0]):
        cosines[i], sines[i] = normal_pair(halves[2 * i], halves[2 * i + 1], like)
