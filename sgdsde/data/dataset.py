"""What a data set is: inputs, targets, and where they come from.

``digest`` is the SHA-256 of the source (the bytes on which everything rests); ``name`` says what was done to it since, step by step. Together
they fix the numbers, up to the rounding of linear algebra.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from sgdsde.given import is_whole
from sgdsde.types import InputError


@dataclass(frozen=True)
class Data:
    """Inputs ``x [n, features]`` and targets ``y``: labels ``[n]`` in 0…classes−1, or real values where ``classes`` is None.

    ``shape`` is that of one input before it was flattened, ``(channels, height, width)`` of an image; () once its features are no pixels any more.

    Raises:
        InputError: empty data, mismatched lengths, NaN, labels outside the classes.
    """

    x: Float[Tensor, "n features"]
    y: Shaped[Tensor, "n ..."]
    classes: int | None
    name: str
    digest: str
    shape: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.x.ndim != 2 or self.x.numel() == 0:
            raise InputError(f"x has shape {tuple(self.x.shape)}: empty data or wrong shape; wanted [n, features].")
        if self.y.ndim == 0 or self.y.shape[0] != self.x.shape[0]:
            raise InputError(f"x and y have mismatched lengths: {self.x.shape[0]} samples, y of shape {tuple(self.y.shape)}.")
        for part, values in (("x", self.x), ("y", self.y)):
            if values.is_floating_point() and not bool(torch.isfinite(values).all()):
                raise InputError(f"{part} holds NaN or infinity.")
        if self.classes is not None and (self.y.is_floating_point() or int(self.y.min()) < 0 or int(self.y.max()) >= self.classes):
            raise InputError(f"labels outside the classes: wanted integers 0…{self.classes - 1}, came {self.y.min().item()} to {self.y.max().item()}.")

    def __len__(self) -> int:
        return self.x.shape[0]

    def take(self, count: int) -> Data:
        """The first ``count`` samples, in the order of the source."""
        if not is_whole(count, 1, len(self)):
            raise InputError(f"count = {count!r}; wanted an integer in 1…{len(self)}, the number of samples of {self.name}.")
        return replace(self, x=self.x[:count], y=self.y[:count], name=f"{self.name}, first {count}")

    def only(self, classes: Sequence[int]) -> Data:
        """The samples of some classes, relabelled 0, 1, … in the order given."""
        chosen = self._chosen(classes)
        if len(chosen) < 2:
            raise InputError(f"classes = {list(classes)}; wanted two or more.")
        label = torch.full((self.classes or 0,), -1)
        label[torch.tensor(chosen)] = torch.arange(len(chosen))
        labels = label.to(self.y.device)[self.y]
        kept = labels >= 0
        if not bool(kept.any()):
            raise InputError(f"{self.name} has no sample of the classes {chosen}: empty data.")
        return replace(self, x=self.x[kept], y=labels[kept], classes=len(chosen), name=f"{self.name}, classes {chosen}")

    def against(self, positive: Sequence[int]) -> Data:
        """All samples as a two-class problem: label 1 for the classes in ``positive``, 0 for the others."""
        chosen = self._chosen(positive)
        if not 0 < len(chosen) < (self.classes or 0):
            raise InputError(f"positive = {list(positive)}; wanted some of the {self.classes} classes, not none and not all.")
        labels = torch.isin(self.y, torch.tensor(chosen, device=self.y.device)).long()
        return replace(self, y=labels, classes=2, name=f"{self.name}, classes {chosen} against the rest")

    def standardized(self) -> Data:
        """Each feature with mean 0 and variance 1 over these samples; constant features become 0."""
        centred = self.x - self.x.mean(0)
        deviation = centred.square().mean(0).sqrt()
        constant = deviation <= 1e-12 * self.x.abs().amax(0)
        x = torch.where(constant, torch.zeros_like(centred), centred / torch.where(constant, torch.ones_like(deviation), deviation))
        return replace(self, x=x, name=f"{self.name}, standardized")

    def projected(self, components: int) -> Data:
        """Centred and projected on the leading ``components`` principal axes of these samples; each axis's largest entry is positive."""
        features = self.x.shape[1]
        if not is_whole(components, 1, features):
            raise InputError(f"components = {components!r}; wanted an integer in 1…{features}, the number of features of {self.name}.")
        centred = self.x - self.x.mean(0)
        if components < len(self) < features:  # few images of many pixels: their span is smaller than the space
            axes = torch.linalg.svd(centred, full_matrices=False).Vh[:components].T
        else:
            axes = torch.linalg.eigh(centred.T @ centred).eigenvectors.flip(1)[:, :components]  # [features, components]
        signs = axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()
        return replace(self, x=centred @ (axes * signs), shape=(), name=f"{self.name}, {components} principal components")

    def images(self) -> Float[Tensor, "n channels height width"]:
        """x as images, for convolutions.

        Raises:
            InputError: the features are no pixels (any more).
        """
        if not self.shape:
            raise InputError(f"{self.name}: its features are no pixels; take the data before projection.")
        return self.x.reshape(len(self), *self.shape)

    def _chosen(self, classes: Sequence[int]) -> list[int]:
        if self.classes is None:
            raise InputError(f"{self.name} has real targets, no classes to choose from.")
        chosen = [int(c) for c in classes]
        if len(set(chosen)) != len(chosen) or any(not 0 <= c < self.classes for c in chosen):
            raise InputError(f"classes = {list(classes)}; wanted different labels among 0…{self.classes - 1}.")
        return chosen


def digest_of(*parts: bytes) -> str:
    """SHA-256 of the parts, one after the other, as hexadecimal digits."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
