"""B10: noise shaped by the curvature favours flat minima exponentially, isotropic noise polynomially."""

from __future__ import annotations

from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.flat_minima import flat_against_sharp, in_the_plane, power_of_sharpness
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import Equivalence, MoreThan

LISTED: dict[str, dict[str, float]] = {"H 1 and 4": {"flat": 1.0, "sharp": 4.0, "barrier": 0.25, "floor": 0.3}}
PROCESSES: dict[str, tuple[float, tuple[float, ...]]] = {"SME1": (0.05, (1.0, 2.0, 4.0, 8.0)), "SGD": (0.025, (0.5, 1.0, 2.0))}
FORMS = ("absolute", "isotropic")
ZONES = {"SME1": Equivalence(1.0, 0.05), "SGD": Equivalence(1.0, 0.1)}
POLYNOMIAL, HALF, FLAT_WINS, PLANE = Equivalence(1.0, 0.1), Equivalence(0.5, 0.05), MoreThan(0.0), Equivalence(1.0, 0.3)
RATIOS = (1.5, 3.0, 6.0)


def drawn_wells(seed: int, purpose: str, count: int) -> dict[str, dict[str, float]]:
    """Cases whose numbers come from the seed."""
    rng = draws(seed, purpose)
    found = {}
    for i in range(count):
        flat, ratio = float(rng.uniform(0.7, 1.2)), float(rng.uniform(3.0, 5.0))
        numbers = {"flat": flat, "sharp": ratio * flat, "barrier": float(rng.uniform(0.2, 0.3)), "floor": float(rng.uniform(0.3, 0.5))}
        found[f"drawn {i + 1}"] = {key: round(value, 4) for key, value in numbers.items()}
    return found


class FlatMinima(Claim):
    """Mean times between two wells of equal depth."""

    id = "B10"
    title = "Noise like |H|/B favours flat minima exponentially in B/η, isotropic noise polynomially"
    statement = (
        "Between two wells of equal depth and curvatures H_flat < H_sharp, with Σ = √(H² + ε²)/B (|H|, made smooth), log(τ_flat/τ_sharp) grows linearly in "
        "B/η, with the positive slope 2∫f′/C dx over the flat climb less that over the sharp one (within 5 % for SME-1, 10 % for SGD at ηH ≤ .13). With "
        "isotropic noise the ratio is √(H_sharp/H_flat) within 10 % at every B/η: a power of the sharpness, with exponent ½."
    )
    citations = (
        Citation("2002.03495v14", "Theorems 3.1 and 3.2: SGD favours flat minima exponentially, stochastic gradient Langevin dynamics polynomially"),
        Citation("", "the exponent as an integral, docs/theory/anisotropic_escape.md"),
    )
    conditions = (
        Condition(
            "Σ follows |H|, with a floor ε at inflection points",
            "by construction; on networks Σ follows H in direction only (C6), and vanishing noise closes the way",
        ),
        Condition("one dimension (full: the plane too)", "by construction"),
    )
    not_shown = (
        "Other forms of the noise where H is indefinite: B10-forms, where the preference turns round. The published exponent: B10-formula. That networks "
        "have such noise."
    )
    size_name = "B/η"
    scales = {"quick": Scale.EXACT, "full": Scale.EXACT}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        drawn = drawn_wells(seed, self.id, 1 if profile == "quick" else 4)
        cases = LISTED | drawn
        exact = Measurement("flat against sharp", flat_against_sharp, {"cases": cases, "forms": FORMS, "processes": PROCESSES}, seconds=5 * len(cases))
        rows = []
        for name, wells in cases.items():
            where: dict[str, Any] = {"H_flat": wells["flat"], "H_sharp": wells["sharp"], "ΔL": wells["barrier"], "ε": wells["floor"]}
            for process, (eta, batches) in PROCESSES.items():
                for batch in batches[1:]:
                    key, size, is_drawn = f"{process}/{batch:g}", batch / eta, name in drawn
                    shaped, round_ = f"{name}/absolute/{key}", f"{name}/isotropic/{key}"
                    rows += [
                        Row(
                            f"|H| noise, {process}: slope / exponents' difference",
                            exact.name,
                            f"{shaped}/relative",
                            ZONES[process],
                            size,
                            Role.CLAIM,
                            is_drawn,
                            where,
                        ),
                        Row(f"|H| noise, {process}: slope", exact.name, f"{shaped}/slope", FLAT_WINS, size, Role.CLAIM, is_drawn, where),
                        Row(f"isotropic, {process}: ratio / √(H_s/H_f)", exact.name, f"{round_}/polynomial", POLYNOMIAL, size, Role.CLAIM, is_drawn, where),
                    ]
                rows.append(Row(f"isotropic, {process}, held to |H|'s", exact.name, f"{round_}/relative", ZONES[process], size, Role.CONTROL, is_drawn, where))
                rows.append(
                    Row(f"|H| noise, {process}, held to the power", exact.name, f"{shaped}/polynomial", POLYNOMIAL, size, Role.CONTROL, is_drawn, where)
                )
        setting: dict[str, Any] = {"ratios": RATIOS, "wells": LISTED["H 1 and 4"], "process": "SME1", "eta": 0.05, "batch": 8.0}
        measurements = [exact]
        for form, role in (("isotropic", Role.CLAIM), ("absolute", Role.CONTROL)):
            power = Measurement(f"power of sharpness, {form}", power_of_sharpness, setting | {"form": form}, seconds=0.3)
            measurements.append(power)
            rows += [Row(f"{form}: d log ratio/d log H_sharp", power.name, f"{r:g}", HALF, 160.0, role, parameters={"H_s/H_f": r}) for r in RATIOS[1:]]
        if profile == "full":
            plane = Measurement(
                "flat against sharp in the plane",
                in_the_plane,
                {"wells": LISTED["H 1 and 4"], "forms": {"absolute": 0.25}, "eta": 0.05, "paths": 1500},
                seconds=60,
            )
            measurements.append(plane)
            rows.append(Row("|H| noise in the plane, paths: ratio / the line's", plane.name, "absolute", PLANE, 5.0, parameters={"B/η": 5.0}))
        return Plan(tuple(measurements), tuple(rows))
