"""Formulas in x = ηλ for one-dimensional quadratics, written down by hand: the independent check of the solvers, and the statements of claims.

SGD's stationary variance is ησ²/(λ(2−x)). A linear SDE with drift rate a/η and Q = ηqσ² has ηqσ²·η/(2a); the ratio to SGD's is q·x(2−x)/(2a).
"""

from __future__ import annotations

from collections.abc import Callable
from math import log1p

from sgdsde.given import is_whole
from sgdsde.sde import SDE
from sgdsde.sdes import HASME, SME1, SME2, SPF, HASMEProduct
from sgdsde.types import InputError, real


def _sme1(x: float) -> float:
    return 1 - x / 2


def _sme2(x: float) -> float:
    return (2 - x) / (2 + x)


def _spf(x: float) -> float:
    return x * (2 - x) / (-2 * log1p(-x))


def _exact(x: float) -> float:
    return 1.0


_RATIOS: dict[type[SDE], Callable[[float], float]] = {SME1: _sme1, SME2: _sme2, SPF: _spf, HASME: _exact, HASMEProduct: _exact}


def stationary_variance_ratio(model: type[SDE], x: float) -> float:
    """Stationary variance of an SDE model over SGD's, 0 < x < 1: SME-1 1−x/2; SME-2 (2−x)/(2+x); SPF x(2−x)/(2|log(1−x)|); HA-SME 1.

    Raises:
        InputError: no formula for this model, or x outside (0, 1).

    Example:
        >>> [round(sg.oracles.stationary_variance_ratio(model, 0.5), 4) for model in (sg.sdes.SME1, sg.sdes.SME2, sg.sdes.SPF, sg.sdes.HASME)]
        [0.75, 0.6, 0.541, 1.0]
    """
    if model not in _RATIOS:
        raise InputError(f"No closed form for {getattr(model, '__name__', model)!r}; known: {', '.join(sorted(m.__name__ for m in _RATIOS))}.")
    return _RATIOS[model](_inside(x, 1.0))


def svag_variance_ratio(x: float, amplification: int) -> float:
    """SVAG(l)'s stationary variance ησ²/(λ(2−x/l)) over SME-1's ησ²/(2λ): 1/(1−x/(2l)), 0 < x < 2l.

    Example:
        >>> round(sg.oracles.svag_variance_ratio(0.5, 1), 6), round(sg.oracles.svag_variance_ratio(0.5, 1000), 3)  # SGD; near the SDE
        (1.333333, 1.0)
    """
    copies = _whole(amplification, "amplification")
    return 1 / (1 - _inside(x, 2.0 * copies) / (2 * copies))


def momentum_variance_ratio(x: float, beta: float) -> float:
    """Heavy ball's stationary variance over plain SGD's at the same η: (1+β)(2−x)/((1−β)(2(1+β)−x)), 0 < x < 2.

    Example:
        >>> sg.oracles.momentum_variance_ratio(0.1, 0.0)
        1.0
        >>> round(sg.oracles.momentum_variance_ratio(1e-6, 0.9), 4)  # 1/(1 − β) for small steps
        10.0
    """
    if not 0 <= real(beta, "beta") < 1:
        raise InputError(f"beta = {beta}; wanted 0 ≤ beta < 1.")
    return (1 + beta) * (2 - _inside(x, 2.0)) / ((1 - beta) * (2 * (1 + beta) - x))


def euler_inflation(x: float, substeps: int) -> float:
    """Stationary variance of Euler–Maruyama with n substeps of HA-SME over HA-SME's: 1/(1 − |log(1−x)|/(2n)).

    Example:
        >>> round(sg.oracles.euler_inflation(0.9, 16), 4)  # 7.8 % too much
        1.0775
    """
    a = -log1p(-_inside(x, 1.0)) / _whole(substeps, "substeps")
    if a >= 2:
        raise InputError(f"{substeps} Euler substeps are unstable at x = {x}: |log(1−x)|/n = {a:.3g} ≥ 2.")
    return 1 / (1 - a / 2)


def heun_inflation(x: float, substeps: int) -> float:
    """The same for Heun: 2(1−a/2)²/(2 − 2a + a² − a³/4), a = |log(1−x)|/n.

    Example:
        >>> round(sg.oracles.heun_inflation(0.9, 16), 4)  # 0.55 % too little
        0.9945
    """
    a = -log1p(-_inside(x, 1.0)) / _whole(substeps, "substeps")
    if a >= 2:
        raise InputError(f"{substeps} Heun substeps are unstable at x = {x}: |log(1−x)|/n = {a:.3g} ≥ 2.")
    return 2 * (1 - a / 2) ** 2 / (2 - 2 * a + a**2 - a**3 / 4)


def _whole(value: int, name: str) -> int:
    if not is_whole(value, 1):
        raise InputError(f"{name} = {value!r}; wanted an integer ≥ 1.")
    return int(value)


def _inside(x: float, high: float) -> float:
    if not 0 < real(x, "x") < high:
        raise InputError(f"x = eta·lambda = {x}; the formula holds for 0 < x < {high:g}.")
    return float(x)
