"""C8, C9, C11: what the next step does to the loss, and where it points, along training."""

from __future__ import annotations

from collections.abc import Mapping

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.hessian_steps import hessian_steps
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import LessThan, MoreThan, Near

STEPS = {"quick": (0, 300, 1_000, 3_000), "full": (0, 30, 300, 1_000, 3_000, 10_000)}
WINDOWS = (0, 60, 1_000, 3_000)
STARTS, REDRAWS = {"quick": 1, "full": 4}, {"quick": 1_000, "full": 4_000}
#: a tenth of the redraws more; the second-order law, to a fifth of its terms
MORE, CLOSE = MoreThan(0.1), Near(0.0, 0.2)
CONDITIONS = (Condition("the network", "digits in [0, 1], n = 1,000, ReLU 64-20-20-10, SGD η = .1, B = 32; starts are drawn"),)
LI = Citation("1907.10732v1", "dynamics of SGD: distribution of the loss difference, angle between steps")


def _measurement(profile: str, seed: int) -> Measurement:
    rng = draws(seed, "C8")
    starts = tuple(int(rng.integers(2**31)) for _ in range(STARTS[profile]))
    options = {"starts": starts, "steps": STEPS[profile], "redraws": REDRAWS[profile], "windows": WINDOWS}
    return Measurement("next steps along training", hessian_steps, options, seconds=15 if profile == "quick" else 200)


class _Steps:
    """What they share."""

    size_name = "training step"
    scales: Mapping[str, Scale] = {"quick": Scale.REDUCED, "full": Scale.REDUCED}


class TwoPhases(_Steps, Claim):
    """P(Δ > 0)."""

    id = "C8"
    title = "Steps have two phases: first nearly all lower the loss, later many raise it"
    statement = (
        "At initialisation fewer than half of the redrawn steps raise the loss; at later checkpoints the share is higher by at least a tenth of all redraws."
    )
    citations = (LI,)
    conditions = CONDITIONS
    not_shown = "A sharp transition between the phases. Full batches, where no small enough step raises the loss."

    def plan(self, profile: str, seed: int) -> Plan:
        made = _measurement(profile, seed)
        rows = []
        for i in range(STARTS[profile]):
            start = f"start {i + 1}"
            rows.append(Row(f"P(Δ > 0), {start}", made.name, f"{start}/0/rises", LessThan(0.5), 0, drawn=True))
            rows += [
                Row(f"P(Δ > 0), more than at step 0, {start}", made.name, f"{start}/{step}/rises more", MORE, step, drawn=True, parameters={"k": step})
                for step in STEPS[profile][1:]
            ]
        last = STEPS[profile][-1]
        rows.append(Row("a full-batch step in its place", made.name, f"start 1/{last}/full batch rises more", MORE, last, Role.CONTROL, True))
        return Plan((made,), tuple(rows))


class SecondOrderLaw(_Steps, Claim):
    """E Δ."""

    id = "C9"
    title = "A step's mean loss difference is descent plus curvature times gradient and noise"
    statement = "E Δ = −η‖μ‖² + (η²/2)(μᵀHμ + tr(HΣ_B)), Σ_B the batch covariance, to a fifth of the terms' sizes at η = .1, B = 32."
    citations = (LI,)
    conditions = CONDITIONS
    not_shown = "Larger steps: the third order enters with η³. Single steps: the formula is of means."

    def plan(self, profile: str, seed: int) -> Plan:
        made, steps = _measurement(profile, seed), STEPS[profile]
        rows = [
            Row(f"(mean Δ − formula)/sizes, start {i + 1}", made.name, f"start {i + 1}/{step}/law", CLOSE, step, drawn=True, parameters={"k": step})
            for i in range(STARTS[profile])
            for step in steps
        ]
        key = f"start 1/{steps[-1]}/law without noise"
        rows.append(Row("formula without tr(HΣ_B)", made.name, key, CLOSE, steps[-1], Role.CONTROL, True, {"k": steps[-1]}))
        return Plan((made,), tuple(rows))


class StepAngles(_Steps, Claim):
    """Cosines between consecutive steps."""

    id = "C11"
    title = "Consecutive steps first point the same way, later against each other"
    statement = "The mean cosine between consecutive steps is positive over the first steps and negative over later windows of training."
    citations = (LI,)
    conditions = CONDITIONS
    not_shown = "The long run, where the cosine returns to zero. Full batches on the same stretch keep a positive cosine: the control."

    def plan(self, profile: str, seed: int) -> Plan:
        made = _measurement(profile, seed)
        rows = [
            Row(
                f"mean cosine up to step {window:,}, start {i + 1}",
                made.name,
                f"start {i + 1}/{window}/cosine",
                MoreThan(0.0) if window == WINDOWS[1] else LessThan(0.0),
                window,
                drawn=True,
                parameters={"k": window},
            )
            for i in range(STARTS[profile])
            for window in WINDOWS[1:]
        ]
        key = f"start 1/{WINDOWS[1]}/full batch"
        rows.append(Row("full batches", made.name, key, LessThan(0.0), WINDOWS[1], Role.CONTROL, True))
        return Plan((made,), tuple(rows))
