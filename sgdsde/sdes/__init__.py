"""SDE models of SGD, one per file; see :class:`sgdsde.sde.SDE`."""

from sgdsde.sdes.gradient_flow import GradientFlow
from sgdsde.sdes.hasme import HASME
from sgdsde.sdes.hasme_product import HASMEProduct
from sgdsde.sdes.principal_flow import PrincipalFlow
from sgdsde.sdes.sme1 import SME1
from sgdsde.sdes.sme2 import SME2
from sgdsde.sdes.spf import SPF

__all__ = ["HASME", "SME1", "SME2", "SPF", "GradientFlow", "HASMEProduct", "PrincipalFlow"]
