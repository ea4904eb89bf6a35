"""Collecting evidence: what is asked of the network, and what never is."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

import test_pki
from signsvc.errors import UpstreamError
from signsvc.net import HttpClient, NetRules
from signsvc.trust import EvidenceClient, Fetch, Fetched, FetchRequest, TrustAnchor, TrustMaterial, collect
from signsvc.trust.crl import Crl
from signsvc.trust.ocsp import OcspResponse, OcspStatus
from signsvc.types import Certificate, EvidenceItem, EvidenceKind, Origin
from test_pki.responders import Responders

CertOf = Callable[[str], Certificate]


@pytest.fixture
def cert(pki: test_pki.Pki) -> CertOf:
    return lambda label: Certificate.from_der(pki.cert(label))


@pytest.fixture
def material(pki: test_pki.Pki, cert: CertOf) -> TrustMaterial:
    labels = ("sub-g1", "sub-g1-btc", "sub-g2-state", "sub-g2-tsa")
    return TrustMaterial(
        anchors=tuple(TrustAnchor(Certificate.from_der(der), label) for label, der in pki.roots.items()),
        intermediates=tuple(cert(label) for label in labels),
    )


class Network:
    """A `Fetch` with its own memory of what was asked."""

    def __init__(self, inner: Fetch) -> None:
        self.inner = inner
        self.asked: list[str] = []

    def __call__(self, request: FetchRequest) -> bytes | Fetched:
        self.asked += [f"{request.kind} {url}" for url in request.urls]
        return self.inner(request)


@pytest.fixture
def network(responders: Responders, tmp_path: Path) -> Iterator[Network]:
    http = HttpClient(
        NetRules(host_map=responders.host_map, total_timeout=5),
        resolver=lambda host, port: [],  # nothing but the host map leads anywhere
    )
    yield Network(EvidenceClient(http, tmp_path).fetched)
    http.close()


def no_network(request: FetchRequest) -> bytes:
    raise AssertionError(f"asked for {request.url}")


def gather(
    material: TrustMaterial,
    fetch: Fetch | None,
    *certificates: Certificate,
    pool: tuple[Certificate, ...] = (),
    have: tuple[EvidenceItem, ...] = (),
    now: datetime | None = None,
    deadline: float | None = None,
) -> dict[EvidenceKind, list[EvidenceItem]]:
    found: dict[EvidenceKind, list[EvidenceItem]] = {kind: [] for kind in EvidenceKind}
    now = now or datetime.now(UTC)
    items = collect(certificates, pool=pool, material=material, have=have, fetch=fetch, now=now, deadline=deadline)
    for item in items:
        found[item.kind].append(item)
    return found


def ocsp_item(pki: test_pki.Pki, label: str, **more: object) -> EvidenceItem:
    return EvidenceItem(EvidenceKind.OCSP, pki.ocsp(label, **more), Origin.DSS)  # type: ignore[arg-type]


def crl_item(pki: test_pki.Pki, label: str, **more: object) -> EvidenceItem:
    return EvidenceItem(EvidenceKind.CRL, pki.crl(label, **more), Origin.DSS)  # type: ignore[arg-type]


def test_a_path_and_an_answer_for_each_certificate_below_the_anchor(
    material: TrustMaterial, network: Network, cert: CertOf, pki: test_pki.Pki
) -> None:
    found = gather(material, network, cert("person"))
    assert [item.der for item in found[EvidenceKind.CERTIFICATE]] == pki.chain("person")
    assert [item.origin for item in found[EvidenceKind.CERTIFICATE]] == [Origin.CMS, Origin.PROFILE, Origin.PROFILE]
    about = [(cert("person"), cert("sub-g2-state")), (cert("sub-g2-state"), cert("root-g2"))]
    for item, (subject, issuer) in zip(found[EvidenceKind.OCSP], about, strict=True):
        single = OcspResponse.parse(item.der).single(subject, issuer)
        assert single is not None
        assert single.status is OcspStatus.GOOD
        assert item.origin is Origin.NETWORK
        assert item.obtained_at is not None
    assert found[EvidenceKind.CRL] == []
    assert len(network.asked) == 2


def test_revoked_is_an_answer_too(material: TrustMaterial, network: Network, cert: CertOf) -> None:
    single = OcspResponse.parse(gather(material, network, cert("revoked"))[EvidenceKind.OCSP][0].der).single(
        cert("revoked"), cert("sub-g2-state")
    )
    assert single is not None
    assert single.status is OcspStatus.REVOKED


def test_nothing_is_fetched_for_what_is_at_hand(material: TrustMaterial, cert: CertOf, pki: test_pki.Pki) -> None:
    for have in (
        (ocsp_item(pki, "person"), ocsp_item(pki, "sub-g2-state")),
        (crl_item(pki, "sub-g2-state"), crl_item(pki, "root-g2")),
        (ocsp_item(pki, "person"), crl_item(pki, "root-g2")),
    ):
        found = gather(material, no_network, cert("person"), have=have)
        assert not found[EvidenceKind.OCSP]
        assert not found[EvidenceKind.CRL]


@pytest.mark.parametrize("what", ["stale", "other", "unknown", "wrong_signer", "before_birth", "wrong_ca"])
def test_what_is_at_hand_must_serve(
    material: TrustMaterial, network: Network, cert: CertOf, pki: test_pki.Pki, what: str
) -> None:
    now = datetime.now(UTC)
    item = {
        "stale": lambda: ocsp_item(pki, "person", at=now - timedelta(days=3), next_update=timedelta(days=1)),
        "other": lambda: ocsp_item(pki, "person2"),
        "unknown": lambda: ocsp_item(pki, "person", status="unknown"),
        "wrong_signer": lambda: ocsp_item(pki, "person", signer="ocsp-ca-unknown"),
        "before_birth": lambda: ocsp_item(
            pki, "person", at=pki.epoch - timedelta(days=400), next_update=timedelta(days=4000)
        ),
        "wrong_ca": lambda: crl_item(pki, "sub-g2-party"),
    }[what]()
    found = gather(material, network, cert("person"), have=(item, ocsp_item(pki, "sub-g2-state")))
    assert len(found[EvidenceKind.OCSP]) == 1
    assert network.asked == ["ocsp http://ocsp.test-ca.gov.vn.test/ocsp/sub-g2-state"]


def test_an_expired_certificate_is_served_by_data_from_its_lifetime(
    material: TrustMaterial, network: Network, cert: CertOf, pki: test_pki.Pki
) -> None:
    then = pki.epoch - timedelta(days=70)  # the certificate ended 60 days before the epoch
    have = (ocsp_item(pki, "expired", at=then), crl_item(pki, "root-g2"))
    gather(material, no_network, cert("expired"), have=have)
    gather(material, network, cert("expired"), have=(ocsp_item(pki, "expired"), crl_item(pki, "root-g2")))
    assert network.asked  # data from after its end does not serve


def test_lists_are_used_where_ocsp_fails(
    material: TrustMaterial, network: Network, cert: CertOf, responders: Responders
) -> None:
    for fault in ("down", "unknown", "wrong_signer", "bad_signature", "stale", "wrong_serial", "try_later"):
        responders.fault("/ocsp", fault)
        found = gather(material, _fresh(network), cert("person"))
        assert len(found[EvidenceKind.CRL]) == 2, fault
        assert not found[EvidenceKind.OCSP], fault
        responders.clear()


def _fresh(network: Network) -> Callable[[FetchRequest], bytes]:
    """Past the cache, straight to the servers."""
    client = network.inner.__self__  # type: ignore[attr-defined]
    assert isinstance(client, EvidenceClient)
    return lambda request: client._call(request, {}, time.monotonic() + 10).body


def test_the_second_address_of_a_list_is_tried(material: TrustMaterial, network: Network, cert: CertOf) -> None:
    found = gather(material, network, cert("g1-person"))
    assert [url for url in network.asked if "btc.crl" in url] == [
        "crl http://ca.btc.invalid/pki/pub/crl/btc.crl",
        "crl http://ca.test-ca.gov.vn.test/pki/pub/crl/btc.crl",
    ]
    assert any(Crl.parse(item.der).covers(cert("g1-person")) for item in found[EvidenceKind.CRL])


def test_a_bad_kept_list_is_asked_for_again(
    material: TrustMaterial, network: Network, cert: CertOf, responders: Responders, tmp_path: Path
) -> None:
    """What a server gave while it lied does not stay for its whole time in the cache."""
    import os

    responders.fault("/crl", "bad_signature")
    assert not gather(material, network, cert("crl-only"))[EvidenceKind.CRL]
    responders.clear()
    for path in tmp_path.rglob("*"):
        if path.is_file():
            os.utime(path, (time.time() - 60,) * 2)
    assert gather(material, network, cert("crl-only"))[EvidenceKind.CRL]


def test_offline_collects_paths_alone(material: TrustMaterial, cert: CertOf, pki: test_pki.Pki) -> None:
    found = gather(material, None, cert("person"))
    assert [item.der for item in found[EvidenceKind.CERTIFICATE]] == pki.chain("person")
    assert not found[EvidenceKind.OCSP] + found[EvidenceKind.CRL]


def test_have_is_not_given_back(material: TrustMaterial, cert: CertOf, pki: test_pki.Pki) -> None:
    have = tuple(EvidenceItem(EvidenceKind.CERTIFICATE, der, Origin.DSS) for der in pki.chain("person")[:2])
    found = gather(material, None, cert("person"), have=have)
    assert [item.der for item in found[EvidenceKind.CERTIFICATE]] == [pki.cert("root-g2")]


def test_a_service_that_is_down_only_leaves_gaps(
    material: TrustMaterial, network: Network, cert: CertOf, responders: Responders
) -> None:
    responders.fault("/ocsp", "refuse")
    responders.fault("/crl", "down")
    found = gather(material, network, cert("person"))
    assert len(found[EvidenceKind.CERTIFICATE]) == 3
    assert not found[EvidenceKind.OCSP] + found[EvidenceKind.CRL]


def test_the_deadline_ends_the_collection(material: TrustMaterial, cert: CertOf) -> None:
    def slow(request: FetchRequest) -> bytes:
        time.sleep(0.15)
        raise UpstreamError("outbound_failed", reason="timeout")

    network = Network(slow)
    started = time.monotonic()
    gather(material, network, *(cert(label) for label in ("person", "agency", "tsa1", "ec")), deadline=started + 0.3)
    assert time.monotonic() - started < 1
    assert len(network.asked) <= 3
    assert not gather(material, no_network, cert("person"), deadline=time.monotonic())[EvidenceKind.OCSP]


def test_responders_are_looked_after_by_lists_alone(
    material: TrustMaterial, network: Network, cert: CertOf, pki: test_pki.Pki
) -> None:
    pki.add("ocsp-checked", "ocsp-sub-g2-state", nocheck=False, crl_urls=None, ocsp_urls=None)
    have = (ocsp_item(pki, "person", signer="ocsp-checked"), ocsp_item(pki, "sub-g2-state"))
    found = gather(material, network, cert("person"), have=have)
    assert network.asked == ["crl http://crl.test-ca.gov.vn.test/crl/sub-g2-state.crl"]
    assert pki.cert("ocsp-checked") in [item.der for item in found[EvidenceKind.CERTIFICATE]]


def test_a_list_by_a_namesake_keeps_nobody_from_asking(
    material: TrustMaterial, network: Network, cert: CertOf, pki: test_pki.Pki
) -> None:
    """Any holder of a certificate can issue one with the CA's name and sign an empty list with it."""
    pki.add("collected-namesake", "sub-g2-state-rekeyed", issuer="person2")
    have = (crl_item(pki, "collected-namesake", entries=[]),)
    pool = (cert("collected-namesake"), cert("person2"))
    found = gather(material, network, cert("revoked"), pool=pool, have=have)
    answers = [OcspResponse.parse(item.der) for item in found[EvidenceKind.OCSP]]
    told = [a.single(cert("revoked"), cert("sub-g2-state")) for a in answers]
    assert [single.status for single in told if single is not None] == [OcspStatus.REVOKED]


