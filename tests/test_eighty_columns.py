"""Whatever the command line prints reads well at 80 columns and without colour: help, lists, tables of every study, verdicts, progress, mistakes.

The one line that may be longer is a single word (a path to copy). Each check has a mutant: the words it reads, printed as they come, fail it.
"""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running import go
from toy_claims import CATALOGUE

import sgdsde.claims
from sgdsde.claim import Outcome, Scale, Verdict
from sgdsde.cli import run, summary
from sgdsde.columns import WIDTH, fill, width_of
from sgdsde.completion import COMMANDS, KINDS
from sgdsde.ledger import Entry, Ledger
from sgdsde.measurement import Finished, Measurement
from sgdsde.runs.config import resolve
from sgdsde.runs.listing import folder_of_studies, load
from sgdsde.runs.printed import printed
from sgdsde.runs.progress import Progress as RunProgress
from sgdsde.runs.study import Line
from sgdsde.scripts import scripts
from sgdsde.terminal import Progress
from sgdsde.types import Estimate

STUDIES = sorted(scripts(folder_of_studies()))
LONG = "the share of independent paths that have left the neighbourhood of the saddle before the longest time that was allowed, over that of SGD, in %"
#: what a table may have to hold: ordinary, tiny, huge, exact, undefined, with an endless interval
NUMBERS = (
    Estimate.normal(1.0144321, 0.0078812, 1_048_576),
    Estimate.normal(-1.234567e-9, 3.3e-11, 64),
    Estimate.normal(-6.66435e17, 8.7e15, 16),
    Estimate.exact(0.9384612),
    Estimate(float("nan"), float("nan"), 0, float("nan"), float("nan")),
    Estimate(123456.7, float("inf"), 2, float("-inf"), float("inf")),
)


def too_wide(text: str) -> list[str]:
    """Lines of more than one word that are longer than 80 columns."""
    return [line for line in text.splitlines() if width_of(line) > WIDTH and len(line.split()) > 1]


@pytest.fixture
def spoken(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def speak(*words: str, status: int) -> str:
        assert run(words) == status
        captured = capsys.readouterr()
        assert "\x1b" not in captured.out + captured.err, "an escape code where nobody sees colours"
        return captured.out + captured.err

    return speak


def test_the_check_sees_a_long_line_and_lets_a_path_be() -> None:
    assert too_wide("x " * 41) == ["x " * 41]
    assert too_wide("ok\n" + "/path" * 40) == []
    assert too_wide(LONG)
    assert width_of("θ̂") == 1
    assert width_of("日本") == 4


def test_words_are_never_broken_and_a_long_one_stands_alone() -> None:
    path = "/somewhere/" + "deep/" * 20 + "run"
    text = fill(f"sgdsde: error: {path} is no folder; wanted what sgdsde verify wrote.", rest="")
    assert text.splitlines() == ["sgdsde: error:", path, "is no folder; wanted what sgdsde verify wrote."]
    assert fill(path, first="out  ").splitlines() == ["out", "     " + path]


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)], ids=lambda words: "".join(words) or "alone")
def test_help(command: list[str], spoken: Callable[..., str]) -> None:
    text = spoken(*command, "--help", status=0)
    assert text.startswith("usage: sgdsde")
    assert too_wide(text) == []


@pytest.mark.parametrize("study", STUDIES)
def test_help_of_a_study(study: str, spoken: Callable[..., str]) -> None:
    assert too_wide(spoken("run", study, "--help", status=0)) == []


def test_lists_and_first_words(spoken: Callable[..., str]) -> None:
    for words in ([], ["info"], *(["list", kind] for kind in KINDS)):
        text = spoken(*words, status=0)
        assert text.strip()
        assert too_wide(text) == []


@pytest.mark.parametrize("study", STUDIES)
def test_the_table_of_a_study_at_every_profile(study: str) -> None:
    """Its own cells, with a short and a very long quantity and the widest numbers: what does not fit in columns is stacked, and nothing is lost."""
    found = load(study, folder_of_studies())
    for profile, values in (found.profiles or {"quick": {}}).items():
        cells = found.cells(resolve(found.config, [(profile, values)]))
        for quantity in ("variance", LONG):
            lines = [Line(cell, quantity, NUMBERS[place % len(NUMBERS)]) for place, cell in enumerate(cells)]
            text = printed(lines, most=40)
            assert too_wide(text) == []
            flat = " ".join(text.split())
            assert all(" ".join(cell.split()) in flat for cell in cells[:40])
            assert quantity in flat
            assert (f"all {len(cells)} stand in result.json" in flat) is (len(cells) > 40)
            mutant = "\n".join(f"{line.cell}  {line.quantity}  {line.estimate}" for line in lines)
            assert too_wide(mutant) or quantity != LONG


