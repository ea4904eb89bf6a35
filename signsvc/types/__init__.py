"""Types shared by all floors: certificates, findings, views of signatures, evidence, verdicts."""

from signsvc.types.certificate import Certificate
from signsvc.types.evidence import EvidenceItem, EvidenceKind, Origin
from signsvc.types.findings import Finding, Level
from signsvc.types.forms import Form, FormDocument, FormSigner
from signsvc.types.originals import Original
from signsvc.types.verdicts import (
    CertificateStatus,
    ChainEntry,
    Check,
    DocumentVerdict,
    Indication,
    SignatureVerdict,
    Sub,
    TimestampVerdict,
)
from signsvc.types.views import (
    CertificateRef,
    Change,
    Covered,
    DocumentView,
    Grade,
    Scope,
    SignatureValue,
    SignatureView,
    SignerView,
    TimestampView,
)

__all__ = [
    "Certificate",
    "CertificateRef",
    "CertificateStatus",
    "ChainEntry",
    "Change",
    "Check",
    "Covered",
    "DocumentVerdict",
    "DocumentView",
    "EvidenceItem",
    "EvidenceKind",
    "Finding",
    "Form",
    "FormDocument",
    "FormSigner",
    "Grade",
    "Indication",
    "Level",
    "Origin",
    "Original",
    "Scope",
    "SignatureValue",
    "SignatureVerdict",
    "SignatureView",
    "SignerView",
    "Sub",
    "TimestampVerdict",
    "TimestampView",
]
