"""D9: posteriors shaped by curvature tighten PAC-Bayes bounds, with the sampling term that makes them bounds."""

from __future__ import annotations

from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.random_quadratics import draws
from sgdsde.measurements.shaped_bounds import shaped_bounds
from sgdsde.zone import AtLeast, LessThan

SIZES = {"quick": (200, 350, 500), "full": (300, 600, 1200)}
HIDDEN, SEEDS, DRAWS = {"quick": 8, "full": 20}, 30, {"quick": 60, "full": 500}
PAIRS = (("diagonal", "isotropic"), ("Kronecker", "diagonal"), ("eigenbasis", "diagonal"))
TIGHTER = LessThan(0.0)


class ShapedPosteriors(Claim):
    """Isotropic > diagonal > Kronecker, eigenbasis."""

    id = "D9"
    title = "Curvature-shaped posteriors tighten PAC-Bayes bounds"
    statement = (
        "With the posterior's covariance optimised in closed form, the bound on the error of trained networks is smaller for a diagonal covariance than for an "
        "isotropic one, and smaller again in the eigenbasis of the layers' Kronecker forms, or of the whole Gauss–Newton matrix, than for a diagonal one."
    )
    citations = (
        Citation("2010.04261v6", "PAC-Bayes bounds optimised in the approximate eigenbasis"),
        Citation("1703.11008v2", "prior at the initialisation, union over its width, sampling term; the inequality is Maurer's (cs/0411099, Theorem 5)"),
    )
    conditions = (
        Condition("a real bound: prior independent of the samples, union over its width, sampling error of the draws", "by construction, probability .95"),
        Condition("99 % training accuracy", "a row for each size: 95 % of the seeds reach it"),
    )
    not_shown = (
        "Bounds whose posterior mean is optimised too; larger networks, where dense bases are out of reach. Intervals are over starts and batches for one set "
        "of samples."
    )
    size_name = "samples n"
    scales = {"quick": Scale.REDUCED, "full": Scale.REDUCED}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        settings: dict[str, dict[str, Any]] = {f"n = {n}": {"samples": n, "hidden": HIDDEN[profile]} for n in SIZES[profile]}
        n = int(rng.integers(220, 450))
        settings["drawn"] = {"samples": n, "hidden": HIDDEN[profile]}
        options = {"settings": settings, "seeds": SEEDS, "draws": DRAWS[profile]}
        measurement = Measurement("PAC-Bayes bounds by shape", shaped_bounds, options, seconds=16 if profile == "quick" else 200)
        rows = []
        for name, setting in settings.items():
            drawn, where = name == "drawn", {"n": setting["samples"], "hidden": setting["hidden"]}
            rows += [
                Row(f"bound, {a} minus {b}", measurement.name, f"{name}/{a} − {b}", TIGHTER, setting["samples"], drawn=drawn, parameters=where)
                for a, b in PAIRS
            ]
            rows.append(Row("share of seeds trained", measurement.name, f"{name}/trained", AtLeast(0.95), setting["samples"], Role.CONDITION, drawn, where))
        name = f"n = {SIZES[profile][-1]}"
        rows.append(Row("isotropic minus diagonal", measurement.name, f"{name}/isotropic − diagonal", TIGHTER, SIZES[profile][-1], Role.CONTROL))
        return Plan((measurement,), tuple(rows))
