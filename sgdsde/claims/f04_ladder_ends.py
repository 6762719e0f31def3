"""F4: the ladder of weak orders ends: at 3 where the covariance varies, at 4 where it is constant, at 2 for skewed noise."""

from __future__ import annotations

from typing import Any

import numpy as np

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.ladder import ladder_orders, leading_terms
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import AtMost, MoreThan, Within

LADDERS = {"coarse": (0.1, 0.05, 0.025), "middle": (0.05, 0.025, 0.0125), "fine": (0.025, 0.0125, 0.00625)}
TERMS = (1, 2, 3, 4, 5)
#: order reached with m operators: gaussian constant, gaussian varying, skewed
REACHED = {"constant Σ": (1, 2, 3, 4, 4), "Σ(θ)": (1, 2, 3, 3, 3), "skewed noise": (1, 2, 2, 2, 2)}
#: the first operator with a third derivative
FIRST = {"constant Σ": 5, "Σ(θ)": 4, "skewed noise": 3}
ABSENT, PRESENT = AtMost(1e-10), MoreThan(1e-3)


def zone_of(order: int) -> Within:
    """An order is an integer; a quarter on either side keeps neighbours well apart."""
    return Within(order - 0.25, order + 0.25)


class LadderEnds(Claim):
    """No SDE of arbitrary weak order."""

    id = "F4"
    title = "The ladder of weak orders ends at 3 with Σ(θ), at 4 with constant Σ, at 2 for skewed noise"
    statement = (
        "Off quadratics the logarithm of SGD's one-step semigroup holds third derivatives from the fourth order in η on where Σ depends on θ (−ΣΣ′/4), from "
        "the fifth where it is constant (−Σ²f‴/12), from the third for skewed noise. No drift and no diffusion makes one, so SDEs reach weak order 3, 4 and 2 "
        "at most, and those that keep the first and second derivatives of the logarithm do reach it."
    )
    citations = (Citation("", "this project's own: docs/theory/modified_equations.md, checked symbolically in tests/test_symbolic.py"),)
    conditions = (
        Condition("one dimension, trigonometric f and √Σ on the circle", "by construction; quadratics with constant Σ are exact at every order and excluded"),
        Condition("f‴ and Σ′ do not vanish identically", "by construction"),
    )
    not_shown = (
        "That no other SDE does better is the algebra's part: the coefficient of ∂³ is unique. The slopes show the models that keep everything else. One "
        "dimension only; in more, a third derivative is present whenever it is on one axis."
    )
    size_name = "smallest η"
    scales = {"quick": Scale.EXACT, "full": Scale.EXACT}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        listed = {"amplitudes": (0.4, 0.1), "phases": (0.3, 0.0)}
        drawn = {
            "amplitudes": (float(rng.uniform(0.3, 0.45)), float(rng.uniform(0.05, 0.12))),
            "phases": (float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(0, 2 * np.pi))),
        }
        kinds: dict[str, dict[str, Any]] = {
            "constant Σ": {"root": (0.7, 0.0, 0.0)},
            "Σ(θ)": {"root": (0.7, 0.3, 0.4)},
            "skewed noise": {"root": (0.7, 0.0, 0.0), "p": 0.2},
        }
        others: dict[str, dict[str, Any]] = {
            "constant Σ": {"root": (float(rng.uniform(0.6, 0.8)), 0.0, 0.0)},
            "Σ(θ)": {"root": (0.7, float(rng.uniform(0.2, 0.35)), float(rng.uniform(0, 2 * np.pi)))},
            "skewed noise": {"root": (float(rng.uniform(0.6, 0.8)), 0.0, 0.0), "p": float(rng.uniform(0.1, 0.3))},
        }
        problems = {f"{kind}, {name}": {**listed, **extra, "etas": etas} for kind, extra in kinds.items() for name, etas in LADDERS.items()}
        problems |= {f"{kind}, drawn": {**drawn, **extra, "etas": LADDERS["middle"]} for kind, extra in others.items()}
        slopes = Measurement("weak orders of models with m operators", ladder_orders, {"problems": problems, "terms": TERMS}, seconds=6)
        smooth = {name: problem for name, problem in problems.items() if "p" not in problem and ("middle" in name or "drawn" in name)}
        algebra = Measurement("first third derivative in the logarithm", leading_terms, {"problems": smooth}, seconds=0.1)
        rows = []
        for name, problem in problems.items():
            kind, common = name.split(",")[0], {"size": problem["etas"][-1], "drawn": "drawn" in name}
            rows += [Row(f"{m} operators, {name}", slopes.name, f"{name}/{m}", zone_of(order), **common) for m, order in enumerate(REACHED[kind], start=1)]
            if "middle" in name or "drawn" in name:
                first = FIRST[kind]
                rows += [Row(f"∂³ in order {k}, {name}", slopes.name, f"{name}/third/{k}", ABSENT, **common) for k in range(1, first)]
                rows.append(Row(f"∂³ in order {first}, {name}", slopes.name, f"{name}/third/{first}", PRESENT, **common))
        for name, problem in smooth.items():
            common = {"size": problem["etas"][-1], "drawn": "drawn" in name}
            rows.append(Row(f"∂³ against its formula, {name}", algebra.name, name, ABSENT, **common))
            rows.append(Row(f"∂³ against a wrong formula, {name}", algebra.name, f"{name}/swapped", ABSENT, role=Role.CONTROL, **common))
        rows += [
            Row("5 operators, constant Σ, held to order 5", slopes.name, "constant Σ, middle/5", zone_of(5), 0.0125, Role.CONTROL),
            Row("4 operators, Σ(θ), held to order 4", slopes.name, "Σ(θ), middle/4", zone_of(4), 0.0125, Role.CONTROL),
            Row("3 operators, skewed noise, held to order 3", slopes.name, "skewed noise, middle/3", zone_of(3), 0.0125, Role.CONTROL),
        ]
        return Plan((slopes, algebra), tuple(rows))
