"""Sphinx: theory notes, tutorials and the reference from docstrings. ``make docs`` builds it; a warning is an error."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import sgdsde

project, author = "sgdsde", "the sgdsde authors"
version = release = sgdsde.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon", "sphinx.ext.viewcode", "sphinx_gallery.gen_gallery"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "examples"]
html_theme = "pydata_sphinx_theme"
html_title = f"sgdsde {version}"
html_theme_options = {"show_prev_next": True, "navigation_with_keys": False, "secondary_sidebar_items": ["page-toc"]}
html_show_sourcelink = False
templates_path = ["templates"]

# scripts that run in seconds; figures of the paper are drawn from stored results and shown by _gallery below
sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "generated/examples",
    "filename_pattern": r"\.py$",
    "within_subsection_order": "FileNameSortKey",
    "image_scrapers": ("example_figures.figures",),
    "reset_modules": (),
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    "min_reported_time": 10_000,
    "write_computation_times": False,
    "remove_config_comments": True,
}

autosummary_generate = True
autosummary_ignore_module_all = False
autodoc_default_options = {"members": True, "show-inheritance": True, "member-order": "bysource"}
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_use_rtype = False
napoleon_attr_annotations = True
# Docstrings are written for people: formulas in plain text, names in double backticks. What docutils makes of the layout of single lines is no error;
# missing pages, broken links and modules that cannot be imported are.
suppress_warnings = ["docutils", "ref.python"]


def _plain(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Absolute values, products and trailing underscores in formulas are no markup; examples stay as they are."""
    example = False
    for index, line in enumerate(lines):
        example = bool(line.strip()) and (example or line.lstrip().startswith(">>> "))  # an example ends with a blank line
        if example:
            continue
        parts = re.split(r"(``.*?``|:[\w:]+:`.*?`)", line)
        parts[::2] = [re.sub(r"([|*])", r"\\\1", re.sub(r"(\w)_(?!\w)", r"\1\\_", part)) for part in parts[::2]]
        # napoleon's own emphasis on names of parameters stays as it is
        lines[index] = re.sub(r"\\\*\\\*(\w+)\\\*\\\*", r"**\1**", "".join(parts))


def _claims(app: Any) -> None:
    """``generated/claims.md``: the catalogue by paper, as it is now."""
    from sgdsde.claims import catalogue
    from sgdsde.report.papers import PAPERS, authors_short

    claims = catalogue()
    cited = sorted({citation.identifier for claim in claims for citation in claim.citations if citation.arxiv})
    lines = [
        "# The catalogue of claims",
        "",
        f"{len(claims)} claims. `sgdsde verify --claim ID` measures one, `sgdsde verify --paper ARXIV` those of a paper.",
        "",
    ]
    for identifier in [*cited, ""]:
        paper = PAPERS.get(identifier)
        title = f"{paper.title} ({authors_short(paper.authors)}, {paper.year})" if paper else "arXiv" if identifier else "This project's own only"
        lines += [f"## {title}", ""] + ([f"[{identifier}](https://arxiv.org/abs/{identifier})", ""] if identifier else [])
        lines += ["| claim | statement | conditions |", "|---|---|---|"]
        for claim in claims:
            own = {citation.identifier for citation in claim.citations if citation.arxiv} or {""}
            if identifier in own:
                cells = (f"**{claim.id}** {claim.title}", claim.statement, "; ".join(condition.text for condition in claim.conditions))
                lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("*", "\\*").replace("\\*\\*", "**", 2) for cell in cells) + " |")
        lines.append("")
    folder = Path(app.srcdir) / "generated"
    folder.mkdir(exist_ok=True)
    (folder / "claims.md").write_text("\n".join(lines), encoding="utf-8")


def _gallery(app: Any) -> None:
    """``generated/gallery.md``: the pictures in ``images/`` with the captions, verdicts and commands that stand beside them."""
    lines = ["# Gallery", "", "Each drawn by `sgdsde figures NAME` from stored results; `make gallery` draws them again.", ""]
    for path in sorted((Path(app.srcdir) / "images").glob("*.json")):
        facts = json.loads(path.read_text(encoding="utf-8"))
        verdicts = ", ".join(f"{claim['id']} ({claim['verdict']})" for claim in facts["claims"])
        studies = ", ".join(study["name"] for study in facts["studies"])
        reads = "; ".join(part for part in (verdicts and f"claims {verdicts}", studies and f"studies {studies}") if part)
        lines += [
            f"## {facts['title']}",
            "",
            f"![{facts['title']}](../images/{path.stem}.png)",
            "",
            facts["caption"],
            "",
            f"*`{facts['figure']}` reads {reads}.*",
            "",
        ]
    (Path(app.srcdir) / "generated" / "gallery.md").write_text("\n".join(lines), encoding="utf-8")


def setup(app: Any) -> None:
    app.connect("builder-inited", _claims)
    app.connect("builder-inited", _gallery)
    app.connect("autodoc-process-docstring", _plain, priority=900)
