"""Kernels, one per file: SGD and its variants, integrators of SDEs; see :class:`sgdsde.kernel.Kernel`."""

from sgdsde.kernels.captured import Captured
from sgdsde.kernels.counter_streams import CounterStreams
from sgdsde.kernels.coupled import Coupled
from sgdsde.kernels.euler_maruyama import EulerMaruyama
from sgdsde.kernels.exact_ou import ExactOU
from sgdsde.kernels.heun import Heun
from sgdsde.kernels.optimizer_sgd import OptimizerSGD
from sgdsde.kernels.schedule import Constant, Cosine, StepDecay, Warmup
from sgdsde.kernels.sgd import SGD
from sgdsde.kernels.shuffled_sgd import ShuffledSGD
from sgdsde.kernels.svag import SVAG
from sgdsde.kernels.torch_sde import TorchSDE
from sgdsde.kernels.update import HeavyBall, Nesterov, Plain
from sgdsde.kernels.weak_increments import WeakIncrements

__all__ = [
    "SGD",
    "SVAG",
    "Captured",
    "Constant",
    "Cosine",
    "CounterStreams",
    "Coupled",
    "EulerMaruyama",
    "ExactOU",
    "HeavyBall",
    "Heun",
    "Nesterov",
    "OptimizerSGD",
    "Plain",
    "ShuffledSGD",
    "StepDecay",
    "TorchSDE",
    "Warmup",
    "WeakIncrements",
]
