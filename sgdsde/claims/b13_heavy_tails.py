"""B13: with heavy-tailed noise the exit time is a power of the basin's width and does not depend on its height."""

from __future__ import annotations

from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.random_quadratics import draws
from sgdsde.measurements.stable_exits import stable_exits, stable_paths
from sgdsde.zone import Equivalence, LessThan

#: ηγ, in units of the narrowest width
STEPS = (0.1, 0.05, 0.025)
LISTED: dict[str, dict[str, Any]] = {
    "α = 1.5": {"alpha": 1.5, "widths": (1.0, 2.0), "heights": (0.75, 3.0)},
    "α = 1.7": {"alpha": 1.7, "widths": (1.0, 2.0), "heights": (0.75, 3.0)},
}
GAUSSIAN = {"Gaussian": {"law": "Gaussian", "alpha": 1.5, "widths": (1.0, 2.0), "heights": (0.75, 1.5)}}
POWER, SAME, CLOSER = Equivalence(1.0, 0.05), Equivalence(1.0, 0.2), LessThan(0.0)
PATHS = {"quick": {"step": 0.04, "paths": 4_000}, "full": {"step": 0.01, "paths": 8_000}}


class HeavyTails(Claim):
    """Mean exits of SGD with α-stable noise from cosine wells."""

    id = "B13"
    title = "With α-stable noise the exit time grows like widthᵅ and does not depend on the height"
    statement = (
        "SGD with symmetric α-stable noise, 1 < α < 2, leaves a basin of half-width w after a mean number of iterates proportional to wᵅ as the noise vanishes "
        "(ηγ → 0), whatever the height of the barrier: the slope of log Eτ in log w is α within 5 % and a fourfold height changes the mean by less than "
        "20 % once ηγ is a fortieth of the width; both come closer as the noise falls. With Gaussian noise neither holds."
    )
    citations = (
        Citation("1901.06053v1", "section 3, first exit times of Lévy-driven SGD: polynomial in the width of the basin, independent of its height"),
        Citation("", "the continuous-time law: Imkeller, Pavlyukevich, Stoch. Proc. Appl. 116 (2006); constants for the chain: oracles.exit_stable"),
    )
    conditions = (
        Condition("one dimension, equal distances to both tops, gradient descent stays in the basin (ηλ < 2)", "by construction"),
        Condition("the exit takes much longer than the relaxation, (w/ηγ)^α·ηλ ≫ 1", "by construction: 60 or more where the law is judged"),
    )
    not_shown = (
        "That gradient noise of networks is α-stable, which is disputed. Several dimensions. Flat wells at moderate noise, where jumps add up before they "
        "relax: at ηγ = w/10 and ηλ = .06 the mean is half the law's."
    )
    size_name = "w/ηγ"
    scales = {"quick": Scale.EXACT, "full": Scale.EXACT}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        drawn = {}
        for i in range(1 if profile == "quick" else 4):
            ratio, height = float(rng.uniform(1.5, 3.0)), float(rng.uniform(0.75, 0.95))
            drawn[f"drawn {i + 1}"] = {
                "alpha": round(float(rng.uniform(1.4, 1.8)), 4),
                "widths": (1.0, round(ratio, 4)),
                "heights": (round(height, 4), round(4 * height, 4)),
            }
        families = LISTED | drawn
        exact = Measurement("exits by jumps", stable_exits, {"families": families, "steps": STEPS}, seconds=8 if profile == "quick" else 20)
        rows = []
        for name, family in families.items():
            is_drawn, where = name in drawn, {"α": family["alpha"], "widths": family["widths"]}
            low = family["heights"][0]
            for h in family["heights"]:
                rows.append(_row("slope in log w / α", exact, f"{name}/{STEPS[-1]:g}/slope/{h:g}", POWER, 1 / STEPS[-1], is_drawn, where | {"height": h}))
            for step in STEPS[1:]:  # at the greater height the slope is within 1 % from the start
                key = f"{name}/{step:g}/slope/{low:g}/closer"
                rows.append(_row("|slope/α − 1| less that at twice the noise", exact, key, CLOSER, 1 / step, is_drawn, where | {"height": low}))
            rows.append(_row("mean at four times the height / mean", exact, f"{name}/{STEPS[-1]:g}/height", SAME, 1 / STEPS[-1], is_drawn, where))
            for step in STEPS[1:]:
                key = f"{name}/{step:g}/height/closer"
                rows.append(_row("|that − 1| less that at twice the noise", exact, key, CLOSER, 1 / step, is_drawn, where))
        control = Measurement("exits by diffusion", stable_exits, {"families": GAUSSIAN, "steps": (0.2,)}, seconds=1)
        for key, zone in (("slope/0.75", POWER), ("slope/1.5", POWER), ("height", SAME)):
            rows.append(Row(f"Gaussian noise: {key.split('/')[0]}", control.name, f"Gaussian/0.2/{key}", zone, 5.0, Role.CONTROL, parameters={"ησ": 0.2}))
        setting = {"alpha": 1.5, "widths": (1.0, 4.0), "heights": (3.0, 2.0)} | PATHS[profile]
        paths = Measurement("exits by jumps, paths", stable_paths, setting, seconds=12 if profile == "quick" else 60)
        size, where = 1 / PATHS[profile]["step"], {"α": 1.5, "ηγ": setting["step"]}
        rows.append(_row("by paths: slope in log w / α, w from 1 to 4", paths, "slope", Equivalence(1.0, 0.1), size, False, where))
        rows.append(_row("by paths: mean at two thirds of the height / mean", paths, "height", SAME, size, False, where))
        rows.append(_row("by paths: mean / the small-noise law", paths, "law", SAME, size, False, where))
        return Plan((exact, control, paths), tuple(rows))


def _row(label: str, source: Measurement, key: str, zone: Equivalence | LessThan, size: float, drawn: bool, parameters: dict[str, Any]) -> Row:
    return Row(label, source.name, key, zone, size, drawn=drawn, parameters=parameters)
