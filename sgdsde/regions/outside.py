"""The complement of a region: {θ : θ ∉ A}. Leaving it is reaching A, for example a neighbourhood of another minimum."""

from __future__ import annotations

import torch
from torch import Tensor

from sgdsde.region import Bordered
from sgdsde.types import InputError


class Outside(Bordered):
    """Everything but ``inner``; its one face is the face of ``inner`` that lies nearest.

    Watched between the ticks (``bridge``, ``shift``) it wants steps that are short against ``inner``: a step that ends beyond ``inner`` is taken for one that
    came back on the side where it began (a target .16 of a step wide was reached 8 ± 4 % late).

    Raises:
        InputError: ``inner`` has no border.
    """

    def __init__(self, inner: Bordered) -> None:
        if not isinstance(inner, Bordered):
            raise InputError(f"Outside({type(inner).__name__}): wanted a region with a border; negate a function yourself.")
        self.inner = inner
        self.dim = inner.dim

    def inside(self, theta: Tensor) -> Tensor:
        return ~self.inner.inside(theta)

    def distances(self, theta: Tensor) -> Tensor:
        return -self.inner.distances(theta).amin(1, keepdim=True)

    def normals(self, theta: Tensor) -> Tensor:
        face = self.inner.distances(theta).argmin(1)
        return -self.inner.normals(theta)[torch.arange(theta.shape[0], device=theta.device), face][:, None, :]
