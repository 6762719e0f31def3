"""Data from a seed: Gaussian blobs, and teachers whose answers are known.

A teacher draws x ~ N(0, I) and weights w, and answers y = xᵀw + noise (regression) or P(y = 1) = σ(xᵀw) (classification). The same seed gives the
same data on every machine with the same PyTorch.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sgdsde.data.dataset import Data, digest_of
from sgdsde.given import is_whole
from sgdsde.rng import stream
from sgdsde.types import InputError


def blobs(seed: int, *, classes: int = 2, dim: int = 2, count: int = 200, separation: float = 3.0) -> Data:
    """``classes`` unit Gaussian clouds around centres drawn from N(0, separation²/2·I); sample i belongs to class i mod ``classes``.

    Raises:
        InputError: a number out of range.
    """
    _counts(classes=classes, dim=dim, count=count)
    if classes < 2 or count < classes:
        raise InputError(f"classes = {classes} and count = {count}; wanted two classes or more and a sample of each.")
    _scale("separation", separation)
    generator = stream(seed, "blobs")
    centres = separation / math.sqrt(2) * torch.randn(classes, dim, generator=generator, dtype=torch.float64)
    labels = torch.arange(count) % classes
    x = centres[labels] + torch.randn(count, dim, generator=generator, dtype=torch.float64)
    return _made(x, labels, classes, f"blobs (seed {seed}, {classes} classes, dim {dim}, separation {separation:g})")


def linear_teacher(seed: int, *, dim: int = 5, count: int = 100, noise: float = 0.1, nonzero: int | None = None) -> Data:
    """Regression: y = xᵀw + ``noise``·N(0, 1), w ~ N(0, I/k) on its first k = ``nonzero`` coordinates (None: all), 0 on the others.

    Raises:
        InputError: a number out of range.
    """
    k = dim if nonzero is None else nonzero
    _counts(dim=dim, count=count, nonzero=k)
    if k > dim:
        raise InputError(f"nonzero = {k} exceeds dim = {dim}.")
    _scale("noise", noise)
    generator = stream(seed, "linear teacher")
    w = torch.zeros(dim, dtype=torch.float64)
    w[:k] = torch.randn(k, generator=generator, dtype=torch.float64) / math.sqrt(k)
    x = torch.randn(count, dim, generator=generator, dtype=torch.float64)
    y = x @ w + noise * torch.randn(count, generator=generator, dtype=torch.float64)
    return _made(x, y, None, f"linear teacher (seed {seed}, dim {dim}, {k} non-zero, noise {noise:g})")


def logistic_teacher(seed: int, *, dim: int = 5, count: int = 100, strength: float = 2.0) -> Data:
    """Two classes: P(y = 1 | x) = σ(xᵀw), w of length ``strength`` in a random direction.

    Raises:
        InputError: a number out of range.
    """
    _counts(dim=dim, count=count)
    _scale("strength", strength)
    generator = stream(seed, "logistic teacher")
    w = torch.randn(dim, generator=generator, dtype=torch.float64)
    w = strength * w / w.norm()
    x = torch.randn(count, dim, generator=generator, dtype=torch.float64)
    y = (torch.rand(count, generator=generator, dtype=torch.float64) < torch.sigmoid(x @ w)).long()
    return _made(x, y, 2, f"logistic teacher (seed {seed}, dim {dim}, strength {strength:g})")


def tanh_teacher(seed: int, *, dim: int = 4, hidden: int = 3, count: int = 200, strength: float = 4.0) -> Data:
    """Two classes: P(y = 1 | x) = σ(z), z = Σⱼvⱼtanh(wⱼ·x), wⱼ ~ N(0, I), v ~ ``strength``·N(0, I/hidden): what a student of the same form can learn.

    Raises:
        InputError: a number out of range.
    """
    _counts(dim=dim, hidden=hidden, count=count)
    _scale("strength", strength)
    generator = stream(seed, "tanh teacher")
    w = torch.randn(hidden, dim, generator=generator, dtype=torch.float64)
    v = strength * torch.randn(hidden, generator=generator, dtype=torch.float64) / math.sqrt(hidden)
    x = torch.randn(count, dim, generator=generator, dtype=torch.float64)
    y = (torch.rand(count, generator=generator, dtype=torch.float64) < torch.sigmoid(torch.tanh(x @ w.T) @ v)).long()
    return _made(x, y, 2, f"tanh teacher (seed {seed}, dim {dim}, {hidden} units, strength {strength:g})")


def _made(x: Tensor, y: Tensor, classes: int | None, name: str) -> Data:
    return Data(x, y, classes, name, digest_of(x.numpy().tobytes(), y.numpy().tobytes()))


def _counts(**numbers: int) -> None:
    for name, value in numbers.items():
        if not is_whole(value, 1):
            raise InputError(f"{name} = {value!r}; wanted an integer ≥ 1.")


def _scale(name: str, value: float) -> None:
    if not (math.isfinite(value) and value >= 0):
        raise InputError(f"{name} = {value}; wanted a finite number ≥ 0.")
