"""E1: the linear scaling rule holds to a factor C only where gradient noise outweighs the gradient enough, η ≤ (C² − 1)N/G."""

from __future__ import annotations

from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.linear_scaling import CLOSE, linear_scaling
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import AtLeast, Equivalence, LessThan, MoreThan

KAPPAS = {"quick": (4, 16, 64), "full": (4, 8, 16, 32, 64, 128)}
AMPLIFIED, AMPLIFICATION = (16, 64), 8
SIZE = {"quick": {"samples": 100, "paths": 192}, "full": {"samples": 200, "paths": 2048}}
#: how near to balance counts as equilibrium; the bound follows from the balance, so it is held to the same margin
BALANCE = 0.1
CITATION = Citation("2102.12470v2", "section 5: C-closeness, the necessary condition for SDE and linear scaling; section 4: SVAG")
CONDITIONS = (
    Condition("scale-invariant loss with weight decay", "by construction: the digits network on a sphere"),
    Condition("equilibrium", "2λR = η(G + N) within a tenth, a row for each κ"),
)


class LinearScaling(Claim):
    """The necessary condition, and that linear scaling fails beyond it."""

    id = "E1"
    title = "Linear scaling holds to a factor C only where η ≤ (C² − 1)·N/G"
    statement = (
        "On a scale-invariant network with weight decay in equilibrium, SGD at (κη, κB) and at (η, B) agree in E‖θ‖², E‖∇L‖² and η·E tr Σ to a factor C only "
        "if N/G ≥ (1 − C²/κ)/(C² − 1), N and G of the larger step; where that fails for C = √2 they do not agree to √2. SGD and SVAG(l), nearer to the SDE by "
        "a smaller step, obey the same with l for κ. SVAG at (κη, κB) stays within √2 of SGD at (η, B) where SGD at (κη, κB) does not."
    )
    citations = (CITATION,)
    conditions = CONDITIONS
    not_shown = (
        "That the condition suffices (E1-converse). Networks without scale invariance, where θ·∇L is not λ‖θ‖². Accuracy, which the paper looks at beside "
        "the three quantities."
    )
    size_name = "κ"
    scales = {"quick": Scale.REDUCED, "full": Scale.REDUCED}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        measurement, settings = planned(profile, seed)
        rows = []
        for name, setting in settings.items():
            shared: dict[str, Any] = {"drawn": name == "drawn"}
            for kappa in KAPPAS[profile]:
                where = {"κ": kappa, "η": setting["eta"], "λ": setting["strength"]}
                options = shared | {"parameters": where}
                rows.append(
                    Row("C*² over the least that the condition allows", measurement.name, f"{name}/{kappa}/excess", AtLeast(1 - BALANCE), kappa, **options)
                )
                beyond = "the larger of C*/√2 and what the condition for √2 leaves"
                rows.append(Row(beyond, measurement.name, f"{name}/{kappa}/fails", MoreThan(1.0), kappa, **options))
                rows.append(_balance(measurement.name, f"{name}/{kappa}/balance", kappa, options))
                if kappa in AMPLIFIED:
                    options = shared | {"parameters": where | {"l": AMPLIFICATION}}
                    least = AtLeast(1 - BALANCE)
                    rows.append(Row("the same for SGD and SVAG(l) at κ", measurement.name, f"{name}/{kappa}/SVAG excess", least, kappa, **options))
                    rows.append(_balance(measurement.name, f"{name}/{kappa}/SVAG balance", kappa, options))
            last = KAPPAS[profile][-1]
            options = shared | {"parameters": {"κ": last, "η": setting["eta"], "λ": setting["strength"]}}
            rows.append(Row("C* of SVAG(l) at κ against SGD at κ = 1", measurement.name, f"{name}/{last}/SVAG", LessThan(CLOSE), last, **options))
            rows.append(
                Row(
                    "the least that the condition allows, long before equilibrium",
                    measurement.name,
                    f"{name}/{last}/early",
                    AtLeast(1 - BALANCE),
                    last,
                    Role.CONTROL,
                    **options,
                )
            )
        return Plan((measurement,), tuple(rows))


class LinearScalingConverse(Claim):
    """Whether the necessary condition suffices."""

    id = "E1-converse"
    title = "Where η ≤ (C² − 1)·N/G, linear scaling holds to the factor C"
    statement = (
        "The condition of E1 is used in practice to say how far a batch can be scaled. On the same networks: where it holds for C = √2, SGD at (κη, κB) and at "
        "(η, B) agree to √2 in E‖θ‖², E‖∇L‖² and η·E tr Σ."
    )
    citations = (CITATION, Citation("", "that the condition suffices is not claimed there; asked here"))
    conditions = CONDITIONS
    not_shown = "A law: the condition is necessary, and sufficient only as long as the distribution of directions hardly changes with κ."
    size_name = "κ"
    scales = {"quick": Scale.REDUCED, "full": Scale.REDUCED}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        measurement, settings = planned(profile, seed)
        rows, last = [], KAPPAS[profile][-1]
        for name, setting in settings.items():
            options: dict[str, Any] = {"drawn": name == "drawn", "parameters": {"η": setting["eta"], "λ": setting["strength"]}}
            for kappa in KAPPAS[profile]:
                within = "the smaller of C*/√2 and what the condition for √2 leaves"
                rows.append(Row(within, measurement.name, f"{name}/{kappa}/holds", LessThan(1.0), kappa, **options))
                rows.append(_balance(measurement.name, f"{name}/{kappa}/balance", kappa, options))
            rows.append(Row("C* whatever the condition says", measurement.name, f"{name}/{last}/close", LessThan(CLOSE), last, Role.CONTROL, **options))
        return Plan((measurement,), tuple(rows))


def planned(profile: str, seed: int) -> tuple[Measurement, dict[str, dict[str, Any]]]:
    """The measurement that both claims read, and its settings."""
    rng = draws(seed, "E1")
    settings: dict[str, dict[str, Any]] = {"listed": {"eta": 0.05, "strength": 0.05, "radius": 3.0, "training": 3}}
    settings["drawn"] = {
        "eta": round(float(rng.uniform(0.03, 0.06)), 4),
        "strength": round(float(rng.uniform(0.04, 0.08)), 4),
        "radius": round(float(rng.uniform(2.5, 4.0)), 3),
        "training": int(rng.integers(10, 10**6)),
    }
    size = SIZE[profile]
    options = {"settings": settings, "kappas": KAPPAS[profile], "amplified": AMPLIFIED, "amplification": AMPLIFICATION, **size}
    return Measurement("linear scaling on a scale-invariant network", linear_scaling, options, seconds=size["paths"] * size["samples"] / 1500), settings


def _balance(measurement: str, key: str, kappa: int, options: dict[str, Any]) -> Row:
    return Row("2λR over η(G + N)", measurement, key, Equivalence(1.0, BALANCE), kappa, Role.CONDITION, **options)
