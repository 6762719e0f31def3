"""Random two-layer networks: the gap after the first c−1 eigenvalues of E[M] against the width (Wu et al. 2010.04261, the infinite-width limit).

For logits o = V·relu(Wx) + b the output curvature of the first layer is Mₓ = D Vᵀ(diag p − ppᵀ)V D, D the active units. E[M] is a mean of such matrices of rank
c−1; as the width grows D decouples from V and E[M] tends to a matrix with c−1 large eigenvalues. Weights are those of PyTorch's initialisation scale.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sgdsde.data import digits
from sgdsde.measurement import Measured, exactly
from sgdsde.plots.panel import Panel, Series
from sgdsde.rng import stream
from sgdsde.types import Estimate

CLASSES, SHOWN = 10, 20
#: the control looks at the ratio after this many eigenvalues more
BESIDE = 4


def hessian_width(*, seed: int, level: float, widths: Sequence[int], draws: int, samples: int) -> Measured:
    """``width/gap``: λ_{c−1}/λ_c of E[M], the geometric mean over draws of weights; ``width/growth``: over that at the smallest width; ``…/growth beside``: the
    same of the ratio four places on.
    """
    x = digits(count=samples).x
    table: dict[int, Tensor] = {}
    series = []
    for width in widths:
        spectra = torch.stack([_spectrum(x, width, seed, block) for block in range(draws)])  # [draws, SHOWN]
        table[width] = spectra
        series.append(
            Series(f"{width}", f"width {width:,}", torch.arange(1.0, SHOWN + 1).numpy(), (spectra / spectra[:, :1]).log().mean(0).exp().numpy(), kind="band")
        )
    estimates: dict[str, Estimate] = {}
    gaps = {width: _gap(spectra, CLASSES - 1) for width, spectra in table.items()}
    beside = {width: _gap(spectra, CLASSES - 1 + BESIDE) for width, spectra in table.items()}
    for width in widths:
        estimates[f"{width}/gap"] = exactly(gaps[width], 0.0)
        estimates[f"{width}/growth"] = exactly(gaps[width] / gaps[widths[0]], 0.0)
        estimates[f"{width}/growth beside"] = exactly(beside[width] / beside[widths[0]], 0.0)
    panel = Panel("Spectrum of E[M] of random networks", "rank", "eigenvalue / largest", tuple(series), log="y")
    notes = tuple(f"width {width}: λ9/λ10 {gaps[width]:.3g}, λ13/λ14 {beside[width]:.3g}" for width in widths)
    return Measured(estimates, panels=(panel,), notes=notes, conventions=f"digits in [0, 1], n = {samples}, random weights, float64; {draws} draws a width")


def _spectrum(x: Tensor, width: int, seed: int, block: int) -> Tensor:
    """The largest eigenvalues of E[M] for one draw, over the smaller of its two Gram matrices' sizes."""
    generator = stream(seed, f"random network {width}", block)

    def uniform(rows: int, columns: int) -> Tensor:
        return (2 * torch.rand(rows, columns, generator=generator, dtype=x.dtype) - 1) / columns**0.5

    W, V = uniform(width, x.shape[1]), uniform(CLASSES, width)
    active = (x @ W.T > 0).to(x.dtype)  # [n, width]
    p = ((active * (x @ W.T)) @ V.T).softmax(1)
    root = p.sqrt()  # A = diag p − ppᵀ = LLᵀ with L = diag √p − p√pᵀ
    L = torch.diag_embed(root) - p[:, :, None] * root[:, None, :]  # [n, c, c]
    mean = torch.zeros(width, width, dtype=x.dtype)
    for some, factor in zip(active.split(100), L.split(100), strict=True):
        rows = (some[:, None, :] * (factor.transpose(1, 2) @ V)).reshape(-1, width)  # [100·c, width]
        mean.addmm_(rows.T, rows)
    return torch.linalg.eigvalsh(mean / len(x)).flip(0)[:SHOWN]


def _gap(spectra: Tensor, place: int) -> float:
    """Geometric mean of λ_place/λ_{place+1}."""
    return float((spectra[:, place - 1] / spectra[:, place]).log().mean().exp())
