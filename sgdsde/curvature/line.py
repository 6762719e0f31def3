"""The loss along the straight line between two parameter vectors, and the barrier on it.

f(α) = f((1−α)a + αb). Two numbers: ``barrier`` = maxₐ f(α) − [(1−α)f(a) + αf(b)], the height above the chord (Frankle et al. 1912.05671, linear mode
connectivity), and ``bump`` = maxₐ f(α) − max(f(a), f(b)), the height above the higher end (Sagun et al. 1706.04454). Both are maxima over the points
looked at, so lower bounds of the true ones; both are ≥ 0 because the ends are among the points.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.objective import Objective
from sgdsde.types import InputError, as_points

#: losses held at once
_PIECE = 2**22


@dataclass(frozen=True)
class Line:
    """α and f(α), each ``[points]``; the distance ‖b − a‖.

    Example:
        >>> line = sg.curvature.line_losses(sg.objectives.DoubleWell(), [-1.0], [1.0], points=5)
        >>> line.losses.round(6).tolist(), line.distance  # the barrier 1/4 above the minima at −1/4
        ([-0.25, -0.109375, 0.0, -0.109375, -0.25], 2.0)
    """

    alphas: Float[np.ndarray, " points"]
    losses: Float[np.ndarray, " points"]
    distance: float

    @property
    def barrier(self) -> float:
        """max over 0 ≤ α ≤ 1 of the loss above the chord between the ends."""
        alphas, losses = self._between()
        return float((losses - ((1 - alphas) * losses[0] + alphas * losses[-1])).max())

    @property
    def bump(self) -> float:
        """max over 0 ≤ α ≤ 1 of the loss, less the higher end's."""
        losses = self._between()[1]
        return float(losses.max() - max(losses[0], losses[-1]))

    def _between(self) -> tuple[np.ndarray, np.ndarray]:
        inside = (self.alphas >= 0) & (self.alphas <= 1)
        return self.alphas[inside], self.losses[inside]


def line_losses(
    objective: Objective, start: Float[Tensor, " dim"], end: Float[Tensor, " dim"], *, points: int = 41, beyond: float = 0.0, samples: int = 4096
) -> Line:
    """The loss at ``points`` equidistant places from ``start`` (α = 0) to ``end`` (α = 1); ``beyond`` > 0 looks as far past both ends too.

    ``samples`` of the data are evaluated at a time.

    Raises:
        InputError: fewer than 3 points, beyond < 0, or ends that do not fit the objective.

    Example:
        >>> line = sg.curvature.line_losses(sg.objectives.DoubleWell(), [-1.0], [1.0], points=5)
        >>> line.alphas.tolist(), line.losses.round(6).tolist()
        ([0.0, 0.25, 0.5, 0.75, 1.0], [-0.25, -0.109375, 0.0, -0.109375, -0.25])
    """
    if points < 3 or not beyond >= 0:
        raise InputError(f"points = {points}, beyond = {beyond}; wanted at least 3 points and beyond ≥ 0.")
    a, b = as_points(start, objective.dim, name="start")[:1], as_points(end, objective.dim, name="end")[:1]
    inside = np.linspace(0.0, 1.0, points)
    step = inside[1]
    outside = np.arange(step, beyond + step / 2, step)
    alphas = np.concatenate([-outside[::-1], inside, 1 + outside])
    pieces: list[Tensor | None] = [None] if objective.n <= samples else list(torch.arange(objective.n, device=a.device).split(samples))
    rows = max(1, _PIECE // min(objective.n, samples))
    losses = []
    with torch.no_grad():
        for some in torch.as_tensor(alphas).split(rows):
            t = some.to(a)[:, None]
            theta = torch.where(t == 1, b, a + t * (b - a))  # [points, dim], the ends exactly
            total = theta.new_zeros(len(theta))
            for piece in pieces:
                total += objective.sample_loss(theta, None if piece is None else piece.expand(len(theta), -1)).sum(1)
            losses.append(total / objective.n)
    return Line(alphas, torch.cat(losses).cpu().double().numpy(), float((b - a).norm()))
