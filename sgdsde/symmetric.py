"""Eigenvalues and eigenvectors of many small symmetric matrices: A = U diag(λ) Uᵀ, element by element over the batch where dim ≤ 3.

In two dimensions one Jacobi rotation, t = b/(|δ| + √(δ² + b²)) with δ = (a₁₁ − a₀₀)/2, makes the matrix diagonal. In three the eigenvalue that lies
farthest from the other two is β = ±2cos(⅓ acos|det B/2|) of B = (A − tr A/3)/p, 6p² = ‖A − tr A/3‖²_F: it keeps a distance of √3 at least, so the
largest column of the adjugate of B − β is its eigenvector to rounding, and the other two are a rotation in the plane across it (Eberly, A robust
eigensolver for 3 × 3 symmetric matrices, 2014; the plane's basis after Duff et al., Building an orthonormal basis, revisited, JCGT 2017).

Both are backward stable, clusters and multiple eigenvalues included: UᵀU = I and A = U diag(λ) Uᵀ to a few units of rounding. So every function of A
that is built as U f(λ) Uᵀ is as accurate as f allows; no difference of eigenvalues is ever a divisor. Each matrix's numbers hang on it alone.

From four dimensions on Householder's reflections and QL sweeps run over the batch where numba is installed (:mod:`sgdsde.compiled.tridiagonal_ql`), as accurate
and as independent of neighbours, three to ten times as fast as LAPACK on a thousand matrices. Else LAPACK, whose last digit may hang on where in memory a
matrix lies: without numba, beyond 32 dimensions, on other devices, where derivatives are taken, and for what is known to be constant.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sgdsde import compiled
from sgdsde.types import may_look

Matrices = Float[Tensor, "paths dim dim"]

#: dimensions in which the compiled solver is faster than LAPACK from ten matrices on, and at least twice as fast from a hundred on (benchmarks/floors.md)
COMPILED = range(4, 33)


def eigenpairs(matrices: Matrices) -> tuple[Float[Tensor, "paths dim"], Matrices]:
    """(λ ``[P, dim]``, U ``[P, dim, dim]``, eigenvectors in columns), in no particular order; NaN eigenvalues where A is not finite.

    Only the lower triangle is read.
    """
    return _pairs(matrices, _side_by_side if matrices.shape[-1] in COMPILED and numbers_only(matrices) else torch.linalg.eigh)


def constant_eigenpairs(matrices: Matrices) -> tuple[Float[Tensor, "paths dim"], Matrices]:
    """The same for a problem's constants, which are taken once: from four dimensions on always LAPACK, since numba takes half a second to import."""
    return _pairs(matrices, torch.linalg.eigh)


