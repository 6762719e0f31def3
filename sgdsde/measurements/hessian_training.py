"""H, G, M and Σ of the reference network along training, from dense matrices.

At each checkpoint: ‖H−G‖/‖H‖, overlap of the top eigenspaces of H and M, tr M/tr H, the exponent of Mᵢᵢ ~ Gᵢᵢ^γ, −λmin/λmax, the spectrum.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse.linalg
import torch
from torch import Tensor

from sgdsde.curvature import diagonal_slope, overlap
from sgdsde.measurement import Measured, exactly
from sgdsde.measurements.hessian_identities import relative
from sgdsde.measurements.hessian_network import BATCH, RATE, Dense, reference, start
from sgdsde.plots.panel import Panel, Series
from sgdsde.rng import stream
from sgdsde.training import SGD, train
from sgdsde.types import Estimate

TOP = 10
CONVENTIONS = f"digits in [0, 1], ReLU 64-20-20-10, cross-entropy, SGD η = {RATE}, B = {BATCH} by epochs, n = 1,000, float64, dense matrices"
#: bins of the spectrum's figure, in log₁₀|λ|
EDGES = np.linspace(-9, 2, 45)


def hessian_training(*, seed: int, level: float, starts: Sequence[int], steps: Sequence[int]) -> Measured:
    """For each start and step: ``start/step/name`` for each name of :func:`numbers`; ``start/a→b/name`` for the ratio of step b's to step a's."""
    network = reference()
    estimates: dict[str, Estimate] = {}
    notes, panels = [], []
    for which, number in enumerate(starts):
        table: dict[int, dict[str, float]] = {}
        run = train(network, start(network, number), optimiser=SGD(RATE), batch_size=BATCH, steps=steps[-1], save=steps, seed=number)
        for step, states in zip(run.steps, run.states, strict=True):
            point = Dense(network, states[0])
            values, vectors = torch.linalg.eigvalsh(point.H), extremes(point.H, TOP)[1]
            table[step] = numbers(point, values, vectors, number, ends=step in (steps[0], steps[-1]))
            notes.append(f"start {which + 1}, step {step}: loss {point.loss:.3g}, λmax {float(values[-1]):.3g}, tr H {float(values.sum()):.3g}")
            if which == 0:
                panels.append(_spectrum(values.numpy(), step))
        estimates |= _estimates(f"start {which + 1}", table, steps)
        if which == 0:
            panels += _curves(table)
    return Measured(estimates, panels=tuple(panels), notes=tuple(notes), conventions=CONVENTIONS)


def numbers(point: Dense, values: Tensor, vectors: Tensor, seed: int, *, ends: bool) -> dict[str, float]:
    """What is read off the dense matrices, H's eigenvalues and its top eigenvectors ``[dim, TOP]``.

    The ends of H − G's spectrum, the control of the negative eigenvalues, at both ends of training only.
    """
    H, G, M = point.H, point.G, point.M
    moment = point.gradients.T @ extremes(point.gradients @ point.gradients.T, TOP)[1]  # M's top eigenspace, from the Gram matrix
    generator = stream(seed, "hessian controls")
    chance = torch.linalg.qr(torch.randn(H.shape[0], TOP, dtype=H.dtype, generator=generator))[0]
    shuffled = G.diagonal()[torch.randperm(H.shape[0], generator=generator)]
    found = {
        "loss": point.loss,
        "‖H−G‖/‖H‖": relative(H, G),
        "‖H−M‖/‖H‖": relative(H, M),
        "overlap": overlap(vectors, moment).value,
        "overlap, random": overlap(vectors, chance).value,
        "tr M/tr H": float(M.trace() / H.trace()),
        "tr G/tr H": float(G.trace() / H.trace()),
        "slope": float(diagonal_slope(M.diagonal(), G.diagonal()).exponent.value),
        "slope, shuffled": float(diagonal_slope(M.diagonal(), shuffled).exponent.value),
        "−λmin/λmax": float(-values[0] / values[-1]),
    }
    if ends:
        low, high = (float(extremes(sign * (H - G), 1)[0][0]) for sign in (-1, 1))
        found["−λmin/λmax, H−G"] = low / high
    return found


def extremes(matrix: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The ``count`` largest eigenvalues, ascending, and their vectors, of a dense matrix, by Lanczos (ARPACK) to rounding."""
    values, vectors = scipy.sparse.linalg.eigsh(matrix.numpy(), count, which="LA", v0=np.ones(len(matrix)))
    return torch.from_numpy(values), torch.from_numpy(vectors)


def _estimates(name: str, table: dict[int, dict[str, float]], steps: Sequence[int]) -> dict[str, Estimate]:
    found = {f"{name}/{step}/{key}": exactly(value, 0.0) for step, row in table.items() for key, value in row.items()}
    found |= {
        f"{name}/{steps[0]}→{step}/{key}": exactly(table[step][key] / table[steps[0]][key], 0.0)
        for step in steps[1:]
        for key in ("‖H−G‖/‖H‖", "‖H−M‖/‖H‖", "tr M/tr H", "tr G/tr H", "−λmin/λmax", "−λmin/λmax, H−G")
        if key in table[step]
    }
    return found


def _spectrum(values: np.ndarray, step: int) -> Panel:
    """Counts of eigenvalues by their size, positive and negative apart."""
    middle = 10 ** ((EDGES[1:] + EDGES[:-1]) / 2)
    series = []
    for name, label, part in (("positive", "λ > 0", values[values > 0]), ("negative", "λ < 0", -values[values < 0])):
        counts = np.histogram(np.log10(np.maximum(part, 10 ** EDGES[0])), EDGES)[0]
        series.append(Series(name, label, middle[counts > 0], counts[counts > 0].astype(float), kind="points"))
    return Panel(f"Spectrum of H, step {step:,}", "|λ|", "eigenvalues in a bin of a quarter decade", tuple(series), log="xy")


def _curves(table: dict[int, dict[str, float]]) -> list[Panel]:
    """H against G and M over training (step 0 is drawn at 30)."""
    x = np.array([max(step, 30) for step in table], dtype=float)

    def line(key: str, label: str) -> Series:
        return Series(key, label, x, np.array([row[key] for row in table.values()]), kind="band")

    scale = ("‖H−G‖/‖H‖", "tr M/tr H", "−λmin/λmax")
    return [
        Panel("H against G and M", "step (0 drawn at 30)", "ratio", tuple(line(key, key) for key in scale), log="xy"),
        Panel(
            "Top eigenspaces of H and M",
            "step (0 drawn at 30)",
            "overlap of the top 10",
            (line("overlap", "H and M"), line("overlap, random", "random subspace")),
            log="x",
        ),
    ]
