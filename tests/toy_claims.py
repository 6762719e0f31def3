"""Claims about Gaussian means: cheap, with every outcome, for tests of the ledger, the report and the command line."""

from __future__ import annotations

import numpy as np

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measured, Measurement
from sgdsde.plots.panel import Panel, Series
from sgdsde.stats import mean_estimate
from sgdsde.zone import Equivalence

ZONE = Equivalence(1.0, 0.05)


def gaussian_mean(*, seed: int, level: float, mean: float) -> Measured:
    estimate = mean_estimate(mean + 0.01 * np.random.default_rng(seed).standard_normal(1000), level=level)
    x = np.array([mean])
    series = (Series("SGD", "SGD", x, np.array([estimate.value]), np.array([estimate.low]), np.array([estimate.high]), kind="points"),)
    return Measured({"mean": estimate}, panels=(Panel("Means", "asked for", "found", series, level=1.0),), notes=("a note",), conventions="none")


def failing(*, seed: int, level: float) -> Measured:
    raise ArithmeticError("the oracle broke")


class Toy(Claim):
    """A claim about two Gaussian means; its control stands elsewhere."""

    title = "A toy"
    statement = "The mean is one."
    citations = (Citation("1234.56789v2", "Theorem 1"),)
    conditions = (Condition("Gaussian", "by construction"),)
    not_shown = "anything"
    size_name = "n"

    def __init__(self, identifier: str, mean: float, *, broken: bool = False, profiles: tuple[str, ...] = ("quick", "full")) -> None:
        self.id = identifier
        self.mean = mean
        self.broken = broken
        self.scales = dict.fromkeys(profiles, Scale.REDUCED)

    def plan(self, profile: str, seed: int) -> Plan:
        good = Measurement(f"mean {self.mean}", gaussian_mean, {"mean": self.mean})
        control = Measurement("mean 2", gaussian_mean, {"mean": 2.0})
        bad = (Measurement("broken", failing),) if self.broken else ()
        rows = [Row("mean", good.name, "mean", ZONE, 1.0), Row("control", "mean 2", "mean", ZONE, 1.0, Role.CONTROL)]
        rows += [Row("broken", "broken", "mean", ZONE, 1.0)] if self.broken else []
        return Plan((good, control, *bad), tuple(rows))


CATALOGUE = (Toy("T1", 1.0), Toy("T2", 1.2), Toy("T10", 1.0, broken=True), Toy("T11", 1.0, profiles=("full",)))
