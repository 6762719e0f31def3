"""Pairs of normals from 64-bit words in sums, products, quotients and square roots alone: equal to the last digit wherever these are rounded as IEEE 754 says.

    u = (31 high bits + ½)/2³¹,   φ = 2π·(32 low bits)/2³²,   r = √(−2 log u),   (r cos φ, r sin φ)              (Box & Muller 1958)

log is f − (f²/2 − s(f²/2 + R(s²))) with f = u/2ᵉ − 1 in [√½ − 1, √2 − 1] and s = f/(2 + f); cos and sin are polynomials on an eighth of a turn about the
nearest quarter, whose place is taken from the bits of φ exactly. Coefficients in float64: fdlibm's e_log.c, k_sin.c, k_cos.c (Sun Microsystems 1993); in
float32: e_logf.c (Ian Taylor), and sinf and cosf of Cephes (Moshier). In float32, where u near 1 would round, f comes from the distance to 1 and not from u.
Errors: below 2e-15 in float64, 1e-6 in float32. Normals reach to 6.7 standard deviations, where one in 3·10¹⁰ is cut.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

#: 2π/2³², the angle of the lowest bit
TURN = 2 * math.pi / 2**32
#: (bits of √½, log 2 in two parts, coefficients of R, of (sin t − t)/t³ and of (cos t − 1 + t²/2)/t⁴, each from the highest power down)
SINGLE = (
    0x3F3504F3,
    (6.9313812256e-01, 9.0580006145e-06),
    (0.24279078841, 0.28498786688, 0.40000972152, 0.66666662693),
    (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1),
    (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2),
)
DOUBLE = (
    0x3FE6A09E667F3BCD,
    (6.93147180369123816490e-01, 1.90821492927058770002e-10),
    (
        1.479819860511658591e-01,
        1.531383769920937332e-01,
        1.818357216161805012e-01,
        2.222219843214978396e-01,
        2.857142874366239149e-01,
        3.999999999940941908e-01,
        6.666666666666735130e-01,
    ),
    (
        1.58969099521155010221e-10,
        -2.50507602534068634195e-08,
        2.75573137070700676789e-06,
        -1.98412698298579493134e-04,
        8.33333333332248946124e-03,
        -1.66666666666666324348e-01,
    ),
    (
        -1.13596475577881948265e-11,
        2.08757232129817482790e-09,
        -2.75573143513906633035e-07,
        2.48015872894767294178e-05,
        -1.38888888888741095749e-03,
        4.16666666666666019037e-02,
    ),
)
#: 31 high bits from which on u ≥ √½, in float32
NEAR = 1518500250


def normal_pairs(words: Int[Tensor, "*shape"], dtype: torch.dtype) -> Float[Tensor, "*shape 2"]:
    """(r cos φ, r sin φ) of each 64-bit word, in float32 or float64."""
    single = dtype == torch.float32
    whole = torch.int32 if single else torch.int64
    halves = words.contiguous().view(torch.int32).view(*words.shape, 2)  # little-endian: low word first
    low, high = halves[..., 0].to(whole), (halves[..., 1] & 0x7FFFFFFF).to(whole)
    radius = _root(_log(high, dtype) * -2)
    quarter = (low + 2**29) >> 30  # −2 … 2 in 64 bits; in 32 bits 2 wraps to −2, which is the same place
    t = (low - (quarter << 30)).to(dtype) * TURN
    sine, cosine = _sine_and_cosine(t, SINGLE if single else DOUBLE)
    odd = (quarter & 1) != 0
    bits = 31 if single else 63
    signs = ((quarter + 1) >> 1 << bits, quarter >> 1 << bits)
    parts = (torch.where(odd, sine, cosine), torch.where(odd, cosine, sine))
    turned = [(radius * part).view(whole).bitwise_xor_(sign).view(dtype) for part, sign in zip(parts, signs, strict=True)]
    return torch.stack(turned, -1)


def _log(high: Tensor, dtype: torch.dtype) -> Tensor:
    """log((high + ½)/2³¹)."""
    edge, (upper, lower), R, _, _ = SINGLE if dtype == torch.float32 else DOUBLE
    whole, mantissa = (torch.int32, 23) if dtype == torch.float32 else (torch.int64, 52)
    shifted = ((high.to(dtype) + 0.5) * 2.0**-31).view(whole) - edge
    e = (shifted >> mantissa).to(dtype)
    f = ((shifted & (1 << mantissa) - 1) + edge).view(dtype) - 1
    if dtype == torch.float32:
        near = high >= NEAR
        f = torch.where(near, ((0x7FFFFFFF - high).to(dtype) + 0.5) * -(2.0**-31), f)
        e = torch.where(near, 0.0, e)
    s = f / (f + 2)
    z = s * s
    half = (f * 0.5) * f
    tail = s * (half + z * _polynomial(z, R))
    return e * upper - ((half - (tail + e * lower)) - f)


def _root(x: Tensor) -> Tensor:
    """√x to the last digit, in place: torch's own, on a CPU, goes through a library that allows itself one more."""
    if x.device.type != "cpu":
        return x.sqrt_()
    np.sqrt(x.numpy(), out=x.numpy())
    return x


def _sine_and_cosine(t: Tensor, table: tuple) -> tuple[Tensor, Tensor]:
    """sin t and cos t for |t| ≤ π/4."""
    t2 = t * t
    sine = t + (t * t2) * _polynomial(t2, table[3])
    return sine, 1 - (t2 * 0.5 - (t2 * t2) * _polynomial(t2, table[4]))


def _polynomial(x: Tensor, coefficients: tuple[float, ...]) -> Tensor:
    """By Horner's rule, in sums and products that round one by one."""
    value = x * coefficients[0] + coefficients[1]
    for coefficient in coefficients[2:]:
        value = value.mul_(x).add_(coefficient)
    return value
