"""C24-peak: does the overlap of independent models peak where k is the width of the layer?"""

from __future__ import annotations

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.hessian_overlap import hessian_overlap
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import MoreThan

WIDTHS, PAIRS = {"quick": (10, 20, 40), "full": (10, 20, 40, 80)}, {"quick": 2, "full": 8}
SAMPLES, LOSS = 200, 0.02
HIGHER = MoreThan(1.0)


class OverlapPeaks(Claim):
    """Overlap at k = m over that at m/2 and at 2m."""

    id = "C24-peak"
    title = "The overlap of independent models' top eigenspaces peaks at k = m, the layer's width"
    statement = "The overlap of the top k eigenspaces of the first layer of two independently trained networks is larger at k = m than at m/2 and at 2m."
    citations = (Citation("2010.04261v4", "overlap of top eigenspaces of different models peaks at the number of output neurons m"),)
    conditions = (
        Condition("same data, same architecture, independent starts", "by construction; starts are drawn"),
        Condition("both trained", "to loss .02 with B = 8"),
        Condition(
            "E[M] conditioned better than E[xxᵀ]: the peak's explanation", "not required; `room` in the notes is above 1 where it holds, 0 with a dead unit"
        ),
    )
    not_shown = (
        "The paper's networks and data, where the explanation's premise may hold. On digits E[M] has c−1 large eigenvalues and a tail far below them, so the "
        "top m eigenvectors of the block are not Rᵐ ⊗ v₁. A random subspace, whose overlap k/dim only rises, is the control."
    )
    size_name = "width m"
    scales = {"quick": Scale.REDUCED, "full": Scale.REDUCED}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        drawn = int(draws(seed, self.id).integers(24, 37))
        widths = tuple(sorted((*WIDTHS[profile], drawn)))
        options = {"widths": widths, "pairs": PAIRS[profile], "samples": SAMPLES, "loss": LOSS}
        made = Measurement("overlap against k", hessian_overlap, options, seconds=8 if profile == "quick" else 150)
        rows = [
            Row(f"overlap at m over that at {words}, pair {pair + 1}", made.name, f"{m}/pair {pair + 1}/{name}", HIGHER, m, drawn=True, parameters={"m": m})
            for m in widths
            for pair in range(PAIRS[profile])
            for name, words in (("rise", "m/2"), ("fall", "2m"))
        ]
        m = WIDTHS[profile][-1]
        rows.append(Row("overlap at m over that at 2m, random subspace", made.name, f"{m}/random fall", HIGHER, m, Role.CONTROL, True, {"m": m}))
        return Plan((made,), tuple(rows))
