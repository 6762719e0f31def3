"""Bad input to objectives and calculus: refused before any work, in words that say what came, what was wanted and what to do."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sgdsde.objectives import (
    AsymmetricWell,
    DiagonalNet,
    DoubleWell,
    LeastSquares,
    LogisticRegression,
    MatrixFactorization,
    MonkeySaddle,
    MullerBrown,
    Network,
    PeriodicWell,
    Quadratic,
    StrictSaddle,
    TwoLayerLinear,
)
from sgdsde.types import DomainError, InputError

X, Y = np.arange(12.0).reshape(4, 3), np.arange(4.0)
LABELS = np.array([0, 1, 1, 0])
NAN = np.where(X == 5, np.nan, X)

CASES: dict[str, tuple[Callable[[], object], str]] = {
    "non-symmetric Hessian": (lambda: Quadratic([[1.0, 2.0], [0.0, 1.0]]), "not symmetric"),
    "NaN Hessian": (lambda: Quadratic([[1.0, math.nan], [math.nan, 1.0]]), "hessian holds NaN"),
    "infinite Hessian": (lambda: Quadratic([math.inf]), "hessian holds NaN or infinity"),
    "rectangular Hessian": (lambda: Quadratic(np.ones((2, 3))), r"shape (2, 3); wanted a square matrix"),
    "empty Hessian": (lambda: Quadratic(np.ones((0, 0))), "wanted a square matrix"),
    "center that does not fit": (lambda: Quadratic([1.0, 2.0], center=[0.0]), "center has shape (1,); wanted [2]"),
    "double well in no dimension": (lambda: DoubleWell(0), "dim = 0; wanted an integer ≥ 1"),
    "negative transverse curvature": (lambda: DoubleWell(2, transverse=-1.0), "transverse = -1.0"),
    "periodic well in half a dimension": (lambda: PeriodicWell(1.5), "dim = 1.5; wanted an integer"),  # type: ignore[arg-type]
    "periodic well upside down": (lambda: PeriodicWell(1, curvature=-1.0), "curvature = -1.0; wanted ≥ 0"),
    "periodic well of NaN": (lambda: PeriodicWell(1, amplitude=math.nan), "amplitude = nan; wanted a finite number"),
    "tilt too large": (lambda: AsymmetricWell(0.4), "wanted |tilt| < 2/(3√3)"),
    "scale of nothing": (lambda: MullerBrown(scale=0.0), "scale = 0.0"),
    "monkey saddle, negative quartic": (lambda: MonkeySaddle(quartic=-1.0), "quartic = -1.0; wanted a finite number ≥ 0"),
    "saddle without dimension": (lambda: StrictSaddle(True), "dim = True"),
    "too many negative directions": (lambda: StrictSaddle(2, negative=(1.0, 1.0, 1.0)), "negative holds 3 curvatures; wanted one to dim = 2"),
    "sign of a negative curvature": (lambda: StrictSaddle(2, negative=-1.0), "the sign of a negative direction is in the formula"),
    "positive curvatures that do not fit": (lambda: StrictSaddle(3, positive=(1.0,)), "positive has shape (1,); wanted a number or [2]"),
    "negative quartic": (lambda: StrictSaddle(2, quartic=-1.0), "quartic = -1.0"),
    "least squares, empty data": (lambda: LeastSquares(np.ones((0, 3)), np.ones(0)), "empty data; wanted [n, features]"),
    "least squares, lengths": (lambda: LeastSquares(X, Y[:3]), "mismatched lengths: 4 samples and y of shape (3,)"),
    "least squares, NaN inputs": (lambda: LeastSquares(NAN, Y), "x holds NaN"),
    "least squares, NaN targets": (lambda: LeastSquares(X, np.full(4, np.nan)), "y holds NaN"),
    "least squares, one axis": (lambda: LeastSquares(Y, Y), "x has shape (4,)"),
    "least squares, three axes of targets": (lambda: LeastSquares(X, np.ones((4, 1, 1))), "wanted [n] or [n, outputs]"),
    "diagonal net, two outputs": (lambda: DiagonalNet(X, np.ones((4, 2))), "y has 2 outputs; a diagonal net has one"),
    "no hidden units": (lambda: TwoLayerLinear(X, Y, 0), "hidden = 0; wanted an integer ≥ 1"),
    "rank zero": (lambda: MatrixFactorization(3, 0), "rank = 0; wanted an integer ≥ 1"),
    "target that is no matrix": (lambda: MatrixFactorization(Y, 1), "target has shape (4,); wanted a matrix"),
    "target of NaN": (lambda: MatrixFactorization(NAN, 1), "target holds NaN"),
    "size zero": (lambda: MatrixFactorization(0, 1), "target = 0; wanted a matrix, or an integer size"),
    "logistic, empty data": (lambda: LogisticRegression(np.ones((0, 2)), np.ones(0, int)), "empty data"),
    "logistic, lengths": (lambda: LogisticRegression(X, LABELS[:2]), "mismatched lengths"),
    "labels outside the classes": (lambda: LogisticRegression(X, [0, 1, 2, 0], classes=2), "labels outside the classes: they run from 0 to 2, wanted 0…1"),
    "negative labels": (lambda: LogisticRegression(X, [-1, 1, 1, -1]), "labels outside the classes: they run from -1 to 1"),
    "labels from one": (lambda: LogisticRegression(X, [1, 2, 3, 3], classes=3), "Renumber them from 0"),
    "labels that are no integers": (lambda: LogisticRegression(X, [0.5, 1, 0, 0]), "labels are not integers"),
    "one-hot labels": (lambda: LogisticRegression(X, np.eye(4)), "one integer class per sample (not one-hot rows)"),
    "a single class": (lambda: LogisticRegression(X, LABELS, classes=1), "classes = 1; wanted an integer ≥ 2"),
    "negative ridge": (lambda: LogisticRegression(X, LABELS, ridge=-0.1), "ridge = -0.1"),
}


@pytest.mark.parametrize("name", CASES)
def test_refused(name: str) -> None:
    build, words = CASES[name]
    with pytest.raises(InputError, match=re.escape(words)):
        build()


def test_separable_data_have_no_minimum() -> None:
    f = LogisticRegression([[1.0], [2.0], [-1.0]], [1, 1, 0])
    with pytest.raises(DomainError, match=r"separable\. Use ridge > 0"):
        f.minimizer(steps=20)


def test_prediction_of_other_features() -> None:
    f = LogisticRegression(X, LABELS, intercept=True)
    with pytest.raises(InputError, match="x has 2 features; the data have 3"):
        f.predict(torch.zeros(1, 4, dtype=torch.float64), X[:, :2])


INPUTS = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
CLASSES = torch.arange(6) % 2


def net(*extra: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), *extra, nn.Linear(4, 2))


class Hidden(nn.Module):
    """Dropout that no type betrays."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(self.layer(x), 0.5)


