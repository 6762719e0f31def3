"""What the compiled loops over small matrices gain: eigenvectors over LAPACK's loop, and Chebyshev sums over torch's products, in one process in turn."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from clock import in_turn

from sgdsde import symmetric
from sgdsde.sdes import chebyshev
from sgdsde.sdes.chebyshev import SeriesFunction, norm_bound
from sgdsde.sdes.functions import ell
from sgdsde.sdes.matrix_functions import root_phi

DIMS, COUNTS = (4, 5, 8, 10, 16, 24, 32, 48), (1, 10, 1_000, 10_000)
#: numbers in the largest batch
MOST = 10_000 * 16**2
COLUMNS = ["dtype", "threads", "d", "matrices", "eigenvectors, µs a matrix", "LAPACK's time over it", "two series, µs a path", "torch's time over it"]


def rows(dtype: torch.dtype, *, scale: int, repeats: int) -> Iterator[tuple[int, int, float, float | None, float, float]]:
    """(d, matrices, seconds a matrix and gain of eigenvectors, of series). Norms of ηH are uniform on (0, .75): all series are met, and no path is left."""
    functions = [SeriesFunction(ell), SeriesFunction(root_phi)]
    for dim in DIMS:
        for count in sorted({c // scale or 1 for c in COUNTS if c * dim**2 <= MOST}):
            generator = torch.Generator().manual_seed(dim)
            A = torch.randn(count, dim, dim, dtype=dtype, generator=generator)
            A = A + A.transpose(1, 2)
            A = A * (0.75 * torch.rand(count, dtype=dtype, generator=generator) / norm_bound(A))[:, None, None]
            vectors = list(torch.randn(2, count, dim, dtype=dtype, generator=generator))
            work = {
                "eigen": partial(symmetric.eigenpairs, A),
                "LAPACK": partial(symmetric.constant_eigenpairs, A),
                "series": partial(chebyshev.certified_times, A, 1.0, functions, vectors),
                "torch": partial(chebyshev.torch_times, A, 1.0, functions, vectors),
            }
            found = in_turn(work, repeats=repeats, shortest=0.01)
            own = found["LAPACK"] / found["eigen"] if dim in symmetric.COMPILED else None
            yield dim, count, found["eigen"] / count, own, found["series"] / count, found["torch"] / found["series"]
