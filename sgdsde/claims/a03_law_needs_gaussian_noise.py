"""A3: HA-SME shares SGD's law only where the noise is Gaussian: the stationary kurtosis under Rademacher noise."""

from __future__ import annotations

from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.noise_law import rademacher_kurtosis, stationary_kurtosis
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import Equivalence, Near

LISTED = (0.25, 0.5, 0.8)
#: margin, as a share of SGD's excess kurtosis
MARGIN = 0.05
PATHS = {"quick": 30_000, "full": 100_000}


class LawNeedsGaussianNoise(Claim):
    """The full law depends on the noise's law."""

    id = "A3"
    title = "HA-SME's full law is SGD's only for Gaussian noise"
    statement = (
        "On a quadratic with Rademacher noise SGD's stationary excess kurtosis is −2(1 − m²)/(1 + m²), m = 1 − ηλ (−1.2, that of a uniform law, at ηλ = ½), "
        "while HA-SME's is 0 with the same variance."
    )
    citations = (
        Citation("2405.18373v3", "the condition of Gaussian noise in the result on quadratic objectives"),
        Citation("", "the kurtosis formula: derived in sgdsde.measurements.noise_law"),
    )
    conditions = (
        Condition("independent noise with constant covariance between steps", "by construction: batches of one with replacement"),
        Condition("HA-SME's variance is SGD's", "rows below"),
    )
    not_shown = "How far the laws are apart in other distances, and whether it matters: as ηλ → 0 the kurtosis vanishes like −2ηλ."
    size_name = "x = ηλ"
    scales = {"quick": Scale.REDUCED, "full": Scale.REDUCED}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        drawn = (round(float(draws(seed, self.id).uniform(0.3, 0.75)), 4),)
        xs = (*LISTED, *drawn)
        measurement = Measurement("kurtosis under Rademacher noise", stationary_kurtosis, {"xs": xs, "paths": PATHS[profile]}, seconds=PATHS[profile] / 2500)
        rows = []
        for x in xs:
            kurtosis, options = rademacher_kurtosis(x), dict[str, Any](drawn=x in drawn, parameters={"x": x})
            rows += [
                Row("SGD's kurtosis", measurement.name, f"Rademacher/{x}/kurtosis", Equivalence(kurtosis, MARGIN), x, **options),
                Row("HA-SME's kurtosis", measurement.name, f"HASME/{x}/kurtosis", Near(0.0, MARGIN * abs(kurtosis)), x, **options),
                Row("SGD's variance over HA-SME's exact one", measurement.name, f"Rademacher/{x}/variance", Equivalence(1.0, 0.03), x, **options),
                Row("SGD with Gaussian noise", measurement.name, f"Gaussian/{x}/kurtosis", Equivalence(kurtosis, MARGIN), x, Role.CONTROL, **options),
            ]
        return Plan((measurement,), tuple(rows))
