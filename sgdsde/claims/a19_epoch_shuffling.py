"""A19: epoch shuffling is not white noise: it suppresses the variance of flat directions."""

from __future__ import annotations

from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.random_quadratics import draws
from sgdsde.measurements.shuffled_variance import exact_ratios, simulated_ratios, variance_ratios
from sgdsde.zone import Equivalence, LessThan, Zone

LISTED, SAMPLES = (0.001, 0.01, 0.1, 0.5), 64
SIMULATED = (0.02, 0.1, 0.5)
EXACT, MEAN_BY_PATHS, END_BY_PATHS = 1e-6, 0.05, 0.1
PATHS = {"quick": 6_000, "full": 60_000}


class EpochShuffling(Claim):
    """The stationary variance under epoch shuffling."""

    id = "A19"
    title = "Epoch shuffling is not white noise: it suppresses variance in flat directions"
    statement = (
        "With a fresh permutation each epoch, SGD's stationary variance on a quadratic is below that of independent batches in every direction with ηλ ≤ ½, "
        "the more the flatter it is: at the end of an epoch of n single samples by the factor n/(n−1)·[1 − (1−mⁿ)(1+m)/(n(1−m)(1+mⁿ))], m = 1−ηλ, about "
        "(nηλ)²/12 where that is small."
    )
    citations = (
        Citation("2306.05300v3", "anti-correlated noise of epoch-based SGD and the variance of weights in flat directions"),
        Citation("", "the formulas for every position of the epoch, derived in sgdsde.measurements.shuffled_variance"),
    )
    conditions = (
        Condition("per-sample gradients that differ by constants (samples of one curvature)", "by construction; the oracle refuses otherwise"),
        Condition("a fresh permutation each epoch", "by construction; one permutation for all epochs is another process"),
    )
    not_shown = "Per-sample Hessians that differ, where the noise of an epoch does not add up to zero, and networks."
    size_name = "x = ηλ"
    scales = {"quick": Scale.REDUCED, "full": Scale.REDUCED}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        listed = f"n = {SAMPLES}, B = 1"
        batch, epoch = int(rng.integers(1, 9)), int(rng.integers(4, 33))
        xs_drawn = tuple(sorted(round(float(x), 5) for x in 10 ** rng.uniform(-3, -0.35, 3)))
        drawn = f"n = {batch * epoch}, B = {batch}"
        cases = {listed: (LISTED, SAMPLES, 1), f"{drawn}, drawn": (xs_drawn, batch * epoch, batch)}
        exact = Measurement("variance under epoch shuffling", exact_ratios, {"cases": cases}, seconds=0.2)
        options = {"xs": SIMULATED, "samples": SAMPLES, "paths": PATHS[profile]}
        paths = Measurement("variance under epoch shuffling, simulated", simulated_ratios, options, seconds=PATHS[profile] / 3000)
        rows: list[Row] = []
        where: dict[str, Any]
        zone: Zone
        for name, (xs, samples, size) in cases.items():
            for x in xs:
                (mean, end), where = variance_ratios(x, samples, size), {"x": x, "n": samples, "B": size}
                for label, key, zone in (
                    ("shuffled / independent, mean over the epoch", "mean", Equivalence(mean, EXACT)),
                    ("shuffled / independent, at its end", "end", Equivalence(end, EXACT)),
                    ("suppressed", "mean", LessThan(1.0)),
                ):
                    rows.append(Row(label, exact.name, f"{name}/{x:.4g}/{key}", zone, x, drawn=name != listed, parameters=where))
        for x in SIMULATED:
            (mean, end), where = variance_ratios(x, SAMPLES, 1), {"x": x, "n": SAMPLES, "B": 1}
            by_paths = Equivalence(mean, MEAN_BY_PATHS)
            rows.append(Row("the same by paths, mean", paths.name, f"shuffled/{x:.4g}/mean", by_paths, x, parameters=where))
            if x < 0.5:
                zone = Equivalence(end, END_BY_PATHS)
                rows.append(Row("the same by paths, at the end", paths.name, f"shuffled/{x:.4g}/end", zone, x, parameters=where))
                rows.append(Row("independent batches held to it", paths.name, f"independent/{x:.4g}/mean", by_paths, x, Role.CONTROL, parameters=where))
        return Plan((exact, paths), tuple(rows))
