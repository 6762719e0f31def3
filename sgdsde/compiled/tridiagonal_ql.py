"""Eigenvalues and eigenvectors of many symmetric matrices of 4 to a few dozen rows, compiled: A = QTQᵀ by Householder, T = ZΛZᵀ by implicit QL, U = QZ.

Reflections I − τvvᵀ leave a tridiagonal T (diagonal d, beside it e). A QL sweep from row m − 1 up to row l turns neighbouring rows by angles that follow from
Wilkinson's shift d_l − e_l/(g ± √(1 + g²)), g = (d_{l+1} − d_l)/2e_l; e_l vanishes cubically, after 1.7 sweeps in the mean (Bowdler, Martin, Reinsch,
Wilkinson, The QR and QL algorithms for symmetric matrices, 1968). Only reflections and rotations touch A, so U is orthogonal and A = UΛUᵀ to a few units of
rounding of ‖A‖ whatever its eigenvalues: multiple, in clusters or zero.

A vector's lanes (:mod:`sgdsde.compiled.lanes`) are different matrices, in step with each other. Each has its own m; where a rotation is not its own, it turns
by nothing, (c, s) = (1, 0), and keeps its d and e. So a matrix's numbers hang on that matrix alone, to the last bit: not on its neighbours, its place, or how
many there are. Matrices are scaled by powers of two, so that squares neither overflow nor vanish.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sgdsde.compiled.jit import compiled_loop
from sgdsde.compiled.lanes import BYTES, any_of, fabs, fma, load, select, spread, sqrt, store

#: sweeps for one eigenvalue; LAPACK allows 30 in the mean
MOST_SWEEPS = 60


@compiled_loop
def eigenpairs_into(A: Any, values: Any, vectors: Any, most: int) -> bool:
    """λ ``[P, n]`` and U ``[P, n, n]`` of A ``[P, n, n]``, n ≥ 2, finite and in C order, of which the lower triangle is read.

    Returns whether some eigenvalue took more than ``most`` sweeps; the eigenvalues of such matrices are NaN.
    """
    P, n = A.shape[0], A.shape[1]
    width = BYTES // A.itemsize
    a, q = np.empty(n * n * width, A.dtype), np.empty(n * n * width, A.dtype)
    d, e, tau = np.empty(n * width, A.dtype), np.empty(n * width, A.dtype), np.empty(n * width, A.dtype)
    v, p = np.empty(n * width, A.dtype), np.empty(n * width, A.dtype)
    open_, scale = np.empty(width, A.dtype), np.empty(width, np.float64)
    failed = False
    for first in range(0, P, width):
        last = min(first + width, P)
        _take(A[first:last], a, scale, width)
        _reduce(n, a, d, e, tau, v, p)
        _accumulate(n, a, tau, v, q)
        _sweep(n, d, e, q, open_, most)
        failed |= _give(d, q, open_, scale, values[first:last], vectors[first:last], width)
    return failed


@compiled_loop
def _take(A: Any, a: Any, scale: Any, width: int) -> None:
    """Lower triangles, matrix w to lane w, largest entries brought into [½, 1); zero where there are fewer matrices than lanes."""
    given, n = A.shape[0], A.shape[1]
    a[:] = 0
    scale[:] = 1
    for w in range(given):
        largest = 0.0
        for i in range(n):
            for j in range(i + 1):
                largest = max(largest, abs(A[w, i, j]))
        if largest > 0:
            power = min(max(math.frexp(largest)[1], -1000), 1000)  # its inverse is a normal number
            down = math.ldexp(1.0, -power)
            scale[w] = math.ldexp(1.0, power)
            for i in range(n):
                for j in range(i + 1):
                    a[(i * n + j) * width + w] = A[w, i, j] * down


@compiled_loop
def _give(d: Any, q: Any, open_: Any, scale: Any, values: Any, vectors: Any, width: int) -> bool:
    """Lane w to matrix w; + 0 makes zeros positive, whose sign rotations by nothing may change."""
    given, n = values.shape
    failed = False
    for w in range(given):
        for i in range(n):
            values[w, i] = d[i * width + w] * scale[w] + 0.0
        if open_[w] > 0:
            failed = True
            values[w, :] = np.nan
        for i in range(n):
            for k in range(n):
                vectors[w, k, i] = q[(i * n + k) * width + w] + 0.0
    return failed


@compiled_loop
def _reduce(n: int, a: Any, d: Any, e: Any, tau: Any, v: Any, p: Any) -> None:
    """A to tridiagonal form; the reflections' v stay in the columns of a."""
    real = a.dtype.type
    zero, one, half = spread(real(0)), spread(real(1)), spread(real(0.5))
    least = spread(real(np.finfo(a.dtype).tiny / np.finfo(a.dtype).eps ** 2))  # smaller sums of squares may have lost digits; dropped, for nothing beside 1
    for k in range(n - 2):
        squares = zero
        for i in range(k + 2, n):
            x = load(a, i * n + k)
            squares = fma(x, x, squares)
        first = load(a, (k + 1) * n + k)
        needed = squares >= least
        size = sqrt(fma(first, first, squares))
        beta = select(first > zero, zero - size, size)
        store(e, k, select(needed, beta, first))
        t = select(needed, (beta - first) / select(needed, beta, one), zero)
        inverse = one / select(needed, first - beta, one)
        store(tau, k, t)
        store(v, k + 1, one)
        store(a, (k + 1) * n + k, one)
        for i in range(k + 2, n):
            x = select(needed, load(a, i * n + k) * inverse, zero)
            store(v, i, x)
            store(a, i * n + k, x)
        along = zero
        for i in range(k + 1, n):  # p = τAv
            total = zero
            for j in range(k + 1, i + 1):
                total = fma(load(a, i * n + j), load(v, j), total)
            for j in range(i + 1, n):
                total = fma(load(a, j * n + i), load(v, j), total)
            total = total * t
            along = fma(total, load(v, i), along)
            store(p, i, total)
        along = along * t * half
        for i in range(k + 1, n):  # w = p − ½τ(pᵀv)v
            store(p, i, load(p, i) - along * load(v, i))
        for i in range(k + 1, n):  # A − vwᵀ − wvᵀ
            w, x = load(p, i), load(v, i)
            for j in range(k + 1, i + 1):
                store(a, i * n + j, load(a, i * n + j) - fma(w, load(v, j), x * load(p, j)))
    for i in range(n):
        store(d, i, load(a, i * n + i))
    store(e, n - 2, load(a, (n - 1) * n + n - 2))
    store(e, n - 1, zero)


