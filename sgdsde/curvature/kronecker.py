"""Decoupling of layer-wise Hessians (Wu, Zhu, Wu, Wang, Ge, arXiv 2010.04261): E[Mₓ ⊗ xxᵀ] ≈ E[Mₓ] ⊗ E[xxᵀ].

For a linear layer z = Wx + b with W ``[out, in]`` the block of the Gauss–Newton matrix (and, for piecewise-linear networks, of the Hessian) on vec W
(row-major, as ``nn.Linear.weight`` is stored) is E[Mₓ ⊗ xxᵀ], Mₓ = (∂o/∂z)ᵀ(∂²ℓ/∂o²)(∂o/∂z) at that sample. The conjecture replaces it by the Kronecker
product of the means. Its error is a covariance, E[(Mₓ − E M) ⊗ (xxᵀ − E xxᵀ)], with ‖·‖² = (1/n²)Σᵢⱼ tr(M̃ᵢM̃ⱼ)·tr(X̃ᵢX̃ⱼ): numbers that need no block.
Van Loan and Pitsianis' rearrangement R = (1/n)Σ vec Mᵢ vec(xᵢxᵢᵀ)ᵀ gives the best Kronecker product there is, by its first singular vectors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap

from sgdsde.curvature.operator import Kronecker
from sgdsde.objectives.memory import require
from sgdsde.objectives.network import Network
from sgdsde.types import InputError, as_points, suggest

#: numbers held at once, side of a rearranged block that is decomposed whole, power steps otherwise
_PIECE, _SMALL, _ITERATIONS = 2**24, 1024, 500


@dataclass(frozen=True)
class Decoupling:
    """One layer's block and its Kronecker forms.

    ``block`` = E[Mₓ ⊗ xxᵀ]; ``left`` = E[Mₓ] ``[out, out]``, ``right`` = E[xxᵀ] ``[in, in]``; ``error`` = ‖block − left⊗right‖_F/‖block‖_F; ``best_error``
    the same for the nearest one, ``best_left``⊗``best_right``; ``mean_share`` = cos(E[x], v₁), v₁ the top eigenvector of E[xxᵀ], ``gap`` its λ₁/λ₂.
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
    sample_curvature: Float[Tensor, "n out out"]
    inputs: Float[Tensor, "n in"]

    @cached_property
    def block(self) -> Float[Tensor, "p p"]:
        """E[Mₓ ⊗ xxᵀ], made when asked for.

        Raises:
            InputError: it does not fit the machine.
        """
        p = self.left.shape[0] * self.right.shape[0]
        require(2 * p * p, self.left, what=f"The block of {self.layer!r}, [{p}, {p}]", instead="Use layer_operator(gauss_newton_operator(…), …).")
        out, size = self.left.shape[0], self.right.shape[0]
        R = _rearranged(self.sample_curvature, self.inputs)
        return R.reshape(out, out, size, size).permute(0, 2, 1, 3).reshape(p, p)

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
    require(4 * x.shape[0] * z.shape[1] ** 2, x, what=f"The curvatures of {x.shape[0]} samples at the {z.shape[1]} outputs of {layer!r}",
            instead="Use a network with fewer samples.")  # fmt: skip
    M = _output_curvature(network, module, layer, data, targets, z)  # [n, out, out]
    left, right = M.mean(0), x.T @ x / len(x)
    norm = _norm(M, x)
    best_left, best_right, best_error = _best(M, x, norm)
    values, vectors = torch.linalg.eigh(right)
    mean = x.mean(0)
    return Decoupling(
        layer=layer,
        left=left,
        right=right,
        error=_error(M, x) / norm,
        best_error=best_error,
        mean_share=float((mean @ vectors[:, -1]).abs() / mean.norm()),
        gap=float(values[-1] / values[-2]) if len(values) > 1 else float("inf"),
        best_left=best_left,
        best_right=best_right,
        sample_curvature=M,
        inputs=x,
    )


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


def _best(M: Tensor, x: Tensor, norm: float) -> tuple[Tensor, Tensor, float]:
    """The factors of the nearest Kronecker product, and its relative error: R's first singular triple, of the matrix or, where large, by products."""
    out, size = M.shape[1], x.shape[1]
    if min(out, size) ** 2 <= _SMALL and (out * size) ** 2 <= _PIECE:
        U, singular, Vt = torch.linalg.svd(_rearranged(M, x), full_matrices=False)
        u, first, v = U[:, 0], singular[0], Vt[0]
        error = float((singular[1:] ** 2).sum().sqrt()) / norm
    else:
        flat, n = M.flatten(1), len(x)
        start = M.mean(0).flatten()
        u = start / start.norm()
        first = previous = u.new_zeros(())
        for _ in range(_ITERATIONS):  # R v is never formed: xᵢᵀVxᵢ for each sample, then a mean of M
            V = (x * (flat @ u / n)[:, None]).T @ x  # Rᵀu, [in, in]
            v = V.flatten() / V.norm()
            w = flat.T @ (((x @ v.reshape(size, size)) * x).sum(1)) / n  # Rv
            first = w.norm()
            u = w / first
            if abs(float(first - previous)) <= 1e-14 * float(first):
                break
            previous = first
        error = math.sqrt(max(0.0, 1 - float(first) ** 2 / norm**2))
    sign = torch.sign(u.reshape(out, out).trace())  # both factors of a positive semi-definite block are so, up to a common sign
    return sign * first * u.reshape(out, out), sign * v.reshape(size, size), error


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
