"""Trusted lists (ETSI TS 119 612): what is read, what becomes of it, and what hostile files cost."""

from __future__ import annotations

import base64
import hashlib
import time
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import test_pki
from signsvc.errors import ConfigError, RequestError, TrustError
from signsvc.trust import TrustStore, list_import
from signsvc.trust.profile import parse
from signsvc.trust.trusted_list import NAMESPACES, TrustedList, read, united
from signsvc.types import Certificate

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
STATUS = "http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/"
OLD_STATUS = "http://uri.etsi.org/TrstSvc/eSigDir-1999-93-EC-TrustedList/Svcstatus/"
TYPE = "http://uri.etsi.org/TrstSvc/Svctype/"


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def instance(tag: str, kind: str, certificates: list[bytes], status: str, since: str, name: str = "Dịch vụ") -> str:
    ids = "".join(
        f"<DigitalId><X509Certificate>\n{base64.encodebytes(c).decode()}</X509Certificate></DigitalId>"
        for c in certificates
    )
    status = status if ":" in status else STATUS + status
    return f"""<{tag}><ServiceTypeIdentifier>{TYPE}{kind}</ServiceTypeIdentifier>
      <ServiceName><Name xml:lang="en">Service</Name><Name xml:lang="vi">{name}</Name></ServiceName>
      <ServiceDigitalIdentity>{ids}<DigitalId><X509SKI>AAAA</X509SKI></DigitalId></ServiceDigitalIdentity>
      <ServiceStatus>{status}</ServiceStatus><StatusStartingTime>{since}T00:00:00Z</StatusStartingTime></{tag}>"""


def service(kind: str, certificate: bytes, status: str, since: str, *history: tuple[str, str], more: str = "") -> str:
    past = "".join(instance("ServiceHistoryInstance", kind, [], s, t) for s, t in history)
    now = instance("ServiceInformation", kind, [certificate], status, since)
    return f"<TSPService>{now.replace('</ServiceInformation>', more + '</ServiceInformation>')}" + (
        f"<ServiceHistory>{past}</ServiceHistory></TSPService>" if past else "</TSPService>"
    )


def document(
    *services: str,
    format_: str = "6",
    namespace: str = NAMESPACES[0],
    sequence: str = "7",
    next_update: str = "<dateTime>2027-05-01T00:00:00+07:00</dateTime>",
    prolog: str = '<?xml version="1.0" encoding="UTF-8"?>',
    scheme: str = "",
) -> bytes:
    return f"""{prolog}
<TrustServiceStatusList xmlns="{namespace}" xmlns:x="urn:x" TSLTag="http://uri.etsi.org/19612/TSLTag">
 <SchemeInformation>
  <TSLVersionIdentifier>{format_}</TSLVersionIdentifier><TSLSequenceNumber>{sequence}</TSLSequenceNumber>
  <SchemeOperatorName><Name xml:lang="en">Ministry</Name><Name xml:lang="vi">Bộ</Name></SchemeOperatorName>
  <SchemeName><Name xml:lang="en">Trusted list of Test</Name></SchemeName>
  <SchemeTerritory>VN</SchemeTerritory>
  <ListIssueDateTime>2026-11-01T00:00:00Z</ListIssueDateTime><NextUpdate>{next_update}</NextUpdate>{scheme}
 </SchemeInformation>
 <TrustServiceProviderList><TrustServiceProvider>
  <TSPInformation><TSPName><Name xml:lang="vi">Nhà cung cấp</Name></TSPName></TSPInformation>
  <TSPServices>{"".join(services)}</TSPServices>
 </TrustServiceProvider></TrustServiceProviderList>
</TrustServiceStatusList>""".encode()


def granted(pki: test_pki.Pki, label: str = "ca-public1", kind: str = "CA/QC", since: str = "2020-01-01") -> str:
    return service(kind, pki.cert(label), "granted", since)


