"""The floors of a machine: normals, flops and bytes a second, and what an empty step costs in Python; CPU or CUDA, one thread of linear algebra.

Normals: the package's own fill of a block that stays in cache (on a device: of a large block). Flops: a block of points times a dim × dim matrix.
Bytes: y += a·x, two reads and a write. A step: one Euler–Maruyama step of one path, where nothing but the interpreter and torch's dispatch takes time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from clock import median

import sgdsde as sg
from sgdsde.rng import normals, stream
from sgdsde.runs.identity import processor

#: points of a block, and numbers of a fill
_POINTS = {"cpu": 2**13, "cuda": 2**17}
_FILL = {"cpu": 2**16, "cuda": 2**26}


@dataclass(frozen=True)
class Floors:
    """Rates of one device and dtype, measured when asked for."""

    dtype: torch.dtype
    device: str = "cpu"

    @property
    def itemsize(self) -> int:
        """Bytes a number."""
        return self.dtype.itemsize

    @property
    def name(self) -> str:
        """The device in words."""
        return processor() if self.device == "cpu" else torch.cuda.get_device_name()

    @lru_cache  # noqa: B019 - a handful of these live as long as the process
    def normals(self) -> float:
        """Normals a second."""
        like, generator = torch.empty(_FILL[self.device] // 8, 1, dtype=self.dtype, device=self.device), stream(0, "bench", device=self.device)
        return like.numel() * 8 / median(lambda: normals(like, 8, generator), device=self.device)

    @lru_cache  # noqa: B019
    def flops(self, dim: int) -> float:
        """Flops a second of a block of points times a matrix."""
        x = torch.ones(_POINTS[self.device], dim, dtype=self.dtype, device=self.device)
        F, out = torch.ones(dim, dim, dtype=self.dtype, device=self.device), torch.empty_like(x)
        return 2 * x.shape[0] * dim**2 / median(lambda: torch.mm(x, F, out=out), device=self.device)

    @lru_cache  # noqa: B019
    def bytes(self, size: int) -> float:
        """Bytes a second of y += a·x on arrays of ``size`` numbers."""
        x, y = torch.ones(size, dtype=self.dtype, device=self.device), torch.ones(size, dtype=self.dtype, device=self.device)
        return 3 * size * x.element_size() / median(lambda: y.add_(x, alpha=1e-9), device=self.device)

    @lru_cache  # noqa: B019
    def eigh(self, dim: int) -> float:
        """Seconds of an eigendecomposition of one full symmetric matrix in a batch of a thousand."""
        A = torch.randn(1000, dim, dim, dtype=self.dtype, device=self.device)
        H = A + A.mT
        return median(lambda: torch.linalg.eigh(H), device=self.device) / 1000

    @lru_cache  # noqa: B019
    def step(self, kernel: sg.Kernel) -> float:
        """Seconds of one step of one path."""
        generator, theta = stream(0, "bench", device=self.device), torch.full((1, kernel.dim), 0.3, dtype=self.dtype, device=self.device)
        state = kernel.init(theta, generator)
        return median(lambda: kernel.advance(state, 0, generator), device=self.device) / getattr(kernel, "substeps", 1)
