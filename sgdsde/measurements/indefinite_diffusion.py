"""What the ways round an indefinite Q cost: relative Frobenius error of the stationary covariance, model against SGD, on random quadratics.

A problem: x = ηλ with one eigenvalue at ``top`` and the rest uniform in [LOWEST, top], a random basis, Σ = GGᵀ/rank with Gaussian G ``[dim, rank]``. The ways:
the product form, HA-SME's exact Q with its negative eigenvalues set to zero (``project``), and SPF, which needs neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sgdsde.measurement import Measured, exactly
from sgdsde.measurements.random_quadratics import rotation
from sgdsde.noises import Gaussian
from sgdsde.objectives import Quadratic
from sgdsde.oracles import stationary_covariance
from sgdsde.plots.panel import Panel, Series
from sgdsde.sdes import HASME, SPF, HASMEProduct
from sgdsde.sdes.positivity import defect
from sgdsde.stats import mean_estimate, paired_difference, proportion
from sgdsde.types import Estimate

ETA, LOWEST = 0.1, 0.01
#: accuracy of a relative error: the Lyapunov solvers' residual check
ACCURACY = 1e-12
WAYS = ("product", "project", "SPF")


def drawn_problems(*, seed: int, level: float, cases: Mapping[str, tuple[int, int, float, int]]) -> Measured:
    """For each case ``name: (dim, rank, top, problems)``, over its problems.

    ``name/product`` (and ``project``, ``SPF``): mean error; ``name/product−project`` (and ``SPF−project``): mean paired difference; ``name/largest/product``
    (and ``SPF``): the largest quotient of its error and the projection's; ``name/better``: share of problems in which the product form is nearer;
    ``name/variances/product``: worst relative error of a variance along an eigenvector of H; ``name/defect/product``: the largest defect of its Q, and
    ``name/defect/HASME`` the smallest of HA-SME's exact Q.
    """
    rng = np.random.default_rng(seed)
    estimates: dict[str, Estimate] = {}
    for name, (dim, rank, top, problems) in cases.items():
        found = [_errors(_problem(rng, dim, rank, top)) for _ in range(problems)]
        table = {key: np.array([one[key] for one in found]) for key in found[0]}
        for way in WAYS:
            estimates[f"{name}/{way}"] = mean_estimate(table[way], level=level)
        for way in ("product", "SPF"):
            estimates[f"{name}/{way}−project"] = paired_difference(table[way], table["project"], level=level)
            estimates[f"{name}/largest/{way}"] = _quotient(table[way], table["project"])
            estimates[f"{name}/variances/{way}"] = exactly(table[f"variances/{way}"].max(), 1e-13)
        estimates[f"{name}/better"] = proportion(int((table["product"] < table["project"]).sum()), problems, level=level)
        estimates[f"{name}/defect/product"] = exactly(table["defect/product"].max(), 1e-13)
        estimates[f"{name}/defect/HASME"] = exactly(table["defect/HASME"].min(), 1e-13)
    panels = (_panel(cases, estimates),) if len(cases) > 2 else ()
    return Measured(estimates, panels=panels, conventions=f"Gaussian noise, constant covariance, float64, eta={ETA}")


def listed_problems(*, seed: int, level: float, spectra: Sequence[tuple[float, float]]) -> Measured:
    """Two dimensions, Σ = 11ᵀ in H's eigenbasis: ``x₁, x₂/way`` the error, ``x₁, x₂/largest/product`` (and ``SPF``) its quotient by the projection's."""
    estimates: dict[str, Estimate] = {}
    for x in spectra:
        found = _errors(Gaussian(Quadratic(np.asarray(x) / ETA), np.ones((2, 2))))
        for way in WAYS:
            estimates[f"{x}/{way}"] = exactly(found[way], ACCURACY)
        for way in ("product", "SPF"):
            estimates[f"{x}/largest/{way}"] = _quotient(np.array([found[way]]), np.array([found["project"]]))
    return Measured(estimates, conventions=f"Gaussian noise, constant covariance, float64, eta={ETA}")


def positive_problems(*, seed: int, level: float, cases: Mapping[str, tuple[int, int, float, int]]) -> Measured:
    """Among the problems of a case, those in which HA-SME's exact Q is positive: ``name/largest``, the largest quotient of its error and the product
    form's; ``name/positive``, how many there are.
    """
    rng = np.random.default_rng(seed)
    estimates: dict[str, Estimate] = {}
    for name, (dim, rank, top, problems) in cases.items():
        found = [_errors(_problem(rng, dim, rank, top)) for _ in range(problems)]
        kept = [one for one in found if one["defect/HASME"] == 0]
        estimates[f"{name}/positive"] = exactly(len(kept), 0.0)
        if kept:
            estimates[f"{name}/largest"] = _quotient(np.array([one["project"] for one in kept]), np.array([one["product"] for one in kept]))
            estimates[f"{name}/SPF"] = _quotient(np.array([one["SPF"] for one in kept]), np.array([one["product"] for one in kept]))
    return Measured(estimates, conventions=f"Gaussian noise, constant covariance, float64, eta={ETA}")


def _problem(rng: np.random.Generator, dim: int, rank: int, top: float) -> Gaussian:
    x = rng.uniform(LOWEST, top, dim)
    x[0] = top
    basis, factor = rotation(rng, dim), rng.standard_normal((dim, rank))
    hessian = (basis * (x / ETA)) @ basis.T
    return Gaussian(Quadratic((hessian + hessian.T) / 2), factor @ factor.T / rank)


def _errors(noise: Gaussian) -> dict[str, float]:
    """Errors of the ways, defects of the two matrices Q, and the worst errors of variances along H's eigenvectors (relative to the largest variance)."""
    exact = stationary_covariance(noise, ETA)
    hasme, product, spf = HASME(noise, ETA, psd="project"), HASMEProduct(noise, ETA), SPF(noise, ETA)
    found: dict[str, Any] = {"product": stationary_covariance(product), "project": stationary_covariance(hasme), "SPF": stationary_covariance(spf)}
    vectors = torch.linalg.eigh(noise.objective.matrix)[1]  # type: ignore[attr-defined]

    def along(V: Tensor) -> Tensor:
        return torch.einsum("ai,ab,bi->i", vectors, V, vectors)

    origin = torch.zeros(1, exact.shape[0], dtype=torch.float64)
    return (
        {way: float((V - exact).norm() / exact.norm()) for way, V in found.items()}
        | {f"variances/{way}": float((along(found[way]) - along(exact)).abs().max() / along(exact).max()) for way in ("product", "SPF")}
        | {"defect/product": float(defect(product.diffusion(0.0, origin))), "defect/HASME": float(hasme.defect(origin))}
    )


