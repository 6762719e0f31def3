"""Gauss–Newton, second moment and covariance: (1/n)Σ JᵢᵀAᵢJᵢ with J the Jacobian of some outputs and A acting on them.

- Gauss–Newton G = (1/n)ΣJᵢᵀ(∂²ℓᵢ/∂z²)Jᵢ, J of the network's outputs z; H − G = (1/n)Σ(∂ℓᵢ/∂z)·∂²zᵢ;
- second moment M = (1/n)Σgᵢgᵢᵀ: J of the sample losses, A = 1;
- its centred form Σ₁ = M − ggᵀ, the covariance of one sample's gradient; divided by B that of a minibatch (times (n−B)/(n−1) without replacement).

J times a vector is had by transposing twice: Jᵀu is linear in u, and its own transpose is J, so no forward mode is needed. Sagun et al. 1706.04454.
"""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.curvature.operator import Operator
from sgdsde.curvature.sample_operator import Batches, SampleOperator, pull
from sgdsde.curvature.source import Piece
from sgdsde.given import is_whole
from sgdsde.objective import Objective, as_objective
from sgdsde.objectives.network import Network
from sgdsde.types import InputError


class SandwichOperator(SampleOperator):
    """(1/n) Jᵀ A J."""

    @abstractmethod
    def recorded(self, point: Tensor, piece: Piece) -> tuple[Tensor, tuple[Tensor, ...]]:
        """What is differentiated, ``[1, count, …]``, and what A needs."""

    @abstractmethod
    def middle(self, extra: tuple[Tensor, ...], tangents: Tensor) -> Tensor:
        """A applied to k tangents ``[k, 1, count, …]``."""

    def record(self, point: Tensor, piece: Piece) -> tuple[Tensor, ...]:
        outputs, extra = self.recorded(point, piece)
        dummy = torch.zeros_like(outputs, requires_grad=True)
        if not outputs.requires_grad:  # outputs that do not depend on θ
            return (outputs, dummy, outputs.new_zeros(point.shape), *extra)
        (transposed,) = torch.autograd.grad(outputs, point, dummy, create_graph=True)  # Jᵀu, linear in u
        return (outputs, dummy, transposed, *extra)

    def multiply(self, point: Tensor, graph: tuple[Tensor, ...], rows: Tensor) -> Tensor:
        outputs, dummy, transposed, *extra = graph
        tangents = pull(transposed, dummy, rows[:, None, :])  # Jv
        return pull(outputs, point, self.middle(tuple(extra), tangents))[:, 0] / outputs.shape[1]


class SecondMomentOperator(SandwichOperator):
    """M: J is the Jacobian of the sample losses, A the identity."""

    def recorded(self, point: Tensor, piece: Piece) -> tuple[Tensor, tuple[Tensor, ...]]:
        return piece.sample_loss(point), ()

    def middle(self, extra: tuple[Tensor, ...], tangents: Tensor) -> Tensor:
        return tangents


class GaussNewtonOperator(SandwichOperator):
    """G: J is the Jacobian of the outputs, A = ∂²ℓ/∂z² sample by sample."""

    def recorded(self, point: Tensor, piece: Piece) -> tuple[Tensor, tuple[Tensor, ...]]:
        outputs = piece.outputs(point)
        answer = outputs.detach().requires_grad_(True)
        (slope,) = torch.autograd.grad(piece.loss_of(answer[0]).sum(), answer, create_graph=True)
        return outputs, (answer, slope)

    def middle(self, extra: tuple[Tensor, ...], tangents: Tensor) -> Tensor:
        answer, slope = extra
        return pull(slope, answer, tangents)


class CovarianceOperator(Operator):
    """Σ = factor·(M − ggᵀ), factor 1/B (times (n−B)/(n−1) without replacement)."""

    def __init__(self, moment: SecondMomentOperator, factor: float, label: str) -> None:
        self.moment, self.factor, self.label, self.mode = moment, factor, label, moment.mode
        self.dim, self.dtype, self.device, self.chunk = moment.dim, moment.dtype, moment.device, moment.chunk
        self.source, self.memory = moment.source, moment.memory
        total = torch.zeros_like(moment.theta)
        for piece in moment.source.pieces(moment.theta):
            with torch.enable_grad():
                point = moment.theta.clone().requires_grad_(True)
                loss = piece.sample_loss(point).sum() / moment.source.n
            total += torch.autograd.grad(loss, point)[0]
        #: g = ∇f(θ)
        self.gradient = total[0]

    def apply(self, block: Tensor) -> Tensor:
        return self.factor * (self.moment @ block - self.gradient[:, None] * (self.gradient @ block))


