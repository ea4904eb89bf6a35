"""Every sub-indication of EN 319 102-1 (table 6) reached by a signed file: octets in, verdict out.

Nothing here is put into a view or a finding by hand: each scenario writes and signs a PDF file, and says what is known
beside it and under which policy it is judged.  A member of `Sub` without a scenario fails.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from signsvc.algorithms import DatedRow
from signsvc.formats import pades
from signsvc.trust import TrustAnchor
from signsvc.types import Certificate, DocumentVerdict, Indication
from signsvc.types.verdicts import Sub
from signsvc.validation import Role
from test_pki import der, timestamps
from tests.pdf_writer import PdfWriter
from tests.support.signed_pdf import maker, signed, stamp, token, values
from tests.unit.validation.validation_bench import YEAR, Bench, outcome

Scenario = Callable[[Bench], DocumentVerdict]
POLICY_ATTRIBUTE, SHA256 = "1.2.840.113549.1.9.16.2.15", "2.16.840.1.101.3.4.2.1"


def _judge(bench: Bench, pdf: PdfWriter | bytes, *labels: str, **options: Any) -> DocumentVerdict:
    """The verdict with truthful revocation data of the validation time for `labels`."""
    data = pdf if isinstance(pdf, bytes) else pdf.data
    at = options.get("now", bench.now)
    evidence = {item.id: item for label in labels or ("person", "tsa1") for item in bench.status(label, at=at)}
    return bench.judge(pades.read(data), tuple(evidence.values()), **options)


def _person(bench: Bench, **changes: Any) -> PdfWriter:
    return signed(bench.pki, **changes)


# What proves a signature wrong.


def _hash(bench: Bench) -> DocumentVerdict:
    return _judge(bench, _person(bench).data.replace(b"/MediaBox [0 0 595 842]", b"/MediaBox [0 0 595 800]"))


def _value(bench: Bench) -> DocumentVerdict:
    return _judge(bench, _person(bench, flip=True))


def _format(bench: Bench) -> DocumentVerdict:
    """The page shows something else since a later revision."""
    pdf = _person(bench)
    content = b"BT /F1 12 Tf 72 720 Td (Khac) Tj ET"
    pdf.update({4: b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content)})
    return _judge(bench, pdf)


def _not_yet_valid(bench: Bench) -> DocumentVerdict:
    """The timestamp is older than the certificate."""
    return _judge(bench, _person(bench, tokens=[token(bench.pki, bench.day(-301))]))


def _revoked(bench: Bench) -> DocumentVerdict:
    """What was signed holds a timestamp from after the revocation: the signature is younger."""
    content = token(bench.pki, bench.day(5))
    return _judge(bench, signed(bench.pki, "revoked", content_tokens=[content]), "revoked", "tsa1")


def _expired(bench: Bench) -> DocumentVerdict:
    content = token(bench.pki, bench.day(-10))
    return _judge(bench, signed(bench.pki, "expired", content_tokens=[content]), "expired", "tsa1")


# What leaves it open.


def _data_missing(bench: Bench) -> DocumentVerdict:
    """A download that broke off in the midst of the signature."""
    data = _person(bench).data
    return _judge(bench, data[: data.rindex(b"/ByteRange")])


def _no_certificate(bench: Bench) -> DocumentVerdict:
    return _judge(bench, _person(bench, include=[]))


def _policy_attribute(digest: bytes) -> bytes:
    named = der.seq(der.oid("1.2.3"), der.seq(der.seq(der.oid(SHA256)), der.octets(digest)))
    return timestamps.attribute(POLICY_ATTRIBUTE, named)


def _policy_unknown(bench: Bench) -> DocumentVerdict:
    return _judge(bench, _person(bench, attributes=[_policy_attribute(b"\1" * 32)]))


def _policy_differs(bench: Bench) -> DocumentVerdict:
    pdf = _person(bench, attributes=[_policy_attribute(b"\1" * 32)])
    assert outcome(_judge(bench, pdf, signature_policies={"1.2.3": "01" * 32})) == ("TOTAL-PASSED", None)
    return _judge(bench, pdf, signature_policies={"1.2.3": "02" * 32})


def _no_chain(bench: Bench) -> DocumentVerdict:
    return _judge(bench, signed(bench.pki, "unknown"), "person")


def _trust(bench: Bench, sunset_day: float) -> dict[str, Any]:
    """The government root with an end, and a timestamp authority under another root."""
    root, public = (Certificate.from_der(bench.pki.cert(label)) for label in ("root-g2", "root-public"))
    if "tsa-elsewhere" not in bench.pki.labels():
        bench.pki.add("tsa-elsewhere", "tsa1", issuer="ca-public1")
    anchors = (TrustAnchor(root, "G2", bench.day(sunset_day)), TrustAnchor(public, "public"))
    intermediates = (Certificate.from_der(bench.pki.cert("sub-g2-state")),)
    return {"material": bench.material(anchors=anchors, intermediates=intermediates)}


def _sunset(bench: Bench) -> DocumentVerdict:
    """Signed by no provable time; the anchor's end has come."""
    return _judge(bench, _person(bench), **_trust(bench, 15))


