"""Deltas at the addresses of freshestCRL, fetched after the list that they continue."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import test_pki
from signsvc.asn1 import DerError
from signsvc.net import HttpClient, NetRules
from signsvc.trust import EvidenceClient, TrustAnchor, TrustMaterial, collect
from signsvc.trust.crl import Crl
from signsvc.trust.points import freshest_urls
from signsvc.types import Certificate, EvidenceKind
from test_pki import der
from tests.support.file_server import Files, serving

HOST = "http://crl.freshest.test"


@pytest.fixture
def files() -> Iterator[Files]:
    with serving() as found:
        yield found


def freshest(*urls: str) -> tuple[tuple[str, bool, bytes], ...]:
    points = (der.seq(der.explicit(0, der.explicit(0, der.implicit(6, url.encode())))) for url in urls)
    return (("2.5.29.46", False, der.seq(*points)),)


def delta(pki: test_pki.Pki, ca: str = "sub-g2-state", **more: object) -> bytes:
    return pki.crl(ca, number=200, entries=[], extra=(("2.5.29.27", True, b"\x02\x01\x01"),), **more)  # type: ignore[arg-type]


def lists(pki: test_pki.Pki, files: Files, folder: Path, label: str) -> list[bytes]:
    http = HttpClient(
        NetRules(host_map={"crl.freshest.test": files.address}, total_timeout=5), resolver=lambda h, p: []
    )
    material = TrustMaterial(anchors=(TrustAnchor(Certificate.from_der(pki.cert("sub-g2-state")), "state"),))
    certificate = Certificate.from_der(pki.cert(label))
    found = collect(
        (certificate,),
        pool=(),
        material=material,
        have=(),
        fetch=EvidenceClient(http, folder).fetched,
        now=datetime.now(UTC),
    )
    http.close()
    return [item.der for item in found if item.kind is EvidenceKind.CRL]


@pytest.mark.parametrize("by", ["certificate", "list"])
def test_the_delta_is_fetched_after_the_list(pki: test_pki.Pki, files: Files, tmp_path: Path, by: str) -> None:
    named = freshest(f"{HOST}/gone", f"{HOST}/delta")
    label = f"freshest-by-{by}"
    extra = named if by == "certificate" else ()
    pki.add(label, "person", ocsp_urls=(), aia_urls=(), crl_urls=(f"{HOST}/base",), extra=extra)
    base = pki.crl("sub-g2-state", number=100, extra=named if by == "list" else ())
    files.held = {"/base": base, "/delta": delta(pki)}
    assert lists(pki, files, tmp_path, label) == [base, files.held["/delta"]]
    assert Crl.parse(base).problem is None
    assert files.asked["/base"] == 1


def test_what_is_no_delta_of_the_issuer_is_left(pki: test_pki.Pki, files: Files, tmp_path: Path) -> None:
    pki.add("freshest-lies", "person", ocsp_urls=(), aia_urls=(), crl_urls=(f"{HOST}/base",),
            extra=freshest(f"{HOST}/other", f"{HOST}/forged"))  # fmt: skip
    base = pki.crl("sub-g2-state", number=100)
    files.held = {"/base": base, "/other": delta(pki, "sub-g2-party"), "/forged": delta(pki, signer="ca-unknown")}
    assert lists(pki, files, tmp_path, "freshest-lies") == [base]


def test_of_ten_thousand_addresses_few_are_called(pki: test_pki.Pki, files: Files, tmp_path: Path) -> None:
    """Ten thousand make a certificate that is not read at all."""
    many = tuple(f"{HOST}/{n}" for n in range(10_000))
    with pytest.raises(DerError):
        Certificate.from_der(pki.issue("person", crl_urls=many))
    many = many[:500]
    pki.add("freshest-many", "person", ocsp_urls=(), aia_urls=many, crl_urls=many, extra=freshest(*many[:90]))
    assert lists(pki, files, tmp_path, "freshest-many") == []
    assert files.asked.total() <= 8


@pytest.mark.parametrize("raw", [b"", b"\x30\x05", b"\x04\x00", freshest("ldap://x/")[0][2]])
def test_no_address_is_read_out_of_what_names_none(raw: bytes) -> None:
    assert freshest_urls(raw) == ()
