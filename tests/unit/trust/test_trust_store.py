"""Nothing is trusted without a fingerprint."""

from __future__ import annotations

import base64
import json
import subprocess
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

import test_pki
from signsvc.errors import ConfigError, RequestError, SignsvcError, TrustError
from signsvc.trust import TrustStore
from signsvc.trust.bundle import read_certificates
from signsvc.types import Certificate


def sha256(encoded: bytes) -> str:
    return Certificate.from_der(encoded).sha256.hex()


def pem(encoded: bytes, label: str = "CERTIFICATE") -> bytes:
    return f"-----BEGIN {label}-----\n{base64.encodebytes(encoded).decode()}-----END {label}-----\n".encode()


def site_profile(directory: Path, *entries: str, name: str = "noi-bo", extra: str = "") -> TrustStore:
    folder = directory / "profiles"
    folder.mkdir(parents=True, exist_ok=True)
    head = f'id = "{name}"\nversion = "1"\nvi = "a"\nen = "b"\n{extra}'
    (folder / f"{name}.toml").write_text(head + "".join(f"[[certificate]]\n{entry}\n" for entry in entries), "utf-8")
    return TrustStore(directory)


def refusal(store: TrustStore, profile: str, data: bytes, confirm: str | None = None) -> tuple[str, str]:
    with pytest.raises(TrustError) as caught:
        store.install(profile, data, confirm)
    return caught.value.code, str(caught.value.data.get("reason"))


def test_a_pinned_root_is_installed_and_kept(pki: test_pki.Pki, tmp_path: Path) -> None:
    root = pki.cert("root-g2")
    store = site_profile(
        tmp_path,
        f'id = "root"\nkind = "anchor"\nsha256 = "{sha256(root)}"\nsubject = {{ CN = "test rootca CHUYÊN dùng Chính phủ G2" }}\n'
        "sunset = 2040-01-01T00:00:00Z\nkeeps_expired_since = 2015-01-01T00:00:00Z",
        extra='[host_map]\n"ca.btc" = "ca.gov.vn"\n',
    )
    now = datetime(2026, 1, 1, tzinfo=UTC)
    result = store.install("noi-bo", root, now=now)
    assert [(i.kind, i.entry, i.basis) for i in result.installed] == [("anchor", "root", "pin")]
    material = TrustStore(tmp_path).material("noi-bo")
    assert [a.certificate.der for a in material.anchors] == [root]
    assert material.anchors[0].sunset == datetime(2040, 1, 1, tzinfo=UTC)
    assert material.keeps_expired_since == {Certificate.from_der(root).sha256: datetime(2015, 1, 1, tzinfo=UTC)}
    assert material.host_map == {"ca.btc": "ca.gov.vn"}
    state = store.show("noi-bo")
    assert state.missing == ()
    assert state.installed[0].installed_at == "2026-01-01T00:00:00+00:00"


def test_what_no_pin_names_needs_its_fingerprint_confirmed(pki: test_pki.Pki, tmp_path: Path) -> None:
    store = TrustStore(tmp_path)
    for label in ("root-g2", "sub-g2-state"):
        assert refusal(store, "cong-vu", pki.cert(label)) == ("certificate_not_pinned", "not_pinned")
        other = sha256(pki.cert("root-public"))
        assert refusal(store, "cong-vu", pki.cert(label), other) == ("certificate_not_pinned", "not_pinned")
    assert not store.show("cong-vu").installed
    written = ":".join(f"{octet:02X}" for octet in Certificate.from_der(pki.cert("sub-g2-state")).sha256)
    item = store.install("cong-vu", pki.cert("sub-g2-state"), written).installed[0]
    assert (item.kind, item.entry, item.basis) == ("intermediate", None, "confirmed")


def test_the_error_names_the_fingerprint_to_compare(pki: test_pki.Pki, tmp_path: Path) -> None:
    with pytest.raises(TrustError) as caught:
        TrustStore(tmp_path).install("test", pki.cert("root-g2"))
    for lang in ("vi", "en"):
        assert sha256(pki.cert("root-g2")) in caught.value.text(lang)


def test_a_confirmed_certificate_takes_the_entry_that_names_it(pki: test_pki.Pki, tmp_path: Path) -> None:
    store = site_profile(
        tmp_path, 'id = "state"\nkind = "intermediate"\nsubject = { CN = "Test CA phục vụ các cơ quan Nhà nước G2" }'
    )
    encoded = pki.cert("sub-g2-state")
    assert store.install("noi-bo", encoded, sha256(encoded)).installed[0].entry == "state"


