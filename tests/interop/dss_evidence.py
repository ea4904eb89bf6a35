"""Files for EU DSS and signsvc about tokens, evidence, signed attributes and several signatures."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import test_pki
from test_pki import certificates, der, timestamps
from tests.interop.dss_cases import DAY, Case, day
from tests.pdf_writer import PdfWriter
from tests.support.signed_pdf import maker, signed, stamp, token, values

KEPT = "2.5.29.60"  # expiredCertsOnCRL
CUTOFF, CERT_HASH = "1.3.6.1.5.5.7.48.1.6", "1.3.36.8.3.13"


def evidence(pki: test_pki.Pki, now: datetime) -> Iterator[Case]:
    """All of them, as seen at `now`."""
    yield from _answers(pki, now)
    yield from _tokens(pki, now)
    yield from _attributes(pki, now)
    yield from _several(pki, now)


def _answers(pki: test_pki.Pki, now: datetime) -> Iterator[Case]:
    """What is known of the signer, in answers and lists of every kind."""
    pki.add("dss-ocsp-no-eku", "ocsp-sub-g2-state", eku=())
    pki.add("dss-ocsp-checked", "ocsp-sub-g2-state", nocheck=False)
    pki.add("dss-ocsp-gone", "ocsp-sub-g2-state", not_after=day(pki, 15), nocheck=False)
    serial = certificates.serial_number(pki.cert("person"))
    revoked = pki.crl("sub-g2-state", now, entries=[(serial, day(pki, 5), "keyCompromise")])
    for label in ("person", "expired-recently"):
        rest = values(pki, "tsa1", at=now)
        above = {"Certs": values(pki, label, at=now)["Certs"], "CRLs": [pki.crl("root-g2", now)]}
        kept = ((KEPT, False, der.generalized_time(day(pki, -900))),)
        cut = ((CUTOFF, False, der.generalized_time(day(pki, -900))),)
        hashed = ((CERT_HASH, False, der.seq(der.seq(der.oid("sha256")), der.octets(_digest(pki.cert(label))))),)
        held: dict[str, tuple[list[bytes], list[bytes]]] = {
            "sha256-cert-id": ([pki.ocsp(label, "good", now, hash="sha256")], []),
            "by-name": ([pki.ocsp(label, "good", now, by_name=True)], []),
            "nonce": ([pki.ocsp(label, "good", now, nonce=b"12345678")], []),
            "no-next-update": ([pki.ocsp(label, "good", now, next_update=None)], []),
            "archive-cutoff": ([pki.ocsp(label, "good", now, extra=cut)], []),
            "cert-hash": ([pki.ocsp(label, "good", now, extra=hashed)], []),
            "responder-not-for-it": ([pki.ocsp(label, "good", now, signer="dss-ocsp-no-eku")], []),
            "responder-checked": ([pki.ocsp(label, "good", now, signer="dss-ocsp-checked")], []),
            "responder-expired": ([pki.ocsp(label, "good", now, signer="dss-ocsp-gone")], []),
            "responder-expired-since": (
                [pki.ocsp(label, "good", day(pki, 12), next_update=40 * DAY, signer="dss-ocsp-gone")],
                [],
            ),
            "responder-absent": ([pki.ocsp(label, "good", now, include=())], []),
            "sha1-answer": ([pki.ocsp(label, "good", now, digest="sha1")], []),
            "sha1-list": ([], [pki.crl("sub-g2-state", now, digest="sha1")]),
            "keeps-expired": ([], [pki.crl("sub-g2-state", now, extra=kept)]),
            "list-without-end": ([], [pki.crl("sub-g2-state", now, None)]),
            "list-before-signing": ([], [pki.crl("sub-g2-state", day(pki, 8), 40 * DAY)]),
            "future-list": ([], [pki.crl("sub-g2-state", now + 3 * DAY)]),
            "garbage": ([b"0\x03\x02\x01\x01"], [b"0\x82\x00\x01"]),
            "garbage-and-good": ([b"0\x03\x02\x01\x01", pki.ocsp(label, "good", now)], []),
            "two-answers": ([pki.ocsp(label, "unknown", day(pki, 13)), pki.ocsp(label, "good", now)], []),
            "good-then-revoked": (
                [pki.ocsp(label, "good", day(pki, 12)), pki.ocsp(label, "revoked", now, revoked_at=day(pki, 15))],
                [],
            ),
            "revoked-then-good": (
                [pki.ocsp(label, "revoked", day(pki, 12), revoked_at=day(pki, 5)), pki.ocsp(label, "good", now)],
                [],
            ),
            "list-against-answer": ([pki.ocsp(label, "good", now - DAY)], [revoked]),
        }
        for name, (answers, lists) in held.items():
            pdf = signed(pki, label, tokens=[token(pki, day(pki, 10))])
            pdf.store(
                pki,
                values={
                    "Certs": [*above["Certs"], *rest["Certs"]],
                    "OCSPs": [*rest["OCSPs"], *answers],
                    "CRLs": [*rest["CRLs"], *lists],
                },
            )
            yield Case(f"evidence/{label}/{name}", pdf.data)
    for name, missing in {"signer": "person", "ca": "sub-g2-state", "tsa": "tsa1"}.items():
        pdf = signed(pki, tokens=[token(pki, day(pki, 10))])
        found = values(pki, *({"person", "tsa1"} - {missing}), at=now)
        if missing == "sub-g2-state":
            found = {**found, "CRLs": [], "OCSPs": [pki.ocsp("person", at=now), pki.ocsp("tsa1", at=now)]}
        pdf.store(pki, values=found)
        yield Case(f"evidence/nothing-about/{name}", pdf.data)


def _digest(value: bytes) -> bytes:
    return test_pki.signatures.digest(value)


def _tokens(pki: test_pki.Pki, now: datetime) -> Iterator[Case]:
    when = day(pki, 10)
    made = {
        "sha384": token(pki, when, hash="sha384"),
        "sha512": token(pki, when, hash="sha512"),
        "no-accuracy": token(pki, when, accuracy=None),
        "nonce": token(pki, when, nonce=7),
        "signed-sha512": token(pki, when, digest="sha512"),
        "no-certificates": token(pki, when, certs=()),
        "leaf-only": token(pki, when, certs=(pki.cert("tsa1"),)),
        "other-key": token(pki, when, key="tsa2"),
        "other-authority": token(pki, when, tsa="tsa2"),
        "no-key-usage": token(pki, when, key_usage=()),
        "for-encipherment": token(pki, when, key_usage=("keyEncipherment",)),
    }
    for label in ("person", "revoked-later"):
        for name, one in made.items():
            pdf = signed(pki, label, tokens=[one])
            pdf.store(pki, values=values(pki, label, "tsa1", "tsa2", at=now))
            yield Case(f"stamp/{label}/{name}", pdf.data)
        for name, first, second in (("equal-times", 10, 10), ("earlier-archive", 10, 9), ("flipped-archive", 10, 13)):
            pdf = signed(pki, label, tokens=[token(pki, day(pki, first))])
            pdf.store(pki, values=values(pki, label, "tsa1", at=day(pki, 12)))
            stamp(pdf, pki, token(pki, day(pki, second), flip=name.startswith("flipped")))
            pdf.store(pki, values=values(pki, label, "tsa1", at=now))
            yield Case(f"stamp/{label}/{name}", pdf.data)


def _attributes(pki: test_pki.Pki, now: datetime) -> Iterator[Case]:
    attribute = timestamps.attribute
    reference = timestamps.signing_certificate(pki.cert("person"))
    other = timestamps.signing_certificate(pki.cert("person2"))
    time = "1.2.840.113549.1.9.5"
    shapes: dict[str, dict[str, Any]] = {
        "unknown": {"attributes": [attribute("1.2.3.4", der.null())]},
        "signing-time": {"attributes": [attribute(time, der.time(day(pki, 9)))]},
        "signing-time-twice": {"attributes": [attribute(time, der.time(day(pki, 9)))] * 2},
        "digest-twice": {"attributes": [attribute("1.2.840.113549.1.9.4", der.octets(bytes(32)))]},
        "type-twice": {"attributes": [attribute("1.2.840.113549.1.9.3", der.oid("1.2.3"))]},
        "reference-twice": {"attributes": [reference]},
        "two-references": {"attributes": [other]},
        "both-versions": {"attributes": [timestamps.signing_certificate(pki.cert("person"), "sha1")]},
        "reference-garbled": {"reference": None, "attributes": [attribute("1.2.840.113549.1.9.16.2.47", der.null())]},
        "reference-empty": {
            "reference": None,
            "attributes": [attribute("1.2.840.113549.1.9.16.2.47", der.seq(der.seq()))],
        },
        "reference-no-value": {"reference": None, "attributes": [attribute("1.2.840.113549.1.9.16.2.47")]},
    }
    for name, options in shapes.items():
        for stamped in (False, True):
            pdf = signed(pki, tokens=[token(pki, day(pki, 10))] if stamped else [], **options)
            pdf.store(pki, values=values(pki, "person", "tsa1", at=now))
            yield Case(f"attribute/{name}" + ("-stamped" if stamped else ""), pdf.data)


def _several(pki: test_pki.Pki, now: datetime) -> Iterator[Case]:
    when = [token(pki, day(pki, 10))]
    kinds: dict[str, tuple[str, dict[str, Any]]] = {
        "good": ("person2", {"tokens": when}),
        "flipped": ("person2", {"tokens": when, "flip": True}),
        "bare": ("person2", {}),
        "revoked": ("revoked", {"tokens": when}),
        "revoked-later": ("revoked-later", {"tokens": when}),
        "expired": ("expired", {"tokens": when}),
        "unknown": ("unknown", {"tokens": when}),
        "other-octets": ("person2", {"tokens": when, "over": lambda c: c[::-1]}),
    }
    for name, (label, options) in kinds.items():
        for order in ("first", "second"):
            pdf = PdfWriter()
            bad = {"label": label, "cms": maker(pki, label, **options)}
            good = {"label": "agency", "cms": maker(pki, "agency", tokens=when)}
            for number, one in enumerate((bad, good) if order == "first" else (good, bad)):
                pdf.sign(pki, name=f"S{number}", room=48_000, **one)  # type: ignore[arg-type]
            pdf.store(pki, values=values(pki, label, "agency", "tsa1", at=now))
            yield Case(f"several/{name}-{order}", pdf.data)
