"""What a derivative is asked of, looked at before any work: points ``[paths, dim]``, vectors beside them, batches, weights.

Torch would broadcast some wrong shapes to wrong numbers, and tell of others from deep inside. Shapes and dtypes only: no number is read, so that a device need
not be waited for, and the checks may stand before every step.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sgdsde.objective import Objective, Points, as_objective
from sgdsde.types import InputError


def check_points(objective: Objective, theta: Points) -> None:
    """Refuse points at which no derivative is defined; half a microsecond where they are as they should be, for it is asked at every step.

    Raises:
        InputError: no objective, or no floating tensor ``[paths, dim]``.
    """
    try:
        if theta.__class__ is Tensor and theta.ndim == 2 and theta.shape[1] == objective.dim and theta.dtype.is_floating_point:
            return
    except AttributeError:  # told below
        pass
    as_objective(objective)
    check_tensor(theta, "theta", ("paths", objective.dim))


def check_beside(theta: Points, **vectors: Tensor) -> None:
    """Refuse vectors, by name, that are not one for each point, of its dtype.

    Raises:
        InputError: no tensor of the shape and dtype of ``theta``.
    """
    for name, v in vectors.items():
        if not (isinstance(v, Tensor) and v.shape == theta.shape and v.dtype is theta.dtype):
            check_tensor(v, name, tuple(theta.shape), theta.dtype)


def check_vectors(theta: Points, v: Tensor) -> None:
    """Refuse what is neither a vector for each point nor k of them, ``[paths, k, dim]``.

    Raises:
        InputError: as :func:`check_beside`.
    """
    if isinstance(v, Tensor) and v.ndim == 3:
        check_tensor(v, "v", (theta.shape[0], "k", theta.shape[1]), theta.dtype)
    else:
        check_beside(theta, v=v)


def check_tensor(value: Any, name: str, shape: tuple[int | str, ...], dtype: torch.dtype | None = None) -> None:
    """Refuse what is no real floating tensor of ``shape``, in which words stand for any number, and of ``dtype`` where one is given.

    Raises:
        InputError: it is none.
    """
    if isinstance(value, Tensor) and value.is_floating_point() and dtype in (None, value.dtype) and _fits(value, shape):
        return
    wanted = f"a {dtype or 'floating'} tensor {list(shape)}".replace("'", "")
    if not isinstance(value, Tensor):
        raise InputError(f"{name} is of type {type(value).__name__}; wanted {wanted}: torch.as_tensor(…) makes one.")
    if not _fits(value, shape):
        raise InputError(f"{name} has shape {tuple(value.shape)}; wanted {wanted}.")
    raise InputError(f"{name} is of dtype {value.dtype}; wanted {wanted}: {name}.to({dtype or torch.float64}) makes one.")


def check_samples(objective: Objective, theta: Points, weights: Tensor | None, batch: Tensor | None) -> None:
    """Refuse points as :func:`check_points`, a batch that is no indices ``[paths, B]``, weights that are not one for each of its samples.

    Where the batch is None, its samples are all n.

    Raises:
        InputError: they are of another shape or dtype.
    """
    check_points(objective, theta)
    paths = theta.shape[0]
    if batch is not None and not (isinstance(batch, Tensor) and batch.ndim == 2 and batch.shape[0] == paths and batch.dtype in (torch.int64, torch.int32)):
        came = f"of shape {tuple(batch.shape)} and dtype {batch.dtype}" if isinstance(batch, Tensor) else f"of type {type(batch).__name__}"
        raise InputError(f"batch is {came}; wanted a torch.int64 tensor [{paths}, B] of sample indices, a row for each point, or None for all samples.")
    if weights is not None:
        check_tensor(weights, "weights", (paths, objective.n if batch is None else batch.shape[1]))


def _fits(value: Tensor, shape: tuple[int | str, ...]) -> bool:
    return value.ndim == len(shape) and all(isinstance(size, str) or size == came for size, came in zip(shape, value.shape, strict=True))
