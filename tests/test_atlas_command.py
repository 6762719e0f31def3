"""``sgdsde atlas``: it prints what the function says, and refuses in one sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import sgdsde as sg
from sgdsde.atlas_command import main_atlas

T64 = torch.float64
LINE = {"SME1": 1, "SME2": 2, "SPF": 2, "HASME": 2, "SME3": 3, "HASME3": 3}


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "sgdsde", "atlas", *arguments], capture_output=True, text=True, timeout=120, check=False)


def test_the_command_prints_what_the_function_says(tmp_path: Path) -> None:
    """One real process: table, file, exit status 0."""
    file = tmp_path / "atlas.json"
    done = command("DoubleWell", "--eta", "0.1", "--theta=-1.3", "--covariance", "0.25", "--model", "SME1", "--json", str(file))
    assert done.returncode == 0, done.stderr
    found = sg.atlas(sg.noises.Gaussian(sg.objectives.DoubleWell(), 0.25), 0.1, [-1.3], models=["SME1"])
    assert done.stdout == f"{found}\n"
    assert json.loads(file.read_text(encoding="utf-8"))["charts"]["SME1"]["order"] == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["DoubleWel", "--eta", "0.1"], "Did you mean 'DoubleWell'"),
        (["DoubleWell", "--eta", "-1"], "eta = -1.0"),
        (["DoubleWell", "--eta", "0.1", "--theta=a"], "wanted numbers with commas"),
        (["DoubleWell", "--eta", "0.1", "--option", "dim"], "wanted KEY=YAML"),
        (["DoubleWell", "--eta", "0.1", "--covariance", "[1"], "no YAML"),
        (["AsymmetricWell", "--eta", "0.1"], "AsymmetricWell needs tilt; give it with --option tilt=YAML"),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_status_2(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main_atlas(arguments) == 2
    said = capsys.readouterr()
    assert words in " ".join(said.err.split())
    assert said.out == ""


def test_its_help_does_not_wait_for_torch() -> None:
    code = "import sys; from sgdsde.cli import run; status = run(['atlas', '--help']); assert status == 0 and 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True)
