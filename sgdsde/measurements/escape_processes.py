"""Processes of a study of escape by name: SGD, or an SDE model of it by stochastic Heun; the exact exit laws of both on the line; replicas of a splitting.

Where ηλ ≥ 1 can be reached the models with a real logarithm run clipped at ηλ = .99 (``log="clip"``); results count how often.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.stats

from sgdsde.kernel import Kernel
from sgdsde.kernels import SGD, Heun
from sgdsde.noise import Noise
from sgdsde.oracles import ExitLaw, sgd_mean_exit, skeleton_mean_exit
from sgdsde.region import Region
from sgdsde.sde import ModifiedEquation
from sgdsde.sdes import HASME, HASME3, SME1, SME2, SME3, SPF, EvenStepHASME, HASMEProduct
from sgdsde.splitting import rare_exit_time
from sgdsde.types import Estimate, InputError, OracleRefusal, SgdsdeWarning, Status, suggest

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
#: fewer distinct points than these behind a level make an interval that is told to be unsure
TRUSTED = 200


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


def replicas(kernel: Kernel, start: Sequence[float], region: Region, *, effort: int, replicas: int, seed: int) -> dict[str, np.ndarray]:
    """What a block of replicas of :func:`sgdsde.rare_exit_time` leaves behind, ``[R]`` each: ``rate`` an iterate; ``cost`` in steps, evaluations ``clipped``,
    pieces ``broken`` and the fewest ``distinct`` points behind a level, each shared out over the replicas. All NaN where the splitting is refused.

    The warning that few points are distinct is left to who reads ``distinct``.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SgdsdeWarning)
        try:
            run = rare_exit_time(kernel, list(start), region=region, effort=effort, replicas=replicas, seed=seed, progress=False)
        except OracleRefusal:  # a result, too: the cell has no number
            return {name: np.full(replicas, np.nan) for name in ("rate", "cost", "clipped", "broken", "distinct")}
    broken = sum(run.fates.get(fate.name.lower(), 0) for fate in (Status.DIVERGED, Status.OUT_OF_DOMAIN))
    shared = {"cost": run.evaluations, "clipped": run.tally.counts.get("log clipped", 0), "broken": broken, "distinct": min(run.distinct)}
    return {"rate": run.replica_rates * run.tick} | {name: np.full(replicas, number / replicas) for name, number in shared.items()}


def remarks(what: str, parts: Mapping[str, Any]) -> list[str]:
    """What a reader must know of a cell made of :func:`replicas`, from its moments: refusals, breaks, clips, too few points."""
    count, lost = int(parts["rate"].count), int(parts["rate"].lost)
    if lost:
        return [f"{what}: the splitting was refused in {lost} of {lost + count} replicas"]
    cost, clipped, broken, distinct = (float(parts[name].mean) * count for name in ("cost", "clipped", "broken", "distinct"))
    said = [f"{what}: ηλ clipped at .99 in {clipped / cost:.2g} of the steps"] if clipped else []
    said += [f"{what}: {broken:.3g} pieces of paths broke; the rate counts them as put back"] if broken else []
    return said + ([f"{what}: only {distinct:.0f} distinct points stand behind a level; the interval may be too narrow"] if distinct < TRUSTED else [])


def mean_from_rate(rate: Estimate) -> Estimate:
    """1/rate of a mean over ``rate.n`` replicas of a splitting, with Student's 95 % interval on the log scale; NaN where there is no rate."""
    if not rate.value > 0:
        return Estimate(math.nan, math.nan, rate.n, math.nan, math.nan)
    relative = rate.stderr / rate.value
    factor = math.exp(float(scipy.stats.t.isf(0.025, max(rate.n - 1, 1))) * relative)
    return Estimate(1 / rate.value, relative / rate.value, rate.n, 1 / (rate.value * factor), factor / rate.value)
