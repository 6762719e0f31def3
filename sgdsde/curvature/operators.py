"""The curvature and noise operators of an objective at one point θ.

With ℓᵢ the sample losses, z_i the network's outputs and Jᵢ = ∂zᵢ/∂θ:

- Hessian H = (1/n)Σ∇²ℓᵢ;
- Gauss–Newton G = (1/n)ΣJᵢᵀ(∂²ℓᵢ/∂z²)Jᵢ, H − G = (1/n)Σ(∂ℓᵢ/∂z)·∂²zᵢ;
- second moment M = (1/n)Σgᵢgᵢᵀ, and its centred form, the covariance Σ₁ = M − ggᵀ of one sample's gradient (divided by B: minibatches).

Each keeps the graph of one evaluation per piece of the data and multiplies by backward passes through it, several vectors at once. Sagun et al.
1706.04454; Li et al. 1907.10732.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.curvature.operator import Block, Operator
from sgdsde.objective import Objective
from sgdsde.objectives.network import Network
from sgdsde.types import InputError, as_points

#: samples whose graph is kept at once
PIECE = 4096


class SampleOperator(Operator):
    """An operator that is a mean over samples, evaluated in pieces of the data.

    Raises:
        InputError: θ does not fit the objective; the objective answers differently when asked twice (its mode or data change between calls).
    """

    def __init__(self, objective: Objective, theta: Float[Tensor, " dim"], *, piece: int, label: str) -> None:
        self.objective = objective
        self.theta = as_points(theta, objective.dim)[:1].clone()
        self.dim, self.dtype, self.device, self.label = objective.dim, self.theta.dtype, self.theta.device, label
        indices = torch.arange(objective.n, device=self.device)
        self.pieces = [None] if objective.n <= piece else list(indices.split(piece))
        with torch.no_grad():
            first, again = (objective.sample_loss(self.theta, self._batch(self.pieces[0])) for _ in range(2))
        if not torch.equal(first, again):
            raise InputError("The objective's losses differ between two calls at the same point: its mode or its data are random. Freeze them (module.eval()).")
        self._graphs: dict[int, tuple[Tensor, ...]] = {}

    @abstractmethod
    def record(self, point: Float[Tensor, "1 dim"], batch: Tensor | None) -> tuple[Tensor, ...]:
        """Build the graph at ``point`` for one piece."""

    @abstractmethod
    def multiply(self, point: Tensor, graph: tuple[Tensor, ...], rows: Float[Tensor, "k dim"]) -> Float[Tensor, "k dim"]:
        """The products of this piece's mean with k vectors."""

    def apply(self, block: Tensor) -> Tensor:
        rows = block.T.contiguous()
        total = torch.zeros_like(rows)
        for number, piece in enumerate(self.pieces):
            point, *graph = self._graph(number, piece)
            share = 1.0 if piece is None else piece.numel() / self.objective.n
            total += share * self.multiply(point, tuple(graph), rows)
        return total.T

    def _graph(self, number: int, piece: Tensor | None) -> tuple[Tensor, ...]:
        if number in self._graphs:
            return self._graphs[number]
        with torch.enable_grad():
            point = self.theta.clone().requires_grad_(True)
            graph = (point, *self.record(point, self._batch(piece)))
        if len(self.pieces) == 1:  # the graphs of all pieces together need not fit in memory
            self._graphs[number] = graph
        return graph

    @staticmethod
    def _batch(piece: Tensor | None) -> Tensor | None:
        return None if piece is None else piece[None]


def _pull(outputs: Tensor, inputs: Tensor, cotangents: Tensor) -> Tensor:
    """Cotangents ``[k, *outputs]`` pulled back to ``[k, *inputs]`` in one batched backward pass."""
    if not outputs.requires_grad:
        return inputs.new_zeros(cotangents.shape[0], *inputs.shape)
    (result,) = torch.autograd.grad(outputs, inputs, cotangents, retain_graph=True, is_grads_batched=True, allow_unused=True)
    return inputs.new_zeros(cotangents.shape[0], *inputs.shape) if result is None else result.detach()


