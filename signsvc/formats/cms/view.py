"""What a CMS structure says: the result of `signsvc.formats.cms.read`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from signsvc.types import Certificate, EvidenceItem, Finding, Origin, SignerView

# Digest of the covered octets by digest OID; ValueError for a digest that is not known, AbsentDigestError for one that
# is known but not at hand.
Digest = Callable[[str], bytes]

MAX_OCTETS = 32 * 1024 * 1024
MAX_ELEMENTS = 2_000  # of one set; more is no signature and is refused
MAX_ATTRIBUTES = 500
MAX_ATTRIBUTE_VALUES = 100
MAX_SIGNERS = 20
MAX_CERTIFICATES = 200
MAX_REVOCATION_VALUES = 400
MAX_TIMESTAMPS = 50
MAX_ARCHIVE_TIMESTAMPS = 30  # computed ones
SIGNERS_SHARE = 4  # so many times as many where several signers are expected
MAX_COUNTER_DEPTH = 3


class AbsentDigestError(ValueError):
    """The content is not at hand, and of its digests not this one."""


@dataclass(frozen=True, slots=True)
class CmsView:
    """One SignedData as read.  `end` is the number of octets it takes from the start of what was given."""

    signers: tuple[SignerView, ...] = ()
    content_type_oid: str | None = None
    encapsulated: bytes | None = None
    certificates: tuple[Certificate, ...] = ()
    evidence: tuple[EvidenceItem, ...] = ()
    end: int = 0
    findings: tuple[Finding, ...] = ()


@dataclass(slots=True)
class Reading:
    """State of one call: the subject of its findings, where evidence comes from, what is left of the limits."""

    subject: str
    origin: Origin
    source: Callable[[int, int], bytes]  # original octets of the element at (start, end) of what is being read
    timestamps: int = 0  # read so far
    most_timestamps: int = MAX_TIMESTAMPS
    archives_left: int = MAX_ARCHIVE_TIMESTAMPS
    signers_left: int = MAX_SIGNERS  # counter-signatures
    nested: bool = True  # whether timestamps inside are read
    lenient: bool = False  # what is read was BER and is re-encoded
    malformed: bool = False
    findings: list[Finding] = field(default_factory=list)
    certificates: dict[bytes, Certificate] = field(default_factory=dict)
    evidence: dict[tuple[str, bytes], EvidenceItem] = field(default_factory=dict)

    def once(self, code: str, **data: object) -> None:
        """Keep a finding unless one with this code is kept already: hostile input repeats itself."""
        if not any(f.code == code for f in self.findings):
            self.findings.append(self.note(code, **data))

    def note(self, code: str, **data: object) -> Finding:
        """A finding about the subject of this call."""
        return Finding.of(code, subject=self.subject, level=None, **data)
