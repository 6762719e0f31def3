"""Control variates: a mean is known better when something like it, on the same random numbers, has a known mean.

With controls c of known expectation μ and values y on the same n paths, ȳ − β̂ᵀ(c̄ − μ), β̂ the least-squares slope of y on c, has the variance of the
regression's residual: 1 − R² of the plain mean's. Its bias is of order 1/n, √n below its standard error (Glasserman, Monte Carlo Methods in Financial
Engineering, 4.1).
"""

from __future__ import annotations

import math

import numpy as np
import scipy.stats
from jaxtyping import Float

from sgdsde.stats import LEVEL
from sgdsde.types import Estimate, InputError


def controlled(
    values: Float[np.ndarray, "paths *rest"], controls: Float[np.ndarray, "paths k"], expected: Float[np.ndarray, " k"], *, level: float = LEVEL
) -> Estimate:
    """The mean of ``values`` over paths, for each trailing index, with controls of the given expectations; Student's interval on n − k − 1 degrees.

    Controls that never vary are left out. NaN in is NaN out for the values' columns; NaN in the controls is refused.

    Raises:
        InputError: shapes that do not fit, fewer than k + 3 paths, controls that are not finite.
    """
    y = np.asarray(values, dtype=float)
    value, residual, k = _regressed(y, controls, expected)
    n = len(residual)
    stderr = np.sqrt((residual**2).sum(0) / (n - k - 1) / n)
    half = float(scipy.stats.t.isf((1 - level) / 2, n - k - 1)) * stderr
    finite = np.isfinite(y.reshape(n, -1)).all(0)
    shape = y.shape[1:]
    parts = (np.where(finite, part, np.nan).reshape(shape)[()] for part in (value, stderr, value - half, value + half))
    value, stderr, low, high = parts
    return Estimate(value, stderr, n, low, high)


def adjusted(
    values: Float[np.ndarray, "paths *rest"], controls: Float[np.ndarray, "paths k"], expected: Float[np.ndarray, " k"]
) -> Float[np.ndarray, "paths *rest"]:
    """Rows whose mean is the controlled mean and whose sample covariance over n is its covariance: for means that are used together.

    Raises:
        InputError: as :func:`controlled`, or values that are not finite.
    """
    y = np.asarray(values, dtype=float)
    if not np.isfinite(y).all():
        raise InputError("The values are not finite; look at the paths' statuses.")
    value, residual, k = _regressed(y, controls, expected)
    n = len(residual)
    rows: np.ndarray = value + residual * math.sqrt((n - 1) / (n - k - 1))
    return rows.reshape(y.shape)


def _regressed(y: np.ndarray, controls: np.ndarray, expected: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """The controlled means ``[columns]``, the residuals ``[paths, columns]``, the controls used; columns that are not finite count as zero."""
    c = np.asarray(controls, dtype=float)
    mu = np.asarray(expected, dtype=float)
    if y.ndim < 1 or c.ndim != 2 or len(c) != len(y) or mu.shape != c.shape[1:]:
        raise InputError(f"values {y.shape}, controls {c.shape}, expected {mu.shape}; wanted [paths, ...], [paths, k] and [k].")
    if not (np.isfinite(c).all() and np.isfinite(mu).all()):
        raise InputError("The controls are not finite; leave out controls whose own run diverged.")
    spread = c.std(0)
    kept = spread > 1e-12 * np.maximum(np.abs(c).max(0), 1e-300)
    c, mu, spread = c[:, kept], mu[kept], spread[kept]
    n, k = c.shape
    if n < k + 3:
        raise InputError(f"{n} paths for {k} controls; wanted at least {k + 3}.")
    flat = y.reshape(n, -1)
    safe = np.where(np.isfinite(flat).all(0), flat, 0.0)
    mean = safe.mean(0)
    centred = (c - c.mean(0)) / spread  # [paths, k]
    slope = np.linalg.lstsq(centred, safe - mean, rcond=None)[0]  # [k, columns]
    residual: np.ndarray = safe - mean - centred @ slope
    value: np.ndarray = mean - ((c.mean(0) - mu) / spread) @ slope
    return value, residual, k
