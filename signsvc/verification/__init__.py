"""Verify one document: limits, worker processes, dispatch by kind, evidence, verdict, report.

>>> from signsvc.verification import Verifier, VerifyRequest
>>> with Verifier(TrustSource(directory)) as verifier:          # doctest: +SKIP
...     verifier.verify(Path("congvan.pdf"), VerifyRequest()).indication
'TOTAL-PASSED'
"""

from signsvc.verification.model import Limits, Outcome, TrustSource, VerifyRequest
from signsvc.verification.pool import Verifier
from signsvc.verification.processes import Reach

__all__ = ["Limits", "Outcome", "Reach", "TrustSource", "Verifier", "VerifyRequest"]
