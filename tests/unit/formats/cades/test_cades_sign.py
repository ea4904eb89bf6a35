"""What we sign and raise: judged by our own validation at once and years later, altered octet by octet, and by openssl."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import test_pki
from signsvc.asn1 import der
from signsvc.errors import DocumentError, RequestError
from signsvc.formats import cades
from signsvc.formats.cades import extend, write
from signsvc.formats.cades.outline import parse
from signsvc.types import Certificate, DocumentVerdict, Indication, Original
from test_pki.timestamps import attribute
from tests.support.signed_cms import CONTENT, DAY, LEVELS, evidence, original, plan, raised, sign, spec, stamper
from tests.unit.cms.cms_builder import DOCUMENT, Signer, codes
from tests.unit.cms.cms_builder import cms as build

Judge = Callable[..., DocumentVerdict]
YEAR = timedelta(days=365)
FULL = os.environ.get("SIGNSVC_TEST_FULL") == "1"


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("label", "pss"), [("person", False), ("person", True), ("ec", False), ("rsa3072", False)])
def test_passes_at_every_level(level: str, label: str, pss: bool, judge: Judge, pki: test_pki.Pki) -> None:
    data = raised(pki, sign(pki, label, pss=pss), level, originals=(original(),), labels=(label,))
    more = tuple(evidence(pki, label, "tsa1", at=pki.epoch + 29 * DAY)) if level in ("b-b", "b-t") else ()
    verdict = judge(data, (original(),), more)
    (found,) = verdict.signatures
    assert found.indication is Indication.TOTAL_PASSED, found.findings
    assert found.level == level.upper()
    assert judge(data, (original(b"other"),), more).signatures[0].indication is Indication.TOTAL_FAILED
    missing = judge(data, (), more).signatures[0]
    assert (missing.indication, str(missing.sub_indication)) == (Indication.INDETERMINATE, "SIGNED_DATA_NOT_FOUND")


def test_valid_after_signer_ca_and_first_tsa_have_expired(judge: Judge, pki: test_pki.Pki) -> None:
    """B-B, B-T, B-LT, B-LTA, a second archive timestamp by a TSA whose chain outlives the first one's."""
    now = pki.epoch + 21 * YEAR
    pki.add("tsa-late", "tsa2", issuer="root-g2", not_after=now + YEAR, not_before=pki.epoch - DAY)
    data = raised(pki, sign(pki), "b-lta", originals=(original(),))
    second = pki.epoch + 30 * DAY
    data = extend.validation_data(data, evidence(pki, "tsa1", "tsa-late", at=second))
    data = extend.archive_timestamp(data, stamper(pki, second + DAY, "tsa-late"), originals=(original(),))
    late = tuple(evidence(pki, "tsa-late", at=now))
    moment = now - DAY
    ended = [Certificate.from_der(pki.cert(name)) for name in ("person", "sub-g2-state", "tsa1", "sub-g2-tsa")]
    assert all(certificate.not_after < moment for certificate in ended)
    verdict = judge(data, (original(),), late, moment)
    (found,) = verdict.signatures
    assert found.indication is Indication.TOTAL_PASSED, [f for f in found.findings if f.level == "fail"]
    assert found.level == "B-LTA"
    assert [t.indication for t in found.timestamps] == [Indication.TOTAL_PASSED] * 3
    bare = raised(pki, sign(pki), "b-lt", originals=(original(),))
    assert judge(bare, (original(),), late, moment).signatures[0].indication is not Indication.TOTAL_PASSED


def test_nothing_that_stands_is_encoded_again(pki: test_pki.Pki) -> None:
    """Every piece of every step stands in the next one."""
    steps = [sign(pki)]
    steps.append(extend.signature_timestamp(steps[-1], stamper(pki, pki.epoch + 10 * DAY)))
    steps.append(extend.validation_data(steps[-1], evidence(pki, "person", "tsa1", at=pki.epoch + 12 * DAY)))
    steps.append(extend.archive_timestamp(steps[-1], stamper(pki, pki.epoch + 20 * DAY), originals=(original(),)))
    steps.append(sign(pki, "ec", existing=steps[-1], content=original()))
    pieces: list[bytes] = []
    for step in steps:
        assert all(piece in step for piece in pieces)
        outline = parse(step)
        assert outline.encoded() == step
        pieces = [*outline.certificates, *outline.revocations, *(a for s in outline.signers for a in s.unsigned)]
        pieces += [s.fields for s in outline.signers]


