"""F8: SPF and HA-SME share SGD's whole autocorrelation on quadratics, although SPF's variance is wrong; SME-1 and SME-2 miss both."""

from __future__ import annotations

from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.autocorrelation import correlations, simulated_correlations
from sgdsde.measurements.random_quadratics import draws
from sgdsde.oracles import stationary_variance_ratio
from sgdsde.sdes import SPF
from sgdsde.zone import AtMost, Equivalence, Near

DIMS = {"quick": (1, 5, 50), "full": (1, 2, 5, 10, 20, 50)}
XS = (0.2, 0.5, 0.8)
ZERO = AtMost(1e-12)
#: paths whose intervals are half as wide as the margin
PATHS, SUBSTEPS, BY_PATHS = {"quick": 150_000, "full": 400_000}, 16, 0.03


class Autocorrelation(Claim):
    """Autocorrelations on quadratics."""

    id = "F8"
    title = "SPF and HA-SME share SGD's autocorrelation though SPF's variance is wrong"
    statement = (
        "On a quadratic minimum with constant noise the stationary autocorrelation Cov(θ_k, θ₀)V⁻¹ of SPF and of both forms of HA-SME is SGD's, (I − ηH)ᵏ, at "
        "every lag; SPF's variance is .54 of SGD's at ηλ = ½ all the same. SME-1 and SME-2 miss the autocorrelation and the variance."
    )
    citations = (Citation("", "this project's own"), Citation("2405.18373v3", "the drift that SPF and HA-SME share"))
    conditions = (Condition("quadratic, constant Σ, 0 < ηλ < 1", "by construction"), Condition("a stationary law", "the oracle refuses otherwise"))
    not_shown = (
        "Autocorrelations of functions other than linear ones, and objectives that are not quadratic. A good fit of a time series' correlations is no evidence "
        "for a diffusion term."
    )
    size_name = "dimension"
    scales = {"quick": Scale.REDUCED, "full": Scale.REDUCED}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        cases = {f"d = {dim}": (dim, 0.05 if dim > 1 else 0.5, 0.5 if dim == 1 else 0.95) for dim in DIMS[profile]}
        dim = int(rng.integers(2, 31))
        drawn = {f"d = {dim}, drawn": (dim, 0.05, round(float(rng.uniform(0.3, 0.98)), 3))}
        exact = Measurement("autocorrelation on quadratics", correlations, {"cases": cases | drawn}, seconds=0.5)
        options = {"xs": XS, "paths": PATHS[profile], "substeps": SUBSTEPS}
        paths = Measurement("autocorrelation on quadratics, simulated", simulated_correlations, options, seconds=PATHS[profile] / 1e5)
        rows: list[Row] = []
        for name, (size, low, high) in (cases | drawn).items():
            common: dict[str, Any] = {"drawn": name in drawn, "parameters": {"ηλ from": low, "to": high}}
            for model, label in (("SPF", "SPF"), ("HASME", "HA-SME"), ("HASMEProduct", "HA-SME, product form")):
                rows.append(Row(f"{label}: worst error over lags", exact.name, f"{name}/{model}", ZERO, size, **common))
            for model, label in (("SME1", "SME-1"), ("SME2", "SME-2")):
                rows.append(Row(f"{label} in its place", exact.name, f"{name}/{model}", ZERO, size, Role.CONTROL, **common))
            rows.append(Row("SPF's variance held to SGD's", exact.name, f"{name}/SPF/variance", Equivalence(1.0, 0.01), size, Role.CONTROL, **common))
        spf = Near(stationary_variance_ratio(SPF, 0.5), 1e-6)
        rows.append(Row("SPF's variance / SGD's", exact.name, "d = 1/SPF/variance", spf, 1, parameters={"x": 0.5}))
        for x in XS:
            for k in (1, 2):
                zone, where = Near((1 - x) ** k, BY_PATHS), {"x": x, "lag": k}
                rows.append(Row("SPF's correlation, paths", paths.name, f"SPF/{x:.4g}/{k}", zone, 1, parameters=where))
                rows.append(Row("SGD's correlation, paths", paths.name, f"SGD/{x:.4g}/{k}", zone, 1, parameters=where))
        for x in XS[1:]:
            zone, where = Near(1 - x, BY_PATHS), {"x": x, "lag": 1}
            rows.append(Row("SME-1's correlation, paths", paths.name, f"SME1/{x:.4g}/1", zone, 1, Role.CONTROL, parameters=where))
        return Plan((exact, paths), tuple(rows))
