"""Figures as files: SVG text, PDF, PNG and a table of the plotted numbers, without dates or random identifiers."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sgdsde.plots.panel import Panel
from sgdsde.plots.style import RC


def svg_of(figure: Any, *, prefix: str = "", title: str = "") -> str:
    """The figure as an ``<svg>`` element without XML prologue; ``prefix`` keeps identifiers apart where several stand in one page.

    ``title`` is what a screen reader says.
    """
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context(RC):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    if prefix:
        text = re.sub(r'\bid="', f'id="{prefix}-', text)
        text = re.sub(r'href="#', f'href="#{prefix}-', text)
        text = text.replace("url(#", f"url(#{prefix}-")
    if title:
        escaped = title.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
        text = text.replace("<svg ", f'<svg role="img" aria-label="{escaped}" ', 1)
    return text


def csv_of(panels: Sequence[Panel]) -> str:
    """The plotted numbers: panel, series, x, y, low, high, one line a point."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["panel", "series", "kind", "x", "y", "low", "high"])
    for panel in panels:
        for series in panel.series:
            for i in range(len(series.x)):
                bounds = ["" if part is None else repr(float(part[i])) for part in (series.low, series.high)]
                writer.writerow([panel.title, series.label or series.name, series.kind, repr(float(series.x[i])), repr(float(series.y[i])), *bounds])
    return buffer.getvalue()


def save_figure(figure: Any, panels: Sequence[Panel], stem: Path) -> list[Path]:
    """Write ``stem``.svg, .pdf, .png and .csv; returns the paths."""
    import matplotlib

    stem.parent.mkdir(parents=True, exist_ok=True)
    paths = [stem.with_suffix(suffix) for suffix in (".svg", ".pdf", ".png", ".csv")]
    paths[0].write_text('<?xml version="1.0" encoding="utf-8"?>\n' + svg_of(figure), encoding="utf-8")
    with matplotlib.rc_context(RC):
        figure.savefig(paths[1], format="pdf", metadata={"CreationDate": None, "Producer": None, "Creator": None})
        figure.savefig(paths[2], format="png", metadata={"Software": None})
    paths[3].write_text(csv_of(panels), encoding="utf-8")
    return paths
