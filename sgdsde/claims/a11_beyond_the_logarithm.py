"""A11: the real HA-SME ends at ηλ = 1, and says so; even-step HA-SME is exact at even k beyond."""

from __future__ import annotations

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.logarithm_domain import refusals, two_steps
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import AtMost, Within

BEYOND, BELOW = (1.0, 1.2, 1.5, 2.0, 2.5), (0.9, 0.99)
REACH = (1.05, 1.2, 1.5)
SPECTRA = {"x = 1.2": (1.2,), "x = 1.5": (1.5,), "x = 1.7": (1.7,), "x = 2": (2.0,), "x = 2.5": (2.5,), "mixed": (-0.3, 0.2, 0.7, 1.3, 1.8, 2.2)}
ALL, NONE, EXACT = Within(1, 1), Within(0, 0), AtMost(1e-12)
NAMES = {"HASME": "HA-SME", "SPF": "SPF", "PrincipalFlow": "principal flow"}


class BeyondTheLogarithm(Claim):
    """The end of the real logarithm."""

    id = "A11"
    title = "The real HA-SME ends at ηλ = 1; its even-step form is exact at even k beyond"
    statement = (
        "For ηλ ≥ 1 log(1 − ηλ) is not real: HA-SME, SPF and the principal flow do not exist there and are refused before a run (constant Hessian) or freeze "
        "and count the paths that get there. With log|·| for log, the law after two steps is exactly SGD's for every ηλ ≠ 1."
    )
    citations = (
        Citation("2405.18373v3", "the condition on the step size for HA-SME to exist"),
        Citation("2302.01952v3", "the principal flow is complex beyond ηλ = 1"),
        Citation("", "even-step HA-SME: this project's own"),
    )
    conditions = (
        Condition("quadratic with constant covariance for the even-step part", "by construction"),
        Condition("even-step Q positive semi-definite", "a row below"),
    )
    not_shown = (
        "Odd k beyond ηλ = 1, where no continuous path can have SGD's sign changes; and objectives that are not quadratic, where even-step HA-SME claims "
        "no order."
    )
    size_name = "x = ηλ"
    scales = {"quick": Scale.EXACT, "full": Scale.EXACT}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        drawn_x = tuple(round(float(x), 4) for x in rng.uniform(1.0, 3.0, 2))
        spectra: dict[str, tuple[float, ...]] = dict(SPECTRA)
        for i in range(2 if profile == "quick" else 10):
            spectra[f"drawn {i + 1}"] = tuple(float(x) for x in rng.uniform(-0.5, 2.8, int(rng.integers(2, 9))))
        domain = Measurement("end of the real logarithm", refusals, {"xs": (*BEYOND, *drawn_x, *BELOW), "reach": REACH}, seconds=0.2)
        even = Measurement("even-step HA-SME after two steps", two_steps, {"spectra": spectra}, seconds=0.2)
        rows = [
            Row(f"{NAMES[model]} refused", domain.name, f"{model}/{x}", ALL, x, drawn=x in drawn_x, parameters={"x": x})
            for model in NAMES
            for x in (*BEYOND, *drawn_x)
        ]
        for r in REACH:
            where = {"largest ηλ": r}
            rows += [
                Row("paths frozen, and only those beyond", domain.name, f"frozen/{r}", ALL, r, parameters=where),
                Row("distance that a frozen path moved", domain.name, f"moved/{r}", NONE, r, parameters=where),
                Row("clips counted over starts past the clip's bound", domain.name, f"clipped/{r}", ALL, r, parameters=where),
            ]
        for name, spectrum in spectra.items():
            rows.append(Row(f"even-step HA-SME after two steps, {name}", even.name, f"{name}/EvenStepHASME", EXACT, max(spectrum), drawn="drawn" in name))
        rows.append(Row("share of spectra with Q ≥ 0", even.name, "positive", ALL, 1.0, Role.CONDITION))
        rows += [Row("HA-SME refused below the end", domain.name, f"HASME/{x}", ALL, x, Role.CONTROL, parameters={"x": x}) for x in BELOW]
        rows += [
            Row(f"{label} after two steps, mixed", even.name, f"mixed/{model}", EXACT, 2.2, Role.CONTROL)
            for model, label in (("SME1", "SME-1"), ("SME2", "SME-2"))
        ]
        return Plan((domain, even), tuple(rows))
