"""The benchmark scripts' own logic: pages, the front page, peers that are absent, and the GPU script where there is no GPU. No timing is tested."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture(scope="module", autouse=True)
def _scripts() -> Iterator[None]:
    sys.path.insert(0, str(BENCHMARKS))
    yield
    sys.path.remove(str(BENCHMARKS))


def call(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=240)


def test_a_page_stores_its_tables_and_its_promises(tmp_path: Path) -> None:
    from page import Page

    page = Page("toy", "A toy", folder=tmp_path)
    first, second = page.table(["a", "b"]), page.table(["c"])
    second.row("later")
    first.row(1, 2)
    page.promise("work", "≥ 2", 2.5, at_least=2, dtype="float32", threads="1")
    page.promise("work", "≥ 2", 1.5, at_least=2, dtype="float32", threads="1")
    page.promise("work", "≤ 2", 2.5, at_most=2, dtype="float32", threads="1")
    page.promise("work", "≥ 2", None, at_least=2, dtype="float32", threads="1")
    page.close()
    text = (tmp_path / "toy.md").read_text()
    assert "| a | b |\n|---|---|\n| 1 | 2 |\n\n| c |\n|---|\n| later |\n" in text
    entry = json.loads((tmp_path / "results.json").read_text())["toy"]
    assert [row["holds"] for row in entry["promises"]] == [True, False, False, None]
    assert f"torch {torch.__version__}" in entry["stamp"]["versions"]
    with pytest.raises(ValueError, match="1 cells for the 2 columns"):
        first.row(1)


def test_another_page_keeps_the_results_of_the_first(tmp_path: Path) -> None:
    from page import Page

    for name in ("one", "two", "one"):
        Page(name, name, folder=tmp_path).close()
    assert sorted(json.loads((tmp_path / "results.json").read_text())) == ["one", "two"]


def test_times_are_medians_of_work_in_turn() -> None:
    from clock import in_turn

    order: list[str] = []
    ticking = iter(range(1000))
    work = {name: lambda name=name: order.append(name) for name in "ab"}
    found = in_turn(work, repeats=2, shortest=0, clock=lambda: 0.5 * next(ticking))
    assert order == ["a", "b", "a", "b", "a", "b"]
    assert found == {"a": 0.5, "b": 0.5}
    order.clear()
    assert in_turn(work, repeats=2, shortest=0, clock=lambda: 2.0 * next(ticking)) == {"a": 2.0, "b": 2.0}
    assert order == ["a", "b", "a", "b"]  # what lasts long needs no call to warm up


def test_a_part_that_a_cell_needs_is_charged_to_it() -> None:
    """Numbers by hand: 640 paths in 10 dimensions are one block, 40 steps, at a thousand normals and ten thousand bytes a second."""
    from models import element_wise
    from scaling import Cell, block_size, parts

    import sgdsde as sg

    class Thousand:
        device, itemsize = "cpu", 4

        def normals(self) -> float:
            return 1e3

        def bytes(self, size: int) -> float:
            return 1e4

        def step(self, kernel: sg.Kernel) -> float:
            return 2.0

    cell = Cell("element-wise", sg.kernels.EulerMaruyama(element_wise(10), 0.025), 640, 40)
    found = parts(cell, Thousand())
    assert found == pytest.approx({"random numbers": 640 * 10 * 40 / 1e3, "memory": 5 * 640 * 10 * 40 * 4 / 1e4, "Python": 40 * 2.0})
    many = parts(Cell("element-wise", cell.kernel, 20_000, 40), Thousand())
    blocks = -(-20_000 // block_size(cell.kernel, 20_000, "cpu"))
    assert blocks > 1
    assert many["Python"] == pytest.approx(blocks * 40 * 2.0)


def test_the_front_page_says_what_does_not_hold_and_what_was_never_measured() -> None:
    front = _front()
    stamp = {"date": "d", "seconds": "1", "load": "l", "code": "c", "machine": "m", "versions": "v"}
    row = {"work": "w", "must": "≥ 1", "found": "0.5", "holds": False, "dtype": "float32", "threads": "1"}
    text = front({"floors": {"title": "t", "stamp": stamp, "promises": [row, row | {"holds": None}]}}, "diffrax absent", False)
    assert "| w | ≥ 1 | 0.5 | **no** | float32 | 1 | [floors](floors.md) |" in text
    assert "| not measured |" in text
    assert "never measured on a device yet" in text
    assert "diffrax absent" in text


def test_stored_tables_name_dtype_and_threads() -> None:
    """Every table of every page that ``make bench`` stored."""
    stored = json.loads((BENCHMARKS / "results.json").read_text())
    assert stored
    for name in stored:
        tables = [part.splitlines()[0] for part in (BENCHMARKS / f"{name}.md").read_text().split("\n\n") if part.startswith("|")]
        assert tables, name
        assert all("| dtype | threads |" in heads for heads in tables), (name, tables)


def test_a_peer_that_was_not_made_is_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import page

    monkeypatch.setattr(page, "HERE", tmp_path)
    assert page.peer("diffrax") is None
    python = tmp_path / ".peers" / "diffrax" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    assert page.peer("diffrax") == python


def test_peers_are_pinned_and_their_script_is_a_script() -> None:
    peers = BENCHMARKS / "peers"
    lists = sorted(peers.glob("*.txt"))
    assert {file.stem for file in lists} == {"diffrax", "pyhessian", "hessian-eigenthings", "curvlinops"}
    for file in lists:
        packages = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
        assert packages
        assert all(line.count("==") == 1 for line in packages), file
        assert not any(line.startswith("torchvision") for line in packages)
    assert subprocess.run(["bash", "-n", str(peers / "make.sh")], check=False).returncode == 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a device")
def test_without_a_device_the_gpu_script_says_so_and_stores_nothing(tmp_path: Path) -> None:
    stored = (BENCHMARKS / "device.md").read_bytes()
    done = call("benchmarks/device.py", "--out", str(tmp_path))
    assert done.returncode == 2
    assert "No CUDA device" in done.stderr
    assert "Nothing was measured" in done.stderr
    assert list(tmp_path.iterdir()) == []
    assert (BENCHMARKS / "device.md").read_bytes() == stored
    done = call("benchmarks/scaling.py", "--device", "cuda", "--out", str(tmp_path))
    assert done.returncode == 2
    assert list(tmp_path.iterdir()) == []


def test_the_gpu_script_runs_at_tiny_sizes(tmp_path: Path) -> None:
    """Everything but the tests and the sweep of sizes, which has its own script."""
    stored = (BENCHMARKS / "device.md").read_bytes()
    done = call("benchmarks/device.py", "--dry-run", "--parts", "fused,general,ensembles,spectra", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr + done.stdout
    assert "Dry run: nothing stored; failed: none." in done.stdout
    assert list(tmp_path.iterdir()) == []
    assert (BENCHMARKS / "device.md").read_bytes() == stored


def test_a_part_that_fails_is_said_and_does_not_cost_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import device
    from device_tables import TINY
    from page import Page

    def broken(page: Page, sizes: object) -> None:
        raise RuntimeError("no such kernel\nsecond line")

    monkeypatch.setitem(device.PARTS, "fused", broken)
    monkeypatch.setitem(device.PARTS, "growth", lambda page, sizes: page.text("measured"))
    page = Page("device", "d", folder=tmp_path)
    assert device.measure(page, TINY, ["fused", "growth"]) == ["fused"]
    page.close()
    text = (tmp_path / "device.md").read_text()
    assert "**fused failed**: RuntimeError: no such kernel" in text
    assert text.rstrip().endswith("measured")


def _front():  # type: ignore[no-untyped-def]
    """``front`` of ``benchmarks/__main__.py``, which shares its name with every other main module."""
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("benchmarks_main", BENCHMARKS / "__main__.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.front