# Addresses out of certificates -------------------------------------------------------------------------------------


def test_nothing_is_fetched_for_a_stranger(material: TrustMaterial, cert: CertOf) -> None:
    """A certificate that leads nowhere names addresses of its maker's choice."""
    known_host = TrustMaterial(anchors=material.anchors)  # roots name no host
    gather(known_host, no_network, cert("unknown"), cert("person"))


def test_a_stranger_that_borrows_a_name_gets_no_status_request(
    material: TrustMaterial, network: Network, pki: test_pki.Pki
) -> None:
    """Issuer name of a known CA, another key: AIA may be asked, OCSP and CRL addresses are not."""
    pki.add("fake-state", "sub-g2-state", key="ca-unknown", issuer="root-unknown")
    forged = Certificate.from_der(
        pki.issue(
            "person",
            issuer="fake-state",
            ocsp_urls=("http://victim.example/o",),
            crl_urls=("http://victim.example/c",),
            aia_urls=("http://aia.example/a.crt",),
        )
    )
    found = gather(material, network, forged)
    assert network.asked == ["certificate http://aia.example/a.crt"]
    assert not any(found.values())


def test_a_missing_intermediate_is_fetched_from_a_known_host(network: Network, cert: CertOf, pki: test_pki.Pki) -> None:
    material = TrustMaterial(anchors=(TrustAnchor(cert("root-g2"), "g2"),), hosts=frozenset((".test-ca.gov.vn.test",)))
    found = gather(material, network, cert("person"))
    assert [(i.der, i.origin) for i in found[EvidenceKind.CERTIFICATE]] == list(
        zip(pki.chain("person"), (Origin.CMS, Origin.NETWORK, Origin.PROFILE), strict=True)
    )
    assert network.asked[0] == "certificate http://ca.test-ca.gov.vn.test/aia/sub-g2-state.crt"
    assert len(found[EvidenceKind.OCSP]) == 2


