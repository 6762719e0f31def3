"""B4-local: out of a neighbourhood in which the landscape is nearly quadratic HA-SME does predict SGD's escape."""

from __future__ import annotations

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.barrier_crossing import NAMES, along, exits_from_well, well_paths
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import Equivalence, LessThan

#: curvature of the quartic at its minima
CURVATURE = 2.0
RADII = (0.2, 0.1, 0.05)
#: where the landscape counts as quadratic: the Hessian changes by a third at most
NEARLY_QUADRATIC = 0.1
CLOSE, NEARER = Equivalence(1.0, 0.1), LessThan(0.0)
RIVALS = ("SME1", "SME2", "SPF")
MODELS = (*RIVALS, "HASME")
PATHS = {"quick": 1_500, "full": 20_000}


class LocalEscape(Claim):
    """Mean exits from a neighbourhood of a minimum at iterates."""

    id = "B4-local"
    title = "Where the landscape is nearly quadratic, HA-SME predicts SGD's escape best"
    statement = (
        "Out of (θ* − r, θ* + r) around a minimum, looked at t = kη, with noise such that a = ηλr/(ησ) stays fixed: HA-SME's log ratio to SGD's mean exit is "
        "nearer to 0 than those of SME-1, SME-2 and SPF, and its mean exit is within 10 % of SGD's once the Hessian changes by a third at most within r."
    )
    citations = (Citation("2405.18373v3", "abstract: more precise local escape where the landscape near a stationary point can be approximated by quadratics"),)
    conditions = (
        Condition("constant Gaussian noise, one dimension, looked at t = kη", "by construction"),
        Condition("ηλ < 1 within reach", "by construction: ηλ ≤ .8 within r"),
    )
    not_shown = "Where the neighbourhood ends on a barrier: B4 shows the opposite there. Networks: A15, B15."
    size_name = "r"
    scales = {"quick": Scale.EXACT, "full": Scale.EXACT}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        settings = {"η = 0.1": (0.1, 1.0), "η = 0.2": (0.2, 1.0)}
        for i in range(1 if profile == "quick" else 4):
            settings[f"drawn {i + 1}"] = (float(rng.uniform(0.1, 0.22)), float(rng.uniform(0.8, 1.3)))
        measurements, rows = [], []
        for name, (eta, a) in settings.items():
            problems = {f"r = {r:g}": _problem(eta, a, r) for r in RADII}
            exact = Measurement(f"local escape, {name}", exits_from_well, {"problems": problems, "models": MODELS}, seconds=2)
            measurements.append(exact)
            for r in RADII:
                where, is_drawn = {"η": eta, "a": a}, "drawn" in name
                rows += [
                    Row(f"|log ratio| of HA-SME − of {NAMES[rival]}", exact.name, f"r = {r:g}/HASME:{rival}", NEARER, r, drawn=is_drawn, parameters=where)
                    for rival in RIVALS
                ]
                if r <= NEARLY_QUADRATIC:
                    rows.append(Row("HA-SME's mean exit / SGD's", exact.name, f"r = {r:g}/HASME", CLOSE, r, drawn=is_drawn, parameters=where))
                    rows.append(Row("SME-1's mean exit / SGD's", exact.name, f"r = {r:g}/SME1", CLOSE, r, Role.CONTROL, is_drawn, where))
            rows.append(
                Row("|log ratio| of SME-2 − of SME-1", exact.name, "r = 0.05/SME2:SME1", NEARER, 0.05, Role.CONTROL, "drawn" in name, {"η": eta, "a": a})
            )
        options = {"problems": {"r = 0.1": _problem(0.2, 1.0, 0.1)}, "models": ("HASME", "SME1"), "paths": PATHS[profile], "substeps": 4}
        paths = Measurement("local escape, by paths", well_paths, options, seconds=PATHS[profile] / 1000)
        rows.append(Row("by paths, E min(τ, T) / SGD's", paths.name, "r = 0.1/HASME", Equivalence(1.0, 0.15), 0.1, parameters={"η": 0.2}))
        rows.append(Row("SME-1 by paths, E min(τ, T) / SGD's", paths.name, "r = 0.1/SME1", Equivalence(1.0, 0.15), 0.1, Role.CONTROL, parameters={"η": 0.2}))
        line = {f"{r}": _problem(0.2, 1.0, r) for r in (0.4, 0.3, 0.2, 0.1, 0.05)}
        panel = {"axis": "radius", "title": "Out of (−1 − r, −1 + r), η = .2, a = 1", "x_label": "r"}
        drawing = Measurement("local escape against r", along, {"problems": line, "models": MODELS} | panel, seconds=2)
        return Plan((*measurements, paths, drawing), tuple(rows))


def _problem(eta: float, a: float, radius: float) -> dict[str, float]:
    return {"eta": eta, "sigma": CURVATURE * radius / a, "tilt": 0.0, "radius": radius}
