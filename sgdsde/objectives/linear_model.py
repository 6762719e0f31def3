"""Losses of linear models: ℓᵢ(θ) = ℓ(zᵢ; yᵢ) + (ρ/2)|θ|², zᵢ = W xᵢ with θ = W flattened row by row, ``[outputs, features]``.

One formula for each derivative, in terms of those of ℓ in the few outputs z:
g = (1/n)Σᵢ rᵢ ⊗ xᵢ with the residual r = ∂ℓ/∂z; H = (1/n)Σᵢ Aᵢ ⊗ xᵢxᵢᵀ with the curvature A = ∂²ℓ/∂z²; ∇³f[u, v] = (1/n)Σᵢ ∂³ℓ[Uxᵢ, Vxᵢ] ⊗ xᵢ;
covariance of one sample's gradient (1/n)Σᵢ rᵢrᵢᵀ ⊗ xᵢxᵢᵀ − ḡḡᵀ, ḡ without the ridge, which is the same in every sample.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.given import own
from sgdsde.objective import Objective
from sgdsde.objectives.resident import Resident
from sgdsde.types import InputError

Outputs = Float[Tensor, "paths outputs batch"]

#: largest number of products xₐxᵦ that is kept
_KEPT_PRODUCTS = 2**22
#: numbers in an array over paths and samples: on a processor a few of these stay in its cache (2–4 times faster), on a device they only bound memory
_PIECE_ELEMENTS = {"cpu": 2**17, "cuda": 2**27}


class LinearModel(Objective):
    """A loss of W x. Subclasses say what the loss does with the outputs z ``[P, outputs, B]``; layout of θ is that of ``torch.nn.Linear.weight``."""

    outputs: int
    features: int
    products: Resident | None

    def _set_up(self, x: Tensor, outputs: int, penalty: Tensor | None = None) -> None:
        """Inputs ``[n, features]``, number of outputs, ridge of each parameter ``[dim]`` (None: no ridge)."""
        self.x = Resident(x)
        self.n, self.features = x.shape
        self.outputs = outputs
        self.dim = outputs * self.features
        self.penalty = None if penalty is None else Resident(penalty)
        i, j = torch.triu_indices(self.features, self.features)
        if self.n * i.numel() > _KEPT_PRODUCTS:
            self.products = None
        else:
            self.products = Resident(x[:, i].to(torch.float64) * x[:, j])  # [n, features(features+1)/2]

    @abstractmethod
    def _output_loss(self, z: Outputs, theta: Tensor, batch: Tensor | None) -> Float[Tensor, "paths batch"]:
        """ℓ(z; y)."""

    @abstractmethod
    def _residual(self, z: Outputs, theta: Tensor, batch: Tensor | None) -> Outputs:
        """∂ℓ/∂z."""

    @abstractmethod
    def _curve(self, z: Outputs, a: Outputs) -> Outputs:
        """∂²ℓ/∂z²[a]."""

    @abstractmethod
    def _means(self, z: Outputs) -> Outputs:
        """The prediction μ(z) = E[y | z], through which the entries of the curvature are written."""

    @abstractmethod
    def _curvature_entry(self, mean: Outputs, i: int, j: int) -> Float[Tensor, "paths batch"]:
        """∂²ℓ/∂zᵢ∂zⱼ from μ."""

    @abstractmethod
    def _bend(self, z: Outputs, a: Outputs, b: Outputs) -> Outputs:
        """∂³ℓ/∂z³[a, b]."""

    def linear(self, theta: Tensor, batch: Tensor | None = None) -> Outputs:
        """z = W x for the samples of each path's batch, or for all samples without copying them."""
        paths = theta.shape[0]
        x = self.x.rows(theta, batch)
        if batch is None:
            return (theta.reshape(paths * self.outputs, self.features) @ x.T).reshape(paths, self.outputs, self.n)
        return theta.reshape(paths, self.outputs, self.features) @ x.transpose(1, 2)  # [paths, outputs, batch]

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        loss = self._output_loss(self.linear(theta, batch), theta, batch)
        return loss if self.penalty is None else loss + (self.penalty.at(theta) * theta**2).sum(1, keepdim=True) / 2

    def _pull(self, r: Outputs, theta: Tensor) -> Tensor:
        """(1/n)Σᵢ rᵢ ⊗ xᵢ, ``[P, dim]``."""
        return (r.reshape(-1, self.n) @ self.x.at(theta)).reshape(theta.shape) / self.n

    def _piece(self, theta: Tensor) -> int:
        """How many paths to take at once."""
        return max(1, _PIECE_ELEMENTS.get(theta.device.type, 2**24) // (self.n * self.outputs))

    def _in_pieces(self, function: Callable[..., Tensor], *points: Tensor) -> Tensor:
        """A function of points ``[P, dim]``, applied to a piece of the paths at a time."""
        size = self._piece(points[0])
        if points[0].shape[0] <= size:
            return function(*points)
        return torch.cat([function(*parts) for parts in zip(*(p.split(size) for p in points), strict=True)])

    def _grad(self, theta: Tensor) -> Tensor:
        g = self._in_pieces(self._mean_slope, theta)
        return g if self.penalty is None else g + self.penalty.at(theta) * theta

    def _mean_slope(self, theta: Tensor) -> Tensor:
        """ḡ, the gradient without the ridge."""
        return self._pull(self._residual(self.linear(theta), theta, None), theta)

    def _hvp(self, theta: Tensor, v: Tensor) -> Tensor:
        product = self._in_pieces(lambda t, a: self._pull(self._curve(self.linear(t), self.linear(a)), t), theta, v)
        return product if self.penalty is None else product + self.penalty.at(theta) * v

    def _third(self, theta: Tensor, u: Tensor, v: Tensor) -> Tensor:
        return self._in_pieces(lambda t, a, b: self._pull(self._bend(self.linear(t), self.linear(a), self.linear(b)), t), theta, u, v)

    def _sample_grads(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        r = self._residual(self.linear(theta, batch), theta, batch).transpose(1, 2)  # [paths, batch, outputs]
        x = self.x.rows(theta, batch)
        grads = (r[:, :, :, None] * x[..., None, :]).reshape(*r.shape[:2], self.dim)
        return grads if self.penalty is None else grads + (self.penalty.at(theta) * theta)[:, None]

    def _hessian(self, theta: Tensor) -> Tensor:
        def state(part: Tensor) -> Tensor:
            return self._means(self.linear(part))

        H = self._gram(state, self._curvature_entry, theta)
        return H if self.penalty is None else H + torch.diag(self.penalty.at(theta))

    def _covariance(self, theta: Tensor) -> Tensor:
        def state(part: Tensor) -> Tensor:
            return self._residual(self.linear(part), part, None)

        mean = self._in_pieces(self._mean_slope, theta)
        return self._gram(state, _product, theta) - mean[:, :, None] * mean[:, None, :]

    def _gram(self, state: Callable[[Tensor], Outputs], entry: Callable[[Tensor, int, int], Tensor], theta: Tensor) -> Float[Tensor, "paths dim dim"]:
        """(1/n)Σₛ w(stateₛ)ᵢⱼ xₛxₛᵀ as a matrix of blocks (i, j), for pieces of paths that bound the memory."""
        paths, F = theta.shape[0], self.features
        result = theta.new_empty(paths, self.outputs, F, self.outputs, F)
        x = self.x.at(theta)
        a, b = torch.triu_indices(F, F, device=theta.device)
        size = self._piece(theta) if self.products is not None else max(1, self._piece(theta) * self.outputs // F)
        for first in range(0, paths, size):
            part = slice(first, first + size)
            inner = state(theta[part])  # [piece, outputs, n]
            for i in range(self.outputs):
                for j in range(i, self.outputs):
                    w = entry(inner, i, j) / self.n  # [piece, n]
                    if self.products is None:
                        block = (w[:, None, :] * x.T) @ x  # [piece, features, features]
                    else:
                        block = theta.new_empty(w.shape[0], F, F)
                        block[:, a, b] = block[:, b, a] = w @ self.products.at(theta)
                    result[part, i, :, j, :] = block
                    result[part, j, :, i, :] = block
        return result.reshape(paths, self.dim, self.dim)


def _product(r: Outputs, i: int, j: int) -> Tensor:
    return r[:, i] * r[:, j]


def checked_inputs(x: Any) -> Float[Tensor, "n features"]:
    """``x`` as a finite floating tensor ``[n, features]``, float64 unless it is a floating tensor already.

    Raises:
        InputError: it is empty, of another shape, or holds NaN or infinity.
    """
    x = own(x, "x")
    if x.ndim != 2 or x.numel() == 0:
        what = "empty data" if x.numel() == 0 else "the wrong shape"
        raise InputError(f"x has shape {tuple(x.shape)}: {what}; wanted [n, features] with at least one sample and one feature.")
    if not bool(torch.isfinite(x).all()):
        raise InputError("x holds NaN or infinity; clean the data first.")
    return x


def same_length(x: Tensor, y: Tensor) -> None:
    """Refuse inputs and targets of different lengths."""
    if y.ndim == 0 or x.shape[0] != y.shape[0]:
        raise InputError(f"x and y have mismatched lengths: {x.shape[0]} samples and y of shape {tuple(y.shape)}; wanted one target per sample.")
