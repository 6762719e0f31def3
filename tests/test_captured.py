"""Recorded steps against the kernel itself, bit for bit: on the buffers alone, and replayed from a tape as a CUDA graph replays."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from captured_cases import ETA, KERNELS, PATHS, WELL, heun, run, same, start
from taped import Tape
from torch import Tensor

import sgdsde as sg
from sgdsde.kernels import recording
from sgdsde.kernels.captured import Captured
from sgdsde.kernels.recording import Body
from sgdsde.rng import stream


@pytest.fixture(params=["buffers", "tape"])
def _recorder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "tape":
        monkeypatch.setattr(recording, "record", Tape)


@pytest.mark.usefixtures("_recorder")
@pytest.mark.parametrize(("name", "dtype"), [*((name, torch.float64) for name in KERNELS), ("HASME, clipped", torch.float32), ("SGD", torch.float32)])
def test_numbers_are_the_kernels_own(name: str, dtype: torch.dtype) -> None:
    """Two blocks (of 40 and 30 paths), saves after 1, 7 and 15 ticks: recordings of three ticks, with and without a rest; fates and counters too."""
    kernel = KERNELS[name]
    same(run(kernel, dtype=dtype), run(Captured(kernel, ticks=3), dtype=dtype))


def test_the_cases_hold_what_they_are_for() -> None:
    """Clips, defects and paths that end are among them; so are recordings that were replayed."""
    clipped, stopped, indefinite = (run(KERNELS[f"HASME, {name}"]) for name in ("clipped", "stopped", "indefinite"))
    assert clipped.tally.counts["log clipped"] > 0
    assert clipped.tally.worst["shift of eta·lambda by clipping"] > 0
    assert 0 < stopped.counts()["out_of_domain"] < PATHS
    assert len(set(stopped.status_tick.tolist())) > 3
    assert indefinite.tally.counts["psd indefinite"] > 0
    assert run(KERNELS["HASME, projected"]).tally.worst["psd defect"] > 0


@pytest.mark.parametrize("ticks", [1, 4, 23, 50])
def test_any_number_of_ticks(ticks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "record", Tape)
    monkeypatch.setattr(Tape, "made", 0)
    kernel = KERNELS["HASME, clipped"]
    same(run(kernel), run(Captured(kernel, ticks=ticks)))
    assert Tape.made == (2 if ticks in (1, 4) else 0)  # one a block; nothing is recorded for a single pass, or none


@pytest.mark.usefixtures("_recorder")
def test_paths_that_leave_make_room_for_a_smaller_recording() -> None:
    """Saves every eight ticks while paths end: other numbers of paths fill other buffers."""
    kernel, marks = KERNELS["HASME, stopped"], tuple(range(8, 81, 8))
    alone = run(kernel, ticks=80, save=marks)
    assert len(set(alone.status_tick.tolist())) > 5
    same(alone, run(Captured(kernel, ticks=2), ticks=80, save=marks))


@pytest.mark.usefixtures("_recorder")
def test_paths_that_diverge_end_at_the_same_tick() -> None:
    kernel = sg.kernels.EulerMaruyama(sg.sdes.SME1(sg.noises.Gaussian(WELL, 4.0), 0.4), 0.4)
    alone = run(kernel)
    assert 0 < alone.counts()["diverged"] < PATHS
    same(alone, run(Captured(kernel, ticks=3)))


@pytest.mark.usefixtures("_recorder")
@pytest.mark.parametrize(
    ("name", "policies", "word"), [("HASME, stopped", {"log": "raise"}, "not real there"), ("HASME, indefinite", {"psd": "raise"}, "indefinite")]
)
def test_a_model_that_raises_raises(name: str, policies: dict[str, str], word: str) -> None:
    """The pass puts NaN; the ticks are run again where the model may look."""
    old = KERNELS[name]
    kernel = heun("HASME", old.sde.noise, eta=old.tick, **policies)  # type: ignore[attr-defined]
    theta = torch.full((PATHS, kernel.dim), 0.1, dtype=torch.float64)
    for k in (kernel, Captured(kernel, ticks=3)):
        with pytest.raises(sg.types.DomainError, match=word):
            run(k, theta=theta, ticks=200, save=(200,))


def _growing_negative(theta: Tensor) -> Tensor:
    return (1 - theta**2 / 4)[:, :, None]


def test_a_covariance_that_turns_negative_is_said() -> None:
    kernel = sg.kernels.SGD(sg.noises.Gaussian(sg.objectives.Quadratic([-1.0]), _growing_negative), 0.2)
    for k in (kernel, Captured(kernel, ticks=3)):
        with pytest.raises(sg.types.InputError, match="indefinite"):
            run(k, theta=torch.full((PATHS, 1), 0.3, dtype=torch.float64), ticks=60, save=(60,))


@pytest.mark.usefixtures("_recorder")
def test_exits_and_stops_look_at_every_tick() -> None:
    region = sg.regions.Ball([0.0, 0.0, 0.0], 0.4)
    kernel = KERNELS["product form"]
    found = [sg.exit_times(k, [0.0] * 3, region=region, horizon=60 * ETA, paths=200, seed=1, progress=False).times for k in (kernel, Captured(kernel, ticks=4))]
    assert torch.equal(torch.as_tensor(found[0]), torch.as_tensor(found[1]))
    assert float((torch.as_tensor(found[0]) < 60 * ETA).sum()) > 20
    same(run(kernel, stop=_far), run(Captured(kernel, ticks=4), stop=_far))


def _far(theta: Tensor) -> Tensor:
    return theta[:, 0] > 1.5


def test_nothing_recorded_travels() -> None:
    captured = Captured(KERNELS["SGD"], ticks=3)
    fresh = len(pickle.dumps(captured))
    before = run(captured)
    assert len(pickle.dumps(captured)) == fresh
    for other in (pickle.loads(pickle.dumps(captured)), copy.deepcopy(captured)):
        same(before, run(other))


def test_a_run_does_not_live_on_another_runs_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    """Constants may have changed between runs."""
    monkeypatch.setattr(recording, "record", Tape)
    quadratic = sg.objectives.Quadratic([1.0, 0.5])
    kernel = sg.kernels.SGD(sg.noises.Gaussian(quadratic, 0.1), 0.1)
    captured = Captured(kernel, ticks=3)
    first = run(captured)
    quadratic.matrix = 2 * quadratic.matrix
    second = run(captured)
    assert not torch.equal(first.states, second.states)
    same(second, run(kernel))


def test_a_recording_keeps_what_it_reads_and_not_what_it_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Constants, increments, counters and the points: a graph knows their addresses only."""
    monkeypatch.setattr(recording, "record", _as_on_a_device)
    kernel = KERNELS["HASME, clipped"]
    theta = start(kernel, torch.float32)
    kernel.init(theta, stream(0, "x"))
    body = Body(kernel, theta, 2, owner="it")  # type: ignore[arg-type]
    body.run(theta, stream(0, "x"), 2)
    kept = {id(tensor) for tensor in body._held}
    wanted = [body._start, body._end, *body._drawn, *body._tally._sums.values(), *body._tally._tops.values()]
    assert {id(tensor) for tensor in wanted} <= kept
    assert len(kept) <= len(wanted) + 4  # conversions of Σ and its root; the pass makes some hundred tensors


