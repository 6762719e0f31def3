"""D8: rescaling a ReLU network changes λmax and the isotropic divergence, not ΣHⱼⱼ(wⱼ − w₀ⱼ)²."""

from __future__ import annotations

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.random_quadratics import draws
from sgdsde.measurements.shaped_bounds import rescaled_measures
from sgdsde.zone import MoreThan, Near

SIZE = {"quick": {"samples": 200, "hidden": (10, 10)}, "full": {"samples": 1000, "hidden": (20, 20)}}
SAME, GROWN = Near(1.0, 1e-6), MoreThan(2.0)


class ScaleFree(Claim):
    """What a rescaling by α leaves alone."""

    id = "D8"
    title = "The scale-invariant bound's flatness survives rescaling, λmax does not"
    statement = (
        "When one layer of a ReLU network is multiplied by α > 1 and the next divided by it, with the initial weights rescaled alike, ΣHⱼⱼ(wⱼ−w₀ⱼ)² stays (to "
        "rounding), while λmax and ‖w−w₀‖², which isotropic bounds use, grow without limit (here: more than twofold)."
    )
    citations = (
        Citation("1907.10732v1", "the scale-invariant generalisation bound"),
        Citation("1703.04933v2", "the rescaling that leaves the function as it is"),
    )
    conditions = (
        Condition("piecewise-linear activation, consecutive layers", "by construction; the outputs are compared to rounding before anything is measured"),
    )
    not_shown = "That the bound is tight (D9 measures bounds), and invariance under a rescaling of which the prior's centre knows nothing."
    size_name = "factor α"
    scales = {"quick": Scale.EXACT, "full": Scale.EXACT}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        alphas = {"α = 3": 3.0, "α = 10": 10.0, "α = 30": 30.0, "drawn": round(float(rng.uniform(5, 20)), 3)}
        measurement = Measurement("rescaled ReLU network", rescaled_measures, {"alphas": alphas, **SIZE[profile]}, seconds=3)
        rows = []
        for name, alpha in alphas.items():
            drawn = name == "drawn"
            rows.append(Row("ΣHⱼⱼ(wⱼ−w₀ⱼ)², after over before", measurement.name, f"{name}/weighted", SAME, alpha, drawn=drawn, parameters={"α": alpha}))
            rows += [
                Row(f"{words}, after over before", measurement.name, f"{name}/{what}", GROWN, alpha, drawn=drawn, parameters={"α": alpha})
                for what, words in (("largest", "λmax"), ("distance", "‖w−w₀‖²"))
            ]
        rows += [
            Row(f"{words} in its place", measurement.name, f"α = 10/{what}", SAME, 10, Role.CONTROL, parameters={"α": 10.0})
            for what, words in (("largest", "λmax"), ("distance", "‖w−w₀‖²"))
        ]
        return Plan((measurement,), tuple(rows))
