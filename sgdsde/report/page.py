"""The page: Jinja2 with autoescape, style and script inlined, figures as SVG. It asks the network for nothing."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import Any

from sgdsde.plots import panel_figure, svg_of
from sgdsde.plots.panel import Panel
from sgdsde.report.diagram import diagram_of
from sgdsde.report.record import file_name
from sgdsde.zone import number

#: symbol and order of severity; the symbol stands beside the word, so that colour is never alone
VERDICTS = {"supported": "✓", "contradicted": "✗", "inconclusive": "?", "control failed": "!", "not run": "–"}


def render(record: Mapping[str, Any], figures: Mapping[str, tuple[Panel, ...]], *, caption: str = "") -> str:
    """The whole page as text, from a record (:func:`sgdsde.report.record.record_of`) and the figures' panels by file name."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("sgdsde.report", "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = _number
    environment.filters["slug"] = lambda text: str(text).replace(" ", "-")
    drawn = {name: Markup(svg_of(panel_figure(panels), prefix=name, title=_spoken(panels))) for name, panels in figures.items()}
    claims = [
        {
            **claim,
            "rows": [{**row, "diagram": diagram_of(row)} for row in claim["rows"]],
            "figures": [file_name(m["name"]) for m in claim["measurements"] if file_name(m["name"]) in drawn],
        }
        for claim in record["claims"]
    ]
    counts = {verdict: sum(claim["verdict"] == verdict for claim in claims) for verdict in VERDICTS}
    return environment.get_template("report.html.j2").render(
        record=record,
        claims=claims,
        counts=counts,
        symbols=VERDICTS,
        figures=drawn,
        caption=caption,
        style=Markup(_asset("report.css")),
        script=Markup(_asset("report.js")),
    )


def _asset(name: str) -> str:
    return (resources.files("sgdsde.report") / "templates" / name).read_text(encoding="utf-8")


def _number(value: float | None) -> str:
    return "undefined" if value is None else number(float(value))


def _spoken(panels: tuple[Panel, ...]) -> str:
    return "; ".join(f"{panel.title}: {panel.y_label} against {panel.x_label}" for panel in panels)
