"""C10: large-deviation bounds on the loss difference of one step, and how loose they are."""

from __future__ import annotations

from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.hessian_large_deviations import KINDS, hessian_large_deviations
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import AtLeast

STEPS = {"quick": (0, 300, 1_000, 3_000), "full": (0, 100, 300, 1_000, 3_000, 10_000)}
DELTAS = {"quick": (0.1, 0.03), "full": (0.1, 0.01, 0.003)}
STARTS, REDRAWS = {"quick": 1, "full": 3}, {"quick": 2_000, "full": 20_000}
SAMPLES, HIDDEN = {"quick": 500, "full": 1_000}, {"quick": (10, 10), "full": (20, 20)}
NOISES = {"quick": ("minibatch",), "full": ("minibatch", "Gaussian")}
BOUNDS = ("sub-Gaussian", "bounded")
#: a bound holds where its threshold is no lower than the measured quantile, both above the mean
HOLDS = AtLeast(1.0)


class LargeDeviations(Claim):
    """Thresholds over measured quantiles of Δ."""

    id = "C10"
    title = "Large-deviation bounds on a step's loss difference hold, fixed steps or preconditioned"
    statement = (
        "Above its mean the loss difference Δ of one minibatch step exceeds the height that a large-deviation bound gives for probability δ no more often than "
        "δ: the sub-Gaussian bound with Σ_B for proxy, and the Bernstein–Pinelis bound that assumes nothing of the noise, with fixed and with diagonally "
        "preconditioned steps."
    )
    citations = (
        Citation("1907.10732v1", "dynamics of SGD with fixed and preconditioned steps; both explicit bounds are derived in this project, not quoted"),
        Citation("1110.2842v1", "Theorem 1: quadratic forms of sub-Gaussian vectors"),
    )
    conditions = (
        Condition("the network", "digits in [0, 1], a ReLU perceptron with two hidden layers, SGD η = .1, B = 32; starts are drawn"),
        Condition("noise is sub-Gaussian with proxy Σ_B (first bound)", ""),
        Condition("the loss curves along a step no more than H₊ at its start", "not checked apart; third-order terms are part of what is measured"),
    )
    not_shown = (
        "The paper's own theorem and constants. Probabilities below the listed ones, where a few heavy gradients would show. The numbers are the looseness, "
        "bound over measured height; the second bound is the looser the more curvature dominates. A batch size four times too large, or taken for all "
        "samples, must break them: the controls."
    )
    size_name = "training step"
    scales = {"quick": Scale.REDUCED, "full": Scale.REDUCED}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        options: dict[str, Any] = {
            "starts": tuple(int(rng.integers(2**31)) for _ in range(STARTS[profile])),
            "steps": STEPS[profile],
            "deltas": DELTAS[profile],
            "redraws": REDRAWS[profile],
            "samples": SAMPLES[profile],
            "hidden": HIDDEN[profile],
            "noises": NOISES[profile],
        }
        made = Measurement("large deviations of one step", hessian_large_deviations, options, seconds=10 if profile == "quick" else 400)
        rows = [
            Row(
                f"{bound} threshold over quantile, δ = {delta:g}, {kind}, {noise}, start {i + 1}",
                made.name,
                f"start {i + 1}/{step}/{kind}/{noise}/{delta:g}/{bound}",
                HOLDS,
                step,
                drawn=True,
                parameters={"k": step, "δ": delta},
            )
            for i in range(STARTS[profile])
            for step in STEPS[profile]
            for kind in KINDS
            for noise in NOISES[profile]
            for delta in DELTAS[profile]
            for bound in BOUNDS
        ]
        last, delta = STEPS[profile][-1], DELTAS[profile][1]
        rows += [
            Row(
                f"{bound} bound, batch size {wrong}",
                made.name,
                f"start 1/{last}/fixed/minibatch/{delta:g}/{bound}, wrong batch",
                HOLDS,
                last,
                Role.CONTROL,
                True,
                {"k": last, "δ": delta},
            )
            for bound, wrong in zip(BOUNDS, ("four times too large", "taken for n"), strict=True)
        ]
        return Plan((made,), tuple(rows))
