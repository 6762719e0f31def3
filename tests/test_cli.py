"""The command line: what it prints, how it ends, what it refuses; help and lists wait for no torch."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from toy_claims import CATALOGUE, Toy

import sgdsde.claims
from sgdsde.cli import Progress, run
from sgdsde.listing import FOLDERS, KINDS, listing
from sgdsde.measurement import Finished, Measurement


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sgdsde.claims, "catalogue", lambda: CATALOGUE)


def columns(text: str) -> int:
    return max((len(line) for line in text.splitlines()), default=0)


def test_alone_it_says_what_to_type_next(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    out = capsys.readouterr().out
    assert "sgdsde verify" in out
    assert columns(out) <= 80


@pytest.mark.parametrize("arguments", [["--help"], ["list", "claims"], ["list", "models"], ["verify", "--help"]])
def test_help_and_lists_do_not_import_torch(arguments: list[str]) -> None:
    code = f"import sys; from sgdsde.cli import run; status = run({arguments!r}); assert 'torch' not in sys.modules, 'torch'; sys.exit(status)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip()


@pytest.mark.parametrize("kind", KINDS)
def test_lists_hold_what_stands_in_the_folder(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["list", kind]) == 0
    out = capsys.readouterr().out
    assert columns(out) <= 80
    names = [item.name for item in listing(kind)]
    assert all(name in out for name in names)
    assert all(item.text for item in listing(kind))
    if kind == "claims":
        assert set(names) == {claim.id for claim in sgdsde.claims.catalogue()}
        assert names.index("A2") < names.index("A11")
    else:
        import importlib

        folder, _ = FOLDERS[kind]
        base = {"models": "SDE", "objectives": "Objective", "noises": "Noise", "kernels": "Kernel"}[kind]
        package = importlib.import_module(f"sgdsde.{folder}")
        concept = getattr(sgdsde, base)
        exported = [getattr(package, name) for name in package.__all__]
        assert set(names) == {item.__name__ for item in exported if isinstance(item, type) and issubclass(item, concept)}


def test_info_names_versions_and_conventions(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info"]) == 0
    out = capsys.readouterr().out
    assert columns(out) <= 80
    for word in ("torch", "python", "device", "threads", "Itô"):
        assert word in out


@pytest.mark.usefixtures("toys")
def test_verify_writes_a_report_and_ends_with_0_though_a_claim_is_contradicted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    status = run(["verify", "--claim", "T1", "--claim", "T2", "--out", "r", "--workers", "1"])
    captured = capsys.readouterr()
    assert status == 0
    assert columns(captured.out) <= 80
    assert columns(captured.err) <= 80
    assert "1 supported, 1 contradicted" in captured.out
    assert captured.err.count("\n") == 4  # what runs, and one plain line a measurement
    record = json.loads((tmp_path / "r" / "report.json").read_text())
    assert [claim["verdict"] for claim in record["claims"]] == ["supported", "contradicted"]
    assert "<h1>" in (tmp_path / "r" / "report.html").read_text()


@pytest.mark.usefixtures("toys")
def test_verify_ends_with_1_where_something_did_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", "--claim", "T10", "--out", str(tmp_path), "--workers", "1"]) == 1
    captured = capsys.readouterr()
    assert "the oracle broke" in captured.out
    assert "failed broken" in captured.err
    assert (tmp_path / "report.html").exists()


def test_verify_ends_with_1_where_a_control_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    lost = Toy("T5", 1.0)
    monkeypatch.setattr("toy_claims.ZONE", type(CATALOGUE[0].plan("quick", 0).rows[0].zone)(1.0, 5.0))
    monkeypatch.setattr(sgdsde.claims, "catalogue", lambda: (lost,))
    assert run(["verify", "--out", str(tmp_path), "--workers", "1"]) == 1
    assert "control failed" in capsys.readouterr().out


@pytest.mark.usefixtures("toys")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--profile", "quik"], "'quik' is no profile. Did you mean 'quick'?"),
        (["--claim", "T12"], "'T12' is no claim. Did you mean"),
        (["--claim", "T11"], "claim T11 is not in profile 'quick'; it runs in: full."),
        (["--paper", "1234.5678"], "No claim cites '1234.5678'. Did you mean '1234.56789'?"),
        (["--workers", "0"], "--workers '0'; wanted an integer ≥ 1."),
        (["--seed", "-1"], "--seed '-1'; wanted a whole number ≥ 0."),
        (["--out", "/dev/null"], "--out /dev/null is a file; give a directory."),
        (["--clam", "T1"], "--claim"),
        (["--seed", "x"], "--seed 'x'; wanted a whole number ≥ 0."),
    ],
)
def test_bad_input_is_one_sentence_and_exit_status_2(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["verify", *arguments]) == 2
    captured = capsys.readouterr()
    assert words in " ".join(captured.err.split())
    assert "Traceback" not in captured.err
    assert captured.out == ""
    assert not (tmp_path / "report" / "report.html").exists()


@pytest.mark.parametrize("arguments", [["verfy"], ["list"], ["list", "modls"], ["--nonsense"]])
def test_unknown_words_are_refused_with_what_there_is(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    assert capsys.readouterr().err


def test_progress_is_one_line_on_a_terminal_and_plain_lines_elsewhere() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    job, done = Measurement("a name that is much longer than the eighty columns that a terminal of the usual size has to offer", print), Finished(None, "", 3.0)
    live, plain = Terminal(), io.StringIO()
    for stream in (live, plain):
        progress = Progress(stream)
        progress(job, done, 1, 2)
        progress.end()
    assert "\n" not in live.getvalue()
    assert live.getvalue().count("\r") == 3
    assert plain.getvalue().count("\n") == 1
    assert columns(plain.getvalue()) <= 80