def test_a_pin_with_another_subject_is_refused(pki: test_pki.Pki, tmp_path: Path) -> None:
    root = pki.cert("root-g2")
    store = site_profile(
        tmp_path, f'id = "root"\nkind = "anchor"\nsha256 = "{sha256(root)}"\nsubject = {{ CN = "Somebody else" }}'
    )
    assert refusal(store, "noi-bo", root, sha256(root)) == ("certificate_not_installable", "subject_differs")


def test_an_impostor_of_a_pinned_root_is_refused_even_confirmed(pki: test_pki.Pki, tmp_path: Path) -> None:
    root = pki.cert("root-g2")
    impostor = pki.issue("root-g2", key="root-unknown")
    store = site_profile(
        tmp_path,
        f'id = "root"\nkind = "anchor"\nsha256 = "{sha256(root)}"\nsubject = {{ CN = "Test RootCA chuyên dùng Chính phủ G2" }}',
    )
    assert refusal(store, "noi-bo", impostor, sha256(impostor)) == ("certificate_not_installable", "name_is_pinned")


@pytest.mark.parametrize("label", ["person", "agency", "tsa1", "ocsp-sub-g2-state"])
def test_end_entities_are_never_installed(pki: test_pki.Pki, tmp_path: Path, label: str) -> None:
    encoded = pki.cert(label)
    answer = refusal(TrustStore(tmp_path), "test", encoded, sha256(encoded))
    assert answer == ("certificate_not_installable", "not_a_ca")


def test_a_cross_certificate_is_no_anchor(pki: test_pki.Pki, tmp_path: Path) -> None:
    encoded = pki.cert("cross-root-g2")
    assert TrustStore(tmp_path).install("test", encoded, sha256(encoded)).installed[0].kind == "intermediate"


def test_an_entry_for_an_anchor_does_not_make_a_cross_certificate_one(pki: test_pki.Pki, tmp_path: Path) -> None:
    store = site_profile(
        tmp_path, 'id = "root"\nkind = "anchor"\nsubject = { CN = "Test RootCA chuyên dùng Chính phủ G2" }'
    )
    encoded = pki.cert("cross-root-g2")
    assert store.install("noi-bo", encoded, sha256(encoded)).installed[0].kind == "intermediate"


def test_a_self_issued_certificate_that_its_key_did_not_sign_is_no_anchor(pki: test_pki.Pki, tmp_path: Path) -> None:
    encoded = pki.issue("root-g2", issuer="root-unknown", subject=pki.spec("root-unknown").subject)
    assert Certificate.from_der(encoded).self_issued
    assert TrustStore(tmp_path).install("test", encoded, sha256(encoded)).installed[0].kind == "intermediate"


def test_only_a_trial_profile_takes_unconfirmed(pki: test_pki.Pki, tmp_path: Path) -> None:
    store = TrustStore(tmp_path)
    with pytest.raises(RequestError):
        store.install("cong-vu", pki.cert("root-g2"), unconfirmed=True)
    assert store.install("test", pki.cert("root-g2"), unconfirmed=True).installed[0].basis == "trial"


def test_a_bundle_is_taken_in_part_and_the_rest_is_named(pki: test_pki.Pki, tmp_path: Path) -> None:
    chain = pki.chain("person")
    confirm = [sha256(chain[1]), sha256(chain[2])]
    result = TrustStore(tmp_path).install("test", b"".join(pem(c) for c in chain), confirm)
    assert [i.kind for i in result.installed] == ["intermediate", "anchor"]
    assert [r.reason for r in result.refused] == ["not_pinned"]


