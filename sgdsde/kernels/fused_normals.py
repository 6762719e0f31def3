"""Counter-based normals inside a GPU kernel: Threefry4x64-20 and Box–Muller in registers, as :mod:`sgdsde.threefry` and :mod:`sgdsde.box_muller` define them.

The same sums, products, quotients and square roots, each rounded by itself (launch with ``EXACT``): so the numbers are the CPU's to the last digit, which the
tests see in Triton's interpreter. No table, no library function, no reduction of a large argument.
"""

from __future__ import annotations

import triton
import triton.language as tl

#: options of a launch: a fused multiply–add would round otherwise than the two operations it stands for
EXACT = {"enable_fp_fusion": False}


@triton.jit
def _mix(x0, x1, x2, x3, a: tl.constexpr, b: tl.constexpr):  # type: ignore[no-untyped-def]
    """One round of Threefry; the caller changes the places of x₁ and x₃."""
    x0 = x0 + x1
    x2 = x2 + x3
    return x0, ((x1 << a) | (x1 >> (64 - a))) ^ x0, x2, ((x3 << b) | (x3 >> (64 - b))) ^ x2


@triton.jit
def _four(  # type: ignore[no-untyped-def]
    x0, x1, x2, x3, a: tl.constexpr, b: tl.constexpr, c: tl.constexpr, d: tl.constexpr, e: tl.constexpr, f: tl.constexpr, g: tl.constexpr, h: tl.constexpr
):
    """Four rounds; in every second one x₁ and x₃ have changed places."""
    x0, x1, x2, x3 = _mix(x0, x1, x2, x3, a, b)
    x0, x3, x2, x1 = _mix(x0, x3, x2, x1, c, d)
    x0, x1, x2, x3 = _mix(x0, x1, x2, x3, e, f)
    x0, x3, x2, x1 = _mix(x0, x3, x2, x1, g, h)
    return x0, x1, x2, x3


@triton.jit
def _even(x0, x1, x2, x3):  # type: ignore[no-untyped-def]
    return _four(x0, x1, x2, x3, 14, 16, 52, 57, 23, 40, 5, 37)


@triton.jit
def _odd(x0, x1, x2, x3):  # type: ignore[no-untyped-def]
    return _four(x0, x1, x2, x3, 25, 33, 46, 12, 58, 22, 32, 32)


@triton.jit
def threefry(c0, c1, k0, k1):  # type: ignore[no-untyped-def]
    """Threefry4x64-20 of the counter (c₀, c₁, 0, 0) under the key (k₀, k₁, 0, 0), on unsigned 64-bit lanes."""
    zero = c0 * 0
    k4 = tl.full(c0.shape, 0x1BD11BDAA9FC1A22, tl.uint64) ^ k0 ^ k1
    x0, x1, x2, x3 = _even(c0 + k0, c1 + k1, zero, zero)
    x0, x1, x2, x3 = _odd(x0 + k1, x1, x2, x3 + k4 + 1)
    x0, x1, x2, x3 = _even(x0, x1, x2 + k4, x3 + k0 + 2)
    x0, x1, x2, x3 = _odd(x0, x1 + k4, x2 + k0, x3 + k1 + 3)
    x0, x1, x2, x3 = _even(x0 + k4, x1 + k0, x2 + k1, x3 + 4)
    return x0 + k0, x1 + k1, x2, x3 + 5


@triton.jit
def _as(value: tl.constexpr, x):  # type: ignore[no-untyped-def]
    """A constant in the precision of ``x``: a bare one would be taken for a float32."""
    return tl.full(x.shape, value, x.dtype)


@triton.jit
def _log_single(high):  # type: ignore[no-untyped-def]
    """log((high + ½)/2³¹) in float32, as in ``box_muller``."""
    u = (high.to(tl.float32) + 0.5) * 4.656612873077393e-10
    shifted = u.to(tl.int32, bitcast=True) - 0x3F3504F3
    e = (shifted >> 23).to(tl.float32)
    f = ((shifted & 0x007FFFFF) + 0x3F3504F3).to(tl.float32, bitcast=True) - 1.0
    near = high >= 1518500250
    f = tl.where(near, ((0x7FFFFFFF - high).to(tl.float32) + 0.5) * -4.656612873077393e-10, f)
    e = tl.where(near, e * 0.0, e)
    s = tl.div_rn(f, f + 2.0)
    z = s * s
    half = (f * 0.5) * f
    R = ((z * _as(0.24279078841, z) + _as(0.28498786688, z)) * z + _as(0.40000972152, z)) * z + _as(0.66666662693, z)
    tail = s * (half + z * R)
    return e * _as(6.9313812256e-01, z) - ((half - (tail + e * _as(9.0580006145e-06, z))) - f)


