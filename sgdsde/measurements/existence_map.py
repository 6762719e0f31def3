"""Where HA-SME and its even-step form exist: the largest correlation of the noise that leaves Q ⪰ 0 in two dimensions, and how often random noise does.

In H's eigenbasis Q = η·Σᵢⱼ·φ(mᵢmⱼ), m = 1 − ηλ, real for ηλ < 1 only; the even-step model has log|u|/(u−1) in φ's place. Critical correlations are
found by bisection on the smallest eigenvalue of the model's own factors, with Σ = [[1, c], [c, 1]]; no formula for them is used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.measurement import Measured
from sgdsde.measurements.positivity import CONVENTIONS, SPECTRA, share
from sgdsde.plots.image import Image
from sgdsde.plots.panel import Panel, Series
from sgdsde.sdes.functions import even_phi_pair, phi_pair
from sgdsde.sdes.positivity import defect

BISECTIONS = 12


def existence_map(*, seed: int, level: float, low: float, high: float, points: int, dim: int, ranks: Sequence[int], count: int) -> Measured:
    """Panels only: critical correlation over (x₁, x₂) in [low, high]² for both models, and the share of draws with Q ⪰ 0 against rank / ``dim``."""
    x = low + (high - low) * (np.arange(points) + 0.5) / points
    first, second = (torch.from_numpy(part.ravel()) for part in np.meshgrid(x, x))
    real = ((first < 1) & (second < 1)).numpy().reshape(points, points)
    maps = []
    for title, pair, inside in (("HA-SME", phi_pair, real), ("even-step HA-SME", even_phi_pair, np.ones_like(real))):
        inner = torch.from_numpy(inside.ravel())
        critical = critical_correlations(pair, torch.where(inner, first, 0.0), torch.where(inner, second, 0.0))
        z = np.where(inside, critical.reshape(points, points), np.nan)  # outside there is no real logarithm
        image = Image(x, x, z, "largest |corr|", contours=(0.5, 0.9, 0.99), low=0.0, high=1.0)
        maps.append(Panel(f"{title}: Q ⪰ 0 up to", "x₁ = ηλ₁", "x₂ = ηλ₂", (), image=image, aspect="equal"))
    return Measured({}, panels=(*maps, _shares(seed, level, dim, ranks, count)), conventions=CONVENTIONS)


def critical_correlations(pair: Callable[[Tensor], Tensor], first: Float[Tensor, " pairs"], second: Float[Tensor, " pairs"]) -> Float[np.ndarray, " pairs"]:
    """For each pair of x the largest correlation in [0, 1] that leaves Q ⪰ 0."""
    factors = pair(torch.stack([first, second], 1))  # [pairs, 2, 2]
    low, high = torch.zeros_like(first), torch.ones_like(first)
    for step in range(BISECTIONS + 1):
        middle = high if step == 0 else (low + high) / 2
        sigma = torch.ones_like(factors)
        sigma[:, 0, 1] = sigma[:, 1, 0] = middle
        positive = defect(sigma * factors) == 0
        low, high = torch.where(positive, middle, low), torch.where(positive, high, middle)
    return low.numpy()


def _shares(seed: int, level: float, dim: int, ranks: Sequence[int], count: int) -> Panel:
    rng = np.random.default_rng(seed)
    series = []
    for name, spectrum in SPECTRA.items():
        found = []
        for rank in ranks:
            factor = rng.standard_normal((count, dim, rank))
            sigma = torch.from_numpy(factor @ factor.transpose(0, 2, 1) / rank)
            x = torch.from_numpy(np.ascontiguousarray(spectrum(rng, count, dim)))
            found.append(share(int((defect(sigma * phi_pair(x)) == 0).sum()), count, level=level))
        value, low, high = (np.array([getattr(estimate, part) for estimate in found]) for part in ("value", "low", "high"))
        series.append(Series(name, f"ηλ {name}", np.asarray(ranks) / dim, value, low, high, kind="band"))
    return Panel(f"Random noise, d = {dim}", "rank of Σ / d", "share with Q ⪰ 0", tuple(series), log="x")
