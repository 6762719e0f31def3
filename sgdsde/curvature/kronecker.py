"""Decoupling of layer-wise Hessians (Wu, Zhu, Wu, Wang, Ge, arXiv 2010.04261): E[Mₓ ⊗ xxᵀ] ≈ E[Mₓ] ⊗ E[xxᵀ].

For a linear layer z = Wx + b with W ``[out, in]`` the block of the Gauss–Newton matrix (and, for piecewise-linear networks, of the Hessian) on vec W
(row-major, as ``nn.Linear.weight`` is stored) is E[Mₓ ⊗ xxᵀ], Mₓ = (∂o/∂z)ᵀ(∂²ℓ/∂o²)(∂o/∂z) at that sample. The conjecture replaces it by the Kronecker
product of the means. Van Loan and Pitsianis' rearrangement gives the best Kronecker product there is, the yardstick for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap

from sgdsde.curvature.operator import Kronecker
from sgdsde.objectives.network import Network
from sgdsde.types import InputError, as_points, suggest


@dataclass(frozen=True)
class Decoupling:
    """One layer's block and its Kronecker forms.

    ``block`` = E[Mₓ ⊗ xxᵀ]; ``left`` = E[Mₓ] ``[out, out]``, ``right`` = E[xxᵀ] ``[in, in]``; ``error`` = ‖block − left⊗right‖_F/‖block‖_F; ``best_error``
    the same for the nearest one, ``best_left``⊗``best_right``; ``mean_share`` = cos(E[x], v₁), v₁ the top eigenvector of E[xxᵀ], ``gap`` its λ₁/λ₂.
    """

    layer: str
    block: Float[Tensor, "p p"]
    left: Float[Tensor, "out out"]
    right: Float[Tensor, "in in"]
    error: float
    best_error: float
    mean_share: float
    gap: float
    best_left: Float[Tensor, "out out"]
    best_right: Float[Tensor, "in in"]

    @property
    def product(self) -> Kronecker:
        """E[Mₓ] ⊗ E[xxᵀ] as an operator."""
        return Kronecker(self.left, self.right, f"{self.layer}: E[M] ⊗ E[xxᵀ]")

    @property
    def best(self) -> Kronecker:
        """The nearest Kronecker product as an operator."""
        return Kronecker(self.best_left, self.best_right, f"{self.layer}: Van Loan's best Kronecker product")


def kronecker_decoupling(network: Network, theta: Float[Tensor, " dim"], layer: str) -> Decoupling:
    """The decoupling report of one ``nn.Linear`` layer (by its name in the module) at θ.

    Raises:
        InputError: no such layer, it is no ``nn.Linear``, it is frozen, tied or used twice, or its input is not ``[n, in]``.
    """
    module = network.module_at(as_points(theta, network.dim)[0])
    linear = {name: part for name, part in module.named_modules() if isinstance(part, nn.Linear)}
    if layer not in linear:
        raise InputError(f"{layer!r} is no nn.Linear of this network." + suggest(layer, list(linear)))
    weight = linear[layer].weight
    names = [name for name, part in module.named_parameters(remove_duplicate=False) if part is weight]
    if len(names) > 1:
        raise InputError(f"The weights of {layer!r} are tied ({', '.join(names)}): their block is a sum of several Kronecker means.")
    if f"{layer}.weight" not in network.names:
        raise InputError(f"The weights of {layer!r} are frozen: they are no part of θ and have no block.")
    point = as_points(theta, network.dim)[:1]
    data, targets = network.inputs.at(point), network.targets.at(point)
    x, z = _layer_input_and_output(module, linear[layer], data)
    if x.ndim != 2:
        raise InputError(f"The input of {layer!r} has shape {tuple(x.shape)}; the Kronecker form wants [n, in].")
    M = _output_curvature(network, module, layer, data, targets, z)  # [n, out, out]
    n = x.shape[0]
    outer = x[:, :, None] * x[:, None, :]  # [n, in, in]
    left, right = M.mean(0), outer.mean(0)
    rearranged = M.flatten(1).T @ outer.flatten(1) / n  # [out², in²]: Van Loan's rearrangement of the block
    out, size = left.shape[0], right.shape[0]
    block = rearranged.reshape(out, out, size, size).permute(0, 2, 1, 3).reshape(out * size, out * size)
    norm = rearranged.norm()
    U, singular, Vt = torch.linalg.svd(rearranged, full_matrices=False)
    sign = torch.sign(U[:, 0].reshape(out, out).trace())  # both factors of a positive semi-definite block are so, up to a common sign
    values, vectors = torch.linalg.eigh(right)
    mean = x.mean(0)
    return Decoupling(
        layer=layer,
        block=block,
        left=left,
        right=right,
        error=float((rearranged - left.flatten()[:, None] * right.flatten()[None, :]).norm() / norm),
        best_error=float((singular[1:] ** 2).sum().sqrt() / norm),
        mean_share=float((mean @ vectors[:, -1]).abs() / mean.norm()),
        gap=float(values[-1] / values[-2]) if size > 1 else float("inf"),
        best_left=sign * singular[0] * U[:, 0].reshape(out, out),
        best_right=sign * Vt[0].reshape(size, size),
    )


def _layer_input_and_output(module: nn.Module, layer: nn.Module, data: Tensor) -> tuple[Tensor, Tensor]:
    seen: list[Tensor] = []
    handle = layer.register_forward_hook(lambda _, inputs, output: seen.extend((inputs[0].detach(), output.detach())))
    try:
        with torch.no_grad():
            module(data)
    finally:
        handle.remove()
    if len(seen) != 2:
        raise InputError("The layer is used more than once in a forward pass; its block is then no single Kronecker mean.")
    return seen[0], seen[1]


def _output_curvature(network: Network, module: nn.Module, layer: str, data: Tensor, targets: Tensor, z: Tensor) -> Tensor:
    """Mₓ of each sample, ``[n, out, out]``: the Gauss–Newton curvature with respect to the layer's output."""
    parameters = {name: part.detach() for name, part in (*module.named_parameters(), *module.named_buffers())}
    shifted = module.get_submodule(layer)
    shift: list[Tensor] = []
    handle = shifted.register_forward_hook(lambda _, inputs, output: output + shift[-1])

    def answer(delta: Tensor, x: Tensor) -> Tensor:
        shift.append(delta)
        try:
            return functional_call(module, parameters, (x[None],))[0]
        finally:
            shift.pop()

    def curvature(x: Tensor, y: Tensor) -> Tensor:
        zero = z.new_zeros(z.shape[1])
        jacobian = jacrev(answer)(zero, x)  # [c, out]
        output = answer(zero, x)

        def loss(o: Tensor) -> Tensor:
            return network.loss_function(o[None], y[None])[0]

        H = jacrev(jacrev(loss))(output)
        return jacobian.T @ H @ jacobian

    try:
        return torch.cat([vmap(curvature)(x, y).detach() for x, y in zip(data.split(256), targets.split(256), strict=True)])
    finally:
        handle.remove()


