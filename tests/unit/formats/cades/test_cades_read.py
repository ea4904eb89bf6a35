"""CMS files as views: where the content comes from, in what forms the file comes, what the level is called."""

from __future__ import annotations

import base64
import hashlib

import pytest

import test_pki
from signsvc.errors import DocumentError
from signsvc.formats import cades
from signsvc.types import DocumentView, Original, SignatureView
from test_pki import der
from test_pki.timestamps import attribute
from tests.support.signed_cms import CONTENT, LEVELS, original, raised, sign
from tests.unit.cms.cms_builder import DOCUMENT, Signer, codes
from tests.unit.cms.cms_builder import cms as build

SHA256, SHA512 = "2.16.840.1.101.3.4.2.1", "2.16.840.1.101.3.4.2.3"


def only(view: DocumentView) -> SignatureView:
    (signature,) = view.signatures
    return signature


def matches(view: DocumentView) -> list[bool | None]:
    return [s.signer.digest_matches if s.signer else None for s in view.signatures]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("detached", [True, False])
def test_levels(level: str, detached: bool, pki: test_pki.Pki) -> None:
    given = (original(),) if detached else ()
    data = raised(pki, sign(pki, detached=detached, media_type="text/plain"), level, originals=given)
    view = cades.read(data, originals=given, name="van-ban.docx.p7m")
    found = only(view)
    assert (found.id, found.format, found.level) == ("signature-1", "CAdES", level.upper())
    assert found.findings == ()
    assert found.signer is not None
    assert found.signer.findings == ()
    (covered,) = found.covered
    assert (covered.kind, covered.name, covered.matches) == ("file" if detached else "object", "van-ban.docx", True)
    assert (covered.size, covered.media_type, covered.digest_oid) == (len(CONTENT), "text/plain", SHA256)
    assert (found.scope.type, view.media_type, view.size) == ("FULL", "application/cms", len(data))
    assert view.sha256 == hashlib.sha256(data).digest()
    assert [t.imprint_matches for t in found.signer.timestamps] == [True] * {"b-b": 0, "b-lta": 2}.get(level, 1)
    assert cades.content(data) == (None if detached else CONTENT)


def test_content_that_is_not_at_hand(pki: test_pki.Pki) -> None:
    view = cades.read(sign(pki), name="van-ban.docx.p7s")
    found = only(view)
    assert matches(view) == [None]
    assert found.scope.type == "PARTIAL"
    assert (found.covered[0].name, found.covered[0].matches, found.covered[0].size) == ("van-ban.docx", None, None)


def test_one_original_is_taken_even_where_it_differs(pki: test_pki.Pki) -> None:
    view = cades.read(sign(pki), originals=(original(CONTENT + b"."),))
    assert matches(view) == [False]
    assert only(view).covered[0].matches is False


def test_among_several_originals_the_digest_decides(pki: test_pki.Pki) -> None:
    given = [Original("first", b"1"), original(), Original("last", b"2")]
    view = cades.read(sign(pki), originals=given)
    assert matches(view) == [True]
    assert only(view).covered[0].name == "van-ban.docx"
    assert matches(cades.read(sign(pki), originals=[given[0], given[2]])) == [None]


def test_digests_of_the_content_are_enough(pki: test_pki.Pki) -> None:
    data = raised(pki, sign(pki), "b-lta", originals=(original(),))
    digests = {SHA256: hashlib.sha256(CONTENT).digest()}
    view = cades.read(data, originals=(Original("van-ban.docx", None, digests),))
    found = only(view)
    assert (found.level, found.covered[0].matches, found.covered[0].size) == ("B-LTA", True, None)
    other = cades.read(data, originals=(Original("van-ban.docx", None, {SHA256: bytes(32)}),))
    assert matches(other) == [False]


def test_a_digest_that_was_not_given_is_not_a_wrong_one(pki: test_pki.Pki) -> None:
    given = Original("van-ban.docx", None, {SHA512: hashlib.sha512(CONTENT).digest()})
    view = cades.read(sign(pki), originals=(given,))
    found = only(view)
    assert found.signer is not None
    assert found.signer.digest_matches is None
    assert codes(found.signer.findings) == ["cms_digest_absent"]
    assert matches(cades.read(sign(pki, digest="sha512"), originals=(given,))) == [True]


def test_an_archive_timestamp_needs_the_digest_under_its_own_algorithm(pki: test_pki.Pki) -> None:
    data = raised(pki, sign(pki, digest="sha512"), "b-lta", originals=(original(),))
    given = Original("van-ban.docx", None, {SHA512: hashlib.sha512(CONTENT).digest()})
    signer = only(cades.read(data, originals=(given,))).signer
    assert signer is not None
    assert signer.digest_matches is True
    assert [(t.kind, t.imprint_matches) for t in signer.timestamps] == [("signature", True), ("archive", None)]
    assert codes(signer.timestamps[1].findings) == ["timestamp_archive_not_computed"]


def test_content_inside_is_compared_with_originals(pki: test_pki.Pki) -> None:
    data = sign(pki, detached=False)
    assert matches(cades.read(data, originals=(Original("x", b"x"), original()))) == [True]
    digests = {SHA256: hashlib.sha256(CONTENT).digest()}
    assert matches(cades.read(data, originals=(Original("x", None, digests),))) == [True]
    for other in (Original("x", b"other"), Original("x", None, {SHA256: bytes(32)}), Original("x", None, {})):
        view = cades.read(data, originals=(other,))
        assert matches(view) == [False]
        assert "cades_original_differs" in codes(only(view).findings)


