"""ML-DSA (FIPS 204, RFC 9881, RFC 9882) with software keys: every level, and what may not be without the word for
it."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import mldsa

import test_pki
from signsvc.errors import CredentialError
from signsvc.formats import pades
from signsvc.samples import path as sample
from signsvc.services import Services
from signsvc.settings import CredentialSettings
from signsvc.signing import SignResult, profiles
from signsvc.signing.pool import SigningPool
from signsvc.signing.profiles import Profile
from signsvc.signing.sessions import signer_side
from signsvc.signing.sessions.formats import Prepared
from signsvc.signing.sessions.service import NewDocument, SigningSessions
from signsvc.store import Store
from signsvc.verification import VerifyRequest
from test_pki import certificates
from test_pki.responders import Responders
from tests.support.installation import Installation, install

KINDS: dict[str, Any] = {
    "ml-dsa-44": mldsa.MLDSA44PrivateKey,
    "ml-dsa-65": mldsa.MLDSA65PrivateKey,
    "ml-dsa-87": mldsa.MLDSA87PrivateKey,
}
POLICY = "thu-nghiem"


@pytest.fixture(scope="module")
def place(
    pki: test_pki.Pki, responders: Responders, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Installation, Any]:
    """An installation with a key of each kind, certified by an authority of the hierarchy, and a policy for them."""
    directory = tmp_path_factory.mktemp("ml-dsa")
    made = install(directory, pki, responders)
    (made.data_dir / "policies").mkdir()
    (made.data_dir / "policies" / f"{POLICY}.toml").write_text(
        f'extends = "hon-hop"\nid = "{POLICY}"\nversion = "1"\nexperimental = true\n'
    )
    above = pki.issuer("person")
    (directory / "ca.crt").write_bytes(pki.cert(above))
    found = []
    for kind, maker in KINDS.items():
        key = maker.from_seed_bytes(bytes(32))
        spec = replace(pki.spec("person"), ocsp_urls=())
        leaf = certificates.build(kind, spec, pki.epoch, key, pki.key(above), pki.cert(above))
        (directory / f"{kind}.crt").write_bytes(leaf)
        (directory / f"{kind}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        found.append(
            CredentialSettings(
                id=kind,
                key=directory / f"{kind}.key",
                certificate=directory / f"{kind}.crt",
                chain=(directory / "ca.crt",),
            )
        )
    return made, made.settings.model_copy(update={"credentials": tuple(found)})


@pytest.fixture(scope="module")
def here(place: tuple[Installation, Any]) -> Iterator[Services]:
    with Services(place[1], workers=1) as found:
        yield found


def experimental(level: str, **changes: Any) -> Profile:
    return replace(profiles.load(f"pades-{level.lower()}"), experimental=True, policy=POLICY, **changes)


def sign(services: Services, target: Path, profile: Profile, kind: str, source: Path | None = None) -> SignResult:
    return services.signing.sign(
        source or sample("van-ban.pdf"), target, profile=profile, signer=services.keyring.get(kind)
    )


@pytest.mark.parametrize("level", ["B-B", "B-T", "B-LT", "B-LTA"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_level(here: Services, tmp_path: Path, kind: str, level: str) -> None:
    result = sign(here, tmp_path / "out.pdf", experimental(level, result="passed"), kind)
    assert result.level == level
    (view,) = pades.read((tmp_path / "out.pdf").read_bytes()).signatures
    assert view.signer is not None
    assert view.signer.digest_oid == "2.16.840.1.101.3.4.2.3"  # SHA-512, as RFC 9882 §3.3 wants
    outcome = here.verifier.verify(tmp_path / "out.pdf", VerifyRequest(policy=POLICY))
    (found,) = outcome.signatures
    assert (found["indication"], found["level"]) == ("TOTAL-PASSED", level)
    (found,) = here.verifier.verify(tmp_path / "out.pdf").signatures
    assert found["indication"] == "INDETERMINATE"
    assert "algorithm_experimental" in repr(found)


def test_a_signature_beside_one_of_today(here: Services, services: Services, tmp_path: Path) -> None:
    first = services.signing.sign(
        sample("van-ban.pdf"),
        tmp_path / "first.pdf",
        profile=profiles.load("pades-b-t"),
        signer=services.keyring.get("p12-person"),
    )
    second = sign(here, tmp_path / "out.pdf", experimental("B-LTA"), "ml-dsa-65", tmp_path / "first.pdf")
    found = here.verifier.verify(tmp_path / "out.pdf", VerifyRequest(policy=POLICY)).signatures
    assert [s["field"] for s in found] == [first.field, second.field]
    assert {s["indication"] for s in found} == {"TOTAL-PASSED"}


@pytest.mark.parametrize("kind", KINDS)
def test_refused_without_the_word_for_it(here: Services, tmp_path: Path, kind: str) -> None:
    with pytest.raises(CredentialError) as caught:
        sign(here, tmp_path / "out.pdf", replace(profiles.load("pades-b-b"), policy=POLICY), kind)
    assert (caught.value.code, caught.value.data["type"]) == ("key_experimental", kind)
    assert not (tmp_path / "out.pdf").exists()


def test_the_flag_changes_nothing_for_the_keys_of_today(services: Services, tmp_path: Path) -> None:
    profile = replace(profiles.load("pades-b-b"), experimental=True)
    for name, size in (("p12-person", 256), ("p12-rsa3072", 384)):
        sign(services, tmp_path / "out.pdf", profile, name)
        (view,) = pades.read((tmp_path / "out.pdf").read_bytes()).signatures
        assert view.signer is not None
        assert (len(view.signer.value.value), view.signer.digest_oid) == (size, "2.16.840.1.101.3.4.2.1")


def test_through_workers(place: tuple[Installation, Any]) -> None:
    with Services(place[1], shared_tokens=True, workers=1) as shared:
        assert isinstance(shared.signing, SigningPool)
        place[1].spool_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place[1].spool_dir) as name:
            source, target = Path(name) / "a.pdf", Path(name) / "out.pdf"
            source.write_bytes(sample("van-ban.pdf").read_bytes())
            assert sign(shared, target, experimental("B-T"), "ml-dsa-87", source).level == "B-T"
            (found,) = shared.verifier.verify(target, VerifyRequest(policy=POLICY)).signatures
            assert found["indication"] == "TOTAL-PASSED"


def test_in_two_steps(place: tuple[Installation, Any], here: Services, tmp_path: Path) -> None:
    """The holder of the key answers as `signsvc session sign` does: with a value over the attributes themselves."""
    source = sample("van-ban.pdf")
    data = source.read_bytes()
    store = Store.in_directory(tmp_path / "data")
    try:
        with Services(place[1], shared_tokens=True, workers=1) as shared:
            signer = shared.keyring.get("ml-dsa-65")
            sessions = SigningSessions(store, lambda: shared.signing)  # type: ignore[arg-type, return-value]
            document = NewDocument(source, hashlib.sha256(data).hexdigest(), len(data), source.name, {})
            session = sessions.create("caller", experimental("B-T"), (document,))
            with tempfile.TemporaryDirectory(dir=place[1].spool_dir) as name:
                session = sessions.certificate(session.id, [c.der for c in signer.certificate_chain], Path(name))
                (item,) = session.items
                assert item.prepared is not None
                attributes = Prepared.from_json(item.prepared).attributes
                digest = hashlib.sha512(attributes).digest()
                algorithm = signer_side.algorithm("ml-dsa-65", None)
                with pytest.raises(CredentialError) as caught:
                    sessions.signatures(session.id, {1: signer.sign(digest, algorithm)}, Path(name))
                assert caught.value.code == "signature_mismatch"
                session = sessions.signatures(session.id, {1: signer.sign(attributes, algorithm)}, Path(name))
            (item,) = session.items
            assert item.result is not None
            path = store.documents.get(item.result["sha256"]).path
            (found,) = here.verifier.verify(path, VerifyRequest(policy=POLICY)).signatures
            assert (found["indication"], found["level"]) == ("TOTAL-PASSED", "B-T")
    finally:
        store.close()