def test_additions_after_an_archive_timestamp_stay_unproven(judge: Judge, pki: test_pki.Pki) -> None:
    """Shape 27."""
    data = raised(pki, sign(pki), "b-lta", originals=(original(),))
    added = evidence(pki, "ec", at=pki.epoch + 20 * DAY)
    more = extend.validation_data(data, added)
    assert len(more) > len(data)
    view = cades.read(more, originals=(original(),))
    signer = view.signatures[0].signer
    assert signer is not None
    stamp = signer.timestamps[-1]
    assert (stamp.kind, stamp.imprint_matches) == ("archive", True)
    held = {item.id for item in cades.read(data, originals=(original(),)).evidence}
    new = {item.id for item in added} - held
    assert new
    assert not new & set(stamp.proves)
    assert judge(more, (original(),)).signatures[0].indication is Indication.TOTAL_PASSED
    assert extend.validation_data(more, added) == more


def test_a_timestamp_of_another_signature(judge: Judge, pki: test_pki.Pki) -> None:
    """Shape 28: the token fails by its imprint, the signature stays B-B."""
    other = parse(raised(pki, sign(pki, "ec"), "b-t")).signers[0].attribute_values()[0][1][0]
    data = extend.signature_timestamp(sign(pki), lambda digest, name: other)
    verdict = judge(data, (original(),), tuple(evidence(pki, "person", "tsa1", at=pki.epoch + 29 * DAY)))
    (found,) = verdict.signatures
    assert found.level == "B-B"
    assert str(found.timestamps[0].sub_indication) == "HASH_FAILURE"
    assert found.best_signature_time is None


def test_a_broken_signer_leaves_its_neighbour_alone(judge: Judge, pki: test_pki.Pki) -> None:
    """Shapes 21 and 22: signing-time twice, attributes out of order."""
    time = attribute("1.2.840.113549.1.9.5", der_time(pki))
    twice = Signer(pki, extra=(time, time))
    ordinary = [*Signer(pki).ordinary().values()]
    disordered = Signer(pki, attributes=sorted(ordinary, reverse=True))
    good = Signer(pki, "person2", extra=(time,))
    certificates = [*pki.chain("person"), pki.cert("person2")]
    data = build(twice, disordered, good, certs=certificates)
    more = tuple(evidence(pki, "person", "person2", at=pki.epoch + 29 * DAY))
    verdict = judge(data, (Original("d", DOCUMENT),), more)
    assert [(str(s.indication), str(s.sub_indication)) for s in verdict.signatures] == [
        ("TOTAL-FAILED", "FORMAT_FAILURE"),
        ("TOTAL-FAILED", "FORMAT_FAILURE"),
        ("TOTAL-PASSED", "None"),
    ]


def der_time(pki: test_pki.Pki) -> bytes:
    return test_pki.der.time(pki.epoch + 9 * DAY)


def test_ber_keeps_its_octets(judge: Judge, pki: test_pki.Pki) -> None:
    """Shape 26: indefinite lengths around a B-LTA signature; read as they stand, and raised once more."""
    data = raised(pki, sign(pki, detached=False), "b-lta")
    body = der.read(data, der.children(data, der.read(data, 0))[1].content)
    parts = der.children(data, der.read(data, 0))
    loose = b"\x30\x80" + parts[0].full(data) + b"\xa0\x80\x30\x80" + body.value(data) + bytes(6)
    verdict = judge(loose)
    assert verdict.signatures[0].indication is Indication.TOTAL_PASSED
    assert "cms_ber" in codes(verdict.signatures[0].findings)
    again = extend.archive_timestamp(loose, stamper(pki, pki.epoch + 20 * DAY))
    found = judge(again, (), tuple(evidence(pki, "tsa1", at=pki.epoch + 29 * DAY))).signatures[0]
    assert found.indication is Indication.TOTAL_PASSED
    assert [t.indication for t in found.timestamps] == [Indication.TOTAL_PASSED] * 3


