"""Timestamp tokens alone, and those inside a signature with what each one proves."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest

import test_pki
from signsvc.algorithms import SignatureCheck, resolve, verify_value
from signsvc.formats import cms
from signsvc.formats.cms import read_timestamp, signing_certificate
from signsvc.types import Origin, SignerView, TimestampView
from test_pki import der, signatures, timestamps
from test_pki.timestamps import attribute
from tests.unit.cms.cms_builder import DATA, DOCUMENT, Signer, codes, digest_of
from tests.unit.cms.cms_builder import cms as build

IMPRINT = hashlib.sha256(DOCUMENT).digest()
SIGNATURE_TIMESTAMP = "1.2.840.113549.1.9.16.2.14"
CONTENT_TIMESTAMP = "1.2.840.113549.1.9.16.2.20"


def read(token: bytes, document: bytes = DOCUMENT) -> TimestampView:
    return read_timestamp(token, id="T", kind="document", digest=digest_of(document), proves=("revision:1",))


def signed_by_its_tsa(signer: SignerView) -> bool:
    certificate, _ = signing_certificate(signer)
    assert certificate is not None
    value = signer.value
    algorithm = resolve(value.algorithm_oid, value.parameters, value.digest_oid)
    return verify_value(certificate, algorithm, value.value, message=value.message) is SignatureCheck.VALID


def raw_token(pki: test_pki.Pki, info: bytes, **changes: object) -> bytes:
    certificate = pki.cert("tsa1")
    arguments: dict[str, object] = {
        "content_type": timestamps.TST_INFO,
        "attributes": [timestamps.signing_certificate(certificate)],
        "include": pki.chain("tsa1"),
        **changes,
    }
    return timestamps.signed_data(info, signatures.digest(info), pki.key("tsa1"), certificate, **arguments)  # type: ignore[arg-type]


def test_an_ordinary_token(pki: test_pki.Pki) -> None:
    token = pki.timestamp(IMPRINT, at=pki.epoch, nonce=2**63, serial=77)
    view = read(token + bytes(900))
    assert view.findings == ()
    assert view.token == token
    assert (view.gen_time, view.accuracy, view.ordering) == (pki.epoch, 1.0, False)
    assert (view.nonce, view.serial_number) == (2**63, 77)
    assert view.imprint_matches is True
    assert view.proves == ("revision:1",)
    assert view.signer is not None
    assert view.signer.findings == ()
    assert view.signer.digest_matches is True
    assert signed_by_its_tsa(view.signer)
    assert {e.origin for e in view.evidence} == {Origin.TIMESTAMP}
    assert read(token, b"another").imprint_matches is False


def test_broken_signature_of_a_token(pki: test_pki.Pki) -> None:
    view = read(pki.timestamp(IMPRINT, flip=True))
    assert view.imprint_matches is True
    assert view.signer is not None
    assert not signed_by_its_tsa(view.signer)


@pytest.mark.parametrize("octets", [b"", b"junk", b"\x30\x03\x02\x01\x00"])
def test_what_is_no_token(octets: bytes) -> None:
    view = read(octets)
    assert view.signer is None
    assert codes(view.findings) == ["cms_unreadable"]


def test_a_signature_is_no_token(pki: test_pki.Pki) -> None:
    assert codes(read(build(Signer(pki))).findings) == ["timestamp_content_type"]


def tst(*, tail: bytes = b"", version: int = 1, imprint: bytes = IMPRINT, time: bytes | None = None) -> bytes:
    return der.seq(
        der.integer(version),
        der.oid("1.2.3"),
        der.seq(signatures.digest_algorithm("sha256"), der.octets(imprint)),
        der.integer(5),
        time or der.tlv(0x18, b"20250102030405.25Z"),
        tail,
    )


def test_optional_fields(pki: test_pki.Pki) -> None:
    name = der.explicit(4, der.name((("CN", "TSA"),)))
    tail = (
        der.seq(der.integer(2), der.implicit(0, b"\x01\xf4"), der.implicit(1, b"\x64"))
        + der.boolean(True)
        + der.integer(9)
        + der.explicit(0, name)
    )
    view = read(raw_token(pki, tst(tail=tail)))
    assert view.findings == ()
    assert view.accuracy == pytest.approx(2.5001)
    assert view.ordering is True
    assert view.nonce == 9
    assert view.tsa_name_der == name
    assert view.gen_time is not None
    assert view.gen_time.microsecond == 250_000


@pytest.mark.parametrize(
    "info_octets",
    [
        tst(version=2),
        tst(time=der.tlv(0x17, b"250102030405Z")),
        tst(time=der.tlv(0x18, b"20251302030405Z")),
        tst(tail=der.integer(9) + der.boolean(True)),
        tst(tail=der.integer(9) + der.integer(9)),
        tst(tail=der.octets(b"x")),
        tst(tail=der.seq(der.implicit(0, b"\x03\xe8"))),
        der.seq(der.integer(1)),
        b"",
    ],
)
def test_malformed_info(pki: test_pki.Pki, info_octets: bytes) -> None:
    view = read(raw_token(pki, info_octets))
    assert codes(view.findings) == ["timestamp_info_malformed"]
    assert view.signer is None


def test_imprint_of_a_wrong_length(pki: test_pki.Pki) -> None:
    view = read(raw_token(pki, tst(imprint=IMPRINT[:20])))
    assert codes(view.findings) == ["timestamp_imprint_malformed"]
    assert view.imprint_matches is False


def test_critical_extension(pki: test_pki.Pki) -> None:
    extension = der.explicit(1, der.seq(der.oid("1.2.3.9"), der.boolean(True), der.octets(b"")))
    assert codes(read(raw_token(pki, tst(tail=extension))).findings) == ["timestamp_critical_extension"]


def test_token_without_reference(pki: test_pki.Pki) -> None:
    assert codes(read(raw_token(pki, tst(), attributes=[])).findings) == ["timestamp_reference_missing"]


def test_token_with_two_signers(pki: test_pki.Pki) -> None:
    one = Signer(pki, "tsa1", content=tst(), content_type=timestamps.TST_INFO)
    token = build(one, one, content=tst(), content_type=timestamps.TST_INFO, version=3)
    assert codes(read(token).findings) == ["timestamp_signers"]


def test_signature_timestamp_proves_its_signature(pki: test_pki.Pki) -> None:
    """Shape 28 too: a token copied from another signature does not fit."""
    plain = Signer(pki)
    plain.encoded()
    mine = pki.timestamp(hashlib.sha256(plain.value).digest(), at=pki.epoch)
    copied = pki.timestamp(hashlib.sha256(b"other value").digest(), at=pki.epoch + timedelta(days=1))
    unsigned = (attribute(SIGNATURE_TIMESTAMP, mine), attribute(SIGNATURE_TIMESTAMP, copied))
    encoded = build(Signer(pki, signature=plain.value, unsigned=unsigned))
    signer = cms.read(encoded, subject="S", digest=digest_of()).signers[0]
    assert [t.imprint_matches for t in signer.timestamps] == [True, False]
    assert [t.kind for t in signer.timestamps] == ["signature", "signature"]
    assert {t.proves for t in signer.timestamps} == {("signature:S",)}
    assert len({t.id for t in signer.timestamps}) == 2
    assert signer.timestamps[0].token == mine
    assert signer.digest_matches is True


def test_content_timestamp(pki: test_pki.Pki) -> None:
    good, bad = pki.timestamp(IMPRINT), pki.timestamp(hashlib.sha256(b"x").digest())
    extra = (attribute(CONTENT_TIMESTAMP, good), attribute(CONTENT_TIMESTAMP, bad))
    signer = cms.read(build(Signer(pki, extra=extra)), subject="S", digest=digest_of()).signers[0]
    assert sorted(t.imprint_matches is True for t in signer.timestamps) == [False, True]
    assert {t.kind for t in signer.timestamps} == {"content"}
    assert {t.proves for t in signer.timestamps} == {()}
    assert signer.findings == ()


def test_one_bad_token_never_spoils_a_good_one(pki: test_pki.Pki) -> None:
    plain = Signer(pki)
    plain.encoded()
    mine = pki.timestamp(hashlib.sha256(plain.value).digest())
    unsigned = (attribute(SIGNATURE_TIMESTAMP, der.seq(der.integer(1))), attribute(SIGNATURE_TIMESTAMP, mine))
    encoded = build(Signer(pki, signature=plain.value, unsigned=unsigned))
    signer = cms.read(encoded, subject="S", digest=digest_of()).signers[0]
    assert [t.imprint_matches for t in signer.timestamps] == [None, True]


def archive(
    pki: test_pki.Pki, *, certs: tuple[bytes, ...], listed: tuple[bytes, ...], document: bytes = DOCUMENT
) -> SignerView:
    """A signature with an archive timestamp whose index lists `listed` and the signature timestamp."""
    plain = Signer(pki)
    fields = der.children(plain.encoded())
    stamp = pki.timestamp(hashlib.sha256(plain.value).digest())

    def hashes(*values: bytes) -> bytes:
        return der.seq(*(der.octets(hashlib.sha256(v).digest()) for v in values))

    index = der.seq(hashes(*listed), hashes(), hashes(der.oid(SIGNATURE_TIMESTAMP) + stamp))
    imprint = hashlib.sha256(der.oid(DATA) + IMPRINT + b"".join(fields) + index).digest()
    token_info = timestamps.tst_info(imprint, at=pki.epoch, algorithm="sha256", policy="1.2.3", serial=1, nonce=None)
    token = raw_token(pki, token_info, unsigned=[attribute("0.4.0.19122.1.5", index)])
    unsigned = (attribute(SIGNATURE_TIMESTAMP, stamp), attribute("0.4.0.1733.2.4", token))
    encoded = build(Signer(pki, signature=plain.value, unsigned=unsigned), certs=certs)
    return cms.read(encoded, subject="S", digest=digest_of(document)).signers[0]


def test_archive_timestamp(pki: test_pki.Pki) -> None:
    chain = tuple(pki.chain("person"))
    signer = archive(pki, certs=chain, listed=chain)
    stamp = signer.timestamps[1]
    assert stamp.kind == "archive"
    assert stamp.imprint_matches is True
    assert stamp.findings == ()
    expected = {"signature:S", f"timestamp:{signer.timestamps[0].id}"}
    expected |= {f"certificate:{hashlib.sha256(c).hexdigest()}" for c in (*chain, *pki.chain("tsa1")[:-1])}
    assert set(stamp.proves) == expected
    assert archive(pki, certs=chain, listed=chain, document=b"changed").timestamps[1].imprint_matches is False


def test_archive_timestamp_and_later_certificates(pki: test_pki.Pki) -> None:
    """Shape 27: the timestamp holds, what was added is not proven."""
    chain = tuple(pki.chain("person"))
    stamp = archive(pki, certs=chain, listed=chain[:1]).timestamps[1]
    assert stamp.imprint_matches is True
    assert f"certificate:{hashlib.sha256(chain[1]).hexdigest()}" not in stamp.proves


def test_archive_index_that_lists_what_is_gone(pki: test_pki.Pki) -> None:
    chain = tuple(pki.chain("person"))
    stamp = archive(pki, certs=chain[:1], listed=chain).timestamps[1]
    assert codes(stamp.findings) == ["timestamp_archive_index_unmatched"]


def test_older_archive_timestamps_are_not_computed(pki: test_pki.Pki) -> None:
    unsigned = (attribute("1.2.840.113549.1.9.16.2.48", pki.timestamp(IMPRINT)),)
    signer = cms.read(build(Signer(pki, unsigned=unsigned)), subject="S", digest=digest_of()).signers[0]
    stamp = signer.timestamps[0]
    assert (stamp.kind, stamp.imprint_matches, stamp.proves) == ("archive", None, ())
    assert codes(stamp.findings) == ["timestamp_archive_not_computed"]


def test_timestamps_are_bounded(pki: test_pki.Pki) -> None:
    token = pki.timestamp(IMPRINT)
    unsigned = tuple(attribute(SIGNATURE_TIMESTAMP, token) for _ in range(60))
    signer = cms.read(build(Signer(pki, unsigned=unsigned)), subject="S", digest=digest_of()).signers[0]
    assert len(signer.timestamps) == 50
    assert "cms_too_many" in codes(signer.findings)


def test_archive_timestamps_are_bounded(pki: test_pki.Pki) -> None:
    index = der.seq(der.seq(), der.seq(), der.seq())
    token_info = timestamps.tst_info(IMPRINT, at=pki.epoch, algorithm="sha256", policy="1.2.3", serial=1, nonce=None)
    token = raw_token(pki, token_info, unsigned=[attribute("0.4.0.19122.1.5", index)])
    unsigned = tuple(attribute("0.4.0.1733.2.4", token) for _ in range(35))
    signer = cms.read(build(Signer(pki, unsigned=unsigned)), subject="S", digest=digest_of()).signers[0]
    assert [t.imprint_matches for t in signer.timestamps] == [False] * 30 + [None] * 5
