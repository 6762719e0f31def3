"""What one step of SGD does to the loss along training, over a population of starts: redraws of the next step, their second-order law, angles between steps.

Shares of redraws that raise the loss, the law's miss and mean cosines are numbers of a start; reported are their means over starts, with Student's interval.
Li et al. 1907.10732 look at the same Δ and angles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.measurement import Measured
from sgdsde.measurements.hessian_network import BATCH, HIDDEN, RATE, SAMPLES, perceptron
from sgdsde.measurements.hessian_outliers import BAND
from sgdsde.measurements.many_starts import batched, each_step, initial, own_data
from sgdsde.measurements.many_steps import next_steps
from sgdsde.objectives import Network
from sgdsde.plots.panel import Panel, Series
from sgdsde.stats import mean_estimate
from sgdsde.types import Estimate

CONVENTIONS = f"digits in [0, 1], n = {SAMPLES:,}, ReLU 64-20-20-10, cross-entropy, SGD η = {RATE}, B = {BATCH} by epochs, float32; Δ in float64"
RUN = {"classes": 10, "samples": SAMPLES}
#: starts that take full-batch steps
FEW = 32
#: where step 0 is drawn on a logarithmic axis
FIRST = 10


def hessian_steps(*, seed: int, level: float, starts: int, steps: Sequence[int], redraws: int, windows: Sequence[int]) -> Measured:
    """Means over starts. For each of ``steps``: ``step/rises``, P(Δ > 0); ``…/rises more``, its excess over the first step's; ``…/full batch rises more``, the
    same of a full-batch step at the end; ``…/law`` and ``…/law without noise``, the square of (E Δ − law)/(sum of its terms' sizes), with and without
    tr(HΣ_B); ``window/cosine`` and ``…/full batch``, the mean cosine between consecutive steps from the window before to this one.
    """
    data, rows = own_data(RUN, starts, seed)
    network = perceptron(data, HIDDEN)
    theta = initial(network, starts, seed).float()
    last = max(steps[-1], windows[-1])
    cosines, states = _walk(network, rows, theta, batch=BATCH, save=steps, steps=last, seed=seed)
    full, _ = _walk(network, rows[:FEW], theta[:FEW], batch=SAMPLES, save=(), steps=windows[1], seed=seed)
    estimates: dict[str, Estimate] = {}
    rises: dict[int, Tensor] = {}
    notes = []
    for step in steps:
        point = states[step].double()
        drawn = next_steps(network, point, rows, redraws=redraws, name=str(step), seed=seed)
        rises[step], missed = drawn.rises, drawn.missed()
        estimates[f"{step}/rises"] = mean_estimate(rises[step], level=level)
        if step != steps[0]:
            estimates[f"{step}/rises more"] = mean_estimate(rises[step] - rises[steps[0]], level=level)
        estimates[f"{step}/law"] = mean_estimate(missed, level=level)
        estimates[f"{step}/law without noise"] = mean_estimate(drawn.missed_without_noise(), level=level)
        loss = float(batched(network).sample_loss(point, rows).mean())
        notes.append(
            f"step {step}: loss {loss:.3g}, P(Δ>0) {float(rises[step].mean()):.3f} (scatter over starts {float(rises[step].std()):.3f}), "
            f"the law misses by {float(missed.mean().clamp(min=0)) ** 0.5:.3f} of its terms (root mean square)"
        )
    raised = _full_step(network, states[steps[-1]].double(), rows)
    estimates[f"{steps[-1]}/full batch rises more"] = mean_estimate(raised.double() - rises[steps[0]], level=level)
    for before, window in pairwise(windows):
        estimates[f"{window}/cosine"] = mean_estimate(cosines[before:window].mean(0), level=level)
    estimates[f"{windows[1]}/full batch"] = mean_estimate(full.mean(0), level=level)
    panels = _panels({step: share.numpy() for step, share in rises.items()}, windows, cosines.numpy())
    return Measured(estimates, panels=panels, notes=(f"{starts} starts, {redraws} redraws a checkpoint", *notes), conventions=CONVENTIONS)


def _walk(
    network: Network, rows: Tensor, theta: Tensor, *, batch: int, save: Sequence[int], steps: int, seed: int
) -> tuple[Float[Tensor, "pairs starts"], dict[int, Tensor]]:
    """Cosines of the angles between steps k−1 and k, k = 1 … ``steps``, of every start; its states at ``save``."""
    cosines, states = [], {}
    previous: Tensor | None = None
    for k, (point, gradient) in enumerate(each_step(network, rows, theta, batch=batch, steps=steps, seed=seed)):
        if k in save:
            states[k] = point
        if previous is not None:
            cosines.append(torch.cosine_similarity(previous, gradient, dim=1))
        previous = gradient
    return torch.stack(cosines).double(), states


def _full_step(network: Network, theta: Tensor, rows: Tensor) -> Tensor:
    """Whether a full-batch step raises the loss of each start."""
    method = batched(network)
    moved = theta - RATE * method.weighted_grad(theta, None, rows)
    return method.sample_loss(moved, rows).mean(1) > method.sample_loss(theta, rows).mean(1)


def _panels(rises: Mapping[int, np.ndarray], windows: Sequence[int], cosines: np.ndarray) -> tuple[Panel, ...]:
    note = f"means over starts; bands: {BAND[0]:.0%}–{BAND[1]:.0%} of starts"
    shares = _band("rises", np.array([max(step, FIRST) for step in rises]), list(rises.values()))
    angles = _band("cosine", np.array(windows[1:]), [cosines[before:window].mean(0) for before, window in pairwise(windows)])
    return (
        Panel("Steps that raise the loss", f"step (0 drawn at {FIRST})", "share of redraws with Δ > 0", (shares,), log="x", note=note, y_range=(-0.12, 1.0)),
        Panel("Angle between consecutive steps", "step at the end of the window", "mean cosine", (angles,), log="x", level=0.0, note=note),
    )


def _band(name: str, x: np.ndarray, values: Sequence[np.ndarray]) -> Series:
    low, high = (np.array([np.quantile(one, q) for one in values]) for q in BAND)
    return Series(name, "", x.astype(float), np.array([one.mean() for one in values]), low, high, kind="band")
