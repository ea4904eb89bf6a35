"""A revocation list as long as a national CA's."""

from __future__ import annotations

import hashlib
import threading
from datetime import datetime, timedelta

from test_pki import certificates, export, revocation
from test_pki.pki import Pki, now

_lock = threading.Lock()


def crl(pki: Pki, ca: str, at: datetime | None = None, count: int = 100_000) -> bytes:
    """A CRL of *ca* with *count* invented entries besides the true ones, DER (100,000 entries are about 4 MB).

    thisUpdate is the midnight before *at*, nextUpdate a week later; kept under pki.out_dir/crl for that day.
    """
    day = (at or now()).replace(hour=0, minute=0, second=0, microsecond=0)
    path = pki.out_dir / "crl" / f"{ca}-{count}-{day:%Y%m%d}-{len(pki.labels())}.crl"
    with _lock:
        if not path.is_file():
            export.write(path, _make(pki, ca, day, count))
    return path.read_bytes()


def _make(pki: Pki, ca: str, day: datetime, count: int) -> bytes:
    entries = []
    taken = {certificates.serial_number(pki.cert(label)) for label in pki.issued_by(ca)}
    reasons = ("unspecified", "superseded", "cessationOfOperation", "affiliationChanged")
    for number in range(count):
        # Serials of 63 bits, spread like random ones, the same on every run.
        serial = int.from_bytes(hashlib.sha256(f"{ca}/{number}".encode()).digest()[:8], "big") >> 1 | 1
        if serial not in taken:
            when = day - timedelta(minutes=7 * number % 2_000_000 + 1)
            entries.append(revocation.entry(serial, when, reasons[number % 4]))
    entries += [
        revocation.entry(certificates.serial_number(pki.cert(label)), *found)
        for label in pki.issued_by(ca)
        if (found := pki.revocation(label, day))
    ]
    return revocation.crl(
        pki.cert(ca),
        pki.key(ca),
        entries,
        this_update=day,
        next_update=day + timedelta(days=7),
        number=int(day.timestamp()),
        digest=pki.spec(ca).digest,
    )
