"""A11-even: past ηλ = 1, where the real HA-SME ends, the even-step model has SGD's law at even k."""

from __future__ import annotations

import numpy as np

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.even_steps import law_after, paths_after
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import AtMost, Equivalence

LISTED = (1.2, 1.5, 1.7, 2.0, 2.5)
#: below 1, between 1 and 2, beyond 2
RANGES = ((0.05, 0.9), (1.1, 1.9), (2.05, 2.6))
DIMS = {"quick": (3, 9, 30), "full": (3, 6, 9, 15, 30, 48)}
EVEN, ODD = (2, 10), 3
ZERO, EQUAL, HARMLESS = AtMost(1e-12), Equivalence(1.0, 0.03), Equivalence(1.0, 0.005)
MIXED = (0.3, 0.8, 1.3, 1.8, 2.2)
PATHS, SUBSTEPS = {"quick": 40_000, "full": 200_000}, 24


class EvenSteps(Claim):
    """The even-step model's exactness."""

    id = "A11-even"
    title = "Past ηλ = 1 the even-step HA-SME has SGD's law at even k"
    statement = (
        "On a quadratic with constant Σ and Gaussian noise, for any ηλ ≠ 1 (some below 1, some between 1 and 2, some beyond 2), the even-step HA-SME has "
        "exactly the mean and covariance of SGD's iterates at even k, where its Q is positive. At odd k it has not."
    )
    citations = (
        Citation("2405.18373v3", "HA-SME, whose real logarithm ends at ηλ = 1"),
        Citation("", "the even-step model is this project's own"),
    )
    conditions = (
        Condition("Q positive semi-definite", "Σ is drawn until it is; the measurement fails otherwise"),
        Condition("ηλ ≠ 1 for every eigenvalue", "by construction"),
        Condition("Gaussian noise with constant covariance", "by construction, for the law; mean and covariance do not need it"),
    )
    not_shown = "Objectives that are not quadratic, for which no order is claimed, and odd iterates."
    size_name = "dimension"
    scales = {"quick": Scale.EXACT, "full": Scale.EXACT}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        spectra: dict[str, tuple[float, ...]] = {f"ηλ = {x}": (x,) for x in LISTED}
        spectra |= {f"mixed, d = {dim}": _mixed(np.random.default_rng(dim), dim) for dim in DIMS[profile]}
        drawn_dim = int(rng.integers(4, 25))
        drawn = {f"ηλ = {x:.4f}, drawn": (x,) for x in (round(float(rng.uniform(1.1, 3.0)), 4),)} | {f"mixed, d = {drawn_dim}, drawn": _mixed(rng, drawn_dim)}
        exact = Measurement("even-step law", law_after, {"spectra": spectra | drawn, "iterates": (*EVEN, ODD)}, seconds=0.5)
        options = {"spectrum": MIXED, "iterates": EVEN, "paths": PATHS[profile], "substeps": SUBSTEPS}
        paths = Measurement("even-step law, simulated", paths_after, options, seconds=PATHS[profile] / 1.5e4)
        rows = []
        for name, x in (spectra | drawn).items():
            for k in EVEN:
                key, where = f"{name}/EvenStepHASME/{k}", {"ηλ up to": max(x), "k": k}
                rows.append(Row("error of mean and covariance", exact.name, key, ZERO, len(x), drawn=name in drawn, parameters=where))
            key, where = f"{name}/EvenStepHASME/{ODD}", {"ηλ up to": max(x), "k": ODD}
            rows.append(Row("the same at an odd iterate", exact.name, key, ZERO, len(x), Role.CONTROL, name in drawn, where))
        for name in ("ηλ = 1.5", f"mixed, d = {DIMS[profile][1]}"):
            rows.append(Row("SME-1 in its place", exact.name, f"{name}/SME1/2", ZERO, len(spectra[name]), Role.CONTROL, parameters={"k": 2}))
        for k in EVEN:
            where = {"ηλ up to": max(MIXED), "k": k}
            rows.append(Row("variance of paths / SGD's", paths.name, f"{k}", EQUAL, len(MIXED), parameters=where))
            rows.append(Row("the integrated chain's, exactly", paths.name, f"{k}/bias", HARMLESS, len(MIXED), Role.CONDITION, parameters=where))
        return Plan((exact, paths), tuple(rows))


def _mixed(rng: np.random.Generator, dim: int) -> tuple[float, ...]:
    """Spectra with a third of the eigenvalues in each range."""
    return tuple(round(float(rng.uniform(*RANGES[i % 3])), 4) for i in range(dim))
