"""The S/MIME messages of NIST PKITS: signed by software that is not ours, with certificates and lists inside.

Every message's signature is sound; what PKITS tests is the path.  So digest and value must verify in all of them, and
the whole verdict must be what the name of the message says (`FAILING` and `STRICTER` are the others).
"""

from __future__ import annotations

import email
import email.policy
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import cryptography_vectors
import pytest

from signsvc.algorithms import SignatureCheck, resolve, verify_value
from signsvc.formats import cms
from signsvc.formats.cms import CmsView, signing_certificate
from signsvc.trust import TrustAnchor, TrustMaterial
from signsvc.types import Certificate, DocumentView, EvidenceKind, Indication, Level, Scope, SignatureView, Sub
from signsvc.validation import policies, validate
from tests.unit.cms.cms_builder import digest_of

ROOT = Path(cryptography_vectors.__file__).parent / "x509" / "PKITS_data"
MOMENT = datetime(2015, 1, 1, tzinfo=UTC)

# Their signer's certificate is not read, or its key not loaded: see the table of the paths.
NO_SIGNER = {"InvalidDSASignatureTest6": None, "ValidDSAParameterInheritanceTest5": SignatureCheck.UNSUPPORTED}


def _names() -> list[str]:
    names = sorted(path.stem.removeprefix("Signed") for path in (ROOT / "smime").glob("*.eml"))
    assert len(names) == 224
    return names


@cache
def _message(name: str) -> tuple[bytes, bytes]:
    """The signed octets and the CMS of one multipart/signed message (RFC 8551 §3.5)."""
    raw = (ROOT / "smime" / f"Signed{name}.eml").read_bytes().replace(b"\r\n", b"\n")
    message = email.message_from_bytes(raw, policy=email.policy.compat32)
    _, content, signature, _ = raw.split(b"\n--" + str(message.get_boundary()).encode())
    encoded = email.message_from_bytes(signature.lstrip(b"\n"), policy=email.policy.compat32).get_payload(decode=True)
    assert isinstance(encoded, bytes)
    return content[1:].replace(b"\n", b"\r\n"), encoded


def _view(name: str) -> CmsView:
    content, encoded = _message(name)
    return cms.read(encoded, subject=name, digest=digest_of(content))


@pytest.mark.parametrize("name", _names())
def test_every_message_is_sound(name: str) -> None:
    view = _view(name)
    unread = {f.code for f in view.findings}
    assert unread <= {"cms_certificate_unreadable"}
    assert bool(unread) is (name in {"InvalidCASignatureTest2", "InvalidDSASignatureTest6"})
    assert view.end == len(_message(name)[1])
    (signer,) = view.signers
    assert signer.findings == ()
    assert signer.digest_matches is True
    assert {item.kind for item in view.evidence} >= {EvidenceKind.CERTIFICATE}
    certificate, _ = signing_certificate(signer)
    check = None
    if certificate is not None:
        value = signer.value
        algorithm = resolve(value.algorithm_oid, value.parameters, value.digest_oid)
        check = verify_value(certificate, algorithm, value.value, message=value.message, digest=value.digest)
    assert check is NO_SIGNER.get(name, SignatureCheck.VALID)
    content, encoded = _message(name)
    changed = cms.read(encoded, subject=name, digest=digest_of(content + b" "))
    assert changed.signers[0].digest_matches is False


# Of the other names, those that ask for different certificate policies fail whatever the settings, and keys that borrow
# their parameters are not loaded.
FAILING = {f"DifferentPoliciesTest{n}EE" for n in (4, 5, 7, 8, 9, 12)}
STRICTER = {"ValidDSAParameterInheritanceTest5EE"}


@pytest.mark.parametrize("name", _names())
def test_every_message_has_its_verdict(name: str) -> None:
    """With nothing but the anchor: certificates and lists come out of the CMS."""
    policy = policies.load("hon-hop")
    rows = {role: tuple(replace(row, not_after=None) for row in rows) for role, rows in policy.algorithms.items()}
    anchor = Certificate.from_der((ROOT / "certs" / "TrustAnchorRootCertificate.crt").read_bytes())
    view = _view(name)
    scope = Scope("FULL", 1, 1)
    signature = SignatureView(name, "CMS", "BES", view.signers[0], scope, findings=view.findings)
    verdict = validate(
        DocumentView("message/rfc822", 0, bytes(32), (signature,)),
        material=TrustMaterial(("pkits",), (TrustAnchor(anchor, "PKITS"),)),
        evidence=(),
        policy=replace(policy, algorithms=rows),
        now=datetime(2026, 1, 1, tzinfo=UTC),
        at=MOMENT,
    )
    end_entity = f"{name}EE"
    fails = end_entity in {*FAILING, *STRICTER} or name.startswith("Invalid") or name == "MissingCRLTest1"
    failing = sorted({f.code for f in verdict.signatures[0].findings if f.level is Level.FAIL})
    assert (verdict.indication is not Indication.TOTAL_PASSED) is fails, failing
    # The path, never the cryptography, is what fails.
    assert (verdict.indication is Indication.TOTAL_FAILED) is (verdict.sub_indication is Sub.NOT_YET_VALID), failing
