"""H = (1/n)Σ∇²ℓᵢ and H_p = (1/n)Σ(1/pᵢ)∇²pᵢ, pᵢ = exp(−ℓᵢ), as operators.

For a log loss ∇²ℓ = ∇ℓ∇ℓᵀ − (1/p)∇²p, so H = M − H_p, M the second moment of the samples' gradients (Li et al. 1907.10732). H_p is the Hessian of
the mean of pᵢ/pᵢ(θ₀) = exp(ℓᵢ(θ₀) − ℓᵢ) at θ₀: no difference of H and M is taken, so the identity can be tested.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.calculus import hvp_at
from sgdsde.curvature.operator import Operator
from sgdsde.curvature.sample_operator import Batches, SampleOperator, pull
from sgdsde.curvature.source import OwnData, Piece, mode_of
from sgdsde.objective import Objective, as_objective
from sgdsde.types import as_points


class HessianOperator(SampleOperator):
    """H, by one backward pass through the graph of the gradient."""

    def record(self, point: Tensor, piece: Piece) -> tuple[Tensor, ...]:
        return torch.autograd.grad(piece.sample_loss(point).mean(1).sum(), point, create_graph=True)

    def multiply(self, point: Tensor, graph: tuple[Tensor, ...], rows: Tensor) -> Tensor:
        return pull(graph[0], point, rows[:, None, :])[:, 0]


class HPOperator(HessianOperator):
    """H_p, likewise."""

    def record(self, point: Tensor, piece: Piece) -> tuple[Tensor, ...]:
        losses = piece.sample_loss(point)
        return torch.autograd.grad((losses.detach() - losses).exp().mean(1).sum(), point, create_graph=True)


class KnownHessian(Operator):
    """H by the products that the objective itself knows in closed form (chains of linear layers, the classical objectives)."""

    def __init__(self, objective: Objective, theta: Float[Tensor, " dim"], *, label: str) -> None:
        self.objective = objective
        self.theta = as_points(theta, objective.dim)[:1].clone()
        self.dim, self.dtype, self.device, self.label = objective.dim, self.theta.dtype, self.theta.device, label
        self.mode = mode_of(objective)
        self.source = OwnData(objective, None)
        self.source.check(self.theta)
        with torch.no_grad():
            self._product = hvp_at(objective, self.theta)

    def apply(self, block: Tensor) -> Tensor:
        with torch.no_grad():
            return self._product(block.T[None])[0].T


def hessian_operator(
    objective: Objective, theta: Float[Tensor, " dim"], *, data: Batches | None = None, piece: int | None = None
) -> HessianOperator | KnownHessian:
    """H = ∇²f(θ) as an operator.

    Args:
        data: batches (inputs, targets) to take the mean over instead of the network's own data: a ``DataLoader`` or any iterable that starts anew.
        piece: samples differentiated at a time by autograd; None: closed-form products where the objective knows them, else what fits the memory.

    Raises:
        InputError: θ of the wrong shape, losses that are not finite, mode or data that change between calls, too large for the machine.

    Example:
        >>> H = sg.curvature.hessian_operator(sg.objectives.Quadratic([4.0, 1.0]), torch.zeros(2))
        >>> (H @ torch.tensor([1.0, 1.0])).tolist()
        [4.0, 1.0]
    """
    facts = as_objective(objective).facts
    known = facts.hvp_at is not None or facts.hvp is not None or facts.hessian is not None
    if known and data is None and piece is None:
        return KnownHessian(objective, theta, label="Hessian")
    return HessianOperator(objective, theta, label="Hessian", data=data, piece=piece)


def h_p_operator(objective: Objective, theta: Float[Tensor, " dim"], *, data: Batches | None = None, piece: int | None = None) -> HPOperator:
    """H_p = (1/n)Σ(1/pᵢ)∇²pᵢ, pᵢ = exp(−ℓᵢ): the probability of the label where ℓ is a log loss (cross-entropy). Then H = M − H_p.

    Args and raises: as :func:`hessian_operator`.

    Example:
        >>> x, y = torch.tensor([[1.0], [3.0]], dtype=torch.float64), torch.tensor([0, 1])
        >>> network = sg.objectives.Network(torch.nn.Linear(1, 2).double(), "cross_entropy", x, y)
        >>> v = torch.ones(4, dtype=torch.float64)
        >>> H, M, Hp = (make(network, network.flatten()) @ v for make in (
        ...     sg.curvature.hessian_operator, sg.curvature.second_moment_operator, sg.curvature.h_p_operator))
        >>> bool(torch.allclose(H, M - Hp))
        True
    """
    return HPOperator(objective, theta, label="H_p", data=data, piece=piece)
