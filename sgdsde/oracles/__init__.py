"""Exact answers without Monte Carlo: what simulations and claims are held against. Each refuses, with a reason, where it is not accurate."""

from sgdsde.oracles.closed_forms import euler_inflation, heun_inflation, momentum_variance_ratio, stationary_variance_ratio, svag_variance_ratio
from sgdsde.oracles.evolution import kernel_moments, sde_moments, sgd_moments
from sgdsde.oracles.laws import ExponentialLaw, GaussianLaw, Law, TwoPointLaw
from sgdsde.oracles.lyapunov import discrete_lyapunov
from sgdsde.oracles.moments import Moments
from sgdsde.oracles.shuffled import shuffled_sgd_moments, shuffled_stationary_covariance
from sgdsde.oracles.stability import mean_square_growth, mean_square_threshold
from sgdsde.oracles.stationary import momentum_stationary_moments, stationary_covariance, stationary_moments
from sgdsde.oracles.weak_error import WeakError, sde_expectations, sgd_expectations, weak_error, weak_errors

__all__ = [
    "ExponentialLaw",
    "GaussianLaw",
    "Law",
    "Moments",
    "TwoPointLaw",
    "WeakError",
    "discrete_lyapunov",
    "euler_inflation",
    "heun_inflation",
    "kernel_moments",
    "mean_square_growth",
    "mean_square_threshold",
    "momentum_stationary_moments",
    "momentum_variance_ratio",
    "sde_expectations",
    "sde_moments",
    "sgd_expectations",
    "sgd_moments",
    "shuffled_sgd_moments",
    "shuffled_stationary_covariance",
    "stationary_covariance",
    "stationary_moments",
    "stationary_variance_ratio",
    "svag_variance_ratio",
    "weak_error",
    "weak_errors",
]