@pytest.mark.parametrize(("format_", "namespace"), [("5", NAMESPACES[0]), ("6", NAMESPACES[0]), ("6", NAMESPACES[1])])
def test_a_list_is_read(pki: test_pki.Pki, format_: str, namespace: str) -> None:
    found = read(document(granted(pki), format_=format_, namespace=namespace))
    assert (found.format, found.sequence, found.territory) == (format_, 7, "VN")
    assert (found.operator, found.scheme) == ("Bộ", "Trusted list of Test")
    assert (found.issued, found.next_update) == (day("2026-11-01"), day("2027-04-30") + timedelta(hours=17))
    (one,) = found.services
    assert (one.provider, one.name, one.type, one.status) == ("Nhà cung cấp", "Dịch vụ", "CA/QC", "granted")
    assert one.certificates == (Certificate.from_der(pki.cert("ca-public1")),)
    assert one.spans == ((day("2020-01-01"), None),)


@pytest.mark.parametrize(
    ("status", "since", "history", "spans"),
    [
        ("granted", "2020-01-01", (), [("2020-01-01", None)]),
        ("withdrawn", "2024-01-01", (("granted", "2020-01-01"),), [("2020-01-01", "2024-01-01")]),
        ("granted", "2016-07-01", ((OLD_STATUS + "undersupervision", "2010-01-01"),), [("2010-01-01", None)]),
        (
            "granted", "2022-01-01",
            (("withdrawn", "2021-01-01"), ("granted", "2016-07-01"), (OLD_STATUS + "accredited", "2012-01-01")),
            [("2012-01-01", "2021-01-01"), ("2022-01-01", None)],
        ),
        ("withdrawn", "2020-01-01", (), []),
        ("suspended-by-nobody", "2020-01-01", (), []),
        ("http://example.test/Svcstatus/granted", "2020-01-01", (), []),
        ("granted", "2020-01-01", (("withdrawn", "2020-01-01"),), [("2020-01-01", None)]),
    ],
)  # fmt: skip
def test_the_history_says_when_a_service_was_relied_on(
    pki: test_pki.Pki,
    status: str,
    since: str,
    history: tuple[tuple[str, str], ...],
    spans: list[tuple[str, str | None]],
) -> None:
    (found,) = read(document(service("CA/QC", pki.cert("ca-public1"), status, since, *history))).services
    assert found.spans == tuple((day(a), day(b) if b else None) for a, b in spans)


def test_periods_of_several_services_unite() -> None:
    a, b, c, d = (day(f"20{n}-01-01") for n in (10, 12, 14, 16))
    assert united([(c, d), (a, b)]) == ((a, b), (c, d))
    assert united([(a, b), (b, c)]) == ((a, c),)
    assert united([(a, d), (b, c)]) == ((a, d),)
    assert united([(b, None), (a, c), (d, None)]) == ((a, None),)
    assert united([]) == ()


def test_only_elements_in_their_place_count(pki: test_pki.Pki) -> None:
    """Certificates in pointers, extensions and foreign namespaces are nobody's anchor."""
    wrong = base64.b64encode(pki.cert("root-unknown")).decode()
    identity = f"<ServiceDigitalIdentity><DigitalId><X509Certificate>{wrong}</X509Certificate></DigitalId></ServiceDigitalIdentity>"
    pointer = f"<PointersToOtherTSL><OtherTSLPointer><ServiceDigitalIdentities>{identity}</ServiceDigitalIdentities></OtherTSLPointer></PointersToOtherTSL>"
    extension = f"<ServiceInformationExtensions><Extension>{identity}<ServiceStatus>{STATUS}granted</ServiceStatus></Extension></ServiceInformationExtensions>"
    foreign = f"<x:ServiceDigitalIdentity><DigitalId><X509Certificate>{wrong}</X509Certificate></DigitalId></x:ServiceDigitalIdentity>"
    data = document(
        service("CA/QC", pki.cert("ca-public1"), "granted", "2020-01-01", more=extension + foreign), scheme=pointer
    )
    (found,) = read(data).services
    assert found.certificates == (Certificate.from_der(pki.cert("ca-public1")),)