def test_several_signers_are_several_signatures(pki: test_pki.Pki) -> None:
    data = sign(pki)
    data = sign(pki, "ec", existing=data, content=original())
    data = sign(pki, "rsa3072", existing=data, content=original(), pss=True, digest="sha512")
    data = raised(pki, data, "b-lta", originals=(original(),), labels=("person", "ec", "rsa3072"))
    view = cades.read(data, originals=(original(),))
    assert [s.id for s in view.signatures] == ["signature-1", "signature-2", "signature-3"]
    assert matches(view) == [True] * 3
    assert [s.level for s in view.signatures] == ["B-LTA"] * 3
    assert view.findings == ()
    for signature in view.signatures:
        assert signature.signer is not None
        for stamp in signature.signer.timestamps:
            assert f"signature:{signature.id}" in stamp.proves
            assert stamp.imprint_matches is True
    ids = [t.id for s in view.signatures if s.signer for t in s.signer.timestamps]
    assert len(set(ids)) == 6


@pytest.mark.parametrize("label", ["PKCS7", "CMS"])
def test_pem_and_base64(label: str, pki: test_pki.Pki) -> None:
    plain = sign(pki)
    text = base64.encodebytes(plain)
    pem = b"-----BEGIN %s-----\n%s-----END %s-----\n" % (label.encode(), text, label.encode())
    for form in (pem, b"\xef\xbb\xbf" + pem.replace(b"\n", b"\r\n"), b"said:\n" + pem, text, base64.b64encode(plain)):
        view = cades.read(form, originals=(original(),))
        assert matches(view) == [True]
        assert view.size == len(form)
        assert cades.decode(form) == plain


@pytest.mark.parametrize(
    "junk",
    [b"%PDF-1.7", b"<a/>", b"0", b"\x30\x03\x02\x01\x01", b"AAAA", b"MII=x", b"-----BEGIN CMS-----\n-----END CMS-----"],
)
def test_what_is_no_cms(junk: bytes) -> None:
    for function in (cades.read, cades.content):
        with pytest.raises(DocumentError) as caught:
            function(junk)
        assert caught.value.code == "document_unreadable"
    with pytest.raises(DocumentError) as caught:
        cades.read(b"")
    assert caught.value.code == "empty_document"


def test_a_bag_of_certificates_holds_no_signature(pki: test_pki.Pki) -> None:
    view = cades.read(build(certs=pki.chain("person"), digests=()))
    assert view.signatures == ()
    assert codes(view.findings) == ["cms_signer_missing"]


@pytest.mark.parametrize(
    ("changes", "level", "reasons"),
    [
        ({}, "BES", ["signing-time"]),
        ({"extra": ("policy",)}, "EPES", ["signing-time"]),
        ({"extra": ("time",)}, "B-B", []),
        ({"extra": ("time",), "content_type": "1.2.3.4"}, "BES", ["content-type"]),
        ({"without": ["1.2.840.113549.1.9.16.2.47"]}, "CMS-NOT-ETSI", []),
        ({"signed": False}, "CMS-NOT-ETSI", []),
        ({"extra": ("time",), "unsigned": ("certificate-values",)}, "BES", ["certificate-values"]),
    ],
)  # fmt: skip
def test_names_of_levels(changes: dict[str, object], level: str, reasons: list[str], pki: test_pki.Pki) -> None:
    """Shape 25 among them: a detached content whose type is not id-data is judged as given, and is no baseline."""
    named = {
        "time": attribute("1.2.840.113549.1.9.5", der.time(pki.epoch)),
        "policy": attribute("1.2.840.113549.1.9.16.2.15", der.seq(der.oid("1.2.3"))),
        "certificate-values": attribute("1.2.840.113549.1.9.16.2.23", der.seq(pki.cert("sub-g2-state"))),
    }
    options = {
        key: tuple(named[v] for v in value) if key in ("extra", "unsigned") else value  # type: ignore[attr-defined]
        for key, value in changes.items()
    }
    content_type = str(options.get("content_type", "1.2.840.113549.1.7.1"))
    data = build(Signer(pki, **options), content_type=content_type, certs=pki.chain("person"))  # type: ignore[arg-type]
    found = only(cades.read(data, originals=(Original("d", DOCUMENT),)))
    assert found.level == level
    assert found.format == ("CMS" if level == "CMS-NOT-ETSI" else "CAdES")
    assert [f.data["reason"] for f in found.findings if f.code == "cades_not_baseline"] == reasons
    assert found.signer is not None
    assert found.signer.digest_matches is True


def test_bare_signatures_find_their_original_by_the_value(pki: test_pki.Pki) -> None:
    data = build(Signer(pki, signed=False))
    given = (Original("other", b"1"), Original("right", DOCUMENT))
    view = cades.read(data, originals=given)
    assert only(view).covered[0].name == "right"
    assert matches(view) == [True]
    assert matches(cades.read(data, originals=(given[0], Original("x", b"2")))) == [None]
