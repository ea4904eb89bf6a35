"""XAdES by a key in a token, timestamps and validation data from authorities on loopback, judged by the whole verifier."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from signsvc import validation
from signsvc.formats import xades
from signsvc.formats.xades import extend
from signsvc.formats.xades.write import XmlPlan, XmlSpec, complete, prepare
from signsvc.keys.signer import default_algorithm
from signsvc.services import Services
from signsvc.signing import TrustInput
from signsvc.signing.material import Stamping, TokenRoom
from signsvc.signing.service import SigningService
from signsvc.types import Certificate

DOCUMENT = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<VanBan xmlns="urn:vb"><Ten Id="ten">Báo cáo</Ten></VanBan>\n'.encode()
)


@pytest.mark.parametrize("credential", ["person", "ec", "p12-person"])
def test_from_a_token_to_an_archive_timestamp(services: Services, tmp_path: Path, credential: str) -> None:
    signing = services.signing
    assert isinstance(signing, SigningService)
    signer = services.keyring.get(credential)
    certificate, *chain = signer.certificate_chain
    algorithm = default_algorithm(certificate)
    plan = XmlPlan(certificate, algorithm, datetime.now(UTC), tuple(chain))
    prepared = prepare(DOCUMENT, plan, XmlSpec(roles=("Giám đốc",)))
    data = complete(prepared, signer.sign(hashlib.sha256(prepared.octets).digest(), algorithm))
    reached = [_level(services, tmp_path, data)]

    stamping = Stamping(services.tsa, signing.clock, TokenRoom())
    data = extend.signature_timestamp(data, stamping)
    reached.append(_level(services, tmp_path, data))

    gatherer = signing.gatherer("hon-hop", TrustInput())
    leaves = validation.wanted(xades.read(data))
    pool: tuple[Certificate, ...] = (*signer.certificate_chain, *stamping.certificates)
    data = extend.validation_data(data, signing.validation_data(gatherer, leaves, pool))
    reached.append(_level(services, tmp_path, data))

    data = extend.archive_timestamp(data, stamping)
    reached.append(_level(services, tmp_path, data))
    assert reached == ["B-B", "B-T", "B-LT", "B-LTA"]
    altered = data.replace("Báo cáo".encode(), "Báo cao".encode(), 1)
    path = tmp_path / "altered.xml"
    path.write_bytes(altered)
    (signature,) = services.verifier.verify(path).signatures
    assert (signature["indication"], signature["sub_indication"]) == ("TOTAL-FAILED", "HASH_FAILURE")


def _level(services: Services, directory: Path, data: bytes) -> str:
    path = directory / "signed.xml"
    path.write_bytes(data)
    (signature,) = services.verifier.verify(path).signatures
    assert signature["indication"] == "TOTAL-PASSED", signature
    assert signature["format"] == "XAdES", signature
    return str(signature["level"])
