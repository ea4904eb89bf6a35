"""Verify one document: limits, worker processes, dispatch by kind, evidence, verdict, report.

>>> from signsvc.verification import Verifier, VerifyRequest
>>> with Verifier(TrustSource(directory)) as verifier:          # doctest: +SKIP
...     verifier.verify(Path("congvan.pdf"), VerifyRequest()).indication
'TOTAL-PASSED'
"""

from signsvc.verification.model import Limits, Outcome, TrustSource, VerifyRequest
from signsvc.verification.pool import Verifier
from signsvc.verification.processes import Reach
from signsvc.verification.revisions import SignedRevision

__all__ = ["Limits", "Outcome", "Reach", "SignedRevision", "TrustSource", "Verifier", "VerifyRequest"]