def _quotient(above: np.ndarray, below: np.ndarray) -> Estimate:
    """The largest above/below, with the interval that their accuracies leave."""
    low = np.maximum(above - ACCURACY, 0) / (below + ACCURACY)
    high = np.where(below > ACCURACY, (above + ACCURACY) / np.maximum(below - ACCURACY, np.finfo(float).tiny), np.inf)
    return Estimate(float((above / below).max()), 0.0, 0, float(low.max()), float(high.max()))


def _panel(cases: Mapping[str, tuple[int, int, float, int]], estimates: Mapping[str, Estimate]) -> Panel:
    """Mean errors against rank over dimension."""
    order = sorted(cases, key=lambda name: (cases[name][1] / cases[name][0], cases[name][0]))
    x = np.array([cases[name][1] / cases[name][0] for name in order])
    looks = {"product": ("HASMEProduct", "HA-SME, product form"), "project": ("HASME", "HA-SME, Q projected"), "SPF": ("SPF", "SPF")}
    series = []
    for way, (name, label) in looks.items():
        numbers = [estimates[f"{case}/{way}"] for case in order]
        value, low, high = (np.array([getattr(e, part) for e in numbers]) for part in ("value", "low", "high"))
        series.append(Series(name, label, x, value, low, high, kind="points"))
    return Panel("Error of the stationary covariance", "rank of Σ / dimension", "relative Frobenius error, mean", tuple(series), log="xy")
