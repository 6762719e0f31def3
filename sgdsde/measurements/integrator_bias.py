"""What an integrator adds to HA-SME's stationary variance: exactly, from the integrated chain, and from paths.

Euler–Maruyama with n steps a tick inflates it by 1/(1 − |log(1 − x)|/(2n)), x = ηλ. Model errors of the same variance: SME-1's is −x/2.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sgdsde.kernels import EulerMaruyama, Heun
from sgdsde.measurement import Measured, exactly
from sgdsde.measurements.stationary_variance import ACCURACY, ETA, mean_squares
from sgdsde.noises import Gaussian
from sgdsde.objectives import Quadratic
from sgdsde.oracles import stationary_covariance, stationary_variance_ratio
from sgdsde.sdes import HASME, SME1
from sgdsde.stats import mean_estimate
from sgdsde.types import Estimate

METHODS = {"Euler": EulerMaruyama, "Heun": Heun}


def integrator_bias(*, seed: int, level: float, exact: Sequence[tuple[str, float, int]], paths_at: Sequence[tuple[str, float, int]], paths: int) -> Measured:
    """For (method, x, n): ``method, x, n/exact`` and ``/paths``, the integrated variance over HA-SME's; ``/swamps``, the size of that bias over the size of
    SME-1's model error, both exact.
    """
    estimates: dict[str, Estimate] = {}
    for method, x, n in exact:
        noise = Gaussian(Quadratic(x / ETA), 1.0)
        reference = float(stationary_covariance(HASME(noise, ETA)))
        ratio = float(stationary_covariance(METHODS[method](HASME(noise, ETA), ETA / n))) / reference
        model = stationary_variance_ratio(SME1, x) - 1
        estimates[f"{method}, {x}, {n}/exact"] = exactly(ratio, ACCURACY)
        estimates[f"{method}, {x}, {n}/swamps"] = exactly(abs((ratio - 1) / model), ACCURACY / abs(model))
    for offset, (method, x, n) in enumerate(paths_at):
        noise = Gaussian(Quadratic(x / ETA), 1.0)
        reference = float(stationary_covariance(HASME(noise, ETA)))
        kernel = METHODS[method](HASME(noise, ETA), ETA / n)
        squares = mean_squares(kernel, torch.tensor([reference], dtype=torch.float64), paths=paths, seed=seed + offset)
        estimates[f"{method}, {x}, {n}/paths"] = mean_estimate(squares[:, 0] / reference, level=level)
    note = f"{paths} paths a row, 60 iterates averaged after 30"
    return Measured(estimates, notes=(note,), conventions=str(HASME(Gaussian(Quadratic(1.0), 1.0), ETA).conventions()))