class HessianOperator(SampleOperator):
    """H, by one backward pass through the graph of the gradient."""

    def record(self, point: Tensor, batch: Tensor | None) -> tuple[Tensor, ...]:
        return torch.autograd.grad(self.objective.sample_loss(point, batch).mean(1).sum(), point, create_graph=True)

    def multiply(self, point: Tensor, graph: tuple[Tensor, ...], rows: Tensor) -> Tensor:
        return _pull(graph[0], point, rows[:, None, :])[:, 0]


class SandwichOperator(SampleOperator):
    """(1/n) Jᵀ A J with J the Jacobian of some outputs and A acting on them: J by transposing twice, so no forward mode is needed."""

    @abstractmethod
    def outputs(self, point: Tensor, batch: Tensor | None) -> Tensor:
        """What is differentiated, ``[1, n, …]``."""

    @abstractmethod
    def middle(self, extra: tuple[Tensor, ...], tangents: Tensor) -> Tensor:
        """A applied to k tangents ``[k, 1, n, …]``."""

    @abstractmethod
    def extras(self, outputs: Tensor, batch: Tensor | None) -> tuple[Tensor, ...]:
        """What A needs."""

    def record(self, point: Tensor, batch: Tensor | None) -> tuple[Tensor, ...]:
        outputs = self.outputs(point, batch)
        dummy = torch.zeros_like(outputs, requires_grad=True)
        (transposed,) = torch.autograd.grad(outputs, point, dummy, create_graph=True)  # Jᵀu, linear in u
        return (outputs, dummy, transposed, *self.extras(outputs, batch))

    def multiply(self, point: Tensor, graph: tuple[Tensor, ...], rows: Tensor) -> Tensor:
        outputs, dummy, transposed, *extra = graph
        tangents = _pull(transposed, dummy, rows[:, None, :])  # Jv
        return _pull(outputs, point, self.middle(tuple(extra), tangents))[:, 0] / outputs.shape[1]


class SecondMomentOperator(SandwichOperator):
    """M = (1/n)Σgᵢgᵢᵀ: J is the Jacobian of the sample losses, A the identity."""

    def outputs(self, point: Tensor, batch: Tensor | None) -> Tensor:
        return self.objective.sample_loss(point, batch)

    def extras(self, outputs: Tensor, batch: Tensor | None) -> tuple[Tensor, ...]:
        return ()

    def middle(self, extra: tuple[Tensor, ...], tangents: Tensor) -> Tensor:
        return tangents


class CovarianceOperator(Operator):
    """Σ = factor·(M − ggᵀ), factor 1/B (times (n−B)/(n−1) without replacement)."""

    def __init__(self, moment: SecondMomentOperator, factor: float, label: str) -> None:
        self.moment, self.factor, self.label = moment, factor, label
        self.dim, self.dtype, self.device, self.chunk = moment.dim, moment.dtype, moment.device, moment.chunk
        total = torch.zeros_like(moment.theta)
        for piece in moment.pieces:
            with torch.enable_grad():
                point = moment.theta.clone().requires_grad_(True)
                loss = moment.objective.sample_loss(point, moment._batch(piece)).sum() / moment.objective.n
            total += torch.autograd.grad(loss, point)[0]
        self.gradient = total[0]

    def apply(self, block: Tensor) -> Tensor:
        return self.factor * (self.moment @ block - self.gradient[:, None] * (self.gradient @ block))


class GaussNewtonOperator(SandwichOperator):
    """G of a network: J is the Jacobian of the outputs, A = ∂²ℓ/∂z² sample by sample."""

    objective: Network

    def outputs(self, point: Tensor, batch: Tensor | None) -> Tensor:
        inputs = None if batch is None else self.objective.inputs.rows(point, batch[0])
        return self.objective.outputs(point, inputs)

    def extras(self, outputs: Tensor, batch: Tensor | None) -> tuple[Tensor, ...]:
        targets = self.objective.targets.at(self.theta) if batch is None else self.objective.targets.rows(self.theta, batch[0])
        answer = outputs.detach().requires_grad_(True)
        losses = self.objective.loss_function(answer[0], targets)
        (slope,) = torch.autograd.grad(losses.sum(), answer, create_graph=True)
        return (answer, slope)

    def middle(self, extra: tuple[Tensor, ...], tangents: Tensor) -> Tensor:
        answer, slope = extra
        return _pull(slope, answer, tangents)


