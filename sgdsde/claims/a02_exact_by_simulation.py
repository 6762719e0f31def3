"""A2: HA-SME's exactness on quadratics again, by paths of two independent integrators: our stochastic Heun and torchsde's srk."""

from __future__ import annotations

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.integrated_law import INTEGRATORS, integrated_law
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import Equivalence

#: torchsde draws two normals a step, so that its paths cost more
TICKS = {"quick": {"Heun": (1, 5, 20), "srk": (1, 5, 12)}, "full": {"Heun": (1, 5, 50), "srk": (1, 5, 50)}}
EQUAL = Equivalence(1.0, 0.01)
#: what the integrators may add by themselves: a fifth of the margin
HARMLESS = Equivalence(1.0, 0.002)
#: half an interval is .43 % of a variance ratio and the integrators' bias up to .2 %: four standard errors remain within the margin
PATHS = {"quick": 200_000, "full": 400_000}
SUBSTEPS = {"quick": {"Heun": 8, "srk": 7}, "full": {"Heun": 16, "srk": 12}}


class ExactBySimulation(Claim):
    """HA-SME's moments by integrators."""

    id = "A2"
    title = "HA-SME equals SGD on quadratics when its paths are simulated"
    statement = (
        "Paths of HA-SME, integrated by a method that knows nothing of quadratics, have at t = kη the mean and covariance of SGD's iterates: "
        "the variance ratio, averaged over whitened directions, is 1 within 1 %, and so is the mean along its displacement."
    )
    citations = (Citation("2405.18373v3", "abstract and the result on quadratic objectives (exact recovery in distribution)"),)
    conditions = (
        Condition("ηλ < 1, Q positive semi-definite, constant covariance, Gaussian noise", "the run refuses otherwise"),
        Condition("the integrator's own bias is below a fifth of the margin", "by its exact moments, rows below"),
    )
    not_shown = "Higher moments (the laws are Gaussian by construction), objectives that are not quadratic, and whether a coarser integrator would do (A23)."
    size_name = "iterate k"
    scales = {"quick": Scale.REDUCED, "full": Scale.REDUCED}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        k, low, high = int(rng.integers(2, 13)), float(rng.uniform(-0.2, 0.1)), float(rng.uniform(0.4, 0.6))
        problem = int(rng.integers(2**31))
        rows: list[Row] = []
        measurements: list[Measurement] = []
        for integrator in INTEGRATORS:
            ticks = TICKS[profile][integrator]
            common = {"paths": PATHS[profile], "substeps": SUBSTEPS[profile][integrator]}
            listed = {"problem_seed": 1, "low": 0.02, "high": 0.6, "runs": ((integrator, "HASME", ticks),), **common}
            other = {"problem_seed": problem, "low": low, "high": high, "runs": ((integrator, "HASME", (k,)),), **common}
            for name, parameters, marks in ((f"HA-SME by {integrator}", listed, ticks), (f"HA-SME by {integrator}, drawn", other, (k,))):
                measurements.append(Measurement(name, integrated_law, parameters, seconds=PATHS[profile] * max(marks) / 3e5))
                rows += [row for tick in marks for row in _rows(name, integrator, tick, drawn=parameters is other)]
        rivals = {"problem_seed": 1, "low": 0.02, "high": 0.6, "runs": (("Heun", "SME1", (1, 5)), ("Heun", "SPF", (1, 5)))}
        rivals |= {"paths": PATHS[profile], "substeps": SUBSTEPS[profile]["Heun"]}
        control = Measurement("SME-1 and SPF by Heun", integrated_law, rivals, seconds=PATHS[profile] / 20000)
        for model, label in (("SME1", "SME-1"), ("SPF", "SPF")):
            rows += [
                Row(f"{label}, variance", control.name, f"Heun/{model}/{tick}/variance", EQUAL, tick, Role.CONTROL, parameters={"k": tick}) for tick in (1, 5)
            ]
        return Plan((*measurements, control), tuple(rows))


def _rows(measurement: str, integrator: str, k: int, *, drawn: bool) -> list[Row]:
    key, where = f"{integrator}/HASME/{k}", {"k": k, "integrator": integrator}
    return [
        Row("variance", measurement, f"{key}/variance", EQUAL, k, drawn=drawn, parameters=where),
        Row("mean", measurement, f"{key}/mean", EQUAL, k, drawn=drawn, parameters=where),
        Row("variance of the integrated chain, exactly", measurement, f"{key}/bias", HARMLESS, k, Role.CONDITION, drawn, where),
    ]
