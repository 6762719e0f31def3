"""Training for studies: many starts at once, one optimiser, minibatches by epochs, a stop rule, recorders and checkpoints.

θ_{k+1} = step(θ_k; batch_k, masks_k). Every path owns its stream (seed, path): its batches and masks depend neither on how many paths run beside it nor on
when those stop, so paths of two runs with one seed are paired: the same start, permutations and masks under another η or optimiser.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.given import is_whole
from sgdsde.objective import Objective
from sgdsde.rng import stream
from sgdsde.training.batches import SAMPLING, Batches
from sgdsde.training.optimisers import Optimiser
from sgdsde.training.recorders import Recorder, Visit
from sgdsde.training.result import Checkpoint, Recorded, Training, write_checkpoint
from sgdsde.training.stop import StopRule
from sgdsde.training.trainable import Plain, Trainable
from sgdsde.types import Conventions, InputError, Status, as_points, expected

#: a path whose coordinates are no longer finite is looked for every so many steps
_LOOK = 25


def train(
    objective: Objective | Trainable,
    theta0: Float[Tensor, "paths dim"] | Sequence[float],
    *,
    optimiser: Optimiser,
    batch_size: int,
    steps: int | None = None,
    epochs: int | None = None,
    seed: int,
    sampling: str = "epoch",
    save: Sequence[int] = (),
    record: Mapping[str, Recorder] | None = None,
    at: Sequence[int] | None = None,
    stop: StopRule | None = None,
    folder: Path | str | None = None,
) -> Training:
    """Train all paths of ``theta0`` side by side.

    Args:
        objective: any objective, or a :class:`~sgdsde.training.TrainingNetwork` for BatchNorm and dropout.
        theta0: ``[P, dim]`` or ``[dim]``, for instance ``network.initial(P, generator)``; its dtype and device are used.
        optimiser: :class:`~sgdsde.training.SGD` or :class:`~sgdsde.training.SAM`. ``batch_size = n``: full batches.
        steps, epochs: how long at most; one of the two (an epoch has ⌊n/B⌋ steps).
        sampling: ``epoch`` shuffling, ``with replacement``, ``without replacement``.
        save: steps whose points are kept (and written to ``folder`` where one is given); the end always stands in ``final``.
        record: recorders by name; ``at``: the steps at which they are asked (default: ``save``, or the last step).
        stop: a path is done once the rule is met; it is frozen, and the others go on.

    Raises:
        InputError: steps out of range, both or neither of steps and epochs, a batch size outside 1…n, a rule that cannot be met.
    """
    trainable = objective if isinstance(objective, Trainable) else Plain(objective)
    points = as_points(theta0, trainable.dim, name="theta0").clone()
    expected(optimiser, Optimiser, "optimiser", "sg.training.SGD(rate) or sg.training.SAM(rate)")
    run = _Run(trainable, points, optimiser, batch_size, sampling, seed)
    last = _horizon(steps, epochs, run.batches.epoch)
    marks = _marks(save, last, "save")
    visits = _marks(at, last, "at") if at is not None else (marks or (last,))
    recorders = _recorders(record)
    between = 0
    if stop is not None:
        expected(stop, StopRule, "stop", "sg.training.TrainAccuracy() or sg.training.LossBelow(level=…)")
        between = stop.between(run.batches.epoch)
        stop.check(trainable, points)
    conventions = Conventions(optimiser.rate, run.batches.size, trainable.n, SAMPLING[sampling] if not run.batches.full else "full batch")
    conventions = Conventions(**{**vars(conventions), "time": "step k", "dtype": str(points.dtype).removeprefix("torch."), "device": str(points.device)})
    states, values, checkpoints = [], {name: [] for name in recorders}, []  # type: ignore[var-annotated]
    spent = dict.fromkeys(recorders, 0.0)
    words = "none" if stop is None else f"{stop}, asked every {between} steps"
    begin, elsewhere = time.perf_counter(), 0.0
    for k in range(last + 1):
        if k % _LOOK == 0 or k == last or k in marks or k in visits:
            run.drop_diverged(k)
        if stop is not None and k % between == 0 and run.running.numel():
            run.finish(stop.met(trainable.evaluate(run.theta)), k)
        if k in marks:
            states.append(run.everywhere())
            if folder is not None:
                checkpoints.append(_write(Path(folder), k, run, f"{optimiser}; {conventions}; {trainable.mode}; stop: {words}"))
        if k in visits:
            for name, recorder in recorders.items():
                start = time.perf_counter()
                values[name].append(run.ask(recorder, k))
                spent[name] += time.perf_counter() - start
            elsewhere = sum(spent.values())
            run.forget_angles()
        if k < last and run.running.numel():
            run.step(k, watch=bool(recorders))
    ended, status = run.outcome(last, has_rule=stop is not None)
    return Training(
        steps=marks,
        states=torch.stack(states) if states else run.all.new_zeros(0, *run.all.shape),
        final=run.everywhere(),
        ended=ended,
        status=status,
        recorded={name: Recorded(visits, torch.stack(rows), spent[name]) for name, rows in values.items()},
        optimiser=optimiser,
        mode=trainable.mode,
        stop=words,
        conventions=conventions,
        seconds=time.perf_counter() - begin - elsewhere,
        checkpoints=tuple(checkpoints),
    )


class _Run:
    """The paths in flight. ``running`` holds the indices, among all, of those that still train; ``theta`` their points."""

    def __init__(self, trainable: Trainable, points: Tensor, optimiser: Optimiser, batch_size: int, sampling: str, seed: int) -> None:
        paths = points.shape[0]
        generators = [stream(seed, "training batches", path, points.device) for path in range(paths)]
        self.masks = [stream(seed, "training masks", path, points.device) for path in range(paths)]
        self.batches = Batches(trainable.n, batch_size, sampling, generators, smallest=trainable.smallest_batch)
        self.trainable, self.optimiser, self.seed = trainable, optimiser, seed
        self.all, self.theta = points, points
        self.velocity = torch.zeros_like(points)
        self.running = torch.arange(paths)
        self.ended = torch.full((paths,), -1, dtype=torch.long)
        self.status = torch.full((paths,), int(Status.OK), dtype=torch.long)
        self.last_move: Tensor | None = None
        self.cosines, self.angles = points.new_zeros(paths), 0

    def step(self, k: int, *, watch: bool) -> None:
        batch = self.batches.at(k)
        masks = self.trainable.draw(self.theta, self.batches.size, self.masks)
        before = self.theta
        self.theta, self.velocity = self.optimiser.step(before, self.velocity, lambda at: self.trainable.grad(at, batch, masks))
        if watch:
            move = self.theta - before
            if self.last_move is not None:
                self.cosines = self.cosines + torch.nn.functional.cosine_similarity(move, self.last_move, dim=1)
                self.angles += 1
            self.last_move = move

    def finish(self, done: Tensor, k: int) -> None:
        """Freeze the paths that met the rule."""
        if bool(done.any()):
            self._leave(done.cpu(), k, Status.EXITED)

    def drop_diverged(self, k: int) -> None:
        lost = ~torch.isfinite(self.theta).all(1).cpu()
        if bool(lost.any()):
            self.theta = torch.where(lost.to(self.theta.device)[:, None], torch.full_like(self.theta, torch.nan), self.theta)
            self._leave(lost, k, Status.DIVERGED)

    def everywhere(self) -> Tensor:
        """All paths, the frozen ones where they stopped, ``[P, dim]``."""
        self.all = self.all.index_copy(0, self.running.to(self.all.device), self.theta)
        return self.all.clone()

    def ask(self, recorder: Recorder, k: int) -> Tensor:
        """A recorder's values for all paths, NaN where a path has stopped."""
        paths = self.all.shape[0]
        if not self.running.numel():
            return self.all.new_full((paths,), torch.nan)
        mean = self.cosines / self.angles if self.angles else torch.full_like(self.cosines, torch.nan)
        found = recorder.measure(Visit(self.trainable, self.optimiser, self.batches, k, self.theta, mean, tuple(self.running.tolist()), self.seed))
        return found.new_full((paths, *found.shape[1:]), torch.nan).index_copy(0, self.running.to(found.device), found)

    def forget_angles(self) -> None:
        self.cosines, self.angles = self.theta.new_zeros(self.theta.shape[0]), 0

    def outcome(self, last: int, *, has_rule: bool) -> tuple[Tensor, Tensor]:
        self.ended[self.running] = last
        self.status[self.running] = int(Status.CENSORED if has_rule else Status.OK)
        return self.ended, self.status

    def _leave(self, done: Tensor, k: int, status: Status) -> None:
        self.everywhere()
        self.ended[self.running[done]], self.status[self.running[done]] = k, int(status)
        rows = (~done).nonzero()[:, 0]
        self.running, self.masks = self.running[rows], [self.masks[int(row)] for row in rows]
        on_device = rows.to(self.theta.device)
        self.theta, self.velocity, self.cosines = self.theta[on_device], self.velocity[on_device], self.cosines[on_device]
        self.last_move = None if self.last_move is None else self.last_move[on_device]
        self.batches.keep(rows)


