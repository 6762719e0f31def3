"""B6: SME-1 leaves saddles too fast, SME-2 is confined where ηµ > 2."""

from __future__ import annotations

import math
from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.interval_exits import ITERATES, interval_exits, symmetric
from sgdsde.measurements.interval_paths import interval_paths
from sgdsde.measurements.random_quadratics import draws
from sgdsde.measurements.saddle_growth import growth
from sgdsde.zone import Equivalence, LessThan, MoreThan, Near

STEEPNESS = (0.2, 0.5, 1.0, 1.5, 2.5, 3.0)
DISTANCE = 3.0
SAME, NO_SLOWER = Equivalence(1.0, 1e-8), LessThan(1.0)
EXACT = 1e-10
BY_PATHS = 0.1
PATHS = {"quick": 10_000, "full": 100_000}


class SteepSaddles(Claim):
    """Models on the unstable direction of a saddle."""

    id = "B6"
    title = "SME-1 leaves saddles too fast, SME-2 is confined when ηµ > 2"
    statement = (
        "Along a direction of curvature −µ SGD grows by 1 + ηµ a step, SPF and HA-SME as well, SME-1 by e^{ηµ} and SME-2 by e^{ηµ(1 − ηµ/2)}. So SME-1 leaves "
        "too early at every step size, and SME-2 for ηµ > 2 does not leave along its drift at all: its drift points inward and it sits in a well."
    )
    citations = (
        Citation("2405.18373v3", "comparison of SDE models near saddles"),
        Citation("1811.01558v1", "SME-1 and SME-2"),
    )
    conditions = (Condition("quadratic saddle, constant Gaussian noise, start on it, looked at t = kη", "by construction"),)
    not_shown = (
        "Saddles with several unstable directions, where the steepest decides (B7); how far from a saddle the quadratic holds. That SPF and HA-SME grow "
        "rightly says nothing about their noise: SPF leaves a fifth too early at ηµ = 2.5."
    )
    size_name = "ηµ"
    scales = {"quick": Scale.EXACT, "full": Scale.EXACT}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        drawn = (round(float(rng.uniform(0.1, 1.9)), 4), round(float(rng.uniform(2.1, 3.2)), 4))
        steepness = (*STEEPNESS, *drawn)
        rates = Measurement("growth along an unstable direction", growth, {"steepness": steepness}, seconds=0.1)
        processes = tuple((model, ITERATES) for model in ("SME1", "SME2", "HASME"))
        cases = {f"{mu:g}": symmetric(-mu, DISTANCE) for mu in steepness}
        exits = Measurement("exits from steep saddles", interval_exits, {"cases": cases, "processes": processes}, seconds=1)
        rows = []
        for mu in steepness:
            options: dict[str, Any] = {"drawn": mu in drawn, "parameters": {"ηµ": mu}}
            for model, label, exponent in (
                ("SME1", "SME-1", mu),
                ("SME2", "SME-2", mu * (1 - mu / 2)),
                ("SPF", "SPF", math.log1p(mu)),
                ("HASME", "HA-SME", math.log1p(mu)),
            ):
                rows.append(Row(f"log growth a step, {label}", rates.name, f"{mu:g}/{model}", Near(exponent, EXACT), mu, **options))
            where = options | {"parameters": {"ηµ": mu, "R/s": DISTANCE}}
            rows += [
                Row("SME-1's mean exit / SGD's", exits.name, f"{mu:g}/SME1/{ITERATES}", NO_SLOWER, mu, **where),
                Row("HA-SME's mean exit / SGD's", exits.name, f"{mu:g}/HASME/{ITERATES}", SAME, mu, **where),
            ]
            if mu > 2:
                rows.append(Row("SME-2's mean exit / SGD's", exits.name, f"{mu:g}/SME2/{ITERATES}", MoreThan(1.0), mu, **where))
                rows.append(Row("SME-2 in place of SME-1", exits.name, f"{mu:g}/SME2/{ITERATES}", NO_SLOWER, mu, Role.CONTROL, **where))
        rows.append(Row("SME-1 held to SGD's growth", rates.name, "1/SME1", Near(math.log(2.0), EXACT), 1.0, Role.CONTROL, parameters={"ηµ": 1.0}))
        runs = {
            f"{model} at {mu:g}": symmetric(-mu, DISTANCE) | {"model": model, "monitor": "iterates"}
            for mu in (1.0, 2.5)
            for model in ("SGD", "SME1", "SME2", "HASME")
        }
        paths = Measurement(
            "exits from steep saddles, by paths", interval_paths, {"runs": runs, "paths": PATHS[profile], "substeps": 32}, seconds=PATHS[profile] / 1e4
        )
        for mu in (1.0, 2.5):
            where = {"parameters": {"ηµ": mu, "R/s": DISTANCE}}
            rows += [
                Row("SGD by paths, E min(τ, T) / exact", paths.name, f"SGD at {mu:g}", Equivalence(1.0, BY_PATHS), mu, Role.CONDITION, **where),
                Row("SME-1 by paths, E min(τ, T) / SGD's", paths.name, f"SME1 at {mu:g}", NO_SLOWER, mu, **where),
                Row("HA-SME by paths, E min(τ, T) / SGD's", paths.name, f"HASME at {mu:g}", Equivalence(1.0, BY_PATHS), mu, **where),
                Row("SME-2 by paths in place of SME-1", paths.name, f"SME2 at {mu:g}", NO_SLOWER, mu, Role.CONTROL, **where),
            ]
        return Plan((rates, exits, paths), tuple(rows))