def test_counter_signatures(judge: Judge, pki: test_pki.Pki) -> None:
    data = sign(pki, "ec", existing=sign(pki), content=original())
    data = sign(pki, "person2", existing=data, counter=2)
    data = raised(pki, data, "b-lta", originals=(original(),), labels=("person", "ec", "person2"))
    verdict = judge(data, (original(),))
    first, second = verdict.signatures
    assert (first.indication, second.indication) == (Indication.TOTAL_PASSED,) * 2
    assert first.counter_signatures == ()
    (counter,) = second.counter_signatures
    assert counter.indication is Indication.TOTAL_PASSED
    assert counter.certificate is not None
    assert counter.certificate.der == pki.cert("person2")
    signer = cades.read(data, originals=(original(),)).signatures[1].signer
    assert signer is not None
    assert "signature:signature-2-counter1" in signer.timestamps[-1].proves


def test_what_cannot_be_signed(pki: test_pki.Pki) -> None:
    digests = Original("x", None, {"2.16.840.1.101.3.4.2.1": hashlib.sha256(CONTENT).digest()})
    data = sign(pki)
    old = build(Signer(pki, unsigned=(attribute("1.2.840.113549.1.9.16.2.48", der_time(pki)),)))

    def refused(code: str, run: Callable[[], object]) -> None:
        with pytest.raises((DocumentError, RequestError)) as caught:
            run()
        assert caught.value.code == code

    refused("original_missing", lambda: write.prepare(None, plan(pki), spec(pki)))
    refused("original_missing", lambda: write.prepare(digests, plan(pki), spec(pki, detached=False)))
    refused("original_missing", lambda: write.prepare(digests, plan(pki, digest="sha512"), spec(pki)))
    refused("original_missing", lambda: write.prepare(None, plan(pki), spec(pki), existing=data))
    refused("original_differs", lambda: write.prepare(original(b"x"), plan(pki), spec(pki), existing=data))
    inside = sign(pki, detached=False)
    refused("original_differs", lambda: write.prepare(original(b"x"), plan(pki), spec(pki), existing=inside))
    refused("document_unreadable", lambda: write.prepare(original(), plan(pki), spec(pki), existing=b"0"))
    refused("invalid_request", lambda: write.prepare_counter(data, 2, plan(pki), spec(pki)))
    refused("invalid_request", lambda: extend.validation_data(data, (), signature_id="signature-2"))
    refused("original_missing", lambda: extend.archive_timestamp(data, stamper(pki, pki.epoch)))
    refused(
        "original_differs", lambda: extend.archive_timestamp(data, stamper(pki, pki.epoch), originals=(original(b"x"),))
    )
    refused("archive_timestamp_too_old", lambda: extend.validation_data(old, ()))
    refused("archive_timestamp_too_old", lambda: sign(pki, existing=old, content=Original("d", DOCUMENT)))
    same = write.prepare(digests, plan(pki), spec(pki)), write.prepare(original(), plan(pki), spec(pki))
    assert same[0] == same[1]


def test_many_signers_with_renewals(judge: Judge, pki: test_pki.Pki) -> None:
    """Eight signatures, each stamped and archived three times: none is left out."""
    data = sign(pki)
    for label in ("ec", "person2", "rsa3072", "person", "ec", "person2", "rsa3072"):
        data = sign(pki, label, existing=data, content=original())
    data = raised(pki, data, "b-lta", originals=(original(),), labels=("person", "person2", "ec", "rsa3072"))
    for day in (14, 15):
        data = extend.archive_timestamp(data, stamper(pki, pki.epoch + day * DAY), originals=(original(),))
    verdict = judge(data, (original(),), tuple(evidence(pki, "tsa1", at=pki.epoch + 29 * DAY)))
    assert [(s.level, s.indication) for s in verdict.signatures] == [("B-LTA", Indication.TOTAL_PASSED)] * 8
    assert {t.indication for s in verdict.signatures for t in s.timestamps} == {Indication.TOTAL_PASSED}
    assert sum(len(s.timestamps) for s in verdict.signatures) == 32


