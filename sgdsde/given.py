"""What a caller gives, looked at before it is used: whole numbers, and real tensors that are the package's own.

Nothing is converted in silence: a complex number loses no imaginary part, a ragged list is no array, ``True`` is no number of paths.
"""

from __future__ import annotations

import math
from collections.abc import Container
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sgdsde.types import InputError


def is_whole(value: Any, least: int, most: float = math.inf) -> bool:
    """Whether ``value`` is an integer in least…most: no truth value, no word, no array, neither NaN nor infinity; 3.0 is one.

    Example:
        >>> from sgdsde.given import is_whole
        >>> [is_whole(value, 1) for value in (3, 3.0, np.int64(3), 0, 1.5, True, "3", None, math.nan, math.inf, [3])]
        [True, True, True, False, False, False, False, False, False, False, False]
    """
    try:
        if isinstance(value, str | bytes | bool | np.bool_) or np.ndim(value) > 0:
            return False
        return int(value) == value and least <= int(value) <= most
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return False


def is_name(word: Any, known: Container[str]) -> bool:
    """Whether ``word`` is a word among those known: no list of words, no array, no number.

    Example:
        >>> from sgdsde.given import is_name
        >>> [is_name(word, {"srk": 1}) for word in ("srk", "euler", ["srk"], 3, None)]
        [True, False, False, False, False]
    """
    return isinstance(word, str) and word in known


def seen(values: Any, name: str) -> Tensor:
    """``values`` as a real tensor of the dtype that it has (Python numbers: float64 or integers), in the caller's own memory where that is possible.

    Raises:
        InputError: words, complex numbers, rows of different lengths, None.
    """
    if isinstance(values, Tensor):
        if values.is_complex():
            raise InputError(f"{name} is of dtype {values.dtype}; wanted real numbers.")
        return values.detach()
    try:
        array = np.asarray(values, order="C")
        if array.dtype.kind not in "biuf":
            raise TypeError
        return torch.as_tensor(array if array.flags.writeable else array.copy())
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"{name} = {values!r:.200}; wanted real numbers.") from None


def own(values: Any, name: str) -> Tensor:
    """A copy of ``values`` as a floating tensor, float64 unless they are floating already: what is written to them afterwards changes nothing here.

    Raises:
        InputError: as :func:`seen`.

    Example:
        >>> from sgdsde.given import own
        >>> data = np.array([1.0, 2.0])
        >>> kept = own(data, "data")
        >>> data[0] = 7.0
        >>> kept.tolist(), own([1, 2], "data").dtype
        ([1.0, 2.0], torch.float64)
    """
    tensor = seen(values, name)
    return tensor.clone() if tensor.is_floating_point() else tensor.to(torch.float64)


def seeded(seed: Any) -> np.random.Generator:
    """NumPy's generator of a seed; none is drawn from the clock.

    Raises:
        InputError: the seed is no integer ≥ 0.
    """
    if not is_whole(seed, 0):
        raise InputError(f"seed = {seed!r}; wanted a non-negative integer.")
    return np.random.default_rng(int(seed))
