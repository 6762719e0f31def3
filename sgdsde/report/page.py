"""The page: Jinja2 with autoescape, style and script inlined, figures as SVG. It asks the network for nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from sgdsde.plots import embedded
from sgdsde.report.diagram import diagram_of
from sgdsde.report.papers import authors_short
from sgdsde.report.record import file_name
from sgdsde.zone import number

#: symbol and order of severity; the symbol stands beside the word, so that colour is never alone
VERDICTS = {"supported": "✓", "contradicted": "✗", "inconclusive": "?", "control failed": "!", "not run": "–"}


#: the claim that measures the instrument itself
CALIBRATION = "V1"
#: the file name of the figure at the top
MAIN = "main"


@dataclass(frozen=True)
class Figure:
    """A drawn figure: an ``<svg>`` element, and what a screen reader says."""

    svg: str
    title: str


def render(record: Mapping[str, Any], figures: Mapping[str, Figure]) -> str:
    """The whole page as text, from a record (:func:`sgdsde.report.record.record_of`) and the figures by file name."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("sgdsde.report", "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = _number
    environment.filters["short"] = authors_short
    environment.filters["slug"] = lambda text: str(text).replace(" ", "-")
    drawn = {name: Markup(embedded(figure.svg, prefix=name, title=figure.title)) for name, figure in figures.items()}
    shown: dict[str, str] = {}  # a figure stands in the first card that reads it; the others point there
    claims = []
    for claim in record["claims"]:
        names = [name for name in (file_name(m["name"]) for m in claim["measurements"]) if name in drawn]
        for name in names:
            shown.setdefault(name, claim["id"])
        own = [name for name in names if shown[name] == claim["id"]]
        elsewhere = sorted({shown[name] for name in names} - {claim["id"]})
        claims.append({**claim, "rows": [{**row, "diagram": diagram_of(row)} for row in claim["rows"]], "figures": own, "figures_in": elsewhere})
    counts = {verdict: sum(claim["verdict"] == verdict for claim in claims) for verdict in VERDICTS}
    return environment.get_template("report.html.j2").render(
        record=record,
        claims=claims,
        counts=counts,
        catalogue=len({claim["id"] for claim in [*claims, *record["not_run"]]}),
        verdicts={claim["id"]: claim["verdict"] for claim in claims},
        others={paper["arxiv"]: _others(paper, record) for paper in record["papers"]},
        calibration=next((claim for claim in claims if claim["id"] == CALIBRATION), None),
        symbols=VERDICTS,
        figures=drawn,
        style=Markup(_asset("report.css")),
        script=Markup(_asset("report.js")),
    )


def _others(paper: Mapping[str, Any], record: Mapping[str, Any]) -> list[str]:
    """The claims that cite a paper and were not part of the run."""
    return [entry["id"] for entry in record["not_run"] if paper["arxiv"] in entry.get("arxiv", ()) and entry["id"] not in paper["claims"]]


def _asset(name: str) -> str:
    return (resources.files("sgdsde.report") / "templates" / name).read_text(encoding="utf-8")


def _number(value: float | None) -> str:
    return "undefined" if value is None else number(float(value))