@pytest.mark.parametrize("hosts", [(), ("test-ca.gov.vn.test",), (".other.vn",), ("xca.test-ca.gov.vn.test",)])
def test_other_hosts_are_not_asked(cert: CertOf, hosts: tuple[str, ...]) -> None:
    material = TrustMaterial(anchors=(TrustAnchor(cert("root-g2"), "g2"),), hosts=frozenset(hosts))
    gather(material, no_network, cert("person"))


def test_a_fetched_certificate_must_have_signed(network: Network, cert: CertOf, pki: test_pki.Pki) -> None:
    leaf = Certificate.from_der(pki.issue("person", aia_urls=("http://ca.test-ca.gov.vn.test/aia/sub-g2-party.crt",)))
    material = TrustMaterial(anchors=(TrustAnchor(cert("root-g2"), "g2"),), hosts=frozenset((".test-ca.gov.vn.test",)))
    assert not any(gather(material, network, leaf).values())


@pytest.mark.parametrize("form", ["DER", "PEM", "p7c", "p7c in PEM"])
def test_issuers_come_in_every_form(form: str, cert: CertOf, pki: test_pki.Pki) -> None:
    """RFC 5280 §4.2.2.1 asks for DER and certs-only CMS; some authorities publish PEM."""

    def answer(request: FetchRequest) -> bytes:
        if request.kind != "certificate":
            raise UpstreamError("outbound_failed", reason="timeout")
        issuer = x509.load_der_x509_certificate(pki.cert("sub-g2-state"))
        other = x509.load_der_x509_certificate(pki.cert("sub-g2-party"))
        encoding = Encoding.PEM if "PEM" in form else Encoding.DER
        if "p7c" in form:
            return pkcs7.serialize_certificates([other, issuer], encoding)
        return issuer.public_bytes(encoding)

    material = TrustMaterial(anchors=(TrustAnchor(cert("root-g2"), "g2"),), hosts=frozenset((".test-ca.gov.vn.test",)))
    found = gather(material, answer, cert("person"))
    assert [item.der for item in found[EvidenceKind.CERTIFICATE]] == list(pki.chain("person"))


