"""The ledger's face: one self-contained HTML page, the same as JSON, and the figures as files."""

from sgdsde.report.page import render
from sgdsde.report.record import record_of
from sgdsde.report.write import write_report

__all__ = ["record_of", "render", "write_report"]
