"""SDE models of SGD, one per file; see :class:`sgdsde.sde.SDE`. ``Dense``, ``Krylov`` and ``Spectral`` say how product-form
models apply functions of the Hessian.
"""

from sgdsde.sdes.along import PastLogarithm, PositivityDefect, along_a_run
from sgdsde.sdes.even_step_hasme import EvenStepHASME
from sgdsde.sdes.gradient_flow import GradientFlow
from sgdsde.sdes.hasme import HASME
from sgdsde.sdes.hasme3 import HASME3
from sgdsde.sdes.hasme3_product import HASME3Product
from sgdsde.sdes.hasme_product import HASMEProduct
from sgdsde.sdes.krylov import Krylov
from sgdsde.sdes.langevin import Langevin
from sgdsde.sdes.matrix_functions import Dense
from sgdsde.sdes.principal_flow import PrincipalFlow
from sgdsde.sdes.sme1 import SME1
from sgdsde.sdes.sme2 import SME2
from sgdsde.sdes.sme3 import SME3
from sgdsde.sdes.spectral import Spectral
from sgdsde.sdes.spf import SPF

__all__ = [
    "HASME",
    "HASME3",
    "SME1",
    "SME2",
    "SME3",
    "SPF",
    "Dense",
    "EvenStepHASME",
    "GradientFlow",
    "HASME3Product",
    "HASMEProduct",
    "Krylov",
    "Langevin",
    "PastLogarithm",
    "PositivityDefect",
    "PrincipalFlow",
    "Spectral",
    "along_a_run",
]
