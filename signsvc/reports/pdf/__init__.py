"""The report as a document: tagged PDF/A-3 with the report in machine-readable form attached."""

from signsvc.reports.pdf.render import render_pdf

__all__ = ["render_pdf"]
