"""B10-forms: which form the noise takes where the Hessian is negative decides whether flat minima are favoured."""

from __future__ import annotations

from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.claims.b10_flat_minima import LISTED, drawn_wells
from sgdsde.measurement import Measurement
from sgdsde.measurements.flat_minima import flat_against_sharp
from sgdsde.zone import MoreThan

PROCESSES: dict[str, tuple[float, tuple[float, ...]]] = {"SME1": (0.05, (1.0, 2.0, 4.0, 8.0))}
FLAT_WINS = MoreThan(0.0)


class OtherForms(Claim):
    """The preference of B10 for the positive part of the Hessian."""

    id = "B10-forms"
    title = "Anisotropic noise favours flat minima whichever form it takes where H is indefinite"
    statement = (
        "Between two equally deep wells the first-order SDE with Σ = ([H]⁺ + ε)/B (smooth), like that with Σ = |H|/B, favours the flat one exponentially: "
        "log(τ_flat/τ_sharp) grows with B/η."
    )
    citations = (
        Citation("2002.03495v14", "Assumption: Σ proportional to H, read near saddles as [H]⁺ + ε"),
        Citation("", "the general reading, put to the test here: docs/theory/anisotropic_escape.md"),
    )
    conditions = (Condition("one dimension; SME-1 watched continuously", "by construction"),)
    not_shown = (
        "SGD itself: at ηH of order .1 single steps, which are large in the wells, jump over the strip of small noise below the top, and its preference has "
        "the other sign."
    )
    size_name = "B/η"
    scales = {"quick": Scale.EXACT, "full": Scale.EXACT}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        drawn = drawn_wells(seed, self.id, 1 if profile == "quick" else 4)
        parameters = {"cases": LISTED | drawn, "forms": ("positive", "absolute"), "processes": PROCESSES}
        exact = Measurement("flat against sharp, two forms", flat_against_sharp, parameters, seconds=1)
        eta, batches = PROCESSES["SME1"]
        rows = []
        for name, wells in (LISTED | drawn).items():
            where: dict[str, Any] = {"H_flat": wells["flat"], "H_sharp": wells["sharp"], "ε": wells["floor"]}
            for batch in batches[1:]:
                for form in ("absolute", "positive"):
                    key = f"{name}/{form}/SME1/{batch:g}/slope"
                    rows.append(Row(f"{form} noise: slope of log(τ_flat/τ_sharp)", exact.name, key, FLAT_WINS, batch / eta, Role.CLAIM, name in drawn, where))
            key = f"{name}/absolute/SME1/{batches[-1]:g}/reversed"
            rows.append(Row("|H| noise, wells exchanged", exact.name, key, FLAT_WINS, batches[-1] / eta, Role.CONTROL, name in drawn, where))
        return Plan((exact,), tuple(rows))
