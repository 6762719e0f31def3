"""Documentation is run, not trusted: examples of tutorials and guides, commands that they name, papers that claims cite; the slow tier builds the pages."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from sgdsde.claims import catalogue
from sgdsde.completion import COMMANDS
from sgdsde.figures.listing import folder_of_figures
from sgdsde.listing import listing
from sgdsde.runs.listing import folder_of_studies
from sgdsde.scripts import scripts

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [page for page in PAGES if not {"_build", "generated"} & set(page.parts)]
#: quick ones are run with every test; the others in the slow tier
QUICK = {"one_file", "figures"}
RUN = [ROOT / "docs" / "figures.md", *(page for page in sorted((ROOT / "docs" / "tutorials").glob("*.md")) if page.stem != "index")]


def examples(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("page", [page if page.stem in QUICK else pytest.param(page, marks=pytest.mark.slow) for page in RUN], ids=lambda page: page.stem)
def test_the_examples_of_a_page_run_one_after_the_other(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = {"__name__": page.stem}
    assert examples(page)
    for code in examples(page):
        exec(compile(code, page.name, "exec"), names)
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.stem)
def test_commands_that_a_page_names_exist(page: Path) -> None:
    """Every ``sgdsde COMMAND NAME`` in a console block: the command, its options, the study, figure, claim or objective."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"```(?:console|bash)?\n(.*?)```", text, re.DOTALL)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if re.match(r"(\$ )?sgdsde\b", line)]
    names = {
        "run": set(scripts(folder_of_studies())),
        "figures": set(scripts(folder_of_figures())),
        "atlas": {item.name for item in listing("objectives")},
        "list": {"claims", "models", "objectives", "noises", "kernels", "experiments", "figures"},
    }
    claims = {item.name for item in listing("claims")}
    for line in lines:
        words = shlex.split(line, comments=True)[1:]
        if not words:
            continue
        assert words[0] in COMMANDS, line
        for option, value in zip(words, [*words[1:], ""], strict=True):
            if option == "--claim":
                assert value in claims, line
        if words[0] in names and len(words) > 1 and not words[1].startswith("-"):
            assert words[1] in names[words[0]], line


def test_every_cited_paper_is_on_the_map() -> None:
    text = (ROOT / "docs" / "papers.md").read_text(encoding="utf-8")
    cited = {citation.identifier: claim.id for claim in catalogue() for citation in claim.citations if citation.arxiv}
    assert {identifier: claim for identifier, claim in cited.items() if identifier not in text} == {}


def test_files_that_the_map_names_exist() -> None:
    text = (ROOT / "docs" / "papers.md").read_text(encoding="utf-8")
    for name in re.findall(r"`([\w/]+(?:\.py|\.md|/))`", text):
        assert (ROOT / "sgdsde" / name).exists() or (ROOT / "docs" / name).exists(), name


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("pydata_sphinx_theme") is None, reason="pip install '.[docs]'")
def test_the_pages_build_without_a_warning(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-q",
        "-b",
        "html",
        "-d",
        str(tmp_path / "trees"),
        str(ROOT / "docs"),
        str(tmp_path / "html"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert 'id="sgdsde.sdes.SME1.drift"' in (tmp_path / "html" / "api" / "generated" / "sgdsde.sdes.html").read_text()


def test_pictures_of_the_gallery_are_figures_of_the_set() -> None:
    folder = ROOT / "docs" / "images"
    known = {path.stem for path in folder_of_figures().glob("*.py")}
    for picture in folder.glob("*.png"):
        assert picture.stem in known
        assert picture.with_suffix(".json").exists()
