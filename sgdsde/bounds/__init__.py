"""Bounds on generalisation that use curvature: PAC-Bayes with shaped posteriors, the tuning and the sampling of which are paid for."""

from sgdsde.bounds.kl import chernoff, kl, kl_inverse, maurer
from sgdsde.bounds.pac_bayes import Bound, divergence, pac_bayes
from sgdsde.bounds.shapes import SHAPES, Shape, shapes

__all__ = ["SHAPES", "Bound", "Shape", "chernoff", "divergence", "kl", "kl_inverse", "maurer", "pac_bayes", "shapes"]
