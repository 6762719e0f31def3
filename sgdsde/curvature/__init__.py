"""Hessian structure of networks: operators, extreme eigenpairs, spectral density, traces, outlier rules, overlap, alignment, decoupling."""

from sgdsde.curvature.alignment import Alignment, PowerLaw, diagonal_slope, noise_alignment
from sgdsde.curvature.density import SpectralDensity, lanczos, spectral_density
from sgdsde.curvature.eigen import Eigenpairs, eigsh
from sgdsde.curvature.hessian import h_p_operator, hessian_operator
from sgdsde.curvature.kronecker import Decoupling, kronecker_decoupling
from sgdsde.curvature.layers import block_operator, layer_blocks, layer_operator, layer_operators
from sgdsde.curvature.line import Line, line_losses
from sgdsde.curvature.matricised import matricised_rank, matricised_spectra, rank_one_shares
from sgdsde.curvature.operator import Block, Kronecker, Matrix, Operator
from sgdsde.curvature.outliers import BulkSplit, GapRule, MarchenkoPasturRule, OutlierRule, RatioRule, ThresholdRule
from sgdsde.curvature.overlap import Overlap, overlap, overlap_curve, principal_angles, random_overlap
from sgdsde.curvature.piecewise import piecewise_linear_trace, require_piecewise_linear
from sgdsde.curvature.preconditioned import Preconditioned, preconditioned
from sgdsde.curvature.random_diagonal import gauss_newton_diagonal
from sgdsde.curvature.rescaling import Rescaled, layer_scaling, rescaling_test
from sgdsde.curvature.sandwich import covariance_operator, gauss_newton_operator, second_moment_operator
from sgdsde.curvature.traces import diagonal, exact_diagonal, frobenius, hutch_plus_plus, trace, trace_of_product, weighted_diagonal

__all__ = [
    "Alignment",
    "Block",
    "BulkSplit",
    "Decoupling",
    "Eigenpairs",
    "GapRule",
    "Kronecker",
    "Line",
    "MarchenkoPasturRule",
    "Matrix",
    "Operator",
    "OutlierRule",
    "Overlap",
    "PowerLaw",
    "Preconditioned",
    "RatioRule",
    "Rescaled",
    "SpectralDensity",
    "ThresholdRule",
    "block_operator",
    "covariance_operator",
    "diagonal",
    "diagonal_slope",
    "eigsh",
    "exact_diagonal",
    "frobenius",
    "gauss_newton_diagonal",
    "gauss_newton_operator",
    "h_p_operator",
    "hessian_operator",
    "hutch_plus_plus",
    "kronecker_decoupling",
    "lanczos",
    "layer_blocks",
    "layer_operator",
    "layer_operators",
    "layer_scaling",
    "line_losses",
    "matricised_rank",
    "matricised_spectra",
    "noise_alignment",
    "overlap",
    "overlap_curve",
    "piecewise_linear_trace",
    "preconditioned",
    "principal_angles",
    "random_overlap",
    "rank_one_shares",
    "require_piecewise_linear",
    "rescaling_test",
    "second_moment_operator",
    "spectral_density",
    "trace",
    "trace_of_product",
    "weighted_diagonal",
]
