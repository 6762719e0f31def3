"""What is asked of derivatives, models, recorders and curvature is looked at where it is given: a wrong type or shape is told in words."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import sgdsde as sg
from sgdsde.types import InputError

C, F, N = sg.calculus, sg.objectives, sg.noises
BOWL, WELL = F.Quadratic([4.0, 1.0]), F.DoubleWell(2)
LINE = F.SharedCurvature(np.eye(2), np.ones((3, 2)))
POINTS = torch.ones(3, 2, dtype=torch.float64)
SHAPES: dict[str, Any] = {
    "numpy": POINTS.numpy(),
    "list": [[1.0, 1.0]],
    "none": None,
    "one axis": POINTS[0],
    "three axes": POINTS[None],
    "another dimension": POINTS[:, :1],
    "integers": POINTS.long(),
    "complex": POINTS + 1j,
}
#: derivatives at points alone
AT: dict[str, Callable[[Any, Any], Any]] = {
    "grad": C.grad,
    "grad_autodiff": C.grad_autodiff,
    "weighted_grad": lambda f, theta: C.weighted_grad(f, theta, None, None),
    "weighted_grad_autodiff": lambda f, theta: C.weighted_grad_autodiff(f, theta, None, None),
    "hvp": lambda f, theta: C.hvp(f, theta, POINTS),
    "hvp_autodiff": lambda f, theta: C.hvp_autodiff(f, theta, POINTS),
    "hvp_at": C.hvp_at,
    "hessian": C.hessian,
    "hessian_autodiff": C.hessian_autodiff,
    "third": lambda f, theta: C.third(f, theta, POINTS, POINTS),
    "third_autodiff": lambda f, theta: C.third_autodiff(f, theta, POINTS, POINTS),
    "third_trace": lambda f, theta: C.third_trace(f, theta, torch.eye(2, dtype=torch.float64).expand(3, 2, 2)),
    "sample_grads": C.sample_grads,
    "sample_grads_autodiff": C.sample_grads_autodiff,
    "sample_covariance": C.sample_covariance,
}
#: derivatives along a vector
ALONG: dict[str, Callable[[Any], Any]] = {
    "hvp": lambda v: C.hvp(WELL, POINTS, v),
    "hvp_autodiff": lambda v: C.hvp_autodiff(WELL, POINTS, v),
    "third u": lambda v: C.third(WELL, POINTS, v, POINTS),
    "third v": lambda v: C.third_autodiff(WELL, POINTS, POINTS, v),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", AT)
def test_points_that_are_none_are_refused_in_words(name: str, shape: str) -> None:
    AT[name](LINE, POINTS)
    for objective in (LINE, BOWL):
        with pytest.raises(InputError, match=r"theta (is|has) .*; wanted a floating tensor \[paths, 2\]"):
            AT[name](objective, SHAPES[shape])


@pytest.mark.parametrize("name", AT)
def test_derivatives_of_no_objective_are_refused(name: str) -> None:
    for wrong in (None, F.Quadratic, N.Gaussian(BOWL, 1.0)):
        with pytest.raises(InputError, match="objective is"):
            AT[name](wrong, POINTS)


def test_every_public_derivative_is_held() -> None:
    public = {name for name, value in vars(C).items() if callable(value) and getattr(value, "__module__", "") == C.__name__ and not name.startswith("_")}
    assert public == set(AT)


@pytest.mark.parametrize("shape", [*SHAPES, "float32", "fewer"])
@pytest.mark.parametrize("name", ALONG)
def test_vectors_that_are_not_one_for_each_point_are_refused(name: str, shape: str) -> None:
    ALONG[name](POINTS)
    wrong = {"float32": POINTS.float(), "fewer": POINTS[:1]}.get(shape, SHAPES.get(shape))
    with pytest.raises(InputError, match=r"[uv] (is|has) .*; wanted a torch.float64 tensor \[3, (k, )?2\]"):
        ALONG[name](wrong)


def test_products_with_several_vectors_stay() -> None:
    block = torch.stack([POINTS, 2 * POINTS], 1)  # [paths, 2, dim]
    assert C.hvp(WELL, POINTS, block).shape == block.shape


BATCH = torch.zeros(3, 2, dtype=torch.int64)
OF_SAMPLES: dict[str, Callable[[], Any]] = {
    "numpy batch": lambda: C.weighted_grad(LINE, POINTS, None, BATCH.numpy()),
    "batch of one path": lambda: C.weighted_grad(LINE, POINTS, None, BATCH[:1]),
    "flat batch": lambda: C.sample_grads(LINE, POINTS, BATCH[0]),
    "floating batch": lambda: C.sample_grads_autodiff(LINE, POINTS, BATCH.double()),
    "truth values": lambda: C.weighted_grad_autodiff(LINE, POINTS, None, BATCH.bool()),
    "weights of a batch": lambda: C.weighted_grad(LINE, POINTS, torch.ones(3, 3).double(), BATCH),
    "weights of all": lambda: C.weighted_grad_autodiff(LINE, POINTS, torch.ones(3, 2).double(), None),
    "weights of one path": lambda: C.weighted_grad(LINE, POINTS, torch.ones(1, 3).double(), None),
    "numpy weights": lambda: C.weighted_grad(LINE, POINTS, np.ones((3, 3)), None),
    "trace of a matrix": lambda: C.third_trace(WELL, POINTS, torch.eye(2).double()),
    "numpy trace": lambda: C.third_trace(WELL, POINTS, np.ones((3, 2, 2))),
}


@pytest.mark.parametrize("name", OF_SAMPLES)
def test_batches_and_weights_that_do_not_fit_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="wanted a"):
        OF_SAMPLES[name]()


NOISE = N.Gaussian(BOWL, 1.0)
NETWORK = F.Network(torch.nn.Linear(2, 2).double(), "mse", np.ones((3, 2)), np.zeros((3, 2)))
MATRIX = sg.curvature.Matrix(torch.eye(2).double())
T, V = sg.training, sg.curvature


def watched(**given: Any) -> Any:
    return sg.atlas(N.Gaussian(F.Quadratic([1.0]), 1.0), 0.1, [1.0], **given)


def trained(**given: Any) -> Any:
    return T.train(NETWORK, NETWORK.flatten(), **({"optimiser": T.SGD(0.1), "batch_size": 2, "steps": 3, "seed": 1} | given))


def compared(models: Any) -> Any:
    return sg.compare(NOISE, eta=0.1, models=models, theta0=[1.0, 1.0], horizon=0.1, paths=50, seed=1)


#: what is given, and the name or word that the refusal must hold
MODELS: dict[str, tuple[Callable[[], Any], str]] = {
    "atlas of a number": (lambda: watched(models=[3]), "Known: .*HASME"),
    "atlas of a list": (lambda: watched(models=[["HASME"]]), "Did you mean 'HASME'"),
    "atlas of no list": (lambda: watched(models=3), "models is of type int"),
    "atlas of labelled numbers": (lambda: watched(models={"mine": 3}), "'mine' is of type int"),
    "atlas of a list of functions": (lambda: watched(functions=[torch.sum]), "functions is of type list"),
    "atlas of no functions": (lambda: watched(functions={"mean": 3}), "'mean' is of type int"),
    "comparison of a number": (lambda: compared([3]), "3 gave int"),
    "comparison of no list": (lambda: compared(3), "3 gave int"),
    "functions of H": (lambda: sg.sdes.HASMEProduct(NOISE, 0.1, functions="dense"), "functions is 'dense'"),
    "functions of H, empty": (lambda: sg.sdes.HASMEProduct(NOISE, 0.1, functions=()), r"functions is \(\)"),
    "functions of H, a class": (lambda: sg.sdes.HASME3Product(NOISE, 0.1, functions=sg.sdes.Dense), "functions is <class"),
    "defect of nothing": (lambda: sg.sdes.PositivityDefect(None, 0.1), "noise is of type NoneType"),
    "defect, outliers": (lambda: sg.sdes.PositivityDefect(NOISE, 0.1, k=0), "k = 0"),
    "share of nothing": (lambda: sg.sdes.PastLogarithm(NOISE, 0.1), "objective is of type Gaussian"),
    "saddle": (lambda: F.StrictSaddle(2, negative="a"), "negative = 'a'"),
    "saddle's rest": (lambda: F.StrictSaddle(2, positive=[1.0, "a"]), "positive = "),
    "ticks": (lambda: sg.kernels.Captured(sg.kernels.Heun(sg.sdes.SME1(NOISE, 0.1), 0.1), ticks=[2]), r"ticks = \[2\]"),
    "truth of ticks": (lambda: sg.kernels.Captured(sg.kernels.Heun(sg.sdes.SME1(NOISE, 0.1), 0.1), ticks=True), "ticks = True"),
}
#: the same for names: a list stands where a word is wanted
NAMES: dict[str, tuple[Callable[[], Any], str]] = {
    "policy": (lambda: sg.sdes.HASME(NOISE, 0.1, log=["stop"]), "'stop'"),
    "matrix policy": (lambda: sg.sdes.HASME(NOISE, 0.1, psd=["stop"]), "'stop'"),
    "method": (lambda: sg.kernels.TorchSDE(sg.sdes.SME1(NOISE, 0.1), 0.1, ["srk"]), "'srk'"),
    "monitor": (lambda: sg.monitors.as_monitor(["bridge"]), "'bridge'"),
    "sampling": (lambda: trained(sampling=["epoch"]), "'epoch'"),
    "end of a spectrum": (lambda: V.eigsh(MATRIX, 1, which=["largest"]), "'largest'"),
    "layer": (lambda: V.layer_operator(V.hessian_operator(NETWORK, NETWORK.flatten()), NETWORK, ["weight"]), "'weight'"),
    "linear layer": (lambda: V.kronecker_decoupling(NETWORK, NETWORK.flatten(), [""]), "no nn.Linear"),
    "part of a module": (lambda: F.frozen(torch.nn.Sequential(torch.nn.Linear(1, 1)), ["0"]), "'0'"),
    "initial law": (lambda: F.InitialDistribution(NETWORK, ["xavier"]), "'xavier'"),
}
#: curvature and training, by what they are given
STRUCTURE: dict[str, tuple[Callable[[], Any], str]] = {
    "Hessian of nothing": (lambda: V.hessian_operator(None, [0.0]), "objective is"),
    "covariance of nothing": (lambda: V.covariance_operator(3, [0.0]), "objective is"),
    "H_p of nothing": (lambda: V.h_p_operator("a", [0.0]), "objective is"),
    "data": (lambda: V.hessian_operator(NETWORK, NETWORK.flatten(), data=3), "data is of type int"),
    "diagonal of no network": (lambda: V.gauss_newton_diagonal(BOWL, [0.0, 0.0]), "network is"),
    "blocks of no network": (lambda: V.layer_blocks(BOWL), "network is"),
    "block of nothing": (lambda: V.Block(None, slice(0, 1)), "whole is"),
    "operators of nothing": (lambda: V.layer_operators(None, NETWORK), "operator is"),
    "exact diagonal": (lambda: V.exact_diagonal(torch.eye(2)), "operator is"),
    "Hutch++ of a matrix": (lambda: V.hutch_plus_plus(torch.eye(2)), "operator is"),
    "products": (lambda: V.hutch_plus_plus(MATRIX, products="many"), "products = 'many'"),
    "half a product": (lambda: V.hutch_plus_plus(MATRIX, products=6.5), "products = 6.5"),
    "second factor": (lambda: V.trace_of_product(MATRIX, torch.eye(2)), "b is"),
    "weights": (lambda: V.weighted_diagonal(MATRIX, None), "weights = None"),
    "density of a matrix": (lambda: V.spectral_density(torch.eye(2)), "operator is"),
    "steps": (lambda: V.spectral_density(MATRIX, steps=None), "steps = None"),
    "preconditioner": (lambda: V.preconditioned(MATRIX, None), "preconditioner = None"),
    "rule": (lambda: V.ThresholdRule(share="a"), "share = 'a'"),
    "overlap": (lambda: V.random_overlap("a", 1), "dim = 'a'"),
    "vectors of an operator": (lambda: MATRIX @ np.ones(2), "ndarray came"),
    "λmax at an array": (lambda: T.largest_eigenvalues(BOWL, np.ones((1, 2))), "theta is"),
    "λmax of steps": (lambda: T.largest_eigenvalues(BOWL, POINTS, most="a"), "most = 'a'"),
    "λmax from one start": (lambda: T.largest_eigenvalues(BOWL, POINTS, start=POINTS[:1]), "start has shape"),
    "λmax between": (lambda: T.largest_between(BOWL, POINTS, None), "theta is of type NoneType"),
    "training of nothing": (lambda: T.train(None, [0.0], optimiser=T.SGD(0.1), batch_size=1, steps=1, seed=1), "objective is"),
    "optimiser": (lambda: trained(optimiser=torch.optim.SGD), "optimiser is the class SGD"),
    "stop": (lambda: trained(stop=0.99), "stop is"),
    "record": (lambda: trained(record=T.StepAngle()), "record is"),
    "recorder": (lambda: trained(record={"angle": T.StepAngle}), "record: 'angle' is the class"),
    "at": (lambda: trained(at=["a"]), r"at = \['a'\]"),
    "save": (lambda: trained(save=1.5), "save = 1.5"),
    "momentum": (lambda: T.SGD(0.1, momentum="a"), "momentum = 'a'"),
    "decay": (lambda: T.SGD(0.1, weight_decay=None), "weight_decay = None"),
    "every": (lambda: T.LossBelow(every="a"), "every = 'a'"),
    "level": (lambda: T.LossBelow(level=-1.0), "level = -1"),
    "accuracy": (lambda: T.TrainAccuracy(share="all"), "share = 'all'"),
    "λmax on half a sample": (lambda: T.LambdaMax(samples=0.5), "samples = 0.5"),
    "λmax tolerance": (lambda: T.LambdaMax(tolerance=0.0), "tolerance = 0.0"),
    "λmax tolerance in words": (lambda: T.LambdaMax(tolerance="a"), "tolerance = 'a'"),
    "trace of one vector": (lambda: T.TraceHessian(vectors=1), "vectors = 1"),
    "moment of no sample": (lambda: T.TraceSecondMoment(samples=0), "samples = 0"),
    "noise in words": (lambda: T.NoiseAlignedSharpness(vectors="many"), "vectors = 'many'"),
    "no checkpoint": (lambda: T.read_checkpoint(3), "3 is no file"),
    "no redraws": (lambda: T.LossDifferences(redraws=0), "redraws = 0"),
}


@pytest.mark.parametrize("name", MODELS)
def test_what_no_model_can_be_made_of_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=MODELS[name][1]):
        MODELS[name][0]()


@pytest.mark.parametrize("name", NAMES)
def test_a_list_is_no_name(name: str) -> None:
    with pytest.raises(InputError, match=NAMES[name][1]):
        NAMES[name][0]()


@pytest.mark.parametrize("name", STRUCTURE)
def test_what_curvature_and_training_cannot_use_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=STRUCTURE[name][1]):
        STRUCTURE[name][0]()


def test_what_can_be_meant_is_taken_still() -> None:
    assert sg.kernels.Captured(sg.kernels.Heun(sg.sdes.SME1(NOISE, 0.1), 0.1), ticks=np.int64(2)).ticks == 2
    assert sg.sdes.HASMEProduct(NOISE, 0.1, functions=sg.sdes.Krylov(2)).noise_dim == 2
    assert trained(record={"angle": T.StepAngle()}, at=np.array([1, 3]), save=(0, 3)).recorded["angle"].steps == (1, 3)
    assert float(V.weighted_diagonal(MATRIX, np.ones(2), vectors=4).value) == 2.0
    assert T.largest_eigenvalues(BOWL, POINTS).values.tolist() == pytest.approx([4.0] * 3)
