"""Processes of a study of escape by name: SGD, or an SDE model of it by stochastic Heun, and the exact exit laws of both on the line.

Where ηλ ≥ 1 can be reached the models with a real logarithm run clipped at ηλ = .99 (``log="clip"``); results count how often.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import scipy.stats

from sgdsde.kernel import Kernel
from sgdsde.kernels import SGD, Heun
from sgdsde.noise import Noise
from sgdsde.oracles import ExitLaw, sgd_mean_exit, skeleton_mean_exit
from sgdsde.region import Region
from sgdsde.sde import ModifiedEquation
from sgdsde.sdes import HASME, HASME3, SME1, SME2, SME3, SPF, EvenStepHASME, HASMEProduct
from sgdsde.types import Estimate, InputError, OracleRefusal, suggest

MODELS: dict[str, Any] = {
    "SME1": SME1,
    "SME2": SME2,
    "SPF": SPF,
    "HASME": HASME,
    "HASMEProduct": HASMEProduct,
    "SME3": SME3,
    "HASME3": HASME3,
    "EvenStepHASME": EvenStepHASME,
}
PROCESSES = ("SGD", *MODELS)
#: models that take log(1 − ηλ)
LOGARITHMIC = ("SPF", "HASME", "HASMEProduct", "HASME3")
#: relative accuracy asked of the models' oracle: kinks of the clip cost accuracy
TOLERANCE = 1e-4


def checked_processes(names: Sequence[str]) -> None:
    """Refuse a name that is no process.

    Raises:
        InputError: it is none (with a suggestion).
    """
    for name in names:
        if name not in PROCESSES:
            raise InputError(f"models: {name!r} is no process of an escape study." + suggest(name, list(PROCESSES)))


def model(name: str, noise: Noise, eta: float) -> ModifiedEquation:
    """The SDE model of this name; those that take a logarithm with ``log="clip"``.

    Raises:
        DomainError: the model does not exist for this noise and η.
    """
    sde: ModifiedEquation = MODELS[name](noise, eta, log="clip") if name in LOGARITHMIC else MODELS[name](noise, eta)
    return sde


def process(name: str, noise: Noise, eta: float, *, substeps: int) -> Kernel:
    """SGD, or the model by stochastic Heun with ``substeps`` steps a tick."""
    return SGD(noise, eta) if name == "SGD" else Heun(model(name, noise, eta), eta / substeps)


def exact_exit(name: str, noise: Noise, eta: float, start: float, region: Region) -> ExitLaw | None:
    """The exit law at t = kη on the line without Monte Carlo; None where the oracle refuses (it says where it is not accurate)."""
    try:
        if name == "SGD":
            return sgd_mean_exit(noise, eta, start, region)
        return skeleton_mean_exit(model(name, noise, eta), start, region, tolerance=TOLERANCE)
    except OracleRefusal:
        return None


def mean_from_rate(rate: Estimate) -> Estimate:
    """1/rate of a mean over ``rate.n`` replicas of a splitting, with Student's 95 % interval on the log scale; NaN where there is no rate."""
    if not rate.value > 0:
        return Estimate(math.nan, math.nan, rate.n, math.nan, math.nan)
    relative = rate.stderr / rate.value
    factor = math.exp(float(scipy.stats.t.isf(0.025, max(rate.n - 1, 1))) * relative)
    return Estimate(1 / rate.value, relative / rate.value, rate.n, 1 / (rate.value * factor), factor / rate.value)
