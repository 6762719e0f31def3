"""Solutions of one loss by optimiser and batch size, their largest eigenvalues, and the loss on lines between them.

From a start: SGD with each batch size and SAM, all stopped at one training loss; and small batches from the full-batch solution on to a lower loss (Sagun et
al. 1706.04454 ask whether large and small batches end in one basin). From a second start: small batches, the control. Heights above the chord are over
ln c, the loss of a guess.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.curvature import RatioRule, eigsh, hessian_operator, line_losses
from sgdsde.objectives import Network
from sgdsde.training import SAM, SGD, LossBelow, Optimiser, train
from sgdsde.types import Status

#: the pairs of solutions on whose lines the loss is looked at
LINES = ("full batch, then small batches from it", "one start: small batches and full batch", "one start: SGD and SAM", "independent starts")
POINTS = 41


@dataclass(frozen=True)
class Solutions:
    """``top [P, S, shown]`` eigenvalues of H by solution; ``counts [P, S]``, outliers by the largest ratio; ``steps [P, S]`` taken; ``losses [P, 4, POINTS]``
    on the lines; ``heights [P, 4]``, barriers over ln c; ``apart [P, 4]``, distances of the ends. NaN where a loss was not reached.
    """

    top: Float[np.ndarray, "paths solutions shown"]
    counts: Float[np.ndarray, "paths solutions"]
    steps: Float[np.ndarray, "paths solutions"]
    losses: Float[np.ndarray, "paths lines points"]
    heights: Float[np.ndarray, "paths lines"]
    apart: Float[np.ndarray, "paths lines"]


def names(batches: Sequence[int], radius: float) -> tuple[str, ...]:
    """What the solutions are called: batch sizes (the last is the full batch), then SAM at the smallest."""
    return (*(f"B = {batch}" for batch in batches), "full batch", f"SAM, ρ = {radius:g}, B = {batches[0]}")


def solutions(
    network: Network,
    theta0: Float[Tensor, "paths dim"],
    others: Float[Tensor, "paths dim"],
    *,
    eta: float,
    batches: Sequence[int],
    radius: float,
    loss: float,
    lower: float,
    most: int,
    shown: int,
    classes: int,
    seed: int,
) -> Solutions:
    """Train from ``theta0`` by every optimiser to ``loss``; from the full-batch solution with the smallest batches to ``lower``; from ``others`` to ``loss``.

    Optimisers from one start see one order of samples; the last two see others.
    """

    def solved(start: Tensor, optimiser: Optimiser, batch: int, level: float, seed: int = seed) -> tuple[Tensor, Tensor]:
        run = train(network, start, optimiser=optimiser, batch_size=batch, steps=most, seed=seed, stop=LossBelow(level=level, every=10))
        reached = (run.status == int(Status.EXITED)).to(run.final.device)
        return torch.where(reached[:, None], run.final, torch.nan), torch.where(reached.cpu(), run.ended.double(), torch.nan)

    small = batches[0]
    found = [solved(theta0, SGD(eta), batch, loss) for batch in (*batches, network.n)]
    found.append(solved(theta0, SAM(eta, radius=radius), small, loss))
    points = [theta for theta, _ in found]
    full, sam = points[-2], points[-1]
    after = torch.full_like(full, torch.nan)
    known = torch.isfinite(full).all(1)
    if bool(known.any()):
        after[known] = solved(full[known], SGD(eta), small, lower, seed + 1)[0]
    apart = solved(others, SGD(eta), small, loss, seed + 2)[0]
    pairs = ((full, after), (points[0], full), (points[0], sam), (points[0], apart))
    lines = [[_line(network, a[path], b[path], classes) for a, b in pairs] for path in range(len(theta0))]
    spectra = [[_top(network, theta[path], shown) for theta in points] for path in range(len(theta0))]
    return Solutions(
        top=np.array([[values for values, _ in row] for row in spectra]),
        counts=np.array([[count for _, count in row] for row in spectra]),
        steps=np.stack([ended.numpy() for _, ended in found], 1),
        losses=np.array([[losses for losses, _, _ in row] for row in lines]),
        heights=np.array([[height for _, height, _ in row] for row in lines]),
        apart=np.array([[distance for _, _, distance in row] for row in lines]),
    )


def _top(network: Network, theta: Tensor, shown: int) -> tuple[np.ndarray, float]:
    if not bool(torch.isfinite(theta).all()):
        return np.full(shown, np.nan), math.nan
    values = eigsh(hessian_operator(network, theta), shown, dense_below=0, progress=False).values.cpu().double().numpy()
    return values, float(RatioRule(most=shown - 1).split(values).count)


def _line(network: Network, a: Tensor, b: Tensor, classes: int) -> tuple[np.ndarray, float, float]:
    if not bool(torch.isfinite(a).all() and torch.isfinite(b).all()):
        return np.full(POINTS, np.nan), math.nan, math.nan
    line = line_losses(network, a, b, points=POINTS)
    return line.losses, line.barrier / math.log(classes), line.distance