def _write(folder: Path, k: int, run: _Run, protocol: str) -> Checkpoint:
    alive = torch.zeros(run.all.shape[0], dtype=torch.bool)
    alive[run.running] = True
    return write_checkpoint(folder, k, run.everywhere(), alive, protocol)


def _horizon(steps: int | None, epochs: int | None, epoch: int) -> int:
    if (steps is None) == (epochs is None):
        raise InputError(f"steps = {steps}, epochs = {epochs}; wanted one of the two.")
    given: Any = steps if steps is not None else epochs
    if not is_whole(given, 1):
        raise InputError(f"{'steps' if steps is not None else 'epochs'} = {given!r}; wanted an integer ≥ 1.")
    return int(given) * (1 if steps is not None else epoch)


def _recorders(record: Mapping[str, Recorder] | None) -> dict[str, Recorder]:
    if record is not None and not isinstance(record, Mapping):
        raise InputError(f"record is of type {type(record).__name__}; wanted recorders by name, for example {{'sharpness': sg.training.LambdaMax()}}.")
    found = dict(record or {})
    for name, recorder in found.items():
        expected(recorder, Recorder, f"record: {name!r}", "for example sg.training.LambdaMax()")
    return found


def _marks(given: Sequence[int], last: int, name: str) -> tuple[int, ...]:
    steps: list[Any] = list(given) if isinstance(given, Iterable) else [given]
    if not all(is_whole(k, -last) for k in steps):
        raise InputError(f"{name} = {given!r:.200}; wanted steps, integers in 0…{last}.")
    marks = tuple(sorted({int(k) for k in steps}))
    if marks and not (marks[0] >= 0 and marks[-1] <= last):
        raise InputError(f"{name} holds steps from {marks[0]} to {marks[-1]}; wanted steps in 0…{last}.")
    return marks
