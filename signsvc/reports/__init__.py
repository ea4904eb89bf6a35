"""The report: one model of a verdict, as other systems read it (JSON), and its renderings."""

from signsvc.reports.build import build, conclusion

__all__ = ["build", "conclusion"]