def matricised_spectra(vectors: Float[Tensor, "p k"], rows: int) -> Float[Tensor, "k s"]:
    """Singular values (descending) of each eigenvector of a layer block reshaped to ``[rows, in]``, ``[k, min(rows, in)]``; their squares sum to |v|².

    Raises:
        InputError: the vectors do not have ``rows`` rows.
    """
    columns = vectors[:, None] if vectors.ndim == 1 else vectors
    if rows < 1 or columns.ndim != 2 or columns.shape[0] % rows:
        raise InputError(f"Vectors of shape {tuple(vectors.shape)} have no {rows} rows; wanted [rows·in, k].")
    return torch.linalg.svdvals(columns.T.reshape(columns.shape[1], rows, -1))


def matricised_rank(vector: Float[Tensor, " p"], rows: int) -> float:
    """s₁²/Σs² of an eigenvector of a layer block reshaped to ``[rows, in]``: 1 for rank one (Wu et al., section 4)."""
    return float(rank_one_shares(vector, rows)[0])


def rank_one_shares(vectors: Float[Tensor, "p k"], rows: int) -> Float[Tensor, " k"]:
    """s₁²/Σs² of each column, as :func:`matricised_rank`."""
    squares = matricised_spectra(vectors, rows) ** 2
    return squares[:, 0] / squares.sum(1)
