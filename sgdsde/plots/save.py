"""Figures as files: SVG text, PDF, PNG and a table of the plotted numbers, without dates or random identifiers."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sgdsde.plots.panel import Panel
from sgdsde.plots.style import RC


def svg_of(figure: Any) -> str:
    """The figure as an ``<svg>`` element without XML prologue, metadata or date."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context(RC):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    return re.sub(r"\s*<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)


def embedded(svg: str, *, prefix: str, title: str) -> str:
    """An ``<svg>`` element for a page that holds several: its identifiers get the prefix, ``title`` is what a screen reader says."""
    text = re.sub(r'\bid="', f'id="{prefix}-', svg)
    text = re.sub(r'href="#', f'href="#{prefix}-', text)
    text = text.replace("url(#", f"url(#{prefix}-")
    escaped = title.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return text.replace("<svg ", f'<svg role="img" aria-label="{escaped}" ', 1)


def csv_of(panels: Sequence[Panel]) -> str:
    """The plotted numbers: panel, series, x, y, low, high, one line a point. Of an image: kind ``image``, and its height in the column z."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["panel", "series", "kind", "x", "y", "low", "high", "z"])
    for panel in panels:
        for series in panel.series:
            for i in range(len(series.x)):
                bounds = ["" if part is None else repr(float(part[i])) for part in (series.low, series.high)]
                writer.writerow([panel.title, series.label or series.name, series.kind, repr(float(series.x[i])), repr(float(series.y[i])), *bounds, ""])
        if panel.image is not None:
            image = panel.image
            for j, i in np.ndindex(image.z.shape):
                x, y, z = (repr(float(value)) for value in (image.x[i], image.y[j], image.z[j, i]))
                writer.writerow([panel.title, image.label or panel.title, "image", x, y, "", "", z])
    return buffer.getvalue()


def save_figure(figure: Any, panels: Sequence[Panel], stem: Path) -> list[Path]:
    """Write ``stem``.svg, .pdf, .png and .csv; returns the paths."""
    import matplotlib

    stem.parent.mkdir(parents=True, exist_ok=True)
    paths = [*save_svg(svg_of(figure), panels, stem), stem.with_suffix(".pdf"), stem.with_suffix(".png")]
    with matplotlib.rc_context(RC):
        figure.savefig(paths[2], format="pdf", metadata={"CreationDate": None, "Producer": None, "Creator": None})
        figure.savefig(paths[3], format="png", metadata={"Software": None})
    return paths


def save_svg(svg: str, panels: Sequence[Panel], stem: Path) -> list[Path]:
    """Write an ``<svg>`` element as ``stem``.svg, and the plotted numbers as ``stem``.csv."""
    paths = [stem.with_suffix(".svg"), stem.with_suffix(".csv")]
    paths[0].write_text('<?xml version="1.0" encoding="utf-8"?>\n' + svg, encoding="utf-8")
    paths[1].write_text(csv_of(panels), encoding="utf-8")
    return paths
