"""Drawing on arrays: one style, series with bands, files that are equal byte for byte when the numbers are."""

from sgdsde.plots.differences import difference_panels
from sgdsde.plots.estimated import estimated, joined
from sgdsde.plots.image import Image
from sgdsde.plots.panel import Panel, Series, panel_figure
from sgdsde.plots.save import csv_of, embedded, save_figure, save_svg, svg_of
from sgdsde.plots.style import PRINT, RC, model_of

__all__ = [
    "PRINT",
    "RC",
    "Image",
    "Panel",
    "Series",
    "csv_of",
    "difference_panels",
    "embedded",
    "estimated",
    "joined",
    "model_of",
    "panel_figure",
    "save_figure",
    "save_svg",
    "svg_of",
]
