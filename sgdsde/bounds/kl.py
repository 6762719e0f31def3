"""The binary relative entropy and the bounds that come from turning it around.

kl(q‖p) = q ln(q/p) + (1−q) ln((1−q)/(1−p)); kl⁻¹(q, c) = sup{p ≥ q : kl(q‖p) ≤ c}.

- Maurer (cs/0411099, Theorem 5, for n ≥ 8): with probability 1 − δ over n independent samples, for *all* posteriors Q at once,
  kl(Ê_Q err ‖ E_Q err) ≤ (KL(Q‖P) + ln(2√n/δ))/n, where the prior P does not depend on the samples.
- Chernoff: for m independent values in [0, 1] with mean e, P(average ≤ q) ≤ exp(−m·kl(q‖e)) for q ≤ e; so e ≤ kl⁻¹(average, ln(1/δ)/m) with probability 1 − δ.
"""

from __future__ import annotations

import math

from sgdsde.given import is_whole
from sgdsde.types import InputError, real

#: Maurer's constant 2√n holds from so many samples on
FEWEST = 8


def kl(q: float, p: float) -> float:
    """kl(q‖p) for q, p in [0, 1]; infinite where p excludes what q allows."""
    q, p = real(q, "q"), real(p, "p")
    if not (0 <= q <= 1 and 0 <= p <= 1):
        raise InputError(f"kl({q}, {p}): wanted two probabilities.")
    return _kl(q, p)


def _kl(q: float, p: float) -> float:
    """Without looking at what comes."""
    total = 0.0
    for a, b in ((q, p), (1 - q, 1 - p)):
        if a > 0:
            total += math.inf if b == 0 else a * math.log(a / b)
    return max(total, 0.0)


def kl_inverse(q: float, c: float) -> float:
    """The largest p with kl(q‖p) ≤ c, to 1e-15, rounded up.

    Raises:
        InputError: q is no probability, or c < 0.
    """
    q, c = real(q, "q"), real(c, "c")
    if not (0 <= q <= 1 and c >= 0):
        raise InputError(f"kl_inverse({q}, {c}): wanted a probability and a budget ≥ 0.")
    low, high = q, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _kl(q, middle) <= c else (low, middle)
    return high


def maurer(error: float, divergence: float, n: int, delta: float) -> float:
    """E_Q err ≤ kl⁻¹(Ê_Q err, (KL(Q‖P) + ln(2√n/δ))/n), with probability 1 − δ over the n samples.

    Raises:
        InputError: n < 8, δ outside (0, 1), or a divergence below 0.
    """
    if not is_whole(n, FEWEST) or not 0 < real(delta, "delta") < 1:
        raise InputError(f"n = {n}, delta = {delta}; wanted an integer n ≥ {FEWEST} and a probability of failure between 0 and 1.")
    if not real(divergence, "divergence") >= 0:
        raise InputError(f"divergence = {divergence}; wanted KL(Q‖P) ≥ 0.")
    return kl_inverse(error, (divergence + math.log(2 * math.sqrt(n) / delta)) / n)


def chernoff(average: float, draws: int, delta: float) -> float:
    """A mean of values in [0, 1] is at most kl⁻¹(average, ln(1/δ)/m), with probability 1 − δ over the m draws.

    Raises:
        InputError: no draws, or δ outside (0, 1).
    """
    if not is_whole(draws, 1) or not 0 < real(delta, "delta") < 1:
        raise InputError(f"draws = {draws}, delta = {delta}; wanted at least one draw and a probability of failure between 0 and 1.")
    return kl_inverse(average, math.log(1 / delta) / draws)
