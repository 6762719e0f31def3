"""F7: even-step HA-SME leaves symmetric intervals as SGD does, at every k, for ηλ > 1."""

from __future__ import annotations

from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.interval_exits import ITERATES, interval_exits, symmetric
from sgdsde.measurements.interval_paths import interval_paths
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import Equivalence, Near

LISTED = (1.2, 1.5, 1.8, 2.0, 2.5)
DISTANCE, SKEWED = 4.0, (-4.0, 2.0)
SAME, NO_GAP, BY_PATHS = Equivalence(1.0, 1e-8), Near(0.0, 1e-8), 0.1
PATHS = {"quick": 10_000, "full": 100_000}


class EvenStepExits(Claim):
    """Exits of the even-step model beyond the real logarithm."""

    id = "F7"
    title = "Even-step HA-SME leaves symmetric intervals as SGD does, at every k"
    statement = (
        "For ηλ > 1 no continuous path has SGD's changes of sign, but |θ| does not see them: on a 1-D quadratic even-step HA-SME (log|1 − ηλ| for log(1 − ηλ)) "
        "looked at t = kη leaves symmetric intervals around the minimum with SGD's exit law, at odd k as well; asymmetric ones it does not."
    )
    citations = (Citation("", "this project's own: |θ| is a Markov chain with the same transition for m and −m"),)
    conditions = (
        Condition(
            "one dimension, quadratic, constant Gaussian noise, interval symmetric around the minimum, ηλ ≠ 1, 2", "by construction; ηλ = 2 is the limit"
        ),
    )
    not_shown = "Several dimensions with both signs of 1 − ηλ, where only even k agree; objectives that are not quadratic."
    size_name = "x = ηλ"
    scales = {"quick": Scale.EXACT, "full": Scale.EXACT}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        drawn = {}
        for i in range(3 if profile == "quick" else 12):
            x, r = float(rng.uniform(1.05, 3.0)), float(rng.uniform(2.0, 6.0))
            drawn[f"drawn {i + 1}"] = symmetric(x, r) | {"start": float(rng.uniform(-0.8, 0.8)) * r}
        cases = {f"x = {x:g}": symmetric(x, DISTANCE) for x in LISTED} | drawn
        skewed = {f"x = {x:g}, skewed": {"x": x, "low": SKEWED[0], "high": SKEWED[1], "start": 0.0} for x in LISTED}
        processes = (("EvenStepHASME", ITERATES), ("SME2", ITERATES))
        exact = Measurement("exits beyond the real logarithm", interval_exits, {"cases": cases | skewed, "processes": processes}, seconds=1)
        rows = []
        for name, case in cases.items():
            x, is_drawn, where = round(case["x"], 4), name in drawn, {"R/s": case["high"], "start": case["start"]}
            key = f"{name}/EvenStepHASME/{ITERATES}"
            rows += [
                Row("mean exit / SGD's", exact.name, key, SAME, x, drawn=is_drawn, parameters=where),
                Row("largest gap of the survival curves", exact.name, f"{key}/curve", NO_GAP, x, drawn=is_drawn, parameters=where),
                Row("SME-2's mean exit / SGD's", exact.name, f"{name}/SME2/{ITERATES}", SAME, x, Role.CONTROL, is_drawn, where),
            ]
        for name, case in skewed.items():
            where = {"low": SKEWED[0], "high": SKEWED[1]}
            rows.append(Row("asymmetric interval", exact.name, f"{name}/EvenStepHASME/{ITERATES}", SAME, case["x"], Role.CONTROL, parameters=where))
        runs: dict[str, dict[str, Any]] = {f"x = {x:g}": symmetric(x, 3.0) | {"model": "EvenStepHASME", "monitor": "iterates"} for x in (1.2, 1.5, 2.5)}
        runs["skewed"] = {"x": 1.5, "low": -4.0, "high": 1.5, "start": 0.0, "model": "EvenStepHASME", "monitor": "iterates"}
        paths = Measurement(
            "exits beyond the real logarithm, by paths", interval_paths, {"runs": runs, "paths": PATHS[profile], "substeps": 16}, seconds=PATHS[profile] / 5e3
        )
        for name, run in runs.items():
            role, label = (Role.CONTROL, "asymmetric interval, by paths") if name == "skewed" else (Role.CLAIM, "by paths, E min(τ, T) / SGD's")
            rows.append(Row(label, paths.name, name, Equivalence(1.0, BY_PATHS), run["x"], role, parameters={"low": run["low"], "high": run["high"]}))
        return Plan((exact, paths), tuple(rows))
