"""Cosine wells of a given width and height: f(x) = (h/2)(1 − cos(πx/w)). Minimum 0, tops ±w, barrier h, curvature ±hπ²/(2w²).

Width and height are set independently of each other, and |f″| is bounded, so that gradient descent from anywhere comes to rest (a heavy-tailed jump into
the far wall of a quartic well would be answered by a step that overshoots and diverges).
"""

from __future__ import annotations

import math

from torch import Tensor

from sgdsde.objective import Facts, Objective, spread
from sgdsde.types import positive


class CosineWell(Objective):
    """(``height``/2)(1 − cos(πx/``width``)) in one dimension; ``width`` is the distance from the minimum to either top.

    Raises:
        InputError: width or height is not positive and finite.

    Example:
        >>> well = sg.objectives.CosineWell(width=2.0, height=3.0)
        >>> [round(well.loss(torch.tensor([[x]], dtype=torch.float64)).item(), 9) for x in (0.0, 2.0)]
        [0.0, 3.0]
    """

    dim = 1

    def __init__(self, *, width: float = 1.0, height: float = 1.0) -> None:
        self.width, self.height = positive(width, "width"), positive(height, "height")
        self.facts = Facts(
            grad=self._grad,
            hessian=self._hessian,
            hvp=self._hvp,
            third=self._third,
            minima=((0.0,),),
            saddles=((-self.width,), (self.width,)),
            barrier=self.height,
        )

    @classmethod
    def examples(cls) -> list[Objective]:
        """The unit well, and a wide shallow one."""
        return [cls(), cls(width=3.0, height=0.4)]

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        return spread(self.height / 2 * (1 - (self._rate * theta[:, 0]).cos()), batch)

    @property
    def _rate(self) -> float:
        return math.pi / self.width

    def _grad(self, theta: Tensor) -> Tensor:
        return self.height / 2 * self._rate * (self._rate * theta).sin()

    def _hessian(self, theta: Tensor) -> Tensor:
        return (self.height / 2 * self._rate**2 * (self._rate * theta).cos())[:, :, None]

    def _hvp(self, theta: Tensor, v: Tensor) -> Tensor:
        return self.height / 2 * self._rate**2 * (self._rate * theta).cos() * v

    def _third(self, theta: Tensor, u: Tensor, v: Tensor) -> Tensor:
        return -self.height / 2 * self._rate**3 * (self._rate * theta).sin() * u * v
