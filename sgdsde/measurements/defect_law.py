"""The law of HA-SME's positivity defect for noise of low rank, as η → 0.

With P the projector on ker Σ the negative eigenvalues of Q tend to those of −(η³/12)·PHΣHP, so that the defect (negative mass over positive mass of Q's
spectrum) tends to (η²/12)·tr(PHΣHP)/tr Σ. H and Σ are fixed while η falls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from sgdsde.measurement import Measured, exactly
from sgdsde.noises import Gaussian
from sgdsde.objectives import Quadratic
from sgdsde.plots.panel import Panel, Series
from sgdsde.sdes import HASME
from sgdsde.types import Estimate

#: white noise that is added, as a share of the mean eigenvalue of Σ, where the law must not hold
WHITE = 0.05


def defect_ratios(*, seed: int, level: float, cases: Mapping[str, tuple[int, int]], etas: Sequence[float]) -> Measured:
    """For each case ``name: (dim, rank)``, H Gaussian symmetric with spectral norm 1, Σ = GGᵀ/rank, and each η: ``name/η`` the defect over its law,
    ``name/lowest/η`` the lowest eigenvalue of Q over that of −(η³/12)PHΣHP, ``name/white/η`` the defect over the law where white noise is added to Σ.
    """
    rng = np.random.default_rng(seed)
    estimates: dict[str, Estimate] = {}
    series = []
    for name, (dim, rank) in cases.items():
        half, factor = rng.standard_normal((dim, dim)), rng.standard_normal((dim, rank))
        H, S = (half + half.T) / np.linalg.norm(half + half.T, 2), factor @ factor.T / rank
        vectors = np.linalg.eigh(S)[1][:, : dim - rank]  # a basis of ker Σ
        PH = vectors @ vectors.T @ H
        law, white = PH @ S @ PH.T, S + WHITE * np.trace(S) / dim * np.eye(dim)
        gaps = []
        for eta in etas:
            values = _eigenvalues(H, S, eta)
            rounding = 64 * dim * float(np.finfo(float).eps) * values[-1]  # of an eigenvalue of Q
            predicted = eta**2 / 12 * np.trace(law) / np.trace(S)
            ratio, accuracy = _defect(values) / predicted, dim * rounding / values[values > 0].sum() / predicted
            estimates[f"{name}/{eta:g}"] = exactly(ratio, accuracy)
            estimates[f"{name}/lowest/{eta:g}"] = exactly(values[0] / (-(eta**3) / 12 * np.linalg.eigvalsh(law)[-1]), rounding / -values[0])
            estimates[f"{name}/white/{eta:g}"] = exactly(_defect(_eigenvalues(H, white, eta)) / predicted, accuracy)
            gaps.append(abs(ratio - 1))
        series.append(Series(name, name, np.asarray(etas), np.array(gaps), kind="band"))
    panel = Panel("HA-SME's defect against its law", "η (spectral norm of H: 1)", "|defect / law − 1|", tuple(series), log="xy")
    return Measured(estimates, panels=(panel,), conventions="constant H and Σ, float64")


def _eigenvalues(H: np.ndarray, S: np.ndarray, eta: float) -> np.ndarray:
    sde = HASME(Gaussian(Quadratic(H), S), eta)
    return np.linalg.eigvalsh(sde.diffusion(0.0, torch.zeros(1, len(H), dtype=torch.float64))[0].numpy())


def _defect(values: np.ndarray) -> float:
    return float(-values[values < 0].sum() / values[values > 0].sum())
