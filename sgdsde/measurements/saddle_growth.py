"""Growth of each model along an unstable direction, from its drift: ‖E X_{t+η}‖/‖E X_t‖ = e^{ηa} for a linear drift b(x) = a·x."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sgdsde.measurement import Measured, exactly
from sgdsde.measurements.interval_exits import CONVENTIONS, MODELS, noise_at
from sgdsde.oracles import sgd_moments
from sgdsde.types import Estimate


def growth(*, seed: int, level: float, steepness: Sequence[float]) -> Measured:
    """``ηµ/model``: log growth of the mean in one step, for SGD (from its exact moments) and the models (from their drift)."""
    estimates: dict[str, Estimate] = {}
    for mu in steepness:
        noise = noise_at(-mu)
        estimates[f"{mu:g}/SGD"] = exactly(math.log(float(sgd_moments(noise, 1.0, [1.0], 1).mean[0])), 1e-13)
        for name in ("SME1", "SME2", "SPF", "HASME"):
            A, _, _ = MODELS[name](noise, 1.0).affine()
            estimates[f"{mu:g}/{name}"] = exactly(float(A[0, 0]), 1e-13)
    return Measured(estimates, conventions=CONVENTIONS)