def test_a_file_of_several_holds_the_rest_of_the_chain(cert: CertOf, pki: test_pki.Pki) -> None:
    pki.add("upper", "ca-unknown", subject=(("CN", "Upper"),), issuer="root-g2", aia_urls=(), path_len=None)
    lower = (("CN", "Lower"),)
    pki.add("lower", "ca-unknown", subject=lower, key="agency", issuer="upper", aia_urls=(), path_len=None)
    leaf = Certificate.from_der(pki.issue("person", issuer="lower", aia_urls=("http://ca.several.vn/all.p7c",)))
    chain = [pki.cert("upper"), pki.cert("lower")]
    file = pkcs7.serialize_certificates([x509.load_der_x509_certificate(c) for c in chain], Encoding.DER)

    def answer(request: FetchRequest) -> bytes:
        if request.kind != "certificate":
            raise UpstreamError("outbound_failed", reason="timeout")
        return file

    network = Network(answer)
    material = TrustMaterial(anchors=(TrustAnchor(cert("root-g2"), "g2"),), hosts=frozenset(("ca.several.vn",)))
    found = gather(material, network, leaf)
    items = found[EvidenceKind.CERTIFICATE]
    assert [item.der for item in items] == [leaf.der, chain[1], chain[0], pki.cert("root-g2")]
    assert {item.origin for item in items[1:3]} == {Origin.NETWORK}
    assert [one for one in network.asked if one.startswith("certificate")] == [
        "certificate http://ca.several.vn/all.p7c"
    ]


