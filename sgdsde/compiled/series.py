"""Chebyshev series of matrices times vectors, compiled: Σ cₖTₖ(ηA/R)v with R the first radius that the norm of a path's own ηA allows.

The mathematics is that of :mod:`sgdsde.sdes.chebyshev`. A vector's lanes (:mod:`sgdsde.compiled.lanes`) are different paths, each with its own R and its own
coefficients, zero where its series has ended; matrices and vectors stay in the core's cache from the first term to the last. A path's numbers hang on that path
alone, to the last bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sgdsde.compiled.jit import compiled_loop
from sgdsde.compiled.lanes import BYTES, fabs, fma, load, select, spread, sqrt, store


@compiled_loop
def series_into(A: Any, eta: float, radii: Any, coefficients: Any, lengths: Any, vectors: Any, results: Any, outside: Any) -> None:
    """h(ηA)v of A ``[P, n, n]``, v ``[vectors, P, n]`` and a series for each vector and radius, ``[vectors, radii, terms]``, filled up with zeros.

    ``lengths``: the terms of each, 2 at least, ``[vectors, radii + 1]``, none for the last, which stands for no radius.
    ``outside[p]``: no radius is as large as min(‖ηA‖_F, ‖ηA‖_∞) of path p, whose results mean nothing. All arrays are of one dtype and in C order.
    """
    P, n = A.shape[0], A.shape[1]
    count, width = vectors.shape[0], BYTES // A.itemsize
    a = np.empty(n * n * width, A.dtype)
    now, before, total = np.empty(count * n * width, A.dtype), np.empty(count * n * width, A.dtype), np.empty(count * n * width, A.dtype)
    kind = np.empty(width, A.dtype)
    for first in range(0, P, width):
        last = min(first + width, P)
        _take(A[first:last], vectors[:, first:last], a, now, width)
        _sum(n, a, A.dtype.type(eta), radii, coefficients, lengths, now, before, total, kind)
        for w in range(last - first):
            outside[first + w] = kind[w] == len(radii)
            for m in range(count):
                for i in range(n):
                    results[m, first + w, i] = total[(m * n + i) * width + w] + 0.0  # zeros become positive: terms of others may change their sign


@compiled_loop
def _take(A: Any, vectors: Any, a: Any, v: Any, width: int) -> None:
    """Path w to lane w; zero where there are fewer paths than lanes."""
    given, n = A.shape[0], A.shape[1]
    if given < width:
        a[:] = 0
        v[:] = 0
    for w in range(given):
        for i in range(n):
            for j in range(n):
                a[(j * n + i) * width + w] = A[w, i, j]
        for m in range(vectors.shape[0]):
            for i in range(n):
                v[(m * n + i) * width + w] = vectors[m, w, i]


@compiled_loop
def _sum(n: int, a: Any, eta: Any, radii: Any, coefficients: Any, lengths: Any, now: Any, before: Any, total: Any, kind: Any) -> None:
    """The lanes' radii and their sums."""
    real = a.dtype.type
    zero, none = spread(real(0)), spread(real(len(radii)))
    squares, rows = zero, zero
    for j in range(n):
        row = zero
        for i in range(n):
            x = load(a, j * n + i)
            squares = fma(x, x, squares)
            row = row + fabs(x)
        rows = select(row <= rows, rows, row)  # NaN where the row is
    size = sqrt(squares)
    bound = spread(eta) * select(rows <= size, rows, size)
    mine, scale = none, zero
    for k in range(len(radii) - 1, -1, -1):
        fits = bound <= spread(radii[k])
        mine, scale = select(fits, spread(real(k)), mine), select(fits, spread(eta / radii[k]), scale)
    store(kind, 0, mine)
    twice = scale + scale
    for m in range(coefficients.shape[0]):
        # T₀v = v and T₁v = (ηA/R)v; then each term takes the place of the last but one
        c0, c1 = _own(coefficients, m, 0, mine), _own(coefficients, m, 1, mine)
        for j in range(n):
            image = zero
            for i in range(n):
                image = fma(load(a, j * n + i), load(now, m * n + i), image)
            image = image * scale
            store(before, m * n + j, image)
            store(total, m * n + j, fma(c1, image, c0 * load(now, m * n + j)))
        new, old = before, now
        terms = 2
        for w in range(len(kind)):
            terms = max(terms, lengths[m, int(kind[w])])
        for k in range(2, terms):
            c = _own(coefficients, m, k, mine)
            for j in range(n):
                image = zero
                for i in range(n):
                    image = fma(load(a, j * n + i), load(new, m * n + i), image)
                image = fma(image, twice, zero - load(old, m * n + j))
                store(old, m * n + j, image)
                store(total, m * n + j, fma(c, image, load(total, m * n + j)))
            new, old = old, new


@compiled_loop
def _own(coefficients: Any, m: int, k: int, mine: Any) -> Any:
    """Coefficient k of function m, of each lane's own series."""
    real = coefficients.dtype.type
    c = spread(real(0))
    for radius in range(coefficients.shape[1] - 1, -1, -1):
        c = select(mine <= spread(real(radius)), spread(coefficients[m, radius, k]), c)
    return c
