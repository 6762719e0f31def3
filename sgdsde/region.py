"""What a path leaves: a set of parameters, with its border where that is known.

A region says which points lie inside. A :class:`Bordered` region also knows its faces: signed distances (positive inside) and outward unit
normals. Watching between the ticks (``monitor="bridge"`` or ``"shift"``) needs them; watching at iterates needs ``inside`` alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sgdsde.objective import Points
from sgdsde.types import InputError, untouched


class Region(ABC):
    """A set of points. Subclasses write ``inside``; ``dim`` is None where any dimension will do.

    Example:
        >>> interval = sg.regions.Interval(-1.0, 1.0)
        >>> isinstance(interval, sg.Region), interval.inside(torch.tensor([[0.0], [2.0]])).tolist()
        (True, [True, False])
    """

    dim: int | None = None

    @abstractmethod
    def inside(self, theta: Points) -> Bool[Tensor, " paths"]:
        """Which of the points lie in the region."""

    def side(self, theta: Points) -> Int[Tensor, " paths"]:
        """Through which face a point outside has left, by the region's labels; 0 inside. Here: one face, labelled 1."""
        return (~self.inside(theta)).to(torch.long)


def checked_inside(region: Region, theta: Points) -> Bool[Tensor, " paths"]:
    """``region.inside``, once before a run.

    Raises:
        InputError: no booleans ``[P]``, or the points were changed in place.
    """
    with untouched(theta, f"{type(region).__name__}.inside"):
        mask = region.inside(theta)
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool or mask.shape != theta.shape[:1]:
        came = f"{mask.dtype} {tuple(mask.shape)}" if isinstance(mask, Tensor) else type(mask).__name__
        raise InputError(f"{type(region).__name__}.inside returned {came} for {theta.shape[0]} points; wanted torch.bool [{theta.shape[0]}], true inside.")
    return mask


class Bordered(Region):
    """A region with F faces, each with a signed distance and a normal; a point is inside where all distances are positive.

    ``labels`` names the faces in ``ExitTimes.sides``. Distances and normals need be right near the border only (first order elsewhere).
    """

    labels: tuple[int, ...] = (1,)
    #: pairs of faces that are parallel and face each other (the two ends of an interval): a path cannot cross both for the first time
    opposite: tuple[tuple[int, int], ...] = ()

    @abstractmethod
    def distances(self, theta: Points) -> Float[Tensor, "paths faces"]:
        """Signed distance to each face, positive inside."""

    @abstractmethod
    def normals(self, theta: Points) -> Float[Tensor, "paths faces dim"]:
        """Outward unit normal of each face at its point nearest to ``theta``."""

    def side(self, theta: Points) -> Int[Tensor, " paths"]:
        """The label of the face that a point outside lies farthest beyond; 0 inside."""
        worst, face = self.distances(theta).min(1)
        labels = torch.tensor(self.labels, device=theta.device)[face]
        return torch.where(worst > 0, torch.zeros_like(labels), labels)