def _as_on_a_device(run: Callable[[], None], device: torch.device) -> Callable[[], None]:
    run()
    return run


def test_memory_is_stated_before_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    captured = Captured(KERNELS["product form"], ticks=5)
    assert captured.buffer_numbers(10) == 10 * (5 * 2 * 3 + 3 * 3)
    monkeypatch.setattr(recording, "LARGE", 0)
    monkeypatch.setattr("sgdsde.objectives.memory.available_bytes", lambda device: 100_000)
    with pytest.raises(sg.types.InputError, match=r"buffers of 1000 recorded steps of 40 paths.*fewer ticks"):
        run(Captured(captured.kernel, ticks=500), ticks=500, save=(500,))


def test_the_recipe_names_the_kernel_inside() -> None:
    assert run(Captured(KERNELS["HASME, clipped"])).recipe["kernel"] == "Captured(Heun(HASME))"


# --- on a device -----------------------------------------------------------------------------------------------------------------------------


class _Device:
    """Stands for ``torch.cuda``: notes what is asked of it. Signatures are held against the real ones."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.told: list[str] = []
        real = inspect.signature(torch.cuda.graph.__init__)
        noting, told = self._noting, self.told

        class CUDAGraph:
            def replay(self) -> None:
                told.append("replay")

        class Stream:
            def wait_stream(self, other: Any) -> None:
                told.append("wait")

        def graph(*words: Any, **named: Any) -> Any:
            assert isinstance(real.bind(None, *words, **named).arguments["cuda_graph"], CUDAGraph)
            return noting("capture")

        for name, stand_in in {
            "CUDAGraph": CUDAGraph,
            "Stream": Stream,
            "current_stream": Stream,
            "graph": graph,
            "device": lambda device: noting("device"),
            "stream": lambda stream: noting("side"),
        }.items():
            monkeypatch.setattr(torch.cuda, name, stand_in)

    @contextmanager
    def _noting(self, word: str) -> Iterator[None]:
        self.told.append(word)
        yield
        self.told.append(f"end of {word}")


def test_what_is_asked_of_a_device_and_in_which_order(monkeypatch: pytest.MonkeyPatch) -> None:
    device = _Device(monkeypatch)
    place = torch.device("cuda", 1)
    with recording.aside(place):
        device.told.append("pass")
    assert device.told == ["device", "wait", "side", "pass", "end of side", "wait", "end of device"]
    device.told.clear()
    graph = recording.record(lambda: device.told.append("pass"), place)
    assert device.told == ["device", "capture", "pass", "end of capture", "end of device"]
    device.told.clear()
    graph()
    assert device.told == ["device", "replay", "end of device"]  # no pass


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", KERNELS)
def test_a_graph_replays_the_kernels_own_numbers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 40 and 30 paths, each recorded once and then replayed."""
    made: list[recording.Graph] = []
    plain: Callable[..., Any] = recording.Graph.__init__

    def noted(graph: recording.Graph, *words: Any) -> None:
        made.append(graph)
        plain(graph, *words)

    monkeypatch.setattr(recording.Graph, "__init__", noted)
    kernel = KERNELS[name]
    theta = start(kernel, torch.float32).cuda()
    same(run(kernel, theta=theta), run(Captured(kernel, ticks=3), theta=theta))
    assert len(made) >= 2
