"""Objectives, one per file; see :class:`sgdsde.objective.Objective`."""

from sgdsde.objectives.asymmetric_well import AsymmetricWell
from sgdsde.objectives.cosine_well import CosineWell
from sgdsde.objectives.diagonal_net import DiagonalNet
from sgdsde.objectives.double_well import DoubleWell
from sgdsde.objectives.least_squares import LeastSquares
from sgdsde.objectives.local_quadratic import LocalQuadratic
from sgdsde.objectives.logistic_regression import LogisticRegression
from sgdsde.objectives.matrix_factorization import MatrixFactorization
from sgdsde.objectives.monkey_saddle import MonkeySaddle
from sgdsde.objectives.muller_brown import MullerBrown
from sgdsde.objectives.narrow_pass import NarrowPass
from sgdsde.objectives.network import Network
from sgdsde.objectives.network_checks import frozen
from sgdsde.objectives.network_distributions import InitialDistribution
from sgdsde.objectives.network_files import load_networks, save_networks
from sgdsde.objectives.periodic_well import PeriodicWell
from sgdsde.objectives.quadratic import Quadratic
from sgdsde.objectives.scale_invariant import ScaleInvariant
from sgdsde.objectives.shallow_tanh import ShallowTanh
from sgdsde.objectives.shared_curvature import SharedCurvature
from sgdsde.objectives.sharp_flat_wells import SharpFlatWells
from sgdsde.objectives.stiffening_well import StiffeningWell
from sgdsde.objectives.strict_saddle import StrictSaddle
from sgdsde.objectives.two_layer_linear import TwoLayerLinear
from sgdsde.objectives.weight_decay import WeightDecay

__all__ = [
    "AsymmetricWell",
    "CosineWell",
    "DiagonalNet",
    "DoubleWell",
    "InitialDistribution",
    "LeastSquares",
    "LocalQuadratic",
    "LogisticRegression",
    "MatrixFactorization",
    "MonkeySaddle",
    "MullerBrown",
    "NarrowPass",
    "Network",
    "PeriodicWell",
    "Quadratic",
    "ScaleInvariant",
    "ShallowTanh",
    "SharedCurvature",
    "SharpFlatWells",
    "StiffeningWell",
    "StrictSaddle",
    "TwoLayerLinear",
    "WeightDecay",
    "frozen",
    "load_networks",
    "save_networks",
]
