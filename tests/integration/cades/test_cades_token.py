"""CMS signatures by keys on SoftHSM2, raised with what loopback services answer, judged by the verifier's own process."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

import test_pki
from signsvc.algorithms import SignatureAlgorithm, SignatureScheme
from signsvc.formats.cades import extend, write
from signsvc.formats.cms.write import CmsPlan, to_be_signed
from signsvc.services import Services
from signsvc.types import Original
from signsvc.verification import VerifyRequest
from signsvc.verification.model import OriginalFile
from tests.support.signed_cms import CONTENT, evidence, stamper

SHA256 = "2.16.840.1.101.3.4.2.1"


@pytest.mark.parametrize("credential", ["person", "ec"])
@pytest.mark.parametrize("detached", [True, False])
def test_from_the_token_to_the_report(
    credential: str, detached: bool, services: Services, pki: test_pki.Pki, tmp_path: Path
) -> None:
    signer = services.keyring.get(credential)
    kind = SignatureScheme.ECDSA if credential == "ec" else SignatureScheme.RSA_PKCS1
    plan = CmsPlan(signer.certificate, SignatureAlgorithm(kind, "sha256"), signer.certificate_chain[1:])
    now = test_pki.pki.now()
    content = Original("van-ban.docx", CONTENT)
    prepared = write.prepare(content, plan, write.CadesSpec(now, detached))
    data = write.complete(prepared, signer.sign(to_be_signed(plan, prepared.octets), plan.algorithm))
    data = extend.signature_timestamp(data, stamper(pki, now))
    data = extend.validation_data(data, evidence(pki, credential, "tsa1", at=now))
    data = extend.archive_timestamp(data, stamper(pki, now), originals=(content,))
    file, original = tmp_path / "van-ban.docx.p7m", tmp_path / "van-ban.docx"
    file.write_bytes(data)
    original.write_bytes(CONTENT)
    beside = (OriginalFile("van-ban.docx", original),)
    only_digest = (OriginalFile("van-ban.docx", None, ((SHA256, hashlib.sha256(CONTENT).digest()),)),)
    for given in (beside, only_digest, *(() if detached else ((),))):
        report = services.verifier.verify(file, VerifyRequest(offline=True, originals=given))
        (found,) = report.signatures
        assert (found["indication"], found["level"], found["format"]) == ("TOTAL-PASSED", "B-LTA", "CAdES")
    original.write_bytes(CONTENT + b".")
    (altered,) = services.verifier.verify(file, VerifyRequest(offline=True, originals=beside)).signatures
    assert (altered["indication"], altered["sub_indication"]) == ("TOTAL-FAILED", "HASH_FAILURE")
    if detached:
        (bare,) = services.verifier.verify(file, VerifyRequest(offline=True)).signatures
        assert (bare["indication"], bare["sub_indication"]) == ("INDETERMINATE", "SIGNED_DATA_NOT_FOUND")
    command = ["openssl", "cms", "-cmsout", "-print", "-inform", "DER", "-in", str(file), "-noout"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "id-smime-aa-timeStampToken" in printed
