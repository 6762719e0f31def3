"""Objectives, one per file; see :class:`sgdsde.objective.Objective`."""

from sgdsde.objectives.double_well import DoubleWell
from sgdsde.objectives.quadratic import Quadratic

__all__ = ["DoubleWell", "Quadratic"]
