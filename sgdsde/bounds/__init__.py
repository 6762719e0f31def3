"""Bounds that use curvature: PAC-Bayes with shaped posteriors, tuning and sampling paid for; tails of the loss difference of one step."""

from sgdsde.bounds.kl import chernoff, kl, kl_inverse, maurer
from sgdsde.bounds.pac_bayes import Bound, divergence, pac_bayes
from sgdsde.bounds.shapes import SHAPES, Shape, shapes
from sgdsde.bounds.step_tails import StepTails, step_tails

__all__ = ["SHAPES", "Bound", "Shape", "StepTails", "chernoff", "divergence", "kl", "kl_inverse", "maurer", "pac_bayes", "shapes", "step_tails"]
