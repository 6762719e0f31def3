"""Figures of papers: each is a script in ``paper_figs/`` that reads stored results and draws them; nothing here simulates.

How to write one (``paper_figs/positivity.py`` is an example):

1. ``paper_figs/NAME.py``: the docstring's first line says what the figure shows; it holds ``FIGURE = Figure(title=…, draw=draw, claims=("A10",),
   studies=("weak-error",))``. Claims and studies are what must have been run; name all that ``draw`` reads.
2. ``draw(stored)`` returns ``Sheet(panels, columns=2, caption="…", height=1.9)``: panels of :mod:`sgdsde.plots`, rows of ``height`` inches at a width of 5.5.
3. ``stored.table("slug")`` is ``figures/slug.csv`` of the report: ``{panel title: {series label: Curve}}``; ``stored.tables("slug-d-*")`` takes a pattern.
   A ``Curve`` has x, y, low, high; ``curve.series("HASME", "HA-SME", kind="band")`` is a ``Series`` in that model's look.
4. ``stored.claim("A10")`` has ``.verdict``, ``.why`` and ``.rows``; ``.select(role="claim", k=100)`` filters rows by role and parameters.
5. ``stored.study("weak-error")`` has ``.table`` (its ``figure.csv``), ``.lines`` (``result.json``) and ``.run`` (its merged blocks, ``sgdsde.runs.open_run``).
6. Import numpy, ``sgdsde.plots`` and ``sgdsde.figures`` only. Put a band or bars on every Monte-Carlo curve, a symbol or unit on every axis.
7. ``sgdsde figures NAME`` makes what is missing (quick profile) and draws; ``sgdsde figures NAME --from report --from runs`` only reads.
8. Look at ``figures/NAME.png``. The legend is shared by all panels; long titles are wrapped.
"""

from sgdsde.figures.figure import Figure, Sheet
from sgdsde.figures.stored import ClaimFacts, Stored, StudyFacts, estimates
from sgdsde.figures.table import Curve, Panels, Table

__all__ = ["ClaimFacts", "Curve", "Figure", "Panels", "Sheet", "Stored", "StudyFacts", "Table", "estimates"]
