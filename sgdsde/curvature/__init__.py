"""Hessian structure of networks: operators, extreme eigenpairs, spectral density, overlap, decoupling."""

from sgdsde.curvature.density import SpectralDensity, frobenius, lanczos, spectral_density, trace, trace_of_product
from sgdsde.curvature.eigen import Eigenpairs, eigsh
from sgdsde.curvature.kronecker import Decoupling, kronecker_decoupling, matricised_rank
from sgdsde.curvature.operator import Block, Matrix, Operator
from sgdsde.curvature.operators import (
    block_operator,
    covariance_operator,
    gauss_newton_operator,
    hessian_operator,
    layer_blocks,
    second_moment_operator,
)
from sgdsde.curvature.overlap import Overlap, overlap

__all__ = [
    "Block",
    "Decoupling",
    "Eigenpairs",
    "Matrix",
    "Operator",
    "Overlap",
    "SpectralDensity",
    "block_operator",
    "covariance_operator",
    "eigsh",
    "frobenius",
    "gauss_newton_operator",
    "hessian_operator",
    "kronecker_decoupling",
    "lanczos",
    "layer_blocks",
    "matricised_rank",
    "overlap",
    "second_moment_operator",
    "spectral_density",
    "trace",
    "trace_of_product",
]
