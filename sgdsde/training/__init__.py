"""Training for studies: SGD, GD and SAM on ensembles of networks, with momentum, dropout, BatchNorm, stop rules, recorders and checkpoints."""

from sgdsde.training.network import InTrainingMode, TrainingNetwork
from sgdsde.training.optimisers import SAM, SGD, Optimiser
from sgdsde.training.recorders import (
    LambdaMax,
    LossDifferences,
    NoiseAlignedSharpness,
    Recorder,
    StepAngle,
    TraceHessian,
    TraceSecondMoment,
)
from sgdsde.training.result import Checkpoint, Recorded, Training, read_checkpoint
from sgdsde.training.sharpness import BetweenIterates, LargestEigenvalues, largest_between, largest_eigenvalues
from sgdsde.training.stop import LossBelow, StopRule, TrainAccuracy
from sgdsde.training.train import train
from sgdsde.training.trainable import Evaluation, FirstSamples, Plain, Trainable

__all__ = [
    "SAM",
    "SGD",
    "BetweenIterates",
    "Checkpoint",
    "Evaluation",
    "FirstSamples",
    "InTrainingMode",
    "LambdaMax",
    "LargestEigenvalues",
    "LossBelow",
    "LossDifferences",
    "NoiseAlignedSharpness",
    "Optimiser",
    "Plain",
    "Recorded",
    "Recorder",
    "StepAngle",
    "StopRule",
    "TraceHessian",
    "TraceSecondMoment",
    "TrainAccuracy",
    "Trainable",
    "Training",
    "TrainingNetwork",
    "largest_between",
    "largest_eigenvalues",
    "read_checkpoint",
    "train",
]
