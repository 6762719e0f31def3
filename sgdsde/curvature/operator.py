"""Symmetric linear operators on parameter space: everything about curvature is computed through products.

``operator @ v`` takes a vector ``[dim]`` or a block ``[dim, k]``; blocks go through in chunks of columns. Spectra, traces, overlaps and densities use
nothing else, so they serve the Hessian, the Gauss–Newton matrix and the gradient covariance alike.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import scipy.sparse.linalg
import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.given import own
from sgdsde.types import InputError, expected

#: bytes that a dense matrix may take
DENSE_BYTES = 2 * 2**30
#: up to this dimension spectra and norms are taken from the matrix
DENSE_DIM = 3000


class Operator(ABC):
    """A symmetric ``[dim, dim]`` operator. ``label`` says what it is, ``mode`` in which modes the network's layers were evaluated.

    Example:
        >>> A = sg.curvature.hessian_operator(sg.objectives.Quadratic([4.0, 1.0]), torch.zeros(2))
        >>> isinstance(A, sg.curvature.Operator), (A @ torch.ones(2)).tolist()
        (True, [4.0, 1.0])
    """

    dim: int
    dtype: torch.dtype
    device: torch.device
    label: str = ""
    mode: str = ""
    #: columns that one call of ``apply`` takes
    chunk: int = 32

    @abstractmethod
    def apply(self, block: Float[Tensor, "dim k"]) -> Float[Tensor, "dim k"]:
        """The products with k ≤ ``chunk`` columns."""

    @property
    def description(self) -> str:
        """Label and mode; part of every result."""
        return f"{self.label or type(self).__name__}" + (f" ({self.mode})" if self.mode else "")

    @property
    def shape(self) -> tuple[int, int]:
        """(dim, dim)."""
        return (self.dim, self.dim)

    def __matmul__(self, other: Tensor) -> Tensor:
        """Products with a vector ``[dim]`` or a block ``[dim, k]``.

        Raises:
            InputError: another shape, dtype or device.
        """
        if not isinstance(other, Tensor):
            raise InputError(f"{self.label or type(self).__name__} multiplies tensors [{self.dim}] or [{self.dim}, k]; a {type(other).__name__} came.")
        if other.ndim not in (1, 2) or other.shape[0] != self.dim:
            raise InputError(f"{self.label or type(self).__name__} is [{self.dim}, {self.dim}]; it cannot multiply shape {tuple(other.shape)}.")
        if other.dtype != self.dtype or other.device.type != self.device.type:
            raise InputError(
                f"{self.label or type(self).__name__} is {self.dtype} on {self.device}, the vectors {other.dtype} on {other.device}; convert them: v.to(theta)."
            )
        if other.ndim == 1:
            return self.apply(other[:, None])[:, 0]
        return torch.cat([self.apply(part) for part in other.split(self.chunk, dim=1)], 1)

    def dense(self) -> Float[Tensor, "dim dim"]:
        """The matrix.

        Raises:
            InputError: it would take more than ``DENSE_BYTES``.
        """
        needed = self.dim**2 * torch.finfo(self.dtype).bits // 8
        if needed > DENSE_BYTES:
            raise InputError(f"A dense [{self.dim}, {self.dim}] matrix takes {needed / 2**30:.1f} GiB; use products (eigsh, spectral_density).")
        matrix = self @ torch.eye(self.dim, dtype=self.dtype, device=self.device)
        return (matrix + matrix.T) / 2

    def to_scipy(self) -> scipy.sparse.linalg.LinearOperator:
        """The same operator for scipy, on NumPy arrays."""

        def products(block: object) -> object:
            return (self @ torch.as_tensor(block, dtype=self.dtype, device=self.device)).cpu().numpy()

        numpy_dtype = torch.empty(0, dtype=self.dtype).numpy().dtype
        return scipy.sparse.linalg.LinearOperator(self.shape, matvec=products, matmat=products, rmatvec=products, dtype=numpy_dtype)

    def __sub__(self, other: Operator) -> Operator:
        """The difference of two operators on one space."""
        return Difference(self, other)


def as_operator(operator: Any, name: str = "operator") -> Operator:
    """The operator as it is.

    Raises:
        InputError: it is none.
    """
    found: Operator = expected(operator, Operator, name, "for example sg.curvature.hessian_operator(objective, theta)")
    return found


class Difference(Operator):
    """A − B."""

    def __init__(self, a: Operator, b: Operator) -> None:
        if a.dim != b.dim:
            raise InputError(f"Operators of dimensions {a.dim} and {b.dim} have no difference.")
        self.a, self.b = a, b
        self.dim, self.dtype, self.device = a.dim, a.dtype, a.device
        self.chunk = min(a.chunk, b.chunk)
        self.label, self.mode = f"{a.label} − {b.label}", a.mode

    def apply(self, block: Tensor) -> Tensor:
        return self.a @ block - self.b @ block


class Matrix(Operator):
    """A dense symmetric matrix as an operator.

    Raises:
        InputError: it is not square, not symmetric, or holds NaN.

    Example:
        >>> A = sg.curvature.Matrix(torch.tensor([[2.0, 1.0], [1.0, 2.0]]))
        >>> A.dim, (A @ torch.tensor([1.0, 1.0])).tolist()
        (2, [3.0, 3.0])
    """

    def __init__(self, matrix: Float[Tensor, "dim dim"], label: str = "matrix") -> None:
        self.matrix, self.label = _square(matrix, "matrix"), label
        off, scale = float((self.matrix - self.matrix.T).abs().max()), float(self.matrix.abs().max())
        if off > torch.finfo(self.matrix.dtype).eps ** 0.5 * scale:
            raise InputError(f"matrix is not symmetric (|A − Aᵀ| up to {off:.3g}); an operator is. Pass (A + Aᵀ)/2 if that is what is meant.")
        self.dim, self.dtype, self.device = self.matrix.shape[0], self.matrix.dtype, self.matrix.device

    def apply(self, block: Tensor) -> Tensor:
        return self.matrix @ block

    def dense(self) -> Tensor:
        return (self.matrix + self.matrix.T) / 2


class Kronecker(Operator):
    """A ⊗ B on vec W of a weight ``[out, in]`` stored row by row: (A ⊗ B) vec V = vec(A V Bᵀ). The product matrix is never formed.

    Example:
        >>> left, right = torch.tensor([[2.0]]), torch.tensor([[1.0, 0.0], [0.0, 3.0]])
        >>> (sg.curvature.Kronecker(left, right) @ torch.ones(2)).tolist()
        [2.0, 6.0]
    """

    def __init__(self, left: Float[Tensor, "out out"], right: Float[Tensor, "in in"], label: str = "Kronecker product") -> None:
        self.left, self.right, self.label = _square(left, "left"), _square(right, "right"), label
        if self.left.dtype != self.right.dtype or self.left.device != self.right.device:
            raise InputError(f"left is {self.left.dtype} on {self.left.device}, right {self.right.dtype} on {self.right.device}; wanted the same of both.")
        self.dim, self.dtype, self.device = self.left.shape[0] * self.right.shape[0], self.left.dtype, self.left.device

    def apply(self, block: Tensor) -> Tensor:
        V = block.T.reshape(-1, self.left.shape[0], self.right.shape[0])  # [k, out, in]
        return (self.left @ V @ self.right.T).flatten(1).T


class Block(Operator):
    """The principal block of an operator on a range of parameters (a layer).

    Example:
        >>> A = sg.curvature.Matrix(torch.diag(torch.tensor([3.0, 2.0, 1.0])))
        >>> (sg.curvature.Block(A, slice(1, 3)) @ torch.ones(2)).tolist()
        [2.0, 1.0]
    """

    def __init__(self, whole: Operator, part: slice) -> None:
        as_operator(whole, "whole")
        start, stop, step = expected(part, slice, "part", "a range of parameters, for example one of sg.curvature.layer_blocks(network)").indices(whole.dim)
        if step != 1:
            raise InputError(f"The block {part} leaves parameters out; wanted a range without a step.")
        if stop <= start:
            raise InputError(f"The block {part} of an operator of dimension {whole.dim} is empty.")
        self.whole, self.start, self.stop = whole, start, stop
        self.dim, self.dtype, self.device, self.chunk = stop - start, whole.dtype, whole.device, whole.chunk
        self.label, self.mode = f"{whole.label}[{start}:{stop}]", whole.mode

    def apply(self, block: Tensor) -> Tensor:
        padded = block.new_zeros(self.whole.dim, block.shape[1])
        padded[self.start : self.stop] = block
        return (self.whole @ padded)[self.start : self.stop]


def _square(matrix: Tensor, name: str) -> Float[Tensor, "dim dim"]:
    values = own(matrix, name)
    if values.ndim != 2 or values.shape[0] != values.shape[1] or values.numel() == 0:
        raise InputError(f"{name} has shape {tuple(values.shape)}; wanted a square matrix.")
    if not bool(torch.isfinite(values).all()):
        raise InputError(f"{name} holds NaN or infinity; wanted finite numbers.")
    return values
