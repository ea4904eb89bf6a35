"""What a certificate of the test hierarchy says, as data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

Name = tuple[tuple[str, str], ...]
Moment = timedelta | datetime  # a timedelta counts from the epoch

CRL_HOST = "crl.test-ca.gov.vn.test"
OCSP_HOST = "ocsp.test-ca.gov.vn.test"
AIA_HOST = "ca.test-ca.gov.vn.test"
TSA_HOST = "tsa.test-ca.gov.vn.test"
TSA2_HOST = "tsa2.test-ca.gov.vn.test"
HOSTS = (CRL_HOST, OCSP_HOST, AIA_HOST, TSA_HOST, TSA2_HOST)
INTERNAL_HOST = "ca.btc.invalid"  # resolves nowhere, like the ministries' own top-level names

KEY_USAGE = (
    "digitalSignature",
    "nonRepudiation",
    "keyEncipherment",
    "dataEncipherment",
    "keyAgreement",
    "keyCertSign",
    "cRLSign",
    "encipherOnly",
    "decipherOnly",
)
REASONS = {
    "unspecified": 0,
    "keyCompromise": 1,
    "cACompromise": 2,
    "affiliationChanged": 3,
    "superseded": 4,
    "cessationOfOperation": 5,
    "certificateHold": 6,
    "removeFromCRL": 8,
    "privilegeWithdrawn": 9,
    "aACompromise": 10,
}


def crl_url(ca: str) -> str:
    """Public address of a CA's revocation list."""
    return f"http://{CRL_HOST}/crl/{ca}.crl"


def ocsp_url(ca: str) -> str:
    """Public address of a CA's OCSP responder."""
    return f"http://{OCSP_HOST}/ocsp/{ca}"


def aia_url(ca: str) -> str:
    """Public address of a CA's own certificate."""
    return f"http://{AIA_HOST}/aia/{ca}.crt"


TSA_URLS = (f"http://{TSA_HOST}/tsa/1", f"http://{TSA2_HOST}/tsa/2")


@dataclass(frozen=True, slots=True)
class Revocation:
    """When and why a certificate was revoked (reason: a name of REASONS)."""

    at: Moment
    reason: str = "unspecified"


@dataclass(frozen=True, slots=True)
class Spec:
    """One certificate. URL fields: None means the issuer's usual addresses, () none at all."""

    subject: Name
    key: str
    issuer: str
    not_before: Moment
    not_after: Moment
    serial: int | None = None  # None: derived from label and validity
    digest: str = "sha256"
    pss: bool = False  # the issuer signs with RSASSA-PSS
    pss_only: bool = False  # the subject key is declared id-RSASSA-PSS
    ascii_names: bool = False
    ca: bool = False
    path_len: int | None = None
    key_usage: tuple[str, ...] = ("digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment")
    eku: tuple[str, ...] = ()
    eku_critical: bool = False
    ocsp_urls: tuple[str, ...] | None = None
    crl_urls: tuple[str, ...] | None = None
    aia_urls: tuple[str, ...] | None = None
    policies: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()  # subjectAltName
    comment: str = ""  # Netscape comment, as G1 writes it
    ski: bool = True
    aki: str = "keyid"  # keyid | dirname (key id, issuer name and serial, as G1) | none
    nocheck: bool = False  # id-pkix-ocsp-nocheck
    extra: tuple[tuple[str, bool, bytes], ...] = ()  # (OID, critical, DER value)
    revoked: Revocation | None = None


def moment(value: Moment, epoch: datetime) -> datetime:
    """A Moment as an absolute time."""
    return epoch + value if isinstance(value, timedelta) else value
