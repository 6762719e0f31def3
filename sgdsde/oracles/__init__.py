"""Exact answers without Monte Carlo: what simulations and claims are held against. Each refuses, with a reason, where it is not accurate."""

from sgdsde.oracles.closed_forms import euler_inflation, heun_inflation, momentum_variance_ratio, stationary_variance_ratio, svag_variance_ratio
from sgdsde.oracles.escape_theory import eyring_kramers, overshoot_factor, saddle_exit, saddle_steps, saddle_time
from sgdsde.oracles.evolution import kernel_moments, sde_moments, sgd_moments
from sgdsde.oracles.exit_chain import sgd_mean_exit
from sgdsde.oracles.exit_law import ExitLaw
from sgdsde.oracles.exit_sde import sde_mean_exit
from sgdsde.oracles.exit_skeleton import skeleton_mean_exit
from sgdsde.oracles.exit_stable import stable_exit_steps
from sgdsde.oracles.exponents import linear_exponent, sde_exponent, sgd_exponent
from sgdsde.oracles.laws import ExponentialLaw, GaussianLaw, Law, TwoPointLaw
from sgdsde.oracles.lyapunov import discrete_lyapunov
from sgdsde.oracles.moments import Moments
from sgdsde.oracles.radial import sde_crossing, sgd_crossing
from sgdsde.oracles.shuffled import shuffled_sgd_moments, shuffled_stationary_covariance
from sgdsde.oracles.spectral_gap import Relaxation, sde_relaxation, sgd_relaxation
from sgdsde.oracles.stability import mean_square_growth, mean_square_threshold
from sgdsde.oracles.stationary import momentum_stationary_moments, stationary_covariance, stationary_moments
from sgdsde.oracles.tail_index import kesten_index
from sgdsde.oracles.weak_error import WeakError, sde_expectations, sgd_expectations, weak_error, weak_errors

__all__ = [
    "ExitLaw",
    "ExponentialLaw",
    "GaussianLaw",
    "Law",
    "Moments",
    "Relaxation",
    "TwoPointLaw",
    "WeakError",
    "discrete_lyapunov",
    "euler_inflation",
    "eyring_kramers",
    "heun_inflation",
    "kernel_moments",
    "kesten_index",
    "linear_exponent",
    "mean_square_growth",
    "mean_square_threshold",
    "momentum_stationary_moments",
    "momentum_variance_ratio",
    "overshoot_factor",
    "saddle_exit",
    "saddle_steps",
    "saddle_time",
    "sde_crossing",
    "sde_expectations",
    "sde_exponent",
    "sde_mean_exit",
    "sde_moments",
    "sde_relaxation",
    "sgd_crossing",
    "sgd_expectations",
    "sgd_exponent",
    "sgd_mean_exit",
    "sgd_moments",
    "sgd_relaxation",
    "shuffled_sgd_moments",
    "shuffled_stationary_covariance",
    "skeleton_mean_exit",
    "stable_exit_steps",
    "stationary_covariance",
    "stationary_moments",
    "stationary_variance_ratio",
    "svag_variance_ratio",
    "weak_error",
    "weak_errors",
]