@compiled_loop
def _accumulate(n: int, a: Any, tau: Any, v: Any, q: Any) -> None:
    """Q, the product of the reflections, its columns as the rows of q."""
    zero, one = spread(a.dtype.type(0)), spread(a.dtype.type(1))
    for i in range(n):
        for j in range(n):
            store(q, i * n + j, one if i == j else zero)
    for k in range(n - 3, -1, -1):
        t = load(tau, k)
        for i in range(k + 1, n):
            store(v, i, load(a, i * n + k))
        for j in range(k + 1, n):
            along = zero
            for i in range(k + 1, n):
                along = fma(load(v, i), load(q, j * n + i), along)
            along = along * t
            for i in range(k + 1, n):
                store(q, j * n + i, load(q, j * n + i) - load(v, i) * along)


@compiled_loop
def _sweep(n: int, d: Any, e: Any, q: Any, open_: Any, most: int) -> None:
    """d to eigenvalues, the rows of q to eigenvectors; ``open_``: 1 where it did not end."""
    real = d.dtype.type
    zero, one, two = spread(real(0)), spread(real(1)), spread(real(2))
    unit = spread(real(np.finfo(d.dtype).eps))
    least = spread(real(np.finfo(d.dtype).tiny / np.finfo(d.dtype).eps ** 2))
    tiny = unit * unit  # beside entries below 1
    store(open_, 0, zero)
    for row in range(n - 1):
        for sweep in range(most + 1):
            end, at_end = spread(real(n - 1)), load(d, n - 1)  # the first row, from this one on, that is not coupled to its next, and its d
            for i in range(n - 2, row - 1, -1):
                apart = fabs(load(e, i)) <= fma(unit, fabs(load(d, i)) + fabs(load(d, i + 1)), tiny)
                end, at_end = select(apart, spread(real(i)), end), select(apart, load(d, i), at_end)
            going = end > spread(real(row))
            if not any_of(going):
                break
            if sweep == most:
                store(open_, 0, select(going, one, load(open_, 0)))
                break
            here, coupling = load(d, row), select(going, load(e, row), one)
            g = (load(d, row + 1) - here) / (two * coupling)
            size = sqrt(fma(g, g, one))
            g = at_end - here + coupling / (g + select(g >= zero, size, zero - size))
            s, c, p = one, one, zero
            for i in range(n - 2, row - 1, -1):
                turns = spread(real(i)) < end
                below, above = load(d, i), load(d, i + 1)
                f, b = s * load(e, i), c * load(e, i)
                squares = fma(f, f, g * g)
                full = squares >= least  # else there is nothing to turn away: no rotation
                size = sqrt(select(full, squares, one))
                inverse = one / size
                sine, cosine = select(full, f * inverse, zero), select(full, g * inverse, one)
                moved = above - p
                h = fma(below - moved, sine, two * cosine * b)
                store(d, i + 1, select(turns, fma(sine, h, moved), above))
                inside = select(spread(real(i + 1)) < end, select(full, size, zero), zero)
                store(e, i + 1, select(turns, inside, load(e, i + 1)))
                g, p = select(turns, cosine * h - b, g), select(turns, sine * h, p)
                s, c = select(turns, sine, s), select(turns, cosine, c)
                sine, cosine = select(turns, sine, zero), select(turns, cosine, one)
                for k in range(n):
                    x, y = load(q, i * n + k), load(q, (i + 1) * n + k)
                    store(q, (i + 1) * n + k, fma(sine, x, cosine * y))
                    store(q, i * n + k, fma(cosine, x, zero - sine * y))
            store(d, row, select(going, here - p, here))
            store(e, row, select(going, g, load(e, row)))