def _no_proof(bench: Bench) -> DocumentVerdict:
    """Signature and status are older than the anchor's end, but nothing says so of the intermediate."""
    trust = _trust(bench, 25)
    early, late = (token(bench.pki, bench.day(day), tsa="tsa-elsewhere") for day in (10, 12))
    pdf = _person(bench, include=["person"], tokens=[early])
    store = values(bench.pki, "person", at=bench.day(11))
    pdf.store(bench.pki, values=store | {"Certs": [bench.pki.cert("person")]})
    stamp(pdf, bench.pki, late)
    return _judge(bench, pdf, "tsa-elsewhere", **trust)


def _broken_path(bench: Bench) -> DocumentVerdict:
    """The signer's certificate has a critical extension that nobody knows."""
    if "critical-unknown" not in bench.pki.labels():
        bench.pki.add("critical-unknown", "person", extra=(("1.2.3.4.5", True, der.null()),))
    return _judge(bench, signed(bench.pki, "critical-unknown", key="person"), "critical-unknown")


def _wrong_usage(bench: Bench) -> DocumentVerdict:
    return _judge(bench, signed(bench.pki, "wrong-usage"), "wrong-usage")


def _revoked_no_proof(bench: Bench) -> DocumentVerdict:
    return _judge(bench, signed(bench.pki, "revoked", tokens=[token(bench.pki, bench.day(10))]), "revoked", "tsa1")


def _ca_revoked(bench: Bench) -> DocumentVerdict:
    pdf = signed(bench.pki, "of-revoked-ca", tokens=[token(bench.pki, bench.day(10))])
    return _judge(bench, pdf, "of-revoked-ca", "tsa1")


def _out_of_bounds(bench: Bench) -> DocumentVerdict:
    return _judge(bench, signed(bench.pki, "expired"), "expired")


def _not_revoked(bench: Bench) -> DocumentVerdict:
    """The authority keeps expired certificates on its list, and this one is not there."""
    ca = Certificate.from_der(bench.pki.cert("sub-g2-state")).sha256
    pdf = signed(bench.pki, "expired")
    lists = {"CRLs": [bench.pki.crl("sub-g2-state", bench.now), bench.pki.crl("root-g2", bench.now)]}
    pdf.store(bench.pki, values=lists)
    return _judge(bench, pdf, keeps_expired_since={ca: bench.day(-365)})


def _old_status(bench: Bench) -> DocumentVerdict:
    """Five years on: what answered for the signer has expired, and no archive timestamp holds the answer."""
    pdf = _person(bench, tokens=[token(bench.pki, bench.day(20))])
    pdf.store(bench.pki, values=values(bench.pki, "person", at=bench.day(21)))
    return _judge(bench, pdf, "tsa1", now=bench.now + 5 * YEAR)


def _weak(bench: Bench) -> DocumentVerdict:
    return _judge(bench, signed(bench.pki, "rsa1024"), "rsa1024")


def _weak_since(bench: Bench) -> DocumentVerdict:
    """The algorithm lost its strength after the certificate began: an older signature would have been good."""
    rows = dict(bench.policy.algorithms)
    rows[Role.SIGNATURE] = (
        *(row for row in rows[Role.SIGNATURE] if row.algorithm != "sha256"),
        DatedRow("sha256", 0, bench.day(15)),
    )
    pdf = _person(bench, tokens=[token(bench.pki, bench.day(10))])
    assert outcome(_judge(bench, pdf, algorithms=rows)) == ("TOTAL-PASSED", None)
    return _judge(bench, _person(bench), algorithms=rows)


