"""Gradient noises, one per file; see :class:`sgdsde.noise.Noise`."""

from sgdsde.noises.gaussian import Gaussian
from sgdsde.noises.label_noise import LabelNoise, SampledLabels
from sgdsde.noises.minibatch import Minibatch
from sgdsde.noises.minibatch_without_replacement import MinibatchWithoutReplacement
from sgdsde.noises.stable import SymmetricStable
from sgdsde.noises.surrogate import Surrogate, gaussian_surrogate

__all__ = ["Gaussian", "LabelNoise", "Minibatch", "MinibatchWithoutReplacement", "SampledLabels", "Surrogate", "SymmetricStable", "gaussian_surrogate"]
