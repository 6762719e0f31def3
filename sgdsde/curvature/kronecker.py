"""Decoupling of layer-wise Hessians (Wu, Zhu, Wu, Wang, Ge, arXiv 2010.04261): E[Mₓ ⊗ xxᵀ] ≈ E[Mₓ] ⊗ E[xxᵀ].

For a linear layer z = Wx + b with W ``[out, in]`` the block of the Gauss–Newton matrix (and, for piecewise-linear networks, of the Hessian) on vec W
(row-major, as ``nn.Linear.weight`` is stored) is E[Mₓ ⊗ xxᵀ], Mₓ = (∂o/∂z)ᵀ(∂²ℓ/∂o²)(∂o/∂z) at that sample. The conjecture replaces it by the Kronecker
product of the means. Its error is a covariance, E[(Mₓ − E M) ⊗ (xxᵀ − E xxᵀ)], with ‖·‖² = (1/n²)Σᵢⱼ tr(M̃ᵢM̃ⱼ)·tr(X̃ᵢX̃ⱼ): numbers that need no block.
Van Loan and Pitsianis' rearrangement R = (1/n)Σ vec Mᵢ vec(xᵢxᵢᵀ)ᵀ gives the best Kronecker product there is, by its first singular vectors.

A weight that is shared by S positions (convolutions, whose inputs are patches; sequences) has the block E Σ_{st} M_{st} ⊗ x_s x_tᵀ. Two products stand for it:
*expanded* (KFC: Grosse, Martens, arXiv 1602.01407), (1/S)E[Σ_s M_ss] ⊗ E[Σ_s x_s x_sᵀ], which drops s ≠ t; and *reduced* (Eschenhagen et al., arXiv
2311.00636), E[Σ_{st} M_{st}] ⊗ E[x̄x̄ᵀ] with x̄ = (1/S)Σ_s x_s. For S = 1 they are one. All of it needs one sample's curvature, so BatchNorm must be frozen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sgdsde.curvature.kronecker_passes import Forms, leading, passes
from sgdsde.curvature.kronecker_samples import LayerSamples, input_and_output
from sgdsde.curvature.operator import Kronecker
from sgdsde.curvature.sample_operator import Batches
from sgdsde.curvature.source import mode_of
from sgdsde.given import is_name
from sgdsde.objectives.memory import require
from sgdsde.objectives.network import Network
from sgdsde.types import InputError, as_points, suggest

#: numbers held at once, numbers of a rearranged block that is formed, power steps
_PIECE, _SMALL, _ITERATIONS = 2**24, 2**22, 500


@dataclass(frozen=True)
class Decoupling:
    """One layer's block and its Kronecker forms.

    ``block`` = E Σ_{st} M_{st} ⊗ x_s x_tᵀ (E[Mₓ ⊗ xxᵀ] for one position); ``left`` ``[out, out]`` and ``right`` ``[in, in]`` the factors of the expanded
    product; ``error`` = ‖block − left⊗right‖_F/‖block‖_F; ``best_error`` the same for the nearest one, ``best_left``⊗``best_right``; ``reduced_…`` for the
    reduced one. ``mean`` = E[x] over samples and positions, ``mean_share`` = cos(E[x], v₁), v₁ the top eigenvector of ``right``, ``gap`` its λ₁/λ₂.

    ``stderr`` is the standard error of ``error`` where the block is too large to form and norms are estimated from random signs, else 0. ``source`` says
    which data, ``mode`` in which modes the layers were. ``sample_curvature`` and ``inputs`` are kept for a linear layer on the network's own data, else None.

    Example:
        >>> x = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
        >>> network = sg.objectives.Network(torch.nn.Sequential(torch.nn.Linear(2, 2, bias=False)).double(), "mse", x, x)
        >>> found = sg.curvature.kronecker_decoupling(network, network.flatten(), "0")
        >>> found.error < 1e-12  # one sample: E[M ⊗ xxᵀ] is a product
        True
    """

    layer: str
    left: Float[Tensor, "out out"]
    right: Float[Tensor, "in in"]
    error: float
    best_error: float
    mean_share: float
    gap: float
    best_left: Float[Tensor, "out out"]
    best_right: Float[Tensor, "in in"]
    sample_curvature: Float[Tensor, "n out out"] | None
    inputs: Float[Tensor, "n in"] | None
    mean: Float[Tensor, " in"]
    reduced_left: Float[Tensor, "out out"]
    reduced_right: Float[Tensor, "in in"]
    reduced_error: float
    positions: int
    stderr: float
    source: str
    mode: str
    samples: LayerSamples

    @cached_property
    def block(self) -> Float[Tensor, "p p"]:
        """The block, made when asked for (in one pass over the data).

        Raises:
            InputError: it does not fit the machine.
        """
        p = self.left.shape[0] * self.right.shape[0]
        require(2 * p * p, self.left, what=f"The block of {self.layer!r}, [{p}, {p}]", instead="Use layer_operator(gauss_newton_operator(…), …).")
        if self.sample_curvature is None or self.inputs is None:
            return self.samples.block()
        out, size = self.left.shape[0], self.right.shape[0]
        R = _rearranged(self.sample_curvature, self.inputs)
        return R.reshape(out, out, size, size).permute(0, 2, 1, 3).reshape(p, p)

    @property
    def second_moment_share(self) -> float:
        """‖E[xxᵀ] − E[x]E[x]ᵀ‖_F/‖E[xxᵀ]‖_F over samples and positions: small where the inputs' mean dominates."""
        moment = self.right / self.positions
        return float((moment - torch.outer(self.mean, self.mean)).norm() / moment.norm())

    @property
    def product(self) -> Kronecker:
        """left ⊗ right (E[Mₓ] ⊗ E[xxᵀ]) as an operator."""
        return Kronecker(self.left, self.right, f"{self.layer}: E[M] ⊗ E[xxᵀ]")

    def product_eigenvectors(self, count: int) -> Float[Tensor, "p count"]:
        """The top eigenvectors of left ⊗ right, from those of its factors, without the product."""
        (a, U), (b, V) = torch.linalg.eigh(self.left), torch.linalg.eigh(self.right)
        order = torch.outer(a, b).flatten().argsort(descending=True)[:count].tolist()
        return torch.stack([torch.outer(U[:, k // len(b)], V[:, k % len(b)]).flatten() for k in order], 1)

    @property
    def reduced(self) -> Kronecker:
        """The reduced product as an operator."""
        return Kronecker(self.reduced_left, self.reduced_right, f"{self.layer}: reduced Kronecker product")

    @property
    def best(self) -> Kronecker:
        """The nearest Kronecker product as an operator."""
        return Kronecker(self.best_left, self.best_right, f"{self.layer}: Van Loan's best Kronecker product")


def kronecker_decoupling(network: Network, theta: Float[Tensor, " dim"], layer: str, *, data: Batches | None = None) -> Decoupling:
    """The decoupling report of one ``nn.Linear`` or ``nn.Conv2d`` layer (by its name in the module) at θ.

    Args:
        data: batches (inputs, targets) to take the means over instead of the network's own data; gone through several times, some samples at a time, so they
            need not fit in memory.

    Raises:
        InputError: no such layer, another kind of layer, one with groups, frozen, tied or used twice; BatchNorm in training mode, where no sample has a
            curvature of its own; data that change between passes; curvatures that do not fit the machine.

    Example:
        >>> x = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
        >>> network = sg.objectives.Network(torch.nn.Sequential(torch.nn.Linear(2, 2, bias=False)).double(), "mse", x, x)
        >>> sg.curvature.kronecker_decoupling(network, network.flatten(), "0").right.tolist()  # E[xxᵀ]
        [[1.0, 2.0], [2.0, 4.0]]
    """
    if not isinstance(network, Network):
        raise InputError(
            f"{type(network).__name__} is no sg.objectives.Network: a Kronecker form needs each sample's own curvature, which a loss in training mode "
            "(BatchNorm by its batch, dropout) does not have. Use the network in evaluation mode: module.eval(), or TrainingNetwork.frozen_at(theta)."
        )
    point = as_points(theta, network.dim)[:1]
    module = network.module_at(point[0])
    linear = _checked(network, module, layer)
    samples = LayerSamples(network, point, layer, data)
    M = x = None
    if data is not None or isinstance(linear, nn.Conv2d) or samples.positions > 1:
        found = passes(samples)
    else:
        x = input_and_output(module, linear, network.inputs.at(point))[0].reshape(network.n, -1)
        require(4 * samples.n * samples.out**2, x, what=f"The curvatures of {samples.n} samples at the {samples.out} outputs of {layer!r}",
                instead="Give the data in batches: data=.")  # fmt: skip
        M = torch.cat([torch.einsum("mcos,mcps->mop", piece.J, piece.AJ) for piece in samples.pieces()])  # [n, out, out]
        found = _kept(M, x)
    values, vectors = torch.linalg.eigh(found.right)
    return Decoupling(
        layer=layer,
        left=found.left,
        right=found.right,
        error=found.error,
        best_error=found.best_error,
        mean_share=float((found.mean @ vectors[:, -1]).abs() / found.mean.norm()),
        gap=float(values[-1] / values[-2]) if len(values) > 1 else math.inf,
        best_left=found.best_left,
        best_right=found.best_right,
        sample_curvature=M,
        inputs=x,
        mean=found.mean,
        reduced_left=found.reduced_left,
        reduced_right=found.reduced_right,
        reduced_error=found.reduced_error,
        positions=samples.positions,
        stderr=found.stderr,
        source=samples.source,
        mode=mode_of(network),
        samples=samples,
    )


def _checked(network: Network, module: nn.Module, layer: str) -> nn.Linear | nn.Conv2d:
    known = {name: part for name, part in module.named_modules() if isinstance(part, (nn.Linear, nn.Conv2d))}
    if not is_name(layer, known):
        raise InputError(f"{layer!r} is no nn.Linear or nn.Conv2d of this network." + suggest(layer, list(known)))
    part = known[layer]
    names = [name for name, other in module.named_parameters(remove_duplicate=False) if other is part.weight]
    if len(names) > 1:
        raise InputError(f"The weights of {layer!r} are tied ({', '.join(names)}): their block is a sum of several Kronecker means.")
    if f"{layer}.weight" not in network.names:
        raise InputError(f"The weights of {layer!r} are frozen: they are no part of θ and have no block.")
    if isinstance(part, nn.Conv2d) and part.groups > 1:
        raise InputError(f"{layer!r} has groups = {part.groups}: its block is one for each group, no Kronecker product; wanted groups = 1.")
    return part


def _kept(M: Tensor, x: Tensor) -> Forms:
    """One position, all samples' curvatures and inputs at hand: from the rearranged block where that is small, else from products of samples."""
    left, right = M.mean(0), x.T @ x / len(x)
    if (M.shape[1] * x.shape[1]) ** 2 <= _SMALL:
        R = _rearranged(M, x)
        norm = float(R.norm())
        error = float((R - torch.outer(left.flatten(), right.flatten())).norm()) / norm
        nearest = leading(lambda v: (R @ v.flatten()).reshape(left.shape), lambda u: (R.T @ u.flatten()).reshape(right.shape), left, 1e-14, _ITERATIONS)
        best_error = float((R - torch.outer(nearest[0].flatten(), nearest[1].flatten())).norm()) / norm
    else:
        norm = _norm(M, x)
        error = _error(M, x) / norm
        nearest = _nearest(M, x)
        best_error = math.sqrt(max(0.0, 1 - (float(nearest[0].norm()) / norm) ** 2))
    return Forms(left, right, x.mean(0), error, 0.0, *nearest, best_error, left, right, error)


def _rearranged(M: Tensor, x: Tensor) -> Float[Tensor, "outout inin"]:
    """R = (1/n)Σ vec Mᵢ vec(xᵢxᵢᵀ)ᵀ, some samples at a time."""
    total = M.new_zeros(M.shape[1] ** 2, x.shape[1] ** 2)
    some = max(1, _PIECE // x.shape[1] ** 2)
    for m, part in zip(M.flatten(1).split(some), x.split(some), strict=True):
        total += m.T @ (part[:, :, None] * part[:, None, :]).flatten(1)
    return total / len(x)


def _norm(M: Tensor, x: Tensor) -> float:
    """‖E[M ⊗ xxᵀ]‖ from (1/n²)Σᵢⱼ tr(MᵢMⱼ)(xᵢᵀxⱼ)², some rows at a time."""
    flat = M.flatten(1)
    some = max(1, _PIECE // len(x))
    total = sum(float(((m @ flat.T) * (part @ x.T) ** 2).sum()) for m, part in zip(flat.split(some), x.split(some), strict=True))
    return math.sqrt(max(total, 0.0)) / len(x)


def _error(M: Tensor, x: Tensor) -> float:
    """‖E[M ⊗ xxᵀ] − E[M] ⊗ E[xxᵀ]‖ likewise, both factors centred."""
    flat = (M - M.mean(0)).flatten(1)
    right = x.T @ x / len(x)
    toward = ((x @ right) * x).sum(1)  # tr(X_i E X)
    own = (right**2).sum()
    some = max(1, _PIECE // len(x))
    total = 0.0
    for m, part, here in zip(flat.split(some), x.split(some), toward.split(some), strict=True):
        total += float(((m @ flat.T) * ((part @ x.T) ** 2 - here[:, None] - toward[None, :] + own)).sum())
    return math.sqrt(max(total, 0.0)) / len(x)


def _nearest(M: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """The factors of the nearest Kronecker product without the rearranged block: a weight for each sample, then a mean of xxᵀ, or of M."""
    out, flat, n = M.shape[1], M.flatten(1), len(x)

    def right_of(u: Tensor) -> Tensor:
        return (x * (flat @ u.flatten() / n)[:, None]).T @ x

    def left_of(v: Tensor) -> Tensor:
        return (flat.T @ (((x @ v) * x).sum(1)) / n).reshape(out, out)

    return leading(left_of, right_of, M.mean(0), 1e-14, _ITERATIONS)