def _no_status(bench: Bench) -> DocumentVerdict:
    return _judge(bench, _person(bench), "tsa1")


def _wrong_order(bench: Bench) -> DocumentVerdict:
    """What was signed holds a later time than the timestamp over the signature."""
    early, late = token(bench.pki, bench.day(5)), token(bench.pki, bench.day(10))
    return _judge(bench, _person(bench, content_tokens=[late], tokens=[early]))


def _demand(bench: Bench) -> DocumentVerdict:
    return _judge(bench, _person(bench), timestamp="required")


def _raised(bench: Bench) -> DocumentVerdict:
    """A comment came later, and this policy refuses what the standard has no word for."""
    pdf = _person(bench)
    number = pdf.new()
    pdf.annotations.append(number)
    pdf.update({number: b"<< /Type /Annot /Subtype /Text /Rect [9 9 29 29] /Contents (Y kien) >>", 3: pdf.page()})
    assert outcome(_judge(bench, pdf)) == ("TOTAL-PASSED", None)
    return _judge(bench, pdf, levels={"changed_annotation": "fail"})


def _kind_unknown(bench: Bench) -> DocumentVerdict:
    """A signature of a kind that nobody knows: sound, but what it means is not told."""
    pdf = PdfWriter()
    pdf.sign(bench.pki, sub_filter="example.unknown", room=48_000, cms=maker(bench.pki))
    return _judge(bench, pdf)


SCENARIOS: dict[Sub, Scenario] = {
    Sub.HASH_FAILURE: _hash,
    Sub.SIG_CRYPTO_FAILURE: _value,
    Sub.FORMAT_FAILURE: _format,
    Sub.NOT_YET_VALID: _not_yet_valid,
    Sub.REVOKED: _revoked,
    Sub.EXPIRED: _expired,
    Sub.SIGNED_DATA_NOT_FOUND: _data_missing,
    Sub.NO_SIGNING_CERTIFICATE_FOUND: _no_certificate,
    Sub.SIGNATURE_POLICY_NOT_AVAILABLE: _policy_unknown,
    Sub.POLICY_PROCESSING_ERROR: _policy_differs,
    Sub.NO_CERTIFICATE_CHAIN_FOUND: _no_chain,
    Sub.NO_CERTIFICATE_CHAIN_FOUND_NO_POE: _sunset,
    Sub.CERTIFICATE_CHAIN_GENERAL_FAILURE: _broken_path,
    Sub.CHAIN_CONSTRAINTS_FAILURE: _wrong_usage,
    Sub.REVOKED_NO_POE: _revoked_no_proof,
    Sub.REVOKED_CA_NO_POE: _ca_revoked,
    Sub.OUT_OF_BOUNDS_NO_POE: _out_of_bounds,
    Sub.OUT_OF_BOUNDS_NOT_REVOKED: _not_revoked,
    Sub.REVOCATION_OUT_OF_BOUNDS_NO_POE: _old_status,
    Sub.CRYPTO_CONSTRAINTS_FAILURE: _weak,
    Sub.CRYPTO_CONSTRAINTS_FAILURE_NO_POE: _weak_since,
    Sub.NO_POE: _no_proof,
    Sub.TRY_LATER: _no_status,
    Sub.TIMESTAMP_ORDER_FAILURE: _wrong_order,
    Sub.SIG_CONSTRAINTS_FAILURE: _demand,
    Sub.CUSTOM: _raised,
    Sub.GENERIC: _kind_unknown,
}
FAILED = {Sub.HASH_FAILURE, Sub.SIG_CRYPTO_FAILURE, Sub.FORMAT_FAILURE, Sub.NOT_YET_VALID, Sub.REVOKED, Sub.EXPIRED}


@pytest.mark.parametrize("sub", list(Sub))
def test_a_signed_file_reaches(sub: Sub, bench: Bench) -> None:
    verdict = SCENARIOS[sub](bench)
    indication = Indication.TOTAL_FAILED if sub in FAILED else Indication.INDETERMINATE
    assert (verdict.indication, verdict.sub_indication) == (indication, sub)
    signature = verdict.signatures[0]
    assert (signature.indication, signature.sub_indication) == (indication, sub)
    assert any(f.sub == sub for f in signature.findings if f.level == "fail")
