"""Every Python example of the README runs, and what it names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 3


@pytest.mark.parametrize("code", EXAMPLES, ids=range(len(EXAMPLES)))
def test_example_runs(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    assert capsys.readouterr().out.strip()


def test_models_of_the_table_are_the_models_of_the_package() -> None:
    import sgdsde as sg

    table = set(re.findall(r"`(\w+)`", README.split("## Models")[1].split("Conventions and derivations")[0]))
    models = {name for name in sg.sdes.__all__ if isinstance(getattr(sg.sdes, name), type) and issubclass(getattr(sg.sdes, name), sg.SDE)}
    assert models - table == {"Langevin"}
    assert table <= models


def test_linked_files_exist() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert link.startswith("http") or (ROOT / link).exists(), link


def test_targets_of_the_makefile_are_those_of_the_readme() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_citation_names_this_version() -> None:
    import yaml

    import sgdsde

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == sgdsde.__version__
    assert citation["license"] == "MIT"
    assert {"cff-version", "message", "title", "authors"} <= set(citation)


def test_commands_of_the_readme_fit_the_terminal() -> None:
    for block in re.findall(r"^```(\w*)\n(.*?)^```", README, re.DOTALL | re.MULTILINE):
        assert block[0] == "python" or max(map(len, block[1].splitlines())) <= 110
