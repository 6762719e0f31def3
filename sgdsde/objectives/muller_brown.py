"""Müller–Brown potential: f(x, y) = s Σₖ Aₖ exp(aₖ(x−x̄ₖ)² + bₖ(x−x̄ₖ)(y−ȳₖ) + cₖ(y−ȳₖ)²), four terms.

The classical two-dimensional test of transition paths (Müller, Brown, Theor. Chim. Acta 53, 75, 1979): three minima joined through two
saddles, with a reaction path that does not follow the axes. Energies are of order 100 and curvatures of order 1000, so ``scale`` s ≪ 1 is
usual with SGD. The fourth term grows like exp(0.7r²): far outside, an iteration diverges.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sgdsde.objective import Facts, Objective, like, spread
from sgdsde.types import positive

#: columns A, a, b, c, x̄, ȳ
CONSTANTS = (
    (-200.0, -1.0, 0.0, -10.0, 1.0, 0.0),
    (-100.0, -1.0, 0.0, -10.0, 0.0, 0.5),
    (-170.0, -6.5, 11.0, -6.5, -0.5, 1.5),
    (15.0, 0.7, 0.6, 0.7, -1.0, 1.0),
)
#: stationary points by Newton's method in 40 digits, deepest minimum first; the tests check that they are stationary
MINIMA = ((-0.558223634633024277, 1.44172584180466866), (0.62349940493087651, 0.0280377585286856657), (-0.0500108229982060578, 0.466694104871972088))
SADDLES = ((-0.822001558732732097, 0.624312802814871361), (0.212486582000662007, 0.292988325107367765))
#: f at the first saddle minus f at the deepest minimum, for s = 1
BARRIER = -40.6648435086574043 + 146.699517209954014


class MullerBrown(Objective):
    """The Müller–Brown potential times ``scale``. ``facts.barrier`` is the climb out of the deepest minimum, 106.03·``scale``.

    Raises:
        InputError: ``scale`` is not a finite number > 0.

    Example:
        >>> round(sg.objectives.MullerBrown().facts.barrier, 2)
        106.03
    """

    dim = 2

    def __init__(self, *, scale: float = 1.0) -> None:
        self.scale = positive(scale, "scale")
        table = torch.tensor(CONSTANTS, dtype=torch.float64)
        self.heights = self.scale * table[:, 0]
        self.forms = torch.stack([2 * table[:, 1], table[:, 2], table[:, 2], 2 * table[:, 3]], 1).reshape(4, 2, 2)  # exponent = ½ dᵀ M d
        self.centers = table[:, 4:]
        self.facts = Facts(
            grad=self._grad, hessian=self._hessian, hvp=self._hvp, third=self._third, minima=MINIMA, saddles=SADDLES, barrier=self.scale * BARRIER
        )

    @classmethod
    def examples(cls) -> list[Objective]:
        """The classical scale and one for SGD."""
        return [cls(), cls(scale=0.01)]

    def _terms(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Each term's value ``[P, 4]`` and the gradient of its exponent ``[P, 4, 2]``."""
        offset = theta[:, None, :] - like(self.centers, theta)  # [paths, 4, 2]
        slope = (offset[:, :, None, :] @ like(self.forms, theta))[:, :, 0]  # [paths, 4, 2]
        return like(self.heights, theta) * ((slope * offset).sum(2) / 2).exp(), slope

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        return spread(self._terms(theta)[0].sum(1), batch)

    def _grad(self, theta: Tensor) -> Tensor:
        value, slope = self._terms(theta)
        return (value[:, :, None] * slope).sum(1)

    def _hessian(self, theta: Tensor) -> Tensor:
        value, slope = self._terms(theta)
        return (value[:, :, None, None] * (slope[:, :, :, None] * slope[:, :, None, :] + like(self.forms, theta))).sum(1)

    def _hvp(self, theta: Tensor, v: Tensor) -> Tensor:
        return (self._hessian(theta) @ v[:, :, None])[:, :, 0]

    def _third(self, theta: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """∂³e^E[u, v, ·] = e^E{(pᵤpᵥ + uᵀMv)p + pᵥMu + pᵤMv} with p = ∇E, pᵤ = p·u."""
        value, slope = self._terms(theta)
        forms = like(self.forms, theta)
        along_u, along_v = (slope * u[:, None]).sum(2), (slope * v[:, None]).sum(2)  # [paths, 4]
        bent_u, bent_v = (u[:, None, None] @ forms)[:, :, 0], (v[:, None, None] @ forms)[:, :, 0]  # [paths, 4, 2]
        both = along_u * along_v + (bent_u * v[:, None]).sum(2)
        inner = both[:, :, None] * slope + along_v[:, :, None] * bent_u + along_u[:, :, None] * bent_v
        return (value[:, :, None] * inner).sum(1)
