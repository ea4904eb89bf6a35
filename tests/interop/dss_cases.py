"""The files about which EU DSS and signsvc are both asked: levels, keys, certificates, dates, revocations, tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import test_pki
from test_pki import der
from tests.pdf_writer import PdfWriter
from tests.support.signed_pdf import maker, signed, stamp, token, values

DAY = timedelta(days=1)
ISSUING_POINT, DELTA = "2.5.29.28", "2.5.29.27"

GOOD = ("person", "ec", "rsa3072", "pss", "pss-only", "software", "public-business")
STATES = ("expired", "expired-recently", "short", "not-yet-valid", "revoked", "revoked-later", "suspended",
          "wrong-usage", "rsa1024", "of-revoked-ca", "of-rekeyed-ca", "unknown", "g1-person", "g1-old")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """One file; `crls` are supplied beside it; `at`: when it is asked about, where that is not the present."""

    name: str
    data: bytes
    crls: tuple[bytes, ...] = ()
    at: datetime | None = None


def cases(pki: test_pki.Pki, now: datetime) -> Iterator[Case]:
    """All cases, as seen at `now`."""
    yield from _levels(pki, now)
    yield from _states(pki, now)
    yield from _signatures(pki, now)
    yield from _tokens(pki, now)
    yield from _revocation(pki, now)
    yield from _paths(pki, now)
    yield from _octets(pki, now)
    yield from _documents(pki, now)


def day(pki: test_pki.Pki, count: float) -> datetime:
    return pki.epoch + count * DAY


def _levels(pki: test_pki.Pki, now: datetime) -> Iterator[Case]:
    for label in GOOD:
        pss = label.startswith("pss")
        lists = tuple(pki.crl(ca, now) for ca in {pki.issuer(label), "root-g2", "sub-g2-tsa", "root-public"})
        yield Case(f"level/{label}/b-b", signed(pki, label, pss=pss).data, lists)
        pdf = signed(pki, label, pss=pss, tokens=[token(pki, day(pki, 10))])
        yield Case(f"level/{label}/b-t", pdf.data, lists)
        pdf.store(pki, values=values(pki, label, "tsa1", at=day(pki, 12)))
        yield Case(f"level/{label}/b-lt", pdf.data)
        stamp(pdf, pki, token(pki, day(pki, 13)))
        pdf.store(pki, values=values(pki, "tsa1", at=now))
        yield Case(f"level/{label}/b-lta", pdf.data)


def _states(pki: test_pki.Pki, now: datetime) -> Iterator[Case]:
    for label in STATES:
        digest = "sha1" if label == "g1-old" else "sha256"
        for name, stamps in {
            "bare": (),
            "stamped-before": (token(pki, day(pki, 10)),),
            "stamped-after": (token(pki, day(pki, 25)),),
        }.items():
            pdf = signed(pki, label, tokens=stamps, digest=digest)
            pdf.store(pki, values=values(pki, label, "tsa1", at=now))
            yield Case(f"state/{label}/{name}", pdf.data)


def _signatures(pki: test_pki.Pki, now: datetime) -> Iterator[Case]:
    def case(name: str, pdf: PdfWriter) -> Case:
        pdf.store(pki, values=values(pki, "person", "tsa1", at=now))
        return Case(f"signature/{name}", pdf.data)

    def edited(name: str, edit: Callable[[bytes], bytes], **options: object) -> Case:
        pdf = signed(pki, **options)  # type: ignore[arg-type]
        pdf.data = edit(pdf.data)
        return case(name, pdf)

    yield edited("content-changed", lambda d: d.replace(b"Xin ch", b"Tam bi"))
    yield edited(
        "content-changed-stamped", lambda d: d.replace(b"Xin ch", b"Tam bi"), tokens=[token(pki, day(pki, 10))]
    )
    yield edited("date-changed", lambda d: d.replace(b"D:20260102", b"D:20250102"))
    yield case("value-flipped", signed(pki, flip=True))
    yield case("other-key", signed(pki, key="person2"))
    yield case("other-octets", signed(pki, over=lambda c: c[::-1]))
    for digest in ("sha384", "sha512", "sha224", "sha1"):
        yield case(f"digest-{digest}", signed(pki, digest=digest))
    yield case("digest-sha1-stamped", signed(pki, digest="sha1", tokens=[token(pki, day(pki, 10))]))
    for digest in ("sha1", "sha384", "sha512"):
        yield case(f"reference-{digest}", signed(pki, reference=digest))
    yield case("no-reference", signed(pki, reference=None))
    yield case("reference-to-another", signed(pki, referenced="person2", include=["person", "person2", "sub-g2-state"]))
    yield case("reference-to-absent", signed(pki, referenced="person2"))
    yield case("no-certificates", signed(pki, include=[]))
    yield case("leaf-only", signed(pki, include=["person"]))
    yield case("pss", signed(pki, pss=True))
    pdf = PdfWriter()
    pdf.sign(pki, sub_filter="adbe.pkcs7.detached", cms=maker(pki, reference=None))
    yield case("adobe", pdf)
    pdf = PdfWriter()
    pdf.sign(pki, sub_filter="adbe.pkcs7.sha1")
    yield case("adobe-sha1", pdf)


def _tokens(pki: test_pki.Pki, now: datetime) -> Iterator[Case]:
    when = day(pki, 10)

    def case(name: str, *stamps: Callable[[bytes], bytes], label: str = "person", **options: object) -> Case:
        pdf = signed(pki, label, tokens=stamps, **options)  # type: ignore[arg-type]
        known = now if pki.revocation(label, now) or label == "person" else day(pki, 12)
        held, others = values(pki, label, at=known), values(pki, "tsa1", *tsas, at=now)
        pdf.store(pki, values={key: held[key] + others[key] for key in held})
        return Case(f"token/{name}", pdf.data)

    tsas: tuple[str, ...] = ()
    for label in ("person", "expired-recently"):
        yield case(f"{label}/good", token(pki, when), label=label)
        yield case(f"{label}/of-another-signature", token(pki, when, over=b"other"), label=label)
        yield case(f"{label}/flipped", token(pki, when, flip=True), label=label)
        yield case(f"{label}/sha1-imprint", token(pki, when, hash="sha1"), label=label)
        yield case(f"{label}/sha1-signature", token(pki, when, digest="sha1"), label=label)
        yield case(f"{label}/future", token(pki, now + 3 * DAY), label=label)
        yield case(f"{label}/before-certificate", token(pki, day(pki, -400)), label=label)
        yield case(f"{label}/bad-and-good", token(pki, when, flip=True), token(pki, when), label=label)
        for tsa in ("tsa-no-eku", "tsa-wrong-eku", "tsa-eku-not-critical", "tsa-two-ekus", "tsa-expired",
                    "tsa-short", "tsa-revoked", "tsa-unknown"):  # fmt: skip
            tsas = (tsa,)
            yield case(f"{label}/{tsa}", token(pki, when, tsa=tsa), label=label)
        tsas = ()
    yield case("content-before", token(pki, when), content_tokens=[token(pki, day(pki, 9))])
    yield case("content-after", token(pki, when), content_tokens=[token(pki, day(pki, 15))])
    yield case("content-after-revocation", label="revoked", content_tokens=[token(pki, when)])
    yield case("content-after-expiry", label="expired", content_tokens=[token(pki, when)])


def _revocation(pki: test_pki.Pki, now: datetime) -> Iterator[Case]:
    rest = values(pki, "person", "tsa1", at=now)
    about_tsa = [pki.ocsp("tsa1", at=now)]

    def case(name: str, *, ocsp: bytes | None = None, crl: bytes | None = None, stamped: bool = False) -> Case:
        pdf = signed(pki, tokens=[token(pki, day(pki, 10))] if stamped else [])
        answers = [*about_tsa, *([ocsp] if ocsp else [])]
        pdf.store(pki, values={**rest, "OCSPs": answers, "CRLs": [*rest["CRLs"], *([crl] if crl else [])]})
        return Case(f"revocation/{name}" + ("-stamped" if stamped else ""), pdf.data)

    serial = int.from_bytes(der.content(test_pki.certificates.field(pki.cert("person"), "serial")), "big")
    for stamped in (False, True):
        yield case("none", stamped=stamped)
        yield case("unknown", ocsp=pki.ocsp("person", "unknown", at=now), stamped=stamped)
        yield case("other-serial", ocsp=pki.ocsp("person2", at=now), stamped=stamped)
        wrong = pki.ocsp("person", "good", at=now, signer="ocsp-sub-g2-party")
        yield case("other-responder", ocsp=wrong, stamped=stamped)
        by_ca = pki.ocsp("person", "good", at=now, signer="sub-g2-state")
        yield case("answer-by-the-ca", ocsp=by_ca, stamped=stamped)
        old = pki.ocsp("person", "good", at=day(pki, 5))
        yield case("stale-answer", ocsp=old, stamped=stamped)
        yield case("stale-list", crl=pki.crl("sub-g2-state", day(pki, 1)), stamped=stamped)
        yield case("list", crl=pki.crl("sub-g2-state", now), stamped=stamped)
        yield case("list-before-certificate", crl=pki.crl("sub-g2-state", day(pki, -301), 400 * DAY), stamped=stamped)
        yield case("list-of-another", crl=pki.crl("sub-g2-party", now), stamped=stamped)
        yield case("list-by-a-stranger", crl=pki.crl("sub-g2-state", now, signer="ca-unknown"), stamped=stamped)
        yield case("future-answer", ocsp=pki.ocsp("person", "good", at=now + 2 * DAY), stamped=stamped)
        point = der.seq(der.implicit(2, b"\xff"))
        partial = pki.crl("sub-g2-state", now, extra=((ISSUING_POINT, True, point),))
        yield case("list-of-authorities", crl=partial, stamped=stamped)
        delta = pki.crl("sub-g2-state", now, extra=((DELTA, True, der.integer(1)),))
        yield case("delta-list", crl=delta, stamped=stamped)
        critical = pki.crl("sub-g2-state", now, extra=(("1.2.3.4", True, der.null()),))
        yield case("list-with-unknown-critical", crl=critical, stamped=stamped)
        for reason in ("keyCompromise", "superseded", "certificateHold"):
            for when in (5, 15):
                entry = (serial, day(pki, when), reason)
                revoking = pki.crl("sub-g2-state", now, entries=[entry])
                yield case(f"{reason}-day-{when}", crl=revoking, stamped=stamped)


def _paths(pki: test_pki.Pki, now: datetime) -> Iterator[Case]:
    def case(name: str, label: str, *also: str, **options: object) -> Case:
        pdf = signed(pki, label, tokens=[token(pki, day(pki, 10))], **options)  # type: ignore[arg-type]
        pdf.store(pki, values=values(pki, label, "tsa1", *also, at=now))
        return Case(f"path/{name}", pdf.data)

    def constrained(name: str, **changes: object) -> Case:
        subject = (("C", "VN"), ("CN", f"Test CA {name}"))
        pki.add(f"dss-ca-{name}", "sub-g2-state", subject=subject, key="sub-g2-party", **changes)
        pki.add(f"dss-{name}", "person", issuer=f"dss-ca-{name}")
        return case(name, f"dss-{name}")

    pki.add("dss-by-leaf", "person", issuer="person2")
    yield case("issued-by-a-person", "dss-by-leaf")
    pki.add("dss-below", "sub-g2-party", subject=(("C", "VN"), ("CN", "Test CA below")), issuer="sub-g2-state")
    pki.add("dss-too-deep", "person", issuer="dss-below")
    yield case("too-long", "dss-too-deep")
    pki.add("dss-alone", "person", issuer="dss-alone")
    yield case("self-signed", "dss-alone")
    pki.add("dss-critical", "person", extra=(("1.2.3.4.5", True, der.null()),))
    yield case("critical-extension", "dss-critical")
    pki.add("dss-namesake", "sub-g2-state", key="ca-unknown", issuer="root-unknown")
    pki.add("dss-of-namesake", "person", issuer="dss-namesake")
    yield case("namesake-authority", "dss-of-namesake")
    yield constrained("no-ca", ca=False, path_len=None)
    yield constrained("no-cert-sign", key_usage=("cRLSign",))
    yield constrained("expired-ca", not_before=day(pki, -3000), not_after=day(pki, 20))
    yield constrained("expired-ca-before", not_before=day(pki, -3000), not_after=day(pki, 5))
    yield constrained("later-ca", not_before=day(pki, 20))
    for name, country in (("names-permit", "VN"), ("names-forbid", "LA")):
        bases = der.explicit(0, der.seq(der.explicit(4, der.name((("C", country),)))))
        yield constrained(name, extra=(("2.5.29.30", True, der.seq(bases)),))
    pki.add("dss-ca-gone", "sub-g2-revoked", key="sub-g2-party", revoked=test_pki.spec.Revocation(15 * DAY))
    pki.add("dss-of-gone", "person", issuer="dss-ca-gone")
    yield case("ca-revoked-later", "dss-of-gone")
    pki.add("dss-no-avail", "person", ocsp_urls=(), crl_urls=(), extra=(("2.5.29.56", False, der.null()),))
    pdf = signed(pki, "dss-no-avail", tokens=[token(pki, day(pki, 10))])
    pdf.store(pki, values=values(pki, "tsa1", at=now))
    yield Case("path/no-revocation-available", pdf.data)
    yield case("claims-another-time", "short", claimed=day(pki, -300))


def _octets(pki: test_pki.Pki, now: datetime) -> Iterator[Case]:
    """Damage to the octets that carry the signature; the validation data stands beside, in lists."""
    lists = tuple(pki.crl(ca, now) for ca in ("sub-g2-state", "root-g2"))
    whole = signed(pki).data
    at = whole.index(b"/ByteRange [") + 12
    numbers = whole[at : whole.index(b"]", at)]
    _, before, after, rest = map(int, numbers.split())

    def ranged(name: str, text: bytes) -> Case:
        return Case(f"octets/range-{name}", whole.replace(numbers, text.ljust(len(numbers)), 1), lists)

    yield ranged("shorter", b"0 %d %d %d" % (before, after, rest - 10))
    yield ranged("negative", b"0 %d %d -1" % (before, after))
    yield ranged("zero", b"0 0 0 0")
    yield ranged("two-numbers", b"0 %d" % before)
    yield ranged("from-one", b"1 %d %d %d" % (before - 1, after, rest))
    yield ranged("gap-wider", b"0 %d %d %d" % (before - 10, after, rest))
    yield ranged("beyond-the-end", b"0 %d %d %d" % (before, after, rest + 100))
    end = whole.rindex(b"0000>") + 4
    yield Case("octets/junk-after-the-cms", whole[: end - 8] + b"deadbeef" + whole[end:], lists)
    yield Case("octets/contents-zeros", whole[: before + 1] + b"0" * (after - before - 2) + whole[after - 1 :], lists)
    yield Case("octets/trailing-text", whole + b"x", lists)
    yield Case("octets/trailing-object", whole + b"4 0 obj\n<< /Length 0 >>\nstream\n\nendstream\nendobj\n", lists)
    yield Case("octets/cut-off-twice", whole[:-6], lists)


def _documents(pki: test_pki.Pki, now: datetime) -> Iterator[Case]:
    pdf = signed(pki)
    pdf.sign(pki, "agency", name="Second", cms=maker(pki, "agency", tokens=[token(pki, day(pki, 10))]))
    pdf.store(pki, values=values(pki, "person", "agency", "tsa1", at=now))
    yield Case("document/two-signatures", pdf.data)
    pdf = PdfWriter()
    stamp(pdf, pki, token(pki, day(pki, 5)))
    pdf.sign(pki, name="Second", cms=maker(pki))
    pdf.store(pki, values=values(pki, "person", "tsa1", at=now))
    yield Case("document/timestamp-first", pdf.data)
    for label in ("person", "expired-recently", "revoked-later"):
        pdf = signed(pki, label)
        pdf.store(pki, values=values(pki, label, "tsa1", at=day(pki, 9.5)))
        stamp(pdf, pki, token(pki, day(pki, 10)))
        pdf.store(pki, values=values(pki, label, "tsa1", at=now))
        yield Case(f"document/only-document-timestamp/{label}", pdf.data)
    pdf = signed(pki, tokens=[token(pki, day(pki, 10))])
    pdf.store(pki, values=values(pki, "person", "tsa1", at=now))
    pdf.update({4: b"<< /Length 30 >>\nstream\nBT /F1 12 Tf (Sua) Tj ET      \nendstream"})
    yield Case("document/page-changed-afterwards", pdf.data)
    pdf = signed(pki, tokens=[token(pki, day(pki, 10))])
    pdf.store(pki, values=values(pki, "person", "tsa1", at=now))
    pdf.fields, pdf.annotations = [], []
    pdf.update({1: pdf.catalog(), 3: pdf.page()})
    yield Case("document/signature-removed", pdf.data)
    for style in ("stream", "hybrid"):
        pdf = signed(pki, style=style, tokens=[token(pki, day(pki, 10))])
        pdf.store(pki, values=values(pki, "person", "tsa1", at=now))
        yield Case(f"document/{style}", pdf.data)
    yield Case("document/unsigned", PdfWriter().data)
