"""Data: real ones that ship with scikit-learn or lie in a local folder, and synthetic ones from a seed. Nothing is downloaded."""

from sgdsde.data.cifar import cifar10
from sgdsde.data.dataset import Data
from sgdsde.data.idx import fashion_mnist, mnist
from sgdsde.data.scikit_digits import digits
from sgdsde.data.synthetic import blobs, linear_teacher, logistic_teacher, tanh_teacher

__all__ = ["Data", "blobs", "cifar10", "digits", "fashion_mnist", "linear_teacher", "logistic_teacher", "mnist", "tanh_teacher"]
