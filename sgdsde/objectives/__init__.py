"""Objectives, one per file; see :class:`sgdsde.objective.Objective`."""

from sgdsde.objectives.asymmetric_well import AsymmetricWell
from sgdsde.objectives.double_well import DoubleWell
from sgdsde.objectives.least_squares import LeastSquares
from sgdsde.objectives.logistic_regression import LogisticRegression
from sgdsde.objectives.monkey_saddle import MonkeySaddle
from sgdsde.objectives.muller_brown import MullerBrown
from sgdsde.objectives.periodic_well import PeriodicWell
from sgdsde.objectives.quadratic import Quadratic
from sgdsde.objectives.strict_saddle import StrictSaddle

__all__ = [
    "AsymmetricWell",
    "DoubleWell",
    "LeastSquares",
    "LogisticRegression",
    "MonkeySaddle",
    "MullerBrown",
    "PeriodicWell",
    "Quadratic",
    "StrictSaddle",
]