def test_what_cannot_be_read_among_certificates_is_left_out(pki: test_pki.Pki) -> None:
    damaged = granted(pki).replace(
        "<DigitalId>", "<DigitalId><X509Certificate>AAAA</X509Certificate></DigitalId><DigitalId>", 1
    )
    found = read(document(damaged))
    assert (found.unreadable, len(found.services[0].certificates)) == (1, 1)


BOMB = '<!DOCTYPE t [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)
DOCTYPES = {
    "bomb": BOMB + "]>",
    "external": '<!DOCTYPE t SYSTEM "http://127.0.0.1:1/x.dtd">',
    "file": '<!DOCTYPE t [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
    "parameter": '<!DOCTYPE t [<!ENTITY % a SYSTEM "file:///etc/passwd"> %a;]>',
    "plain": "<!DOCTYPE t>",
}


@pytest.mark.parametrize("doctype", DOCTYPES.values(), ids=DOCTYPES)
def test_document_types_end_the_reading(pki: test_pki.Pki, doctype: str) -> None:
    data = document(granted(pki), prolog='<?xml version="1.0"?>' + doctype).replace(b"Ministry", b"&j;")
    before = time.process_time()
    with pytest.raises(RequestError, match="no document type and no entities"):
        read(data)
    assert time.process_time() - before < 0.5


def test_large_files_are_not_read(pki: test_pki.Pki) -> None:
    with pytest.raises(RequestError, match="too large"):
        read(b" " * (16 * 1024 * 1024 + 1))
    before = time.process_time()
    for filling in (
        "<x:a>" * 70 + "</x:a>" * 70,
        "<x:a>" * 1_000_000,  # deeper than anything, and never closed
        "<x:a/>" * 450_000,
        f"<SchemeName><Name>{'a' * 300_000}</Name></SchemeName>",
    ):
        with pytest.raises(RequestError, match="too large"):
            read(document(granted(pki), scheme=filling))
    assert time.process_time() - before < 3


GOOD = "<TSLSequenceNumber>7</TSLSequenceNumber>"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"</TrustServiceStatusList>", b"", "not well-formed"),
        (b"TrustServiceStatusList", b"Another", "not a trusted list"),
        (b"02231/v2#", b"99999/v2#", "not a trusted list"),
        (b"</SchemeInformation>", b"", ": not well-formed"),
        (b"SchemeInformation>", b"NoInformation>", "not a trusted list"),
        (b"<TSLVersionIdentifier>6", b"<TSLVersionIdentifier>4", "format"),
        (GOOD.encode(), b"", "no number"),
        (GOOD.encode(), GOOD.encode() * 2, "stands twice"),
        (b"<TSLSequenceNumber>7", b"<TSLSequenceNumber>-7", "no number"),
        (b"2026-11-01T00:00:00Z", b"2026-11-01T00:00:00", "time"),
        (b"2020-01-01T00:00:00Z", b"yesterday", "time"),
        (b"</ServiceStatus>", b"</ServiceStatus><ServiceStatus>x</ServiceStatus>", "stands twice"),
        (b'encoding="UTF-8"', b'encoding="UTF-7"', "UTF-8"),
        (b'encoding="UTF-8"', b'encoding="ISO-8859-1"', "UTF-8"),
        ("Dịch".encode(), b"\xff\xfe", "not well-formed"),
        ("Dịch".encode(), b"&unknown;", "not well-formed"),
    ],
)
def test_what_is_no_list_is_told_why(pki: test_pki.Pki, old: bytes, new: bytes, said: str) -> None:
    data = document(granted(pki))
    assert old in data
    with pytest.raises(RequestError) as caught:
        read(data.replace(old, new))
    assert said in caught.value.text("en")
    assert caught.value.text("vi") != caught.value.text("en")


def test_other_octets_are_no_list() -> None:
    for data in (b"", b"%PDF-1.7", b"\xff\xfe<\x00", b"\xfe\xff", b"<a/>", b"\x00" * 100):
        with pytest.raises(RequestError):
            read(data)


# What becomes of it.


