"""A4: mean and covariance of HA-SME are SGD's for any noise law with constant covariance that is independent between steps: real minibatches."""

from __future__ import annotations

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.minibatch_moments import minibatch_moments
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import Equivalence

BATCHES, TICKS = (1, 4, 16), (1, 20)
VARIANCE, MEAN = Equivalence(1.0, 0.03), Equivalence(1.0, 0.01)
PATHS = {"quick": 50_000, "full": 200_000}


class AnyNoiseLaw(Claim):
    """Mean and covariance do not need Gaussian noise."""

    id = "A4"
    title = "HA-SME's mean and covariance are SGD's for any independent noise"
    statement = (
        "On a quadratic whose noise has constant covariance and is independent between steps, HA-SME has SGD's mean and covariance at t = kη whatever "
        "the law of the noise: here minibatches with replacement from skewed data, fᵢ = ½(θ − cᵢ)ᵀA(θ − cᵢ)."
    )
    citations = (
        Citation("2405.18373v3", "result on quadratic objectives, of which this keeps the first two moments"),
        Citation("", "the two moment recursions use no more of the noise than its covariance"),
    )
    conditions = (
        Condition("constant covariance, positive Q", "by construction; the oracle refuses an indefinite Q"),
        Condition("noise independent between steps", "by construction; epoch shuffling breaks it and is a control"),
    )
    not_shown = "The rest of the law (A3), a covariance that depends on θ such as least squares (there only the mean agrees), and loaders that shuffle (A19)."
    size_name = "batch size"
    scales = {"quick": Scale.REDUCED, "full": Scale.REDUCED}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        batch, k, high = int(rng.integers(2, 33)), int(rng.integers(2, 16)), float(rng.uniform(0.5, 0.95))
        listed = {"problem_seed": 3, "low": 0.05, "high": 0.9, "batch_sizes": BATCHES, "ticks": TICKS, "paths": PATHS[profile]}
        other = {"problem_seed": int(rng.integers(2**31)), "low": 0.05, "high": high, "batch_sizes": (batch,), "ticks": (k,), "paths": PATHS[profile]}
        measurements = (
            Measurement("minibatches against exact moments", minibatch_moments, listed, seconds=PATHS[profile] / 8000),
            Measurement("minibatches against exact moments, drawn", minibatch_moments, other, seconds=PATHS[profile] / 25000),
        )
        rows = [row for b in BATCHES for k_ in TICKS for row in _rows(measurements[0].name, b, k_, drawn=False)]
        rows += _rows(measurements[1].name, batch, k, drawn=True)
        where = {"B": 4, "k": 20}
        rows += [
            Row("SME-1 in place of HA-SME, variance", measurements[0].name, "minibatch/SME1/4/20/variance", VARIANCE, 4, Role.CONTROL, parameters=where),
            Row("SME-1 in place of HA-SME, mean", measurements[0].name, "minibatch/SME1/4/20/mean", MEAN, 4, Role.CONTROL, parameters=where),
        ]
        rows += [
            Row("epoch shuffling, variance", measurements[0].name, f"shuffled/HASME/{b}/20/variance", VARIANCE, b, Role.CONTROL, parameters={"B": b, "k": 20})
            for b in BATCHES
        ]
        return Plan(measurements, tuple(rows))


def _rows(measurement: str, batch: int, k: int, *, drawn: bool) -> list[Row]:
    key, where = f"minibatch/HASME/{batch}/{k}", {"B": batch, "k": k}
    return [
        Row("SGD's variance over HA-SME's", measurement, f"{key}/variance", VARIANCE, batch, drawn=drawn, parameters=where),
        Row("SGD's mean over HA-SME's", measurement, f"{key}/mean", MEAN, batch, drawn=drawn, parameters=where),
    ]