def test_digits_follow_the_standard_error_and_cells_with_other_n_say_so() -> None:
    text = printed([Line("a", "variance", NUMBERS[0]), Line("b", "variance", NUMBERS[2]), Line("c", "variance", NUMBERS[3])])
    assert [" ".join(line.split()) for line in text.splitlines()] == [
        "value ± standard error [95 % interval]",
        "",
        "variance",
        "a 1.0144 ± 0.0079 [0.9990, 1.0299] n = 1048576",
        "b (-6.664 ± 0.087)e17 [-6.835, -6.494]e17 n = 16",
        "c 0.938461 exact exact",
    ]


def test_a_run_from_its_first_line_to_its_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):  # the second one finds everything there
        assert go(Path("runs"), "--paths", "64", "--block-paths", "32") == 0
        captured = capsys.readouterr()
        assert "standard error" in captured.out
        assert too_wide(captured.out + captured.err) == []


def test_verdicts_of_every_claim_with_long_reasons() -> None:
    entries = tuple(Entry(claim, claim_plan, verdict, 1.0) for claim, claim_plan, verdict in _verdicts())
    text = summary(Ledger("quick", 0, 0.95, 1, entries, {}, 1.0, {}, read=3))
    assert all(entry.claim.id in text for entry in entries)
    assert too_wide(text) == []
    assert too_wide("\n".join(f"{entry.claim.id} {entry.verdict.outcome}: {entry.verdict.why}" for entry in entries))


def _verdicts() -> Iterator[tuple[sgdsde.claims.Claim, object, Verdict]]:
    for place, claim in enumerate(sgdsde.claims.catalogue()):
        yield claim, None, Verdict(claim.id, list(Outcome)[place % len(Outcome)], Scale.REDUCED, LONG, ())