@triton.jit
def _log_double(high):  # type: ignore[no-untyped-def]
    """The same in float64."""
    u = high.to(tl.float64)
    u = (u + _as(0.5, u)) * _as(4.656612873077393e-10, u)
    shifted = u.to(tl.int64, bitcast=True) - 0x3FE6A09E667F3BCD
    e = (shifted >> 52).to(tl.float64)
    f = ((shifted & 0x000FFFFFFFFFFFFF) + 0x3FE6A09E667F3BCD).to(tl.float64, bitcast=True) - _as(1.0, u)
    s = f / (f + _as(2.0, f))
    z = s * s
    half = (f * _as(0.5, f)) * f
    R = z * _as(1.479819860511658591e-01, z) + _as(1.531383769920937332e-01, z)
    R = (R * z + _as(1.818357216161805012e-01, z)) * z + _as(2.222219843214978396e-01, z)
    R = (R * z + _as(2.857142874366239149e-01, z)) * z + _as(3.999999999940941908e-01, z)
    R = R * z + _as(6.666666666666735130e-01, z)
    tail = s * (half + z * R)
    return e * _as(6.93147180369123816490e-01, z) - ((half - (tail + e * _as(1.90821492927058770002e-10, z))) - f)


@triton.jit
def _turned(t):  # type: ignore[no-untyped-def]
    """sin t and cos t for |t| ≤ π/4."""
    x = t * t
    if t.dtype == tl.float32:
        p = (x * _as(-1.9515295891e-4, x) + _as(8.3321608736e-3, x)) * x + _as(-1.6666654611e-1, x)
        q = (x * _as(2.443315711809948e-5, x) + _as(-1.388731625493765e-3, x)) * x + _as(4.166664568298827e-2, x)
    else:
        p = x * _as(1.58969099521155010221e-10, x) + _as(-2.50507602534068634195e-08, x)
        p = (p * x + _as(2.75573137070700676789e-06, x)) * x + _as(-1.98412698298579493134e-04, x)
        p = (p * x + _as(8.33333333332248946124e-03, x)) * x + _as(-1.66666666666666324348e-01, x)
        q = x * _as(-1.13596475577881948265e-11, x) + _as(2.08757232129817482790e-09, x)
        q = (q * x + _as(-2.75573143513906633035e-07, x)) * x + _as(2.48015872894767294178e-05, x)
        q = (q * x + _as(-1.38888888888741095749e-03, x)) * x + _as(4.16666666666666019037e-02, x)
    return t + (t * x) * p, _as(1.0, x) - (x * _as(0.5, x) - (x * x) * q)


@triton.jit
def normal_pair(word, real: tl.constexpr):  # type: ignore[no-untyped-def]
    """Box–Muller of one word: (r cos φ, r sin φ)."""
    high = ((word >> 32) & 0x7FFFFFFF).to(tl.int32)
    low = (word & 0xFFFFFFFF).to(tl.uint32).to(tl.int32, bitcast=True)
    log = _log_single(high) if real == tl.float32 else _log_double(high)
    radius = tl.sqrt_rn(log * -2.0) if real == tl.float32 else tl.sqrt(log * -2.0)
    quarter = (low + 0x20000000) >> 30
    t = (low - (quarter << 30)).to(real)
    sine, cosine = _turned(t * _as(1.4629180792671596e-09, t))
    odd = (quarter & 1) != 0
    first = radius * tl.where(odd, sine, cosine)
    second = radius * tl.where(odd, cosine, sine)
    return tl.where(((quarter + 1) & 2) != 0, -first, first), tl.where((quarter & 2) != 0, -second, second)