def test_an_index_of_weak_digests_proves_nothing(pki: test_pki.Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    data = raised(pki, sign(pki), "b-lt")
    ordinary = extend._index
    monkeypatch.setattr(extend, "_index", lambda outline, signer, name: ordinary(outline, signer, "sha1"))
    data = extend.archive_timestamp(data, stamper(pki, pki.epoch + 13 * DAY), originals=(original(),))
    signer = cades.read(data, originals=(original(),)).signatures[0].signer
    assert signer is not None
    stamp = signer.timestamps[-1]
    assert (stamp.kind, stamp.imprint_matches, stamp.proves) == ("archive", None, ())


def test_what_an_archive_timestamp_lists_must_stay(judge: Judge, pki: test_pki.Pki) -> None:
    """A list that it covers is taken out: its index is invalid, the signature no more than B-LT."""
    data = raised(pki, sign(pki), "b-lta", originals=(original(),))
    outline = parse(data)
    less = replace(outline, revocations=outline.revocations[:-1]).encoded()
    view = cades.read(less, originals=(original(),)).signatures[0]
    assert view.signer is not None
    stamp = view.signer.timestamps[-1]
    assert (stamp.imprint_matches, codes(stamp.findings)) == (False, ["timestamp_archive_index_unmatched"])
    assert view.level == "B-LT"
    found = judge(less, (original(),), tuple(evidence(pki, "person", "tsa1", at=pki.epoch + 29 * DAY))).signatures[0]
    assert str(found.timestamps[-1].sub_indication) == "HASH_FAILURE"
    assert found.level == "B-LT"


def test_one_signature_of_several_is_raised(pki: test_pki.Pki) -> None:
    data = sign(pki, "ec", existing=sign(pki), content=original())
    data = extend.signature_timestamp(data, stamper(pki, pki.epoch + 10 * DAY), signature_id="signature-2")
    assert [s.level for s in cades.read(data, originals=(original(),)).signatures] == ["B-B", "B-T"]
    data = extend.signature_timestamp(data, stamper(pki, pki.epoch + 11 * DAY))
    view = cades.read(data, originals=(original(),))
    assert [len(s.signer.timestamps) for s in view.signatures if s.signer] == [1, 1]


@pytest.mark.parametrize("shape", ["detached", "inside"])
def test_no_octet_of_what_is_signed_can_change(shape: str, judge: Judge, pki: test_pki.Pki) -> None:
    """Each octet of a file is changed in turn: where it still passes, what is covered is what was signed."""
    detached = shape == "detached"
    given = (original(),) if detached else ()
    data = raised(pki, sign(pki, "ec", detached=detached), "b-lt", labels=("ec",))
    assert judge(data, given).signatures[0].indication is Indication.TOTAL_PASSED
    sealed = parse(data).signers[0].fields
    signer = cades.read(data).signatures[0].signer
    assert signer is not None
    signed = signer.value.message
    start = data.index(sealed)
    inside = data.find(CONTENT)
    chosen = random.Random(7)
    places = range(len(data)) if FULL else sorted(chosen.sample(range(len(data)), 600))
    under = [*range(start, start + len(sealed), 1 if FULL else 9)]
    under += [] if inside < 0 else range(inside, inside + len(CONTENT), 1 if FULL else 40)
    for place in {*places, *under}:
        altered = bytearray(data)
        altered[place] ^= chosen.randrange(1, 256)
        try:
            view = cades.read(bytes(altered), originals=given)
            verdict = judge(bytes(altered), given)
        except DocumentError:
            continue
        for signature, found in zip(view.signatures, verdict.signatures, strict=True):
            if found.indication is Indication.TOTAL_PASSED:
                assert signature.signer is not None
                assert signature.signer.value.message == signed
                assert cades.content(bytes(altered)) in (None, CONTENT)
                assert place not in range(inside, inside + len(CONTENT)) or inside < 0


@pytest.fixture(scope="module")
def place(pki: test_pki.Pki, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cades-openssl")
    roots = b""
    for label in ("person", "person2", "ec", "rsa3072", "sub-g2-state", "sub-g2-software", "root-g2"):
        certificate = x509.load_der_x509_certificate(pki.cert(label)).public_bytes(Encoding.PEM)
        (path / f"{label}.crt").write_bytes(certificate)
        if "g2" in label:
            roots += certificate
        else:
            key = pki.key(label).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            (path / f"{label}.key").write_bytes(key)
    (path / "roots.pem").write_bytes(roots)
    (path / "doc").write_bytes(CONTENT)
    (path / "other").write_bytes(CONTENT + b".")
    return path


@pytest.mark.parametrize("detached", [True, False])
@pytest.mark.parametrize("kind", ["person", "pss", "ec", "three"])
def test_openssl_accepts_ours(kind: str, detached: bool, place: Path, pki: test_pki.Pki) -> None:
    data = sign(pki, "person" if kind in ("pss", "three") else kind, pss=kind == "pss", detached=detached)
    if kind == "three":
        data = sign(pki, "ec", existing=data, content=original())
        data = sign(pki, "person2", existing=data, content=original(), digest="sha512")
    names = ("person", "ec", "person2") if kind == "three" else ("person" if kind == "pss" else kind,)
    for level in ("b-b", "b-lta"):
        (place / "ours").write_bytes(raised(pki, data, level, originals=(original(),), labels=names))
        command = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", "ours", "-CAfile", "roots.pem"]
        command += ["-purpose", "any", "-cades", "-out", "out"]
        extra = ["-content", "doc"] if detached else []
        done = subprocess.run([*command, *extra], cwd=place, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert (place / "out").read_bytes() == CONTENT
        if detached:
            assert subprocess.run([*command, "-content", "other"], cwd=place, capture_output=True).returncode != 0


# Shape: (signers, options); signing-certificate attributes come from -cades.
OPENSSL: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "detached": (("person",), ("-cades",)),
    "attached": (("person",), ("-cades", "-nodetach")),
    "pss": (("person",), ("-cades", "-keyopt", "rsa_padding_mode:pss")),
    "ec": (("ec",), ("-cades", "-nodetach", "-md", "sha384")),
    "several": (("person", "ec", "person2"), ("-cades",)),
    "streamed": (("ec",), ("-cades", "-nodetach", "-stream")),
    "pem": (("person",), ("-cades", "-outform", "PEM")),
    "no-reference": (("person",), ()),
    "no-attributes": (("person",), ("-noattr",)),
    "no-attributes-attached": (("ec",), ("-noattr", "-nodetach")),
}


@pytest.mark.parametrize("shape", OPENSSL)
def test_ours_accepts_openssl(shape: str, place: Path, judge: Judge, pki: test_pki.Pki) -> None:
    signers, options = OPENSSL[shape]
    command = ["openssl", "cms", "-sign", "-binary", "-in", "doc", "-certfile", "roots.pem"]
    command += [] if "PEM" in options else ["-outform", "DER"]
    for label in signers:
        command += ["-signer", f"{label}.crt", "-inkey", f"{label}.key"]
    data = subprocess.run([*command, *options], cwd=place, check=True, capture_output=True).stdout
    given = () if "-nodetach" in options else (original(),)
    more = tuple(evidence(pki, *signers, at=test_pki.pki.now()))
    verdict = judge(data, given, more, now=test_pki.pki.now() + timedelta(hours=1))
    assert [s.indication for s in verdict.signatures] == [Indication.TOTAL_PASSED] * len(signers), verdict
    wanted = "B-B" if "-cades" in options else "CMS-NOT-ETSI"
    assert {s.level for s in verdict.signatures} == {wanted}
    if given:
        failed = judge(data, (original(b"other"),), more)
        assert {s.indication for s in failed.signatures} == {Indication.TOTAL_FAILED}
    else:
        assert cades.content(data) == CONTENT
    # and raised by us, it is more than it was
    longer = raised(pki, data, "b-lta", originals=(original(),), labels=signers)
    found = judge(longer, given, (), now=test_pki.pki.now() + timedelta(hours=1))
    assert all(t.indication is Indication.TOTAL_PASSED for s in found.signatures for t in s.timestamps)
