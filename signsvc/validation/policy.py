"""Validation policies: what is demanded and tolerated, as versioned data (EN 319 102-1 §5.1.4.2).

A policy is a TOML file (see `policy_file`); reports name its id, version and hash.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from signsvc.algorithms import EXPERIMENTAL, DatedRow, not_after
from signsvc.types import Finding, Level
from signsvc.validation.policy_tree import PolicyInputs

IGNORE = "ignore"
LEVELS = (*(str(level) for level in Level), IGNORE)
TIMESTAMP_DEMANDS = ("required", "recommended", "optional")
SIGNATURE_LEVELS = ("B-B", "B-T", "B-LT", "B-LTA")

# Without these a signature is no proof of anything: no policy may weaken what leads to them.
PROTECTED_SUBS = frozenset(("HASH_FAILURE", "SIG_CRYPTO_FAILURE", "SIGNED_DATA_NOT_FOUND", "NOT_YET_VALID"))

_MAX_ENDS = 1000


class Role(StrEnum):
    """What an algorithm is used for; each has its own dated rows."""

    SIGNATURE = "signature"  # the signature value and the digests it covers
    REFERENCE = "reference"  # the digest of a signing-certificate reference
    CERTIFICATE = "certificate"
    REVOCATION = "revocation"
    TOKEN = "token"  # noqa: S105 - the signature of a timestamp token
    IMPRINT = "imprint"


@dataclass(frozen=True, slots=True)
class Freshness:
    """When revocation data is fresh enough; times in seconds.

    Data is fresh at an instant that does not lie after its nextUpdate (plus `grace`) nor more than the maximal age
    after its thisUpdate.  `at` says which instant: ``signing`` (the proven time of the signature; the time named in a
    token for its authority) or ``now`` (the validation time, as long as the certificate has not expired).
    """

    at: str = "signing"
    ocsp_max_age: int | None = None
    crl_max_age: int | None = None
    without_next_update: int = 86_400
    grace: int = 0


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy; build it with `policy_file.parse` or `policies.load`, change copies with `dataclasses.replace`."""

    id: str
    version: str
    sha256: str
    title_vi: str
    title_en: str
    trust_profiles: tuple[str, ...]
    extends: tuple[tuple[str, str, str], ...] = ()  # id, version and hash of the policies it builds on, nearest first
    description_vi: str = ""
    description_en: str = ""
    required_level: str | None = None
    timestamp: str = "recommended"
    clock_tolerance: int = 300  # seconds
    timestamp_delay: int | None = None  # seconds allowed between the claimed time and the timestamp
    key_usage: frozenset[str] = frozenset(("digital_signature", "non_repudiation"))  # one of them
    extended_key_usage: frozenset[str] = frozenset()  # OIDs, besides an absent extension
    experimental: bool = False  # whether algorithms that no list names yet (ML-DSA) are relied on
    certificate_policies: PolicyInputs = field(default_factory=PolicyInputs)  # of the signer's path
    freshness: Freshness = field(default_factory=Freshness)
    keeps_expired_since: Mapping[bytes, datetime] = field(default_factory=dict)  # by SHA-256 of the CA certificate
    known_since: Mapping[bytes, datetime] = field(default_factory=dict)  # pinned intermediates, by SHA-256
    sunsets: Mapping[bytes, datetime] = field(default_factory=dict)  # trust anchors, by SHA-256
    signature_policies: Mapping[str, str] = field(default_factory=dict)  # OID -> SHA-256 of the policy document
    claimed_time_offsets: tuple[int, ...] = ()  # seconds by which tools are known to write the claimed time wrong
    levels: Mapping[str, str] = field(default_factory=dict)  # finding code -> fail | warn | info | ignore
    algorithms: Mapping[Role, tuple[DatedRow, ...]] = field(default_factory=dict)
    _ends: dict[tuple[Role, str, int | None], datetime | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def judge(self, finding: Finding) -> Finding | None:
        """The finding at the level that this policy gives it; None where the policy ignores it."""
        level = self.levels.get(finding.code)
        if level is None:
            return finding
        return None if level == IGNORE else finding.at(Level(level))

    def reliable_until(self, role: Role, algorithm: str, bits: int | None = None) -> datetime | None:
        """The instant from which `algorithm` proves nothing new in `role`; None: no end set."""
        key = (role, algorithm, bits)
        if key in self._ends:
            return self._ends[key]
        rows = self.algorithms.get(role, ())
        if self.experimental and algorithm in EXPERIMENTAL and all(row.algorithm != algorithm for row in rows):
            return None
        found = not_after(rows, algorithm, bits)
        if len(self._ends) < _MAX_ENDS:  # key sizes come from documents
            self._ends[key] = found
        return found

    @property
    def tolerance(self) -> timedelta:
        return timedelta(seconds=self.clock_tolerance)
