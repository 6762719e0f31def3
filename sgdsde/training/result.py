"""What training returns: saved points, what became of each path, recorded quantities and what they cost, and the protocol in words."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from sgdsde.store import decode, encode, write_durably
from sgdsde.training.optimisers import Optimiser
from sgdsde.types import Conventions, InputError, Status


@dataclass(frozen=True)
class Recorded:
    """A recorder's values at the recorded steps, ``[T, P]`` or ``[T, P, k]``; NaN for paths that had stopped. ``seconds``: what it took in all."""

    steps: tuple[int, ...]
    values: Float[Tensor, "times paths ..."]
    seconds: float


@dataclass(frozen=True)
class Checkpoint:
    """A file with the points of one saved step, and the SHA-256 of its bytes."""

    step: int
    path: Path
    sha256: str


@dataclass(frozen=True)
class Training:
    """The outcome of training P paths.

    Attributes:
        steps, states: the saved steps, and θ there ``[T, P, dim]`` (of a path that had stopped: where it stopped).
        final: θ at each path's end, ``[P, dim]``.
        ended: the step at which each path ended, ``[P]``.
        status: EXITED where the stop rule was met, CENSORED where it was not by the last step, OK where there was none, DIVERGED (``final`` is NaN).
        recorded: by name.
        optimiser, mode, stop: the protocol; ``mode`` tells BatchNorm's and dropout's.
        conventions: η, B, n, sampling, dtype, device.
        checkpoints: the files written, with digests.
        seconds: of the steps alone; recorders state theirs.
    """

    steps: tuple[int, ...]
    states: Float[Tensor, "times paths dim"]
    final: Float[Tensor, "paths dim"]
    ended: Int[Tensor, " paths"]
    status: Int[Tensor, " paths"]
    recorded: Mapping[str, Recorded]
    optimiser: Optimiser
    mode: str
    stop: str
    conventions: Conventions
    seconds: float
    checkpoints: tuple[Checkpoint, ...] = field(default=())

    @property
    def recording_share(self) -> float:
        """The recorders' part of the whole time, as measured in this run."""
        spent = sum(part.seconds for part in self.recorded.values())
        return spent / (spent + self.seconds) if spent else 0.0

    @property
    def protocol(self) -> str:
        """How the paths were trained, on one line."""
        counts = ", ".join(f"{int((self.status == code).sum())} {code.name.lower()}" for code in Status if bool((self.status == code).any()))
        share = f"; recorders took {100 * self.recording_share:.0f} % of the time" if self.recorded else ""
        return f"{self.optimiser}; {self.conventions}; {self.mode}; stop: {self.stop}; {len(self.status)} paths: {counts}{share}"

    def diverged(self) -> Tensor:
        """Which paths did, bool ``[P]``."""
        return self.status == int(Status.DIVERGED)


def write_checkpoint(folder: Path, step: int, states: Tensor, alive: Tensor, protocol: str) -> Checkpoint:
    """Write the points of one step as safetensors: temporary name, fsync, rename. ``alive`` tells which paths were still in training.

    Raises:
        StorageError: the file system refuses.
    """
    data = encode({"step": step, "theta": states.cpu().numpy(), "running": alive.cpu().numpy(), "protocol": protocol})
    path = folder / f"step-{step:08d}.safetensors"
    write_durably(path, data)
    return Checkpoint(step, path, hashlib.sha256(data).hexdigest())


def read_checkpoint(checkpoint: Checkpoint | Path | str, *, sha256: str | None = None) -> tuple[int, Tensor]:
    """The step and the points ``[P, dim]`` of a checkpoint, its digest verified where one is known.

    Raises:
        InputError: the file is missing or its bytes have another digest.
        DamagedChunk: they are no checkpoint.
    """
    given, wanted = (checkpoint.path, checkpoint.sha256) if isinstance(checkpoint, Checkpoint) else (checkpoint, sha256)
    path = Path(given) if isinstance(given, Path | str) else None
    if path is None or not path.is_file():
        raise InputError(f"{given!s:.200} is no file; wanted a checkpoint that training wrote.")
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if wanted is not None and found != wanted:
        raise InputError(f"{path} has the digest {found}; wanted {wanted}: it was damaged or replaced.")
    tree = decode(data)
    return int(tree["step"]), torch.from_numpy(np.array(tree["theta"]))