class Centred(nn.Module):
    """Normalisation over the batch that no type betrays."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        out = self.layer(x)
        return out - out.mean(0)


class Raw(nn.Module):
    """Parameters without a word on how to draw them."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3, 2))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight


def refused(module: object, loss: object = "cross_entropy", inputs: object = INPUTS, targets: object = CLASSES) -> Callable[[], object]:
    return lambda: Network(module, loss, inputs, targets)  # type: ignore[arg-type]


NETWORKS: dict[str, tuple[Callable[[], object], str]] = {
    "dropout": (refused(net(nn.Dropout(0.3))), "dropout p = 0.3 in training mode"),
    "dropout in a recurrent layer": (
        refused(nn.Sequential(nn.LSTM(3, 2, num_layers=2, dropout=0.2), nn.Linear(2, 2))),
        "LSTM (0) has dropout p = 0.2 in training mode",
    ),
    "alpha dropout": (refused(net(nn.AlphaDropout(0.1))), "Use p = 0, or module.eval()"),
    "dropout by function": (refused(Hidden()), "it is random (dropout?)"),
    "BatchNorm": (refused(net(nn.BatchNorm1d(4))), "BatchNorm1d (1) is a BatchNorm in training mode"),
    "BatchNorm without statistics": (refused(net(nn.BatchNorm1d(4, track_running_stats=False)).eval()), "BatchNorm without running statistics"),
    "tracking InstanceNorm": (
        refused(nn.Sequential(nn.InstanceNorm1d(4, track_running_stats=True), nn.Linear(3, 2))),
        "tracks running statistics in training mode",
    ),
    "samples coupled by hand": (refused(Centred()), "couples the samples of a batch"),
    "no parameters": (refused(nn.Tanh()), "Tanh has no trainable parameters"),
    "frozen parameters": (refused(nn.Linear(3, 2).requires_grad_(False)), "Linear has no trainable parameters"),
    "lazy parameters": (refused(nn.LazyLinear(2)), "lazy parameters without a shape"),
    "no module": (refused(lambda x: x), "wanted a torch.nn.Module"),
    "lengths": (refused(net(), targets=CLASSES[:5]), "mismatched lengths: 6 samples and targets of shape (5,)"),
    "empty data": (refused(net(), inputs=INPUTS[:0], targets=CLASSES[:0]), "empty data; wanted [n, ...]"),
    "NaN inputs": (refused(net(), inputs=torch.full((6, 3), math.nan)), "inputs hold NaN"),
    "NaN targets": (refused(net(), "mse", targets=torch.full((6, 2), math.nan)), "targets hold NaN"),
    "labels outside the classes": (refused(net(), targets=CLASSES + 1), "labels outside the classes: they run from 1 to 2; the module has 2 outputs"),
    "negative labels": (refused(net(), nn.CrossEntropyLoss(reduction="none"), targets=CLASSES - 1), "labels outside the classes"),
    "outputs without classes": (refused(nn.Sequential(nn.Linear(3, 1), nn.Flatten(0))), "one column per class"),
    "mean-reduced loss module": (refused(net(), nn.CrossEntropyLoss()), "reduction='mean': wanted one loss per sample, reduction='none'"),
    "mean-reduced loss function": (refused(net(), nn.functional.cross_entropy), "a single number, so it is mean-reduced"),
    "loss per output": (refused(net(), nn.MSELoss(reduction="none"), targets=torch.zeros(6, 2)), "gave shape (2, 2); wanted one number per sample"),
    "mse of a column and a vector": (refused(nn.Linear(3, 1), "mse", targets=torch.zeros(6)), "'mse' wants equal shapes: reshape one"),
    "unknown loss": (refused(net(), "cross-entropy"), "Did you mean 'cross_entropy'?"),
    "no loss": (refused(net(), 3), "loss = 3; wanted a name"),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_network_refused(name: str) -> None:
    build, words = NETWORKS[name]
    before = torch.get_rng_state()
    with pytest.raises(InputError, match=re.escape(words)):
        build()
    assert torch.equal(torch.get_rng_state(), before)


def test_network_without_a_known_start() -> None:
    f = Network(Raw(), "cross_entropy", INPUTS, CLASSES)
    with pytest.raises(InputError, match=r"Raw .* has no reset_parameters\(\).*theta0 with flatten"):
        f.initial(2, torch.Generator())


def test_flatten_of_other_parameters() -> None:
    f = Network(net(), "cross_entropy", INPUTS, CLASSES)
    with pytest.raises(InputError, match=r"'0.weight': shape \(1, 3\) came; wanted shape \(4, 3\)"):
        f.flatten(nn.Sequential(nn.Linear(3, 1)))
    with pytest.raises(InputError, match=r"'0.bias': nothing came"):
        f.flatten({"0.weight": torch.zeros(2, 4, 3)})
