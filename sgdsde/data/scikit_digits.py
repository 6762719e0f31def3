"""The handwritten digits that come with scikit-learn: 1,797 real images of 8×8 pixels, ten classes (Alpaydin, Kaynak, UCI repository, 1998).

The default real data of this package: nothing has to be fetched, and everything runs on it in seconds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from sgdsde.data.dataset import Data, digest_of
from sgdsde.types import InputError

#: SHA-256 of the pixels (0…16) and labels as bytes
DIGEST = "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"


def digits(*, standardize: bool = False, components: int | None = None, classes: int | Sequence[int] | None = None, count: int | None = None) -> Data:
    """The digits, x in [0, 1], float64 ``[n, 64]``.

    Args:
        standardize: scale each feature to mean 0 and variance 1.
        components: project on this many principal axes, after centring (and standardizing, if asked).
        classes: only these digits, relabelled 0, 1, … in the order given; an integer k means the digits 0…k−1. ``classes=(3, 8)`` is a two-class
            problem; ``digits().against((1, 3, 5, 7, 9))`` another.
        count: only the first ``count`` samples (of those classes), in scikit-learn's order.

    Raises:
        InputError: an argument out of range; scikit-learn's file is not the known one.
    """
    from sklearn.datasets import load_digits

    source = load_digits()
    pixels, labels = source.data.astype(np.uint8), source.target.astype(np.uint8)
    digest = digest_of(pixels.tobytes(), labels.tobytes())
    if digest != DIGEST:
        raise InputError(f"scikit-learn's digits have the digest {digest}; wanted {DIGEST}. The installation is damaged or its data changed: reinstall it.")
    data = Data(torch.from_numpy(pixels).to(torch.float64) / 16, torch.from_numpy(labels).long(), 10, "digits", digest, (1, 8, 8))
    if classes is not None:
        if isinstance(classes, (int, np.integer)) and not 2 <= classes <= 10:
            raise InputError(f"classes = {classes}; wanted 2…10, or a list of digits.")
        data = data.only(range(int(classes)) if isinstance(classes, (int, np.integer)) else classes)
    if count is not None:
        data = data.take(count)
    if standardize:
        data = data.standardized()
    return data if components is None else data.projected(components)