@pytest.mark.parametrize("live", [False, True])
def test_progress(live: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of measurements and of runs, on a terminal of 60 columns and in a log; a carriage return begins a line."""

    class Stream(io.StringIO):
        def isatty(self) -> bool:
            return live

    monkeypatch.setenv("COLUMNS", "60")
    stream = Stream()
    progress = Progress(stream)
    progress.begin(LONG)
    progress(Measurement(LONG, print), Finished(None, "", 3.0), 1, 2)
    progress.end()
    clock = iter(range(0, 100_000, 40))
    blocks = RunProgress("network-comparison-c28fffa305a2" * 2, total=9, done=1, metrics=None, stream=stream, clock=lambda: float(next(clock)))
    blocks.say(LONG)
    blocks.beat(1, 2)
    blocks.close()
    text = stream.getvalue().replace("\r", "\n")
    assert too_wide(text) == []
    assert LONG[:40] in " ".join(text.split())


MISTAKES = (
    (["verfy", "--claim", "A5"], "Did you mean 'verify'?"),
    (["verify", "--claim", "A55"], "is no claim"),
    (["verify", "--clam", "A5"], "--claim"),
    (["verify", "--profile", "quik"], "Did you mean 'quick'?"),
    (["verify", "--paper", "2302.0195"], "No claim cites"),
    (["verify", "--seed", "seven"], "--seed 'seven'; wanted a whole number"),
    (["verify", "--workers", "many"], "--workers 'many'"),
    (["verify", "--out", "/dev/null"], "is a file"),
    (["list", "modls"], "modls"),
    (["completion", "fish"], "fish"),
    (["run", "stationary-varianc"], "Did you mean 'stationary-variance'?"),
    (["run", "stationary-variance", "--pahts", "7"], "--pahts"),
    (["run", "stationary-variance", "--x", "2"], "x = '2'"),
    (["run", "stationary-variance", "--models", "SME9"], "SME9"),
    (["run", "stationary-variance", "--config", "nowhere.yaml"], "cannot be read"),
    (["run", "stationary-variance", "--executor", "proces:2"], "proces"),
    (["run", "stationary-variance", "--experiments", "nowhere"], "No folder of studies"),
    (["figures", "positivty"], "Did you mean 'positivity'?"),
    (["figures", "--width", "nature"], "nature"),
    (["figures", "--from", "nowhere"], "is no folder"),
    (["figures", "--from", ".", "--out", "/dev/null/f"], "--out /dev/null/f cannot be made"),
    (["report", "nowhere"], "is no folder"),
    (["atlas", "DoubleWell", "--eta", ".1", "--json", "nowhere/a.json"], "there is no folder nowhere"),
    (["atlas", "DoubleWel", "--eta", ".1"], "Did you mean 'DoubleWell'?"),
    (["atlas", "DoubleWell", "--eta", "0"], "wanted a finite number > 0"),
    (["atlas", "DoubleWell", "--eta", ".1", "--theta", "1,2"], "The objective has dimension 1"),
    (["atlas", "DoubleWell", "--eta", ".1", "--horizon", "long"], "--horizon 'long'"),
    (["atlas", "DoubleWell", "--eta", ".1", "--covariance", "[[1"], "is no YAML"),
    (["atlas", "DoubleWell", "--eta", ".1", "--option", "depth=2"], "--option depth: DoubleWell has no such argument"),
    (["atlas", "Quadratic", "--eta", ".1"], "Quadratic needs hessian; give it with --option hessian=YAML"),
)


@pytest.mark.parametrize(("words", "told"), MISTAKES, ids=[" ".join(words)[:40] for words, _ in MISTAKES])
def test_mistakes_end_with_2_and_say_what_was_wrong(
    words: list[str], told: str, spoken: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = spoken(*words, status=2)
    assert too_wide(text) == []
    assert "Traceback" not in text
    assert told in re.sub(r"[\s│]+", " ", text)
    assert list(tmp_path.iterdir()) == []


def test_a_report_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoken: Callable[..., str]) -> None:
    monkeypatch.setattr(sgdsde.claims, "catalogue", lambda: CATALOGUE)
    monkeypatch.chdir(tmp_path)
    assert too_wide(spoken("verify", "--workers", "1", status=1)) == []
    assert too_wide(spoken("report", status=1)) == []
    assert too_wide(spoken("figures", "positivity", "--from", "report", status=1)) == []


@pytest.mark.parametrize(
    ("surroundings", "coloured"), [({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False), ({"TERM": "xterm", "NO_COLOR": "1"}, False)], ids=str
)
def test_colours_are_for_a_terminal_that_wants_them(surroundings: dict[str, str], coloured: bool) -> None:
    """On a pseudo-terminal, help and a mistake; the first case shows that the check can fail."""
    environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "TERM")} | surroundings | {"COLUMNS": "80"}
    for words in (["report", "--help"], ["report", "--ot", "x"]):
        ours, theirs = pty.openpty()
        done = subprocess.Popen([sys.executable, "-m", "sgdsde", *words], stdout=theirs, stderr=theirs, stdin=theirs, env=environment)
        os.close(theirs)
        text = b""
        while piece := _read(ours):
            text += piece
        os.close(ours)
        assert done.wait(timeout=60) == (0 if "--help" in words else 2)
        assert (b"\x1b" in text) is coloured


def test_a_stop_in_the_middle_is_a_sentence() -> None:
    """Interrupted in a command that keeps nothing: one line, status 130, no traceback. In one that goes on later: what happens is told in 80 columns."""
    code = "import sys, sgdsde.cli\ndef stopped(words): raise KeyboardInterrupt\nsgdsde.cli.run = stopped\nfrom sgdsde.__main__ import main\nmain()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "\nsgdsde: stopped.\n")
    code = "import os, signal\nfrom sgdsde.runs.signals import Stop, listening\nwith listening(Stop()):\n    os.kill(os.getpid(), signal.SIGTERM)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "finishing what is under way" in done.stderr
    assert too_wide(done.stderr) == []


def test_a_terminal_without_greek_letters_is_no_error() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run([sys.executable, "-m", "sgdsde", "list", "models"], capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 0, done.stderr
    assert "HASME" in done.stdout
    assert "?" in done.stdout


def _read(end: int) -> bytes:
    try:
        return os.read(end, 4096)
    except OSError:  # Linux: the other side is closed
        return b""