def second_moment_operator(
    objective: Objective, theta: Float[Tensor, " dim"], *, data: Batches | None = None, piece: int | None = None
) -> SecondMomentOperator:
    """M = (1/n)Σgᵢgᵢᵀ.

    Args and raises: as :func:`~sgdsde.curvature.hessian_operator`; besides, an objective whose samples do not stand apart (BatchNorm in training
    mode): it has no gradient of one sample.

    Example:
        >>> line = sg.objectives.SharedCurvature([1.0], [[-1.0], [1.0]])
        >>> M = sg.curvature.second_moment_operator(line, torch.tensor([2.0], dtype=torch.float64))
        >>> (M @ torch.ones(1, dtype=torch.float64)).item()  # gradients 3 and 1: (9 + 1)/2
        5.0
    """
    if not as_objective(objective).separable:
        raise InputError(f"The loss is no mean of separate losses ({objective.mode}): a sample has no gradient of its own. Freeze BatchNorm: module.eval().")
    return SecondMomentOperator(objective, theta, label="second moment", data=data, piece=piece)


def covariance_operator(
    objective: Objective,
    theta: Float[Tensor, " dim"],
    *,
    batch_size: int | None = None,
    replacement: bool = True,
    data: Batches | None = None,
    piece: int | None = None,
) -> CovarianceOperator:
    """The gradient covariance: of one sample where ``batch_size`` is None, else Σ of minibatches with or without replacement.

    Raises:
        InputError: B < 1, B > n without replacement, one sample only, or as :func:`second_moment_operator`.

    Example:
        >>> line = sg.objectives.SharedCurvature([1.0], [[-1.0], [1.0]])
        >>> one = sg.curvature.covariance_operator(line, torch.zeros(1, dtype=torch.float64))
        >>> batch = sg.curvature.covariance_operator(line, torch.zeros(1, dtype=torch.float64), batch_size=2)
        >>> v = torch.ones(1, dtype=torch.float64)
        >>> (one @ v).item(), (batch @ v).item()  # gradients ±1; a batch of two halves it
        (1.0, 0.5)
    """
    moment = second_moment_operator(objective, theta, data=data, piece=piece)
    n = moment.source.n
    if n < 2 or (batch_size is not None and not is_whole(batch_size, 1, math.inf if replacement else n)):
        raise InputError(f"batch_size = {batch_size} with n = {n} samples has no gradient covariance; wanted n ≥ 2 and 1 ≤ B (≤ n without replacement).")
    factor = 1.0 if batch_size is None else (1.0 if replacement else (n - batch_size) / (n - 1)) / batch_size
    label = "gradient covariance" + ("" if batch_size is None else f", B = {batch_size}, {'with' if replacement else 'without'} replacement")
    return CovarianceOperator(moment, factor, label)


def gauss_newton_operator(network: Network, theta: Float[Tensor, " dim"], *, data: Batches | None = None, piece: int | None = None) -> GaussNewtonOperator:
    """G of a network at θ.

    Raises:
        InputError: the objective is no :class:`Network` (it has no outputs to split the loss at), or as :func:`~sgdsde.curvature.hessian_operator`.

    Example:
        >>> x = torch.tensor([[1.0], [3.0]], dtype=torch.float64)
        >>> network = sg.objectives.Network(torch.nn.Linear(1, 1, bias=False).double(), "mse", x, 0 * x)
        >>> v = torch.ones(1, dtype=torch.float64)
        >>> G = sg.curvature.gauss_newton_operator(network, network.flatten())
        >>> H = sg.curvature.hessian_operator(network, network.flatten())
        >>> round((G @ v).item() / (H @ v).item(), 9)  # a linear model has no other part
        1.0
    """
    if not isinstance(network, Network):
        raise InputError(f"{type(network).__name__} has no outputs between θ and the loss; wanted sg.objectives.Network. (For linear models G = H.)")
    return GaussNewtonOperator(network, theta, label="Gauss–Newton", data=data, piece=piece)