class HPOperator(HessianOperator):
    """H_p = (1/n)Σ(1/pᵢ)∇²pᵢ with ℓᵢ = −log pᵢ: the Hessian of the mean of pᵢ/pᵢ(θ₀) = exp(ℓᵢ(θ₀) − ℓᵢ) at θ₀."""

    def record(self, point: Tensor, batch: Tensor | None) -> tuple[Tensor, ...]:
        losses = self.objective.sample_loss(point, batch)
        return torch.autograd.grad((losses.detach() - losses).exp().mean(1).sum(), point, create_graph=True)


def hessian_operator(objective: Objective, theta: Float[Tensor, " dim"], *, piece: int = PIECE) -> HessianOperator:
    """H = ∇²f(θ) as an operator; ``piece`` samples are differentiated at a time.

    Raises:
        InputError: θ of the wrong shape, or an objective that answers differently when asked twice.
    """
    return HessianOperator(objective, theta, piece=piece, label="Hessian")


def h_p_operator(objective: Objective, theta: Float[Tensor, " dim"], *, piece: int = PIECE) -> HPOperator:
    """H_p = (1/n)Σ(1/pᵢ)∇²pᵢ, pᵢ = exp(−ℓᵢ): the probability of the label where ℓ is a log loss (cross-entropy). Then H = M − H_p (Li et al. 1907.10732).

    Raises:
        InputError: as :func:`hessian_operator`.
    """
    return HPOperator(objective, theta, piece=piece, label="H_p")


def second_moment_operator(objective: Objective, theta: Float[Tensor, " dim"], *, piece: int = PIECE) -> SecondMomentOperator:
    """M = (1/n)Σgᵢgᵢᵀ. Raises: as :func:`hessian_operator`."""
    return SecondMomentOperator(objective, theta, piece=piece, label="second moment")


def covariance_operator(
    objective: Objective, theta: Float[Tensor, " dim"], *, batch_size: int | None = None, replacement: bool = True, piece: int = PIECE
) -> CovarianceOperator:
    """The gradient covariance: of one sample where ``batch_size`` is None, else Σ of minibatches with or without replacement.

    Raises:
        InputError: B < 1, B > n without replacement, one sample only, or as :func:`hessian_operator`.
    """
    n = objective.n
    if n < 2 or (batch_size is not None and (batch_size < 1 or (not replacement and batch_size > n))):
        raise InputError(f"batch_size = {batch_size} with n = {n} samples has no gradient covariance; wanted n ≥ 2 and 1 ≤ B (≤ n without replacement).")
    factor = 1.0 if batch_size is None else (1.0 if replacement else (n - batch_size) / (n - 1)) / batch_size
    label = "gradient covariance" + ("" if batch_size is None else f", B = {batch_size}, {'with' if replacement else 'without'} replacement")
    return CovarianceOperator(second_moment_operator(objective, theta, piece=piece), factor, label)


def gauss_newton_operator(network: Network, theta: Float[Tensor, " dim"], *, piece: int = PIECE) -> GaussNewtonOperator:
    """G of a network at θ.

    Raises:
        InputError: the objective is no :class:`Network` (it has no outputs to split the loss at), or as :func:`hessian_operator`.
    """
    if not isinstance(network, Network):
        raise InputError(f"{type(network).__name__} has no outputs between θ and the loss; wanted sg.objectives.Network. (For linear models G = H.)")
    return GaussNewtonOperator(network, theta, piece=piece, label="Gauss–Newton")


def layer_blocks(network: Network) -> dict[str, slice]:
    """The range of each parameter tensor in θ, by its name (``0.weight``, ``0.bias`` …)."""
    blocks, start = {}, 0
    for name, size in zip(network.names, network.sizes, strict=True):
        blocks[name] = slice(start, start + size)
        start += size
    return blocks


def block_operator(operator: Operator, part: slice) -> Block:
    """The principal block of an operator on a range of parameters, for instance ``layer_blocks(network)["0.weight"]``."""
    return Block(operator, part)