def test_every_form_of_file_is_read(pki: test_pki.Pki, tmp_path: Path) -> None:
    chain = pki.chain("person")
    (tmp_path / "chain.pem").write_bytes(b"".join(pem(c) for c in chain))
    for form in ("PEM", "DER"):
        made = subprocess.run(
            ["openssl", "crl2pkcs7", "-nocrl", "-certfile", str(tmp_path / "chain.pem"), "-outform", form],
            capture_output=True,
            check=True,
        ).stdout
        assert [c.der for c in read_certificates(made)] == chain, form
    expected = [chain[1]]
    for data in (chain[1], pem(chain[1]), b"text before\n" + pem(chain[1]) * 2, base64.b64encode(chain[1])):
        assert [c.der for c in read_certificates(data)] == expected


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x30\x80",
        b"<html>",
        b"\x30\x03\x02\x01\x01",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
    ],
)
def test_other_files_are_refused_in_words(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(RequestError):
        TrustStore(tmp_path).install("test", data, "00" * 32)


def test_remove(pki: test_pki.Pki, tmp_path: Path) -> None:
    store = TrustStore(tmp_path)
    encoded = pki.cert("root-g2")
    store.install("test", encoded, sha256(encoded))
    assert store.material("test").anchors
    assert store.remove("test", sha256(encoded).upper()).certificate.der == encoded
    assert not store.material("test").anchors
    assert not list((tmp_path / "test").glob("*.der"))
    with pytest.raises(TrustError) as caught:
        store.remove("test", sha256(encoded))
    assert caught.value.code == "certificate_not_installed"
    with pytest.raises(RequestError):
        store.remove("test", "../../etc/passwd")


def test_unknown_profiles_are_named(tmp_path: Path) -> None:
    store = TrustStore(tmp_path)
    for call in (store.show, store.material, store.profile):
        with pytest.raises(TrustError) as caught:
            call("../etc")
        assert caught.value.code == "trust_profile_not_found"


def test_material_is_a_union_with_what_the_caller_adds(pki: test_pki.Pki, tmp_path: Path) -> None:
    store = TrustStore(tmp_path)
    for profile, label in (("cong-vu", "root-g2"), ("cong-cong", "root-public"), ("test", "root-g2")):
        store.install(profile, pki.cert(label), sha256(pki.cert(label)))
    extra, sub = Certificate.from_der(pki.cert("root-g1")), Certificate.from_der(pki.cert("sub-g1"))
    material = store.material("cong-vu", "cong-cong", "test", extra_anchors=[extra], extra_intermediates=[sub])
    assert [(a.certificate.der, a.profile) for a in material.anchors] == [
        (pki.cert("root-g2"), "cong-vu"),
        (pki.cert("root-public"), "cong-cong"),
        (pki.cert("root-g1"), None),
    ]
    assert material.intermediates == (sub,)
    assert material.profiles == ("cong-vu", "cong-cong", "test")


def test_an_installation_elsewhere_is_seen(pki: test_pki.Pki, tmp_path: Path) -> None:
    reader, writer = TrustStore(tmp_path), TrustStore(tmp_path)
    assert not reader.material("test").anchors
    writer.install("test", pki.cert("root-g2"), unconfirmed=True)
    assert len(reader.material("test").anchors) == 1
    writer.install("test", pki.cert("root-g1"), unconfirmed=True)
    assert len(reader.material("test").anchors) == 2


def test_damaged_files_are_not_used_in_part(pki: test_pki.Pki, tmp_path: Path) -> None:
    TrustStore(tmp_path).install("test", pki.cert("root-g2"), unconfirmed=True)
    (installed,) = (tmp_path / "test").glob("*.der")
    installed.write_bytes(pki.cert("root-unknown"))
    with pytest.raises(ConfigError):
        TrustStore(tmp_path).material("test")
    installed.unlink()
    with pytest.raises(ConfigError):
        TrustStore(tmp_path).material("test")
    (tmp_path / "test" / "state.json").write_text("{}")
    with pytest.raises(ConfigError):
        TrustStore(tmp_path).material("test")


def test_a_pin_withdrawn_by_a_newer_profile_no_longer_counts(pki: test_pki.Pki, tmp_path: Path) -> None:
    root = pki.cert("root-g2")
    store = site_profile(tmp_path, f'id = "root"\nkind = "anchor"\nsha256 = "{sha256(root)}"')
    store.install("noi-bo", root)
    assert store.material("noi-bo").anchors
    site_profile(tmp_path, f'id = "root"\nkind = "anchor"\nsha256 = "{"00" * 32}"')
    assert not store.material("noi-bo").anchors


def test_two_installers_lose_nothing(pki: test_pki.Pki, tmp_path: Path) -> None:
    labels = ["root-g1", "root-g2", "root-public", "sub-g1", "sub-g2-state", "sub-g2-party", "ca-public1", "ca-public2"]
    encoded = {label: pki.cert(label) for label in labels}
    threads = [
        threading.Thread(target=lambda e=e: TrustStore(tmp_path).install("test", e, unconfirmed=True))
        for e in encoded.values()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {i.certificate.der for i in TrustStore(tmp_path).show("test").installed} == set(encoded.values())
    assert len(json.loads((tmp_path / "test" / "state.json").read_text())["certificates"]) == len(labels)


def test_a_place_that_cannot_be_written_is_a_matter_of_configuration(pki: test_pki.Pki, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(SignsvcError) as caught:
        TrustStore(blocked).install("test", pki.cert("root-g2"), unconfirmed=True)
    assert caught.value.code == "configuration_invalid"
