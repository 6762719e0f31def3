"""B5: SGD's mean exit from a saddle follows a logarithmic law with its constant."""

from __future__ import annotations

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.random_quadratics import draws
from sgdsde.measurements.saddle_exits import saddle_law, saddle_paths
from sgdsde.zone import Near

#: (m, R/s): the two of the text, and series in R/s
LISTED = {"m = 1.5, R/s = 20": (1.5, 20.0), "m = 2, R/s = 100": (2.0, 100.0)}
SERIES = {1.2: (40.0, 80.0), 1.5: (40.0, 80.0), 2.0: (15.0, 40.0), 3.0: (10.0, 40.0, 80.0)}
WITHIN, BY_PATHS = 0.05, 0.2
DIMS = {"quick": (2, 10, 100), "full": (2, 10, 100, 1000)}
PATHS = {"quick": 12_000, "full": 40_000}
GROWTH, DISTANCE = 1.5, 150.0


class SaddleLaw(Claim):
    """The mean number of steps from a saddle to distance R."""

    id = "B5"
    title = "SGD leaves a saddle after ½ + [ln(2(m²−1)R²/s²) + γ]/(2 ln m) steps in the mean"
    statement = (
        "From a saddle with lowest curvature −µ, m = 1 + ηµ and s = ησ, SGD reaches distance R after ½ + [ln(2(m² − 1)R²/s²) + γ]/(2 ln m) steps in the mean, "
        "within .05 of a step for (m² − 1)R²/s² ≥ 400 and m ≤ 3, whatever the number of stable directions."
    )
    citations = (
        Citation("1705.07562v2", "escape from saddles in a time logarithmic in the inverse step size"),
        Citation("", "the constant for the discrete chain: this project's own, from θ ≈ mᵏZ"),
    )
    conditions = (
        Condition("quadratic saddle with one unstable direction, Gaussian noise, start on it, looked at iterates", "by construction"),
        Condition("m ≤ 3: beyond, the whole number of steps no longer averages to a half", "by construction"),
        Condition("R well beyond the spread of the stable directions", "by construction: R²/s² = 22,500 against 1.3 a direction"),
    )
    not_shown = "Saddles with several unstable directions of nearly equal curvature, which are left sooner; landscapes whose curvature changes within R."
    size_name = "m"
    scales = {"quick": Scale.EXACT, "full": Scale.EXACT}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        cases = LISTED | {f"m = {m:g}, R/s = {r:g}": (m, r) for m, distances in SERIES.items() for r in distances}
        drawn = {}
        for i in range(3 if profile == "quick" else 12):
            m = round(float(rng.uniform(1.15, 3.0)), 4)
            drawn[f"drawn {i + 1}"] = (m, round(min(float(rng.uniform(20, 80)) / (m * m - 1) ** 0.5, 80.0), 3))
        exact = Measurement("saddle law, exactly", saddle_law, {"cases": cases | drawn, "rivals": (*LISTED, *drawn)}, seconds=3)
        rows = []
        for name, (m, r) in (cases | drawn).items():
            is_drawn, where = name in drawn, {"R/s": r}
            rows.append(Row("exact mean steps − law", exact.name, name, Near(0.0, WITHIN), m, drawn=is_drawn, parameters=where))
            if name in LISTED or is_drawn:
                rows.append(Row("SME-1 looked at iterates − law", exact.name, f"{name}/SME1", Near(0.0, WITHIN), m, Role.CONTROL, is_drawn, where))
        rows += [
            Row("held to the law without its half step", exact.name, name, Near(-0.5, WITHIN), m, Role.CONTROL, parameters={"R/s": r})
            for name, (m, r) in LISTED.items()
        ]
        options = {"dims": DIMS[profile], "growth": GROWTH, "distance": DISTANCE, "stable": 0.5, "paths": PATHS[profile], "substeps": 8}
        paths = Measurement("saddle law, by paths", saddle_paths, options, seconds=PATHS[profile] * sum(DIMS[profile]) / 5e5)
        for dim in DIMS[profile]:
            where = {"d": dim, "R/s": DISTANCE}
            rows.append(Row(f"by paths, mean steps − law, d = {dim}", paths.name, f"{dim}/steps", Near(0.0, BY_PATHS), GROWTH, parameters=where))
        rows.append(Row("SME-1 by paths, mean steps − law", paths.name, "SME1/steps", Near(0.0, BY_PATHS), GROWTH, Role.CONTROL, parameters={"R/s": DISTANCE}))
        return Plan((exact, paths), tuple(rows))
