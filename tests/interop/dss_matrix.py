"""Files for EU DSS and signsvc in rows and columns: keys by tampering, certificates by dates, revocations by levels."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import product
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519

import test_pki
from test_pki import certificates, keys
from test_pki.spec import Revocation
from tests.interop.dss_cases import DAY, Case, day
from tests.pdf_writer import PdfWriter
from tests.support.signed_pdf import signed, stamp, token, values

# Label -> how it signs. The last two have keys of their own here.
KEYS: dict[str, dict[str, Any]] = {
    "person": {},
    "rsa3072": {},
    "ec": {},
    "pss": {"pss": True},
    "pss-only": {"pss": True},
    "dss-p384": {"digest": "sha384"},
    "dss-ed25519": {"digest": "sha512"},
}
NEW_KEYS = ("dss-p384", "dss-ed25519")

# Days after the epoch: claimed 9, stamped 10, data from 12, archived 13, data about that token from 14.
MOMENTS = (8, 11, 16, 25, 45, 900)
SIGNERS, TSAS, LEVELS = ("person", "short", "expired-recently"), ("tsa1", "tsa-short"), ("b-b", "b-t", "b-lt", "b-lta")


def matrix(pki: test_pki.Pki, now: datetime) -> Iterator[Case]:
    """All of them, as seen at `now` or at the time that a case names."""
    yield from _keys(pki, now)
    yield from _dates(pki)
    yield from _revoked(pki, now)


def _keys(pki: test_pki.Pki, now: datetime) -> Iterator[Case]:
    held = keys._loaded
    held["dss-p384"] = ec.derive_private_key(0xD5, ec.SECP384R1())
    held["dss-ed25519"] = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))  # type: ignore[assignment]
    for label in NEW_KEYS:
        pki.add(label, "ec", key=label)
        for level in LEVELS:
            yield Case(f"key/{label}/{level}", _levelled(pki, label, "tsa1", level, **KEYS[label]), _lists(pki, now))
    for label, how in KEYS.items():
        lists = _lists(pki, now)
        broken: dict[str, dict[str, Any]] = {"flipped": {"flip": True}, "other-octets": {"over": lambda c: c[::-1]}}
        for name, options in broken.items():
            yield Case(f"tampered/{label}/{name}", signed(pki, label, **how, **options).data, lists)
        whole = signed(pki, label, tokens=[token(pki, day(pki, 10))], **how).data
        changed = {"content": (b"Xin ch", b"Tam bi"), "claimed-time": (b"(D:", b"(E:"), "field-name": (b"(Signature)", b"(Sognature)")}  # fmt: skip
        for name, (old, new) in changed.items():
            assert old in whole
            yield Case(f"tampered/{label}/{name}", whole.replace(old, new, 1), lists)
        yield Case(f"tampered/{label}/attributes", _in_cms(whole, "060b2a864886f70d010910022f", "060b2a864886f70d0109100230"), lists)  # fmt: skip
        yield Case(f"tampered/{label}/token", _in_cms(whole, "060b2a864886f70d0109100104", "060b2a864886f70d0109100105", 1), lists)  # fmt: skip


def _in_cms(data: bytes, old: str, new: str, skip: int = 0) -> bytes:
    """`data` with one of the places changed where `old` stands in hexadecimal digits."""
    places = [found.start() for found in re.finditer(old.encode(), data)]
    at = places[skip]
    return data[:at] + new.encode() + data[at + len(old) :]


def _lists(pki: test_pki.Pki, at: datetime) -> tuple[bytes, ...]:
    return tuple(pki.crl(ca, at) for ca in ("sub-g2-state", "sub-g2-tsa", "root-g2"))


def _levelled(pki: test_pki.Pki, label: str, tsa: str, level: str, **options: Any) -> bytes:
    pdf = signed(pki, label, tokens=[] if level == "b-b" else [token(pki, day(pki, 10), tsa=tsa)], **options)
    if level in ("b-lt", "b-lta"):
        pdf.store(pki, values=values(pki, label, tsa, at=day(pki, 12)))
    if level == "b-lta":
        stamp(pdf, pki, token(pki, day(pki, 13), tsa=tsa))
        pdf.store(pki, values=values(pki, tsa, at=day(pki, 14)))
    return pdf.data


def _dates(pki: test_pki.Pki) -> Iterator[Case]:
    for signer, tsa, level in product(SIGNERS, TSAS, LEVELS):
        if level == "b-b" and tsa != "tsa1":
            continue
        data = _levelled(pki, signer, tsa, level)
        for count in MOMENTS:
            at = day(pki, count)
            lists = _lists(pki, at) if level in ("b-b", "b-t") else ()
            yield Case(f"date/{signer}/{tsa}/{level}/day-{count}", data, lists, at)
    data = _levelled(pki, "person", "tsa1", "b-lta")
    for years in (-9, -2, 4, 12, 25):
        yield Case(f"date/person/tsa1/b-lta/year{years:+}", data, (), day(pki, 365 * years))


def _revoked(pki: test_pki.Pki, now: datetime) -> Iterator[Case]:
    def case(name: str, pdf: PdfWriter, level: str, *labels: str, lists: Sequence[str] = ()) -> Case:
        if level == "b-lta":
            pdf.store(pki, values=values(pki, *labels, at=day(pki, 12), lists=lists))
            stamp(pdf, pki, token(pki, day(pki, 13)))
        pdf.store(pki, values=values(pki, *labels, "tsa1", at=now, lists=lists))
        return Case(f"revoked/{name}/{level}", pdf.data)

    stamped = [token(pki, day(pki, 10))]
    for reason, when in product(("keyCompromise", "cessationOfOperation", "certificateHold"), (5, 9.5, 11, 20)):
        label = f"dss-{reason}-{when}"
        pki.add(label, "person", revoked=Revocation(timedelta(days=when), reason))
        for level in ("b-b", "b-t", "b-lta"):
            pdf = signed(pki, label, tokens=[] if level == "b-b" else stamped)
            by_list = [label] if when == 11 else []
            yield case(f"signer/{reason}/day-{when}", pdf, level, label, "tsa1", lists=by_list)
    subjects = {what: (("C", "VN"), ("CN", f"Test CA {what}")) for what in ("signers", "stamps")}
    for when in (5, 9.5, 11, 20):
        revoked = Revocation(timedelta(days=when), "keyCompromise")
        ca, label = f"dss-ca-signer-{when}", f"dss-of-ca-{when}"
        pki.add(ca, "sub-g2-revoked", subject=subjects["signers"], key="sub-g2-party", revoked=revoked)
        pki.add(label, "person", issuer=ca)
        for level in ("b-b", "b-t", "b-lta"):
            pdf = signed(pki, label, tokens=[] if level == "b-b" else stamped)
            yield case(f"signers-ca/day-{when}", pdf, level, label, "tsa1")
        ca, tsa = f"dss-ca-tsa-{when}", f"dss-tsa-of-{when}"
        pki.add(ca, "sub-g2-tsa", subject=subjects["stamps"], key="sub-g2-software", revoked=revoked)
        pki.add(tsa, "tsa1", issuer=ca)
        for level in ("b-t", "b-lta"):
            pdf = signed(pki, tokens=[token(pki, day(pki, 10), tsa=tsa)])
            yield case(f"tsas-ca/day-{when}", pdf, level, "person", tsa)
        for reason in ("keyCompromise", "superseded"):
            tsa = f"dss-tsa-{reason}-{when}"
            pki.add(tsa, "tsa1", revoked=Revocation(timedelta(days=when), reason))
            for level in ("b-t", "b-lta"):
                pdf = signed(pki, tokens=[token(pki, day(pki, 10), tsa=tsa)])
                yield case(f"tsa/{reason}/day-{when}", pdf, level, "person", tsa)
    # The signer's certificate is revoked, the token is all that could save it, and its authority is in doubt as well.
    for when in (11, 20):
        tsa = f"dss-tsa-keyCompromise-{when}"
        pdf = signed(pki, "revoked-later", tokens=[token(pki, day(pki, 10), tsa=tsa)])
        yield case(f"signer-and-tsa/day-{when}", pdf, "b-t", "revoked-later", tsa)
        pdf = signed(pki, "revoked-later", tokens=[token(pki, day(pki, 10), tsa=tsa)])
        yield case(f"signer-and-tsa/day-{when}", pdf, "b-lta", "revoked-later", tsa)
    number = certificates.serial_number(pki.cert("person"))
    held = [(number, day(pki, 5), "certificateHold")]
    early, late = (pki.crl("sub-g2-state", day(pki, 7), 14 * DAY, entries=held), pki.crl("sub-g2-state", now))
    for name, lists in {"lifted": (early, late), "still": (early,), "again": (early, pki.crl("sub-g2-state", now, entries=held))}.items():  # fmt: skip
        for level in ("b-b", "b-t"):
            pdf = signed(pki, tokens=[] if level == "b-b" else stamped)
            about = values(pki, "person", "tsa1", at=now)
            pdf.store(pki, values={**about, "OCSPs": [pki.ocsp("tsa1", at=now)], "CRLs": [*about["CRLs"], *lists]})
            yield Case(f"revoked/hold-{name}/{level}", pdf.data)
