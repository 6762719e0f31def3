"""Linear steps with counter-based normals, many in one call: the formula on tensors, and what computes it faster where something does.

    diagonal:  x⁺_c = (F_c x_c + s_c) + G_c z_c
    dense:     x⁺_i = s_i + F_i0 x_0 + … + F_i,d−1 x_d−1 + G_i0 z_0 + … + G_i,m−1 z_m−1,  added in this order,      z = z(key, step, path)

In this order on every CPU, compiled or not, for any block and any company, to the last digit; G holds √dt. On a CUDA device with Triton the fused kernels
(:mod:`.fused`, :mod:`.fused_dense`) give the same numbers to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from jaxtyping import Float
from torch import Tensor

from sgdsde import compiled
from sgdsde.counter import Key, counter_normals
from sgdsde.kernels.euler_maruyama import EulerMaruyama
from sgdsde.kernels.integrator import Integrator
from sgdsde.kernels.linear import AffineStep
from sgdsde.kernels.sgd import SGD
from sgdsde.noises.gaussian import Gaussian
from sgdsde.sdes.sme1 import SME1

#: dimensions up to which a dense step's matrices stay in the registers of a GPU's program, and in a few lines of a CPU's cache
DENSE = 16

Matrix = Float[Tensor, "dim any"]


@dataclass(frozen=True)
class CountedLinear:
    """The step of a linear kernel in the points' dtype and on their device: F and G ``[dim]`` where both are diagonal, else ``[dim, dim]``, ``[dim, m]``."""

    F: Tensor
    s: Tensor
    G: Tensor
    diagonal: bool

    def __call__(self, x: Tensor, paths: Tensor, *, key: Key, first_step: int, steps: int) -> Tensor:
        """``steps`` steps of the ``paths`` (ascending) at ``x``, which is left alone."""
        quick = _fastest(x, paths, self.diagonal)
        if quick is not None:
            where = {"key": key, "first_step": first_step, "steps": steps}
            if x.shape[1] == 1 and self.diagonal:
                return _two_by_two(quick, x, self, int(paths[0]), where)
            return quick(x, self.F, self.s, self.G, first_path=int(paths[0]), **where)
        one = diagonal_step if self.diagonal else dense_step
        for step in range(first_step, first_step + steps):
            x = one(x, self.F, self.s, self.G, counter_normals(key, step, paths, self.G.shape[-1], dtype=x.dtype))
        return x


def diagonal_step(x: Tensor, F: Tensor, s: Tensor, G: Tensor, z: Tensor) -> Tensor:
    """(F x + s) + G z, each operation rounded by itself."""
    return (x * F).add_(s).add_(z * G)


def dense_step(x: Tensor, F: Tensor, s: Tensor, G: Tensor, z: Tensor) -> Tensor:
    """s + F x + G z, added column after column: a matrix product would round otherwise in another block."""
    moved = s.expand_as(x).clone()
    for factor, along in ((F, x), (G, z)):
        for j in range(factor.shape[1]):
            moved.add_(along[:, j, None] * factor[:, j])
    return moved


def counted_linear(kernel: Any, theta: Tensor) -> CountedLinear | None:
    """The linear step of an integrator, or of SGD with constant Gaussian noise on a quadratic, if it is element-wise or small; else None."""
    step = _affine(kernel)
    if step is None or not kernel.noise_dim or not (step.diagonal or max(kernel.dim, kernel.noise_dim) <= DENSE):
        return None
    F, s, G = (part.to(theta) for part in (step.F, step.s, step.G * kernel.dt**0.5))
    return CountedLinear(F.diagonal(), s, G.diagonal(), True) if step.diagonal else CountedLinear(F.contiguous(), s, G.contiguous(), False)


def _affine(kernel: Any) -> AffineStep | None:
    if isinstance(kernel, Integrator):
        return kernel._linear
    if type(kernel) is SGD and type(kernel.noise) is Gaussian:  # with Gaussian noise SGD is Euler–Maruyama on SME-1, one step a tick
        return EulerMaruyama(SME1(kernel.noise, kernel.eta), kernel.eta).affine_step()
    return None


def _fastest(x: Tensor, paths: Tensor, diagonal: bool) -> Any:
    """What takes the steps in one go: it wants neighbours."""
    if x.is_cuda and find_spec("triton") is not None and _neighbours(paths):
        from sgdsde.kernels.fused import linear_steps
        from sgdsde.kernels.fused_dense import dense_steps

        return linear_steps if diagonal else dense_steps
    if x.device.type == "cpu" and compiled.available() and _neighbours(paths):
        from sgdsde.compiled.dense_steps import dense_steps
        from sgdsde.compiled.linear_steps import linear_steps

        return linear_steps if diagonal else dense_steps
    return None


def _two_by_two(quick: Any, x: Tensor, step: CountedLinear, first: int, where: dict[str, Any]) -> Tensor:
    """One dimension, where two paths share a word: as paths of two coordinates."""
    skip, twice = first % 2, (part.expand(2) for part in (step.F, step.s, step.G))
    both = x.new_zeros((skip + len(x) + 1) // 2, 2)
    both.view(-1)[skip : skip + len(x)] = x[:, 0]
    return quick(both, *twice, first_path=first // 2, **where).view(-1, 1)[skip : skip + len(x)]


def _neighbours(paths: Tensor) -> bool:
    return int(paths[-1] - paths[0]) + 1 == len(paths)
