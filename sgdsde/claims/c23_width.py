"""C23: the gap of E[M] grows with width in random networks."""

from __future__ import annotations

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.hessian_width import hessian_width
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import MoreThan

FIRST, WIDTHS = 50, {"quick": (100, 200, 400, 800), "full": (100, 200, 400, 800, 1_600)}
DRAWS, SAMPLES = {"quick": 8, "full": 24}, {"quick": 300, "full": 1_000}
GROWS, DOUBLES = MoreThan(1.0), MoreThan(2.0)


class GapGrowsWithWidth(Claim):
    """λ_{c−1}/λ_c of E[M]."""

    id = "C23"
    title = "In random two-layer networks the gap after c−1 eigenvalues of E[M] grows with width"
    statement = "λ_{c−1}/λ_c of the first layer's mean output curvature E[M] exceeds its value at width 50 at each larger width, twofold at the largest."
    citations = (Citation("2010.04261v6", "random two-layer networks of growing width"),)
    conditions = (Condition("random weights", "uniform, ±1/√(inputs of the layer)"), Condition("inputs", "digits in [0, 1]; the paper's are Gaussian"))
    not_shown = "Trained networks. A monotone growth between neighbouring widths. The ratio four places on, which is in the bulk, is the control."
    size_name = "width"
    scales = {"quick": Scale.REDUCED, "full": Scale.REDUCED}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        widths = WIDTHS[profile]
        drawn = int(draws(seed, self.id).integers(300, 700))
        every = (FIRST, *sorted({*widths, drawn}))
        options = {"widths": every, "draws": DRAWS[profile], "samples": SAMPLES[profile]}
        made = Measurement("gap and width", hessian_width, options, seconds=8 if profile == "quick" else 200)
        rows = [Row("gap over that at width 50", made.name, f"{width}/growth", GROWS, width, parameters={"width": width}) for width in widths]
        rows.append(Row("gap over that at width 50, drawn width", made.name, f"{drawn}/growth", GROWS, drawn, drawn=True, parameters={"width": drawn}))
        rows.append(Row("gap over that at width 50, at least twice", made.name, f"{widths[-1]}/growth", DOUBLES, widths[-1], parameters={"width": widths[-1]}))
        rows.append(Row("four places on", made.name, f"{widths[-1]}/growth beside", DOUBLES, widths[-1], Role.CONTROL, parameters={"width": widths[-1]}))
        return Plan((made,), tuple(rows))