def test_two_issuers_that_name_each_other_end(cert: CertOf, pki: test_pki.Pki) -> None:
    """A ring of addresses: each answer is the true issuer of the one before, the last names the first."""
    names = ("ring-0", "ring-1")
    for number, label in enumerate(names):
        pki.add(label, "ca-unknown", subject=(("CN", label),), key=("agency", "party")[number], path_len=None)
    for number, label in enumerate(names):
        urls = (f"http://ca.ring.vn/{names[1 - number]}",)
        pki.add(f"{label}-by", label, issuer=names[1 - number], aia_urls=urls)
    network = Network(lambda request: pki.cert(f"{request.url.rsplit('/', 1)[1]}-by"))
    leaf = Certificate.from_der(pki.issue("person", issuer="ring-0", aia_urls=("http://ca.ring.vn/ring-0",)))
    material = TrustMaterial(anchors=(TrustAnchor(cert("root-g2"), "g2"),), hosts=frozenset(("ca.ring.vn",)))
    assert not any(gather(material, network, leaf).values())
    assert network.asked == ["certificate http://ca.ring.vn/ring-0", "certificate http://ca.ring.vn/ring-1"]


def test_a_re_keyed_namesake_does_not_hide_the_true_issuer(network: Network, cert: CertOf, pki: test_pki.Pki) -> None:
    urls = tuple(test_pki.aia_url(label) for label in ("sub-g2-state-rekeyed", "sub-g2-state"))
    leaf = Certificate.from_der(pki.issue("person", aia_urls=urls))
    material = TrustMaterial(anchors=(TrustAnchor(cert("root-g2"), "g2"),), hosts=frozenset((".test-ca.gov.vn.test",)))
    found = gather(material, network, leaf)
    assert [item.der for item in found[EvidenceKind.CERTIFICATE]] == [leaf.der, *pki.chain("sub-g2-state")]