def put(store: TrustStore, data: bytes, **options: object) -> list_import.Imported:
    sha256 = hashlib.sha256(data).hexdigest()
    return list_import.install(store, data, source="list.xml", now=NOW, **{"confirm": sha256, **options})  # type: ignore[arg-type]


def whole(pki: test_pki.Pki, **options: str) -> bytes:
    """Two authorities, one of them withdrawn, a timestamp authority, a responder, and what is not taken."""
    return document(
        granted(pki),
        service("CA/QC", pki.cert("ca-public2"), "withdrawn", "2024-01-01", ("granted", "2018-01-01")),
        service("TSA/QTST", pki.cert("tsa1"), "granted", "2021-01-01"),
        service("Certstatus/OCSP/QC", pki.cert("ocsp-ca-public1"), "granted", "2021-01-01"),
        service("CA/PKC", pki.cert("sub-g2-state"), "granted", "2021-01-01"),
        service("CA/QC", pki.cert("ca-unknown"), "withdrawn", "2021-01-01"),
        service("EDS/Q", pki.cert("person"), "granted", "2021-01-01"),
        **options,
    )


def test_services_become_anchors_with_their_periods(pki: test_pki.Pki, tmp_path: Path) -> None:
    store = TrustStore(tmp_path)
    done = put(store, whole(pki))
    assert (done.profile, done.skipped, done.outdated(NOW)) == ("tl-vn", {"CA/PKC": 1, "EDS/Q": 1}, False)
    material = TrustStore(tmp_path).material("tl-vn")
    anchors = {a.certificate.sha256: a for a in material.anchors}
    one, two, tsa = (anchors[Certificate.from_der(pki.cert(n)).sha256] for n in ("ca-public1", "ca-public2", "tsa1"))
    assert len(anchors) == 3
    assert (one.since, one.sunset, one.use) == (day("2020-01-01"), None, "")
    assert (two.since, two.sunset, two.use) == (day("2018-01-01"), day("2024-01-01"), "")
    assert (tsa.since, tsa.sunset, tsa.use) == (day("2021-01-01"), None, "timestamp")
    assert one.listed_until == day("2027-04-30") + timedelta(hours=17)
    assert material.intermediates == (Certificate.from_der(pki.cert("ocsp-ca-public1")),)
    profile = store.profile("tl-vn")
    assert profile.version == "7"
    assert profile.source["signature"] == "not checked"
    assert profile.source["sha256"] == hashlib.sha256(whole(pki)).hexdigest()
    assert "Nhà cung cấp: Dịch vụ (granted)" in {e.note for e in profile.entries}


def test_only_the_confirmed_file_is_read(pki: test_pki.Pki, tmp_path: Path) -> None:
    for data in (whole(pki), b"<not xml", BOMB.encode()):
        sha256 = hashlib.sha256(data).hexdigest()
        for confirm in (None, "", "00" * 32, "nothing", sha256[:-1]):
            with pytest.raises(TrustError) as caught:
                put(TrustStore(tmp_path), data, confirm=confirm)
            assert caught.value.code == "trust_list_not_confirmed"
            assert sha256 in caught.value.text("vi")
    assert not list(tmp_path.iterdir())
    colons = hashlib.sha256(whole(pki)).hexdigest().upper()
    put(TrustStore(tmp_path), whole(pki), confirm=":".join(colons[i : i + 2] for i in range(0, 64, 2)))


def test_a_newer_issue_takes_the_place_of_the_older(pki: test_pki.Pki, tmp_path: Path) -> None:
    store = TrustStore(tmp_path)
    put(store, whole(pki))
    newer = document(
        service("CA/QC", pki.cert("ca-public1"), "withdrawn", "2026-01-01", ("granted", "2020-01-01")), sequence="8"
    )
    put(store, newer)
    (anchor,) = store.material("tl-vn").anchors
    assert anchor.sunset == day("2026-01-01")
    assert store.profile("tl-vn").version == "8"
    assert len(list((tmp_path / "tl-vn").glob("*.der"))) == 1
    with pytest.raises(RequestError, match="older issue"):
        put(store, whole(pki))
    assert store.remove_listed("tl-vn").version == "8"
    assert not (tmp_path / "tl-vn").exists()
    put(store, whole(pki))
    assert len(TrustStore(tmp_path).material("tl-vn").anchors) == 3


