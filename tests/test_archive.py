"""The ledger's memory: a measurement is made once, read back as it was, and never where anything that decides it has changed."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from errands import measured

from sgdsde import archive
from sgdsde.archive import Stopped, finished_of, key_of, measure, tree_of
from sgdsde.ledger import _kept
from sgdsde.measurement import Finished, Measurement, carry_out
from sgdsde.plots.panel import Panel
from sgdsde.runs import Stop
from sgdsde.runs.workers import Serial
from sgdsde.store import chunk_path, decode, encode


def job(name: str, value: float, count: Path | str = "") -> Measurement:
    return Measurement(name, measured, {"value": value, "count": str(count)})


def go(
    folder: Path, jobs: list[Measurement], *, seed: int = 1, level: float = 0.99, stop: Stop | None = None, done: Any = lambda *_: None
) -> tuple[dict[str, Finished], int]:
    return measure(jobs, seed=seed, level=level, folder=folder, workers=Serial(), done=done, stop=stop)


def parts(panel: Panel) -> list[Any]:
    return [{**vars(panel), "series": None}, *(vars(series) for series in panel.series)]


def test_a_measurement_comes_back_as_it_was() -> None:
    made = carry_out(job("m", 1.5), 3, 0.99)
    again = finished_of(decode(encode(tree_of(made))))
    assert made.measured is not None
    assert again.measured is not None
    assert again.measured.estimates == made.measured.estimates
    assert (again.measured.notes, again.measured.conventions, again.seconds, again.error) == (made.measured.notes, "conventions", made.seconds, "")
    for mine, theirs in zip(parts(again.measured.panels[0]), parts(made.measured.panels[0]), strict=True):
        np.testing.assert_equal(mine, theirs)
    assert finished_of(decode(encode(tree_of(Finished(None, "why", 2.0))))) == Finished(None, "why", 2.0)
    assert {field.name for field in dataclasses.fields(type(made.measured))} == {"estimates", "panels", "notes", "conventions"}  # nothing is forgotten


def test_it_is_made_once_and_again_where_it_is_damaged(tmp_path: Path) -> None:
    jobs = [job(f"m{value}", value, tmp_path / f"{value}") for value in (1.0, 2.0, 3.0)]
    first, read = go(tmp_path / "r", jobs)
    assert (list(first), read) == (["m1.0", "m2.0", "m3.0"], 0)
    path = chunk_path(tmp_path / "r", key_of(jobs[1], 1, 0.99))
    path.write_bytes(path.read_bytes()[:-1])
    again, read = go(tmp_path / "r", jobs)
    assert read == 2
    assert [len((tmp_path / name).read_text()) for name in ("1.0", "2.0", "3.0")] == [1, 2, 1]
    assert {name: finished.measured.estimates for name, finished in again.items() if finished.measured} == {
        name: finished.measured.estimates for name, finished in first.items() if finished.measured
    }


def test_whatever_decides_a_result_is_in_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    base = job("m", 1.0)
    others = [
        key_of(job("n", 1.0), 1, 0.99),
        key_of(job("m", 2.0), 1, 0.99),
        key_of(job("m", 1), 1, 0.99),
        key_of(base, 2, 0.99),
        key_of(base, 1, 0.999),
        key_of(Measurement("m", carry_out, base.parameters), 1, 0.99),
    ]
    mine = key_of(base, 1, 0.99)
    assert mine == key_of(job("m", 1.0), 1, 0.99)
    monkeypatch.setattr(archive, "code_digest", lambda: "another")
    others.append(key_of(base, 1, 0.99))
    assert len({mine, *others}) == 8
    assert key_of(dataclasses.replace(base, seconds=9.0), 1, 0.99) == others[-1]  # an estimate of the cost decides nothing
    with pytest.raises(TypeError, match="holds a object"):
        key_of(Measurement("m", measured, {"value": object()}), 1, 0.99)


def test_a_failure_is_told_and_tried_again(tmp_path: Path) -> None:
    jobs = [job("good", 1.0), job("bad", -1.0, tmp_path / "count")]
    told: list[str] = []
    for _ in range(2):
        told.clear()
        finished, _ = go(tmp_path / "r", jobs, done=lambda job, _: told.append(job.name))
        assert "below zero" in finished["bad"].error
        assert sorted(told) == ["bad", "good"]
    assert (tmp_path / "count").read_text() == "xx"


def test_a_stopped_ledger_goes_on(tmp_path: Path) -> None:
    stop = Stop()
    jobs = [job(f"m{value}", float(value), tmp_path / "count") for value in range(5)]
    with pytest.raises(Stopped, match=r"2 of 5 measurements are made and kept in .* run the same command again"):
        go(tmp_path / "r", jobs, stop=stop, done=lambda job, _: stop.ask("test") if job.name == "m1" else None)
    finished, read = go(tmp_path / "r", jobs)
    assert (len(finished), read) == (5, 2)
    assert (tmp_path / "count").read_text() == "x" * 5


def test_the_ledger_reports_what_it_reads_and_what_it_makes(tmp_path: Path) -> None:
    jobs = [job(f"m{value}", float(value)) for value in range(3)]
    told: list[tuple[str, int, int]] = []
    for expected in (0, 3):
        told.clear()
        finished, read = _kept(jobs, 1, 0.99, tmp_path, None, 1, lambda job, _, done, total: told.append((job.name, done, total)), None)
        assert read == expected
        assert set(finished) == {"m0", "m1", "m2"}
        assert [(done, total) for _, done, total in told] == [(1, 3), (2, 3), (3, 3)]