def test_an_endless_ladder_of_issuers_ends(cert: CertOf, pki: test_pki.Pki) -> None:
    """Each answer is the true issuer of the one before and names the next address."""
    host = "http://ca.ladder.vn"
    subject = lambda number: (("CN", f"Step {number}"),)  # noqa: E731
    for number in range(30, -1, -1):
        issuer = f"ladder-{number + 1}" if number < 30 else "root-unknown"
        pki.add(
            f"ladder-{number}",
            "ca-unknown",
            subject=subject(number),
            issuer=issuer,
            aia_urls=(f"{host}/{number + 1}",),
            path_len=None,
        )
    network = Network(lambda request: pki.cert(f"ladder-{request.url.rsplit('/', 1)[1]}"))
    material = TrustMaterial(anchors=(TrustAnchor(cert("root-g2"), "g2"),), hosts=frozenset(("ca.ladder.vn",)))
    leaves = [
        Certificate.from_der(pki.issue("person", issuer="ladder-0", serial=number + 1, aia_urls=(f"{host}/0",)))
        for number in range(5)
    ]
    assert not any(gather(material, network, *leaves).values())
    assert 0 < len(network.asked) <= 10


def test_many_addresses_in_one_certificate_are_not_all_tried(material: TrustMaterial, pki: test_pki.Pki) -> None:
    def down(request: FetchRequest) -> bytes:
        raise UpstreamError("outbound_failed", reason="timeout")

    urls = tuple(f"http://host{number}.example/" for number in range(40))
    leaf = Certificate.from_der(pki.issue("person", ocsp_urls=urls, crl_urls=urls, aia_urls=urls))
    network = Network(down)
    gather(material, network, leaf, have=(ocsp_item(pki, "sub-g2-state"),))
    assert len(network.asked) == 8


def test_junk_from_the_network_is_left_out(material: TrustMaterial, cert: CertOf) -> None:
    for junk in (b"", b"\x30\x03\x02\x01\x01", b"<html>", b"\x30\x80" * 50, bytes(100_000)):
        found = gather(material, lambda request, junk=junk: junk, cert("person"))  # type: ignore[misc]
        assert not found[EvidenceKind.OCSP] + found[EvidenceKind.CRL]


def test_junk_in_the_document_is_left_out(material: TrustMaterial, cert: CertOf) -> None:
    junk = tuple(EvidenceItem(kind, b"\x30\x03\x02\x01\x01", Origin.DSS) for kind in EvidenceKind)
    assert len(gather(material, None, cert("person"), have=junk)[EvidenceKind.CERTIFICATE]) == 3


@pytest.mark.parametrize("kind", ["ocsp", "crl"])
@pytest.mark.parametrize("replayed", [True, False], ids=["an older value replayed", "a newer value"])
def test_what_a_server_replaces_counts_as_well(
    material: TrustMaterial, cert: CertOf, pki: test_pki.Pki, kind: str, replayed: bool
) -> None:
    """Good from an hour ago, then revoked, and both still fresh: in whatever order they came, both are at hand."""
    now = datetime.now(UTC)
    number = cert("person").serial_number
    if kind == "ocsp":
        good = pki.ocsp("person", "good", at=now - timedelta(hours=1))
        revoked = pki.ocsp("person", "revoked", at=now)
    else:
        good = pki.crl("sub-g2-state", now - timedelta(hours=1), entries=[])
        revoked = pki.crl("sub-g2-state", now, entries=[(number, now, "keyCompromise")])
    came, before = (good, revoked) if replayed else (revoked, good)
    kept: list[str | None] = []

    def fetch(request: FetchRequest) -> Fetched:
        if request.kind != kind or request.url not in (*cert("person").ocsp_urls, *cert("person").crl_urls):
            raise UpstreamError("outbound_failed", reason="test")
        if request.keep is not None:
            kept.append(request.keep)
            return Fetched(b"", request.url)
        return Fetched(before if request.before else came, request.url, now, replaced=not request.before)

    found = gather(material, fetch, cert("person"), now=now)
    assert {good, revoked} <= {item.der for item in found[EvidenceKind(kind)]}
    assert set(kept) == {hashlib.sha256(revoked).hexdigest()}