def test_further_types_are_taken_where_asked_for(pki: test_pki.Pki, tmp_path: Path) -> None:
    done = put(TrustStore(tmp_path), whole(pki), also=("CA/PKC",), profile="rieng")
    assert (done.profile, done.skipped) == ("rieng", {"EDS/Q": 1})
    assert len(TrustStore(tmp_path).material("rieng").anchors) == 4


def test_profiles_of_others_are_left_alone(pki: test_pki.Pki, tmp_path: Path) -> None:
    store = TrustStore(tmp_path)
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "own.toml").write_text('id = "own"\nversion = "1"\nvi = "v"\nen = "e"\n')
    for name, said in (
        ("cong-vu", "built-in"),
        ("own", "not made from a list"),
        ("../x", "lower-case"),
        ("crls", "lower-case"),
        ("profiles", "lower-case"),
    ):
        with pytest.raises(RequestError, match=said):
            put(store, whole(pki), profile=name)
    with pytest.raises(TrustError, match="trust_profile_not_found"):
        store.remove_listed("own")
    with pytest.raises(RequestError, match="names no service"):
        put(store, document(service("CA/QC", pki.cert("ca-public1"), "withdrawn", "2020-01-01")))


def test_a_certificate_of_several_services_is_one_anchor(pki: test_pki.Pki) -> None:
    both = document(
        granted(pki, kind="TSA/QTST", since="2010-01-01"),
        service("CA/QC", pki.cert("ca-public1"), "withdrawn", "2022-01-01", ("granted", "2018-01-01")),
        granted(pki, since="2021-01-01"),
    )
    (entry,) = list_import.entries_of(read(both), list_import.TYPES)
    assert (entry.use, entry.since, entry.sunset, entry.earlier) == ("", day("2018-01-01"), None, 0)
    gap = document(
        service(
            "CA/QC",
            pki.cert("ca-public1"),
            "granted",
            "2022-01-01",
            ("withdrawn", "2019-01-01"),
            ("granted", "2018-01-01"),
        )
    )
    (entry,) = list_import.entries_of(read(gap), list_import.TYPES)
    assert (entry.since, entry.earlier) == (day("2022-01-01"), 1)


def test_texts_of_a_list_cannot_break_out_of_the_profile(pki: test_pki.Pki, tmp_path: Path) -> None:
    data = whole(pki).replace("Nhà cung cấp".encode(), b'x"\n[[certificate]]\nid = "evil"\\' + "\u202e".encode())
    put(TrustStore(tmp_path), data)
    table = tomllib.loads((tmp_path / "profiles" / "tl-vn.toml").read_text("utf-8"))
    assert {entry["id"] for entry in table["certificate"]} == {f"s{n}" for n in range(1, 5)}
    assert table["certificate"][0]["note"].startswith('x" [[certificate]] id = "evil"\\: ')


def test_a_source_that_no_import_wrote_is_refused() -> None:
    head = 'id = "a"\nversion = "1"\nvi = "v"\nen = "e"\n'
    for source in ('next_update = "soon"', "next_update = 2026-01-01", 'sequence = "1"'):
        with pytest.raises(ConfigError):
            parse(f"{head}[source]\n{source}\n", "a.toml")


def test_a_list_of_a_thousand_services_is_quick(pki: test_pki.Pki, tmp_path: Path) -> None:
    labels = [label for label in pki.labels() if pki.spec(label).ca]
    services = "".join(granted(pki, labels[number % len(labels)]) for number in range(1000))
    data = document(services)
    before = time.process_time()
    found: TrustedList = read(data)
    assert len(found.services) == 1000
    assert time.process_time() - before < 1.5
    put(TrustStore(tmp_path), data)
    store = TrustStore(tmp_path)
    store.material("tl-vn")
    before = time.process_time()
    for _ in range(100):
        store.material("tl-vn")
    assert time.process_time() - before < 0.5
