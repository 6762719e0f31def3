"""Kernels, one per file: SGD and its variants, integrators of SDEs; see :class:`sgdsde.kernel.Kernel`."""

from sgdsde.kernels.coupled import Coupled
from sgdsde.kernels.euler_maruyama import EulerMaruyama
from sgdsde.kernels.exact_ou import ExactOU
from sgdsde.kernels.heun import Heun
from sgdsde.kernels.sgd import SGD
from sgdsde.kernels.shuffled_sgd import ShuffledSGD
from sgdsde.kernels.svag import SVAG
from sgdsde.kernels.torch_sde import TorchSDE

__all__ = ["SGD", "SVAG", "Coupled", "EulerMaruyama", "ExactOU", "Heun", "ShuffledSGD", "TorchSDE"]
