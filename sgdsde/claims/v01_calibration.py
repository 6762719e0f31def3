"""V1: the instrument itself: intervals miss about as often as they state, wrong verdicts are as rare as the level, and common mistakes are seen."""

from __future__ import annotations

from sgdsde.claim import LEVEL, Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.calibration import METHODS, MUTANTS, coverage, verdicts
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import AtMost

LEVELS = (0.95, 0.99)
REPEATS = {"quick": {0.95: 24_000, 0.99: 80_000}, "full": {0.95: 400_000, 0.99: 2_000_000}}
FAMILIES = {"quick": 20_000, "full": 100_000}
ROWS = 50
#: misses over stated misses: half as many again at most
RARE = AtMost(1.5)
#: methods whose samples or probability are drawn too
DRAWN = ("mean, few Gaussian samples", "share, rare among 150")


class Calibration(Claim):
    """How the ledger's verdicts are calibrated."""

    id = "V1"
    title = "The ledger's intervals and verdicts err as rarely as they state"
    statement = (
        "An interval at level ℓ misses the truth at most 1.5·(1 − ℓ) of the time. With the truth on the edge of a region and intervals at 1 − α, a row is "
        "supported, or contradicted, wrongly in at most 1.5·α/2 of cases; where R rows share α = .05, some row is supported wrongly in at most 1.5·α of runs."
    )
    citations = (Citation("", "this project's own: the calibration of its verdicts"),)
    conditions = (
        Condition("independent samples of the laws named in the rows", "by construction"),
        Condition("truth at the edge of the region, where errors are most likely", "by construction"),
    )
    not_shown = (
        "Other laws: heavy tails make intervals of means and variances miss more often. Exact rows carry the accuracy that their oracle states, which the "
        "tests hold against independent oracles. Levels beyond .99, where misses are too rare to count."
    )
    size_name = "1 / (1 − ℓ)"
    scales = {"quick": Scale.REDUCED, "full": Scale.PAPER}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng, common = draws(seed, self.id), {"levels": LEVELS, "repeats": REPEATS[profile]}
        listed = {"methods": (*METHODS, *MUTANTS), "samples": 5, "share": 0.02}
        drawn = {"methods": DRAWN, "samples": int(rng.integers(3, 21)), "share": round(float(rng.uniform(0.005, 0.3)), 4)}
        intervals = Measurement("how often intervals miss", coverage, common | listed, seconds=8)
        others = Measurement("how often intervals miss, drawn", coverage, common | drawn, seconds=0.5)
        options = {"alpha": LEVEL, "repeats": FAMILIES[profile], "rows": ROWS, "families": FAMILIES[profile]}
        rule = Measurement("how often verdicts err", verdicts, options, seconds=1)
        rows = []
        for name in (*METHODS, *MUTANTS):
            role, mutant = (Role.CONTROL, "mutant: ") if name in MUTANTS else (Role.CLAIM, "")
            for level in LEVELS:
                label = f"{mutant}{name}, misses / stated"
                rows.append(Row(label, intervals.name, f"{name}/{level}", RARE, 1 / (1 - level), role, parameters={"ℓ": level}))
        for name in DRAWN:
            size = {"samples": drawn["samples"]} if name.startswith("mean") else {"share": drawn["share"]}
            for level in LEVELS:
                where = {"ℓ": level} | size
                rows.append(Row(f"{name}, misses / stated", others.name, f"{name}/{level}", RARE, 1 / (1 - level), drawn=True, parameters=where))
        where = {"α": LEVEL}
        for outcome in ("supported", "contradicted"):
            rows.append(Row(f"{outcome} though the truth lies on the edge / (α/2)", rule.name, outcome, RARE, 1 / LEVEL, parameters=where))
        rows += [
            Row("some of the rows that share α supported wrongly / α", rule.name, "family", RARE, ROWS / LEVEL, parameters=where | {"rows": ROWS}),
            Row("mutant: rows that do not share α", rule.name, "family unshared", RARE, ROWS / LEVEL, Role.CONTROL, parameters=where | {"rows": ROWS}),
            Row("mutant: supported where interval and region overlap", rule.name, "overlap", RARE, 1 / LEVEL, Role.CONTROL, parameters=where),
        ]
        return Plan((intervals, others, rule), tuple(rows))