def _pairs(matrices: Matrices, from_four: Callable[[Tensor], tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    broken = broken_matrices(matrices)
    if broken is not None:
        matrices = torch.where(broken[:, None, None], 0.0, matrices)
    dim = matrices.shape[-1]
    if dim == 1:
        values, vectors = matrices[:, :, 0], torch.ones_like(matrices)
    elif dim == 2:
        values, vectors = _planar(matrices)
    elif dim == 3:
        values, vectors = _spatial(matrices)
    else:
        values, vectors = from_four(matrices)
    return (values, vectors) if broken is None else (torch.where(broken[:, None], torch.nan, values), vectors)


def numbers_only(matrices: Tensor) -> bool:
    """Whether compiled loops may have them: numba is there, and they are numbers in the host's memory that nothing records, transforms or differentiates."""
    return (
        compiled.available()
        and may_look()
        and type(matrices) is Tensor  # no fake tensors
        and matrices.device.type == "cpu"
        and matrices.dtype in (torch.float32, torch.float64)
        and not matrices.requires_grad
        and torch.autograd.forward_ad.unpack_dual(matrices).tangent is None
        and not torch._C._functorch.is_functorch_wrapped_tensor(matrices)
    )


def _side_by_side(matrices: Matrices) -> tuple[Tensor, Tensor]:
    """By the compiled solver; LAPACK takes what does not converge there."""
    from sgdsde.compiled.tridiagonal_ql import MOST_SWEEPS, eigenpairs_into

    matrices = matrices.resolve_neg().contiguous()
    values, vectors = matrices.new_empty(matrices.shape[:2]), torch.empty_like(matrices)
    if eigenpairs_into(matrices.numpy(), values.numpy(), vectors.numpy(), MOST_SWEEPS):
        left = torch.isnan(values).any(1)
        values[left], vectors[left] = torch.linalg.eigh(matrices[left])
    return values, vectors


def broken_matrices(matrices: Matrices) -> Bool[Tensor, " paths"] | None:
    """Where a matrix holds NaN or infinity, ``[P]``; None where none does (if that may be looked at). One sum tells, in the usual case."""
    look = may_look()
    if look and bool(torch.isfinite(matrices.sum())):
        return None
    broken: Tensor = ~torch.isfinite(matrices).flatten(1).all(1)
    return None if look and not bool(broken.any()) else broken  # a finite batch whose sum overflowed


def _planar(matrices: Matrices) -> tuple[Tensor, Tensor]:
    a, b, c = matrices[:, 0, 0], matrices[:, 1, 0], matrices[:, 1, 1]
    cosine, sine, shift = _rotation(a, b, c)
    values = torch.stack([a - shift, c + shift], 1)
    return values, torch.stack([cosine, sine, -sine, cosine], 1).view(-1, 2, 2)


def _rotation(a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(cos, sin, shift) of [[a, b], [b, c]]: eigenvalues a − shift with (cos, −sin) and c + shift with (sin, cos)."""
    delta = (c - a).mul_(0.5)
    size = torch.maximum(delta.abs(), b.abs())
    size = torch.where(size == 0, 1.0, size)  # a multiple of the identity: no rotation
    x, y = delta / size, b / size  # torch.hypot rounds the last few entries of a tensor otherwise than the others
    divisor = torch.addcmul(x * x, y, y).sqrt_().add_(x.abs())
    t = y.copysign(x * y) / torch.where(divisor == 0, 1.0, divisor)
    cosine = torch.addcmul(torch.ones_like(t), t, t).rsqrt_()
    return cosine, cosine * t, t.mul_(b)


def _spatial(matrices: Matrices) -> tuple[Tensor, Tensor]:
    a00, a01, a02, a11, a12, a22 = (matrices[:, j, i].contiguous() for i in range(3) for j in range(i, 3))
    middle = (a00 + a11).add_(a22).div_(3)
    a00, a11, a22 = a00 - middle, a11 - middle, a22 - middle
    size = torch.stack([a00, a01, a02, a11, a12, a22]).abs().amax(0)  # squares neither overflow nor vanish below
    inverse = torch.where(size < 4 * torch.finfo(size.dtype).tiny, 1.0, size).reciprocal_()
    a00, a01, a02, a11, a12, a22 = a00 * inverse, a01 * inverse, a02 * inverse, a11 * inverse, a12 * inverse, a22 * inverse
    off = torch.addcmul(torch.addcmul(a01 * a01, a02, a02), a12, a12)
    spread = torch.addcmul(torch.addcmul(torch.addcmul(2 * off, a00, a00), a11, a11), a22, a22).div_(6).sqrt_()
    inverse = torch.where(spread == 0, 1.0, spread).reciprocal_()
    b00, b01, b02, b11, b12, b22 = a00 * inverse, a01 * inverse, a02 * inverse, a11 * inverse, a12 * inverse, a22 * inverse
    half = _determinant(b00, b01, b02, b11, b12, b22).mul_(0.5)
    far = (2 * torch.cos(half.abs().clamp_max_(1).acos_().div_(3))).copysign_(half)
    x, y, z = _null_vector(b00 - far, b01, b02, b11 - far, b12, b22 - far)
    first, second = _across(x, y, z)
    image = _product(b00, b01, b02, b11, b12, b22, first)
    other = _product(b00, b01, b02, b11, b12, b22, second)
    d00, d01, d11 = _dot(image, first), _dot(image, second), _dot(other, second)
    cosine, sine, shift = _rotation(d00, d01, d11)
    columns = [torch.addcmul(cosine * u, sine, v, value=-1) for u, v in zip(first, second, strict=True)]
    others = [torch.addcmul(sine * u, cosine, v) for u, v in zip(first, second, strict=True)]
    unit = spread.mul_(size)
    values = torch.stack([far, d00 - shift, d11 + shift], 1).mul_(unit[:, None]).add_(middle[:, None])
    rows = [part for row in zip((x, y, z), columns, others, strict=True) for part in row]
    return values, torch.stack(rows, 1).view(-1, 3, 3)


def _determinant(b00: Tensor, b01: Tensor, b02: Tensor, b11: Tensor, b12: Tensor, b22: Tensor) -> Tensor:
    first = torch.addcmul(b11 * b22, b12, b12, value=-1).mul_(b00)
    second = torch.addcmul(b01 * b22, b12, b02, value=-1).mul_(b01)
    third = torch.addcmul(b01 * b12, b11, b02, value=-1).mul_(b02)
    return first.sub_(second).add_(third)


def _null_vector(n00: Tensor, n01: Tensor, n02: Tensor, n11: Tensor, n12: Tensor, n22: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The unit vector that N of rank two takes to zero: the column of adj N = μvvᵀ with the largest diagonal entry."""
    c00, c11, c22 = (torch.addcmul(p * q, r, r, value=-1) for p, q, r in ((n11, n22, n12), (n00, n22, n02), (n00, n11, n01)))
    c01, c02, c12 = (torch.addcmul(p * q, r, s, value=-1) for p, q, r, s in ((n02, n12, n01, n22), (n01, n12, n02, n11), (n01, n02, n00, n12)))
    largest = torch.maximum(torch.maximum(c00, c11), c22)
    is0, is1 = c00 == largest, c11 == largest
    x = torch.where(is0, c00, torch.where(is1, c01, c02))
    y = torch.where(is0, c01, torch.where(is1, c11, c12))
    z = torch.where(is0, c02, torch.where(is1, c12, c22))
    inverse = torch.addcmul(torch.addcmul(x * x, y, y), z, z).rsqrt_()
    return x.mul_(inverse), y.mul_(inverse), z.mul_(inverse)


def _across(x: Tensor, y: Tensor, z: Tensor) -> tuple[tuple[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]:
    """Two unit vectors across (x, y, z) and each other."""
    sign = torch.ones_like(z).copysign_(z)
    a = -(sign + z).reciprocal_()
    b = (x * y).mul_(a)
    first = ((x * x).mul_(a).mul_(sign).add_(1), sign * b, -(sign * x))
    return first, (b, torch.addcmul(sign, y * y, a), -y)


def _product(b00: Tensor, b01: Tensor, b02: Tensor, b11: Tensor, b12: Tensor, b22: Tensor, v: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    x, y, z = v
    return (
        torch.addcmul(torch.addcmul(b00 * x, b01, y), b02, z),
        torch.addcmul(torch.addcmul(b01 * x, b11, y), b12, z),
        torch.addcmul(torch.addcmul(b02 * x, b12, y), b22, z),
    )


def _dot(u: tuple[Tensor, Tensor, Tensor], v: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    return torch.addcmul(torch.addcmul(u[0] * v[0], u[1], v[1]), u[2], v[2])
