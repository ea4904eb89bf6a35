"""What another reader refuses and ours takes: each case has its name, here and in the verdict."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.x509 import ocsp

import test_pki
from signsvc.asn1 import departures
from signsvc.trust import TrustAnchor, TrustMaterial
from signsvc.trust.crl import Crl
from signsvc.trust.ocsp import OcspResponse
from signsvc.types import Certificate, EvidenceItem, EvidenceKind, Origin
from signsvc.validation import policies
from signsvc.validation.chain import validate_chain
from signsvc.validation.context import Context
from test_pki import der, signatures
from test_pki.pki import now as pki_now

Parts = list[bytes]
FALSE, ONE = b"\x01\x01\x00", b"\x01\x01\x01"


def _time(text: str, tag: int = 0x18) -> bytes:
    return der.tlv(tag, text.encode())


def _validity(text: str, tag: int = 0x18) -> Callable[[Parts], Parts]:
    return lambda p: [*p[:4], der.seq(_time(text, tag), _time("20360101000000Z")), *p[5:]]


def _extension(*parts: bytes) -> Callable[[Parts], Parts]:
    """One extension more."""

    def change(p: Parts) -> Parts:
        own = der.children(der.children(p[-1])[0])
        return [*p[:-1], der.tlv(p[-1][0], der.seq(*own, der.seq(*parts)))]

    return change


def _without_basic_constraints(p: Parts) -> Parts:
    own = der.children(der.children(p[-1])[0])
    return [*p[:-1], der.explicit(3, der.seq(*(e for e in own if b"\x55\x1d\x13" not in e[:12])))]


UNKNOWN = der.oid("1.2.3.4")
VALUE = der.octets(der.null())
CERTIFICATES: dict[str, tuple[Callable[[Parts], Parts], set[str], bool]] = {
    # name: change, departures, whether cryptography refuses it
    "as-it-is": (lambda p: p, set(), False),
    "version-2": (lambda p: [der.explicit(0, der.integer(1)), *p[1:]], {"version"}, True),
    "version-4": (lambda p: [der.explicit(0, der.integer(3)), *p[1:]], {"version"}, True),
    "version-1-written": (lambda p: [der.explicit(0, der.integer(0)), *p[1:]], {"version"}, True),
    "version-1-with-extensions": (lambda p: p[1:], {"version"}, False),
    "version-1": (lambda p: p[1:7], set(), False),
    "serial-negative": (lambda p: [p[0], der.integer(-5), *p[2:]], {"serial"}, False),
    "serial-zero": (lambda p: [p[0], der.integer(0), *p[2:]], {"serial"}, False),
    "serial-of-30-octets": (lambda p: [p[0], der.integer(1 << 239), *p[2:]], {"serial"}, False),
    "serial-of-20-octets": (lambda p: [p[0], der.integer(1 << 158), *p[2:]], set(), False),
    "fraction-of-a-second": (_validity("20260101000000.5Z"), {"time"}, True),
    "zone": (_validity("260101000000+0700", 0x17), {"time"}, True),
    "no-seconds": (_validity("2601010000Z", 0x17), {"time"}, True),
    "generalized-time": (_validity("20260101000000Z"), set(), False),
    "critical-1": (_extension(UNKNOWN, ONE, VALUE), {"boolean"}, True),
    "critical-false-written": (_extension(UNKNOWN, FALSE, VALUE), {"boolean"}, True),
    "critical": (_extension(UNKNOWN, der.boolean(True), VALUE), set(), False),
    "authority-1": (
        lambda p: _extension(der.oid("2.5.29.19"), der.octets(der.seq(ONE)))(_without_basic_constraints(p)),
        {"boolean"},
        True,
    ),
    "authority-false-written": (
        lambda p: _extension(der.oid("2.5.29.19"), der.octets(der.seq(FALSE)))(_without_basic_constraints(p)),
        {"boolean"},
        True,
    ),
}


def _signed(pki: test_pki.Pki, base: bytes, issuer: str, change: Callable[[Parts], Parts]) -> bytes:
    """A certificate or list with changed parts, signed anew by its issuer."""
    tbs, algorithm, _ = der.children(base)
    changed = der.seq(*change(der.children(tbs)))
    return der.seq(changed, algorithm, der.bits(signatures.sign(pki.key(issuer), changed)))


def _refused(load: Callable[[], Sequence[object]]) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            load()
        except (ValueError, x509.InvalidVersion):
            return True
    return False


def _codes(pki: test_pki.Pki, leaf: bytes, *items: EvidenceItem) -> set[str]:
    anchor = TrustAnchor(Certificate.from_der(pki.cert("root-g2")), "root")
    above = [Certificate.from_der(pki.cert("sub-g2-state"))]
    now = pki_now()
    context = Context.of(policies.load("hon-hop"), TrustMaterial(("t",), (anchor,)), now, items, above, now=now)
    result = validate_chain(context, Certificate.from_der(leaf), proven=now)
    # Nothing is known here of the authority above; that is another matter.
    return {f.code for f in result.findings if f.subject != above[0].sha256.hex()}


@pytest.mark.parametrize("name", CERTIFICATES)
def test_certificates(name: str, pki: test_pki.Pki) -> None:
    change, expected, refused = CERTIFICATES[name]
    encoded = _signed(pki, pki.cert("person"), "sub-g2-state", change)

    def load() -> Sequence[object]:
        found = x509.load_der_x509_certificate(encoded)
        return [found.version, found.serial_number, found.not_valid_after_utc, *found.extensions]

    assert _refused(load) is refused
    assert set(departures.of_certificate(encoded)) == expected
    told = {code for code in _codes(pki, encoded) if code.startswith("certificate_") and code.endswith("_odd")}
    assert told == {f"certificate_{one}_odd" for one in expected}


LISTS: dict[str, tuple[Callable[[Parts], Parts], set[str], bool]] = {
    "as-it-is": (lambda p: p, set(), False),
    "version-1": (lambda p: [der.integer(0), *p[1:]], {"version"}, True),
    "version-1-with-extensions": (lambda p: p[1:], {"version"}, False),
    "critical-1": (_extension(UNKNOWN, ONE, VALUE), {"boolean"}, True),
    "critical-false-written": (_extension(UNKNOWN, FALSE, VALUE), {"boolean"}, True),
    "issuing-point-1": (
        _extension(der.oid("2.5.29.28"), der.boolean(True), der.octets(der.seq(der.tlv(0x81, b"\x01")))),
        {"boolean"},
        True,
    ),
}


@pytest.mark.parametrize("name", [*LISTS, "fraction-of-a-second"])
def test_lists(name: str, pki: test_pki.Pki) -> None:
    at = pki_now()

    def fraction(p: Parts) -> Parts:
        return [*p[:3], _time(f"{at:%Y%m%d%H%M%S}.25Z"), *p[4:]]

    change, expected, refused = LISTS.get(name, (fraction, {"time"}, True))
    encoded = _signed(pki, pki.crl("sub-g2-state", at), "sub-g2-state", change)

    def load() -> Sequence[object]:
        found = x509.load_der_x509_crl(encoded)
        return [found.last_update_utc, *found.extensions]

    assert _refused(load) is refused
    assert set(departures.of_list(encoded)) == expected
    Crl.parse(encoded)
    item = EvidenceItem(EvidenceKind.CRL, encoded, Origin.SUPPLIED)
    told = {code for code in _codes(pki, pki.cert("person"), item) if code.startswith("revocation_")}
    ignored = UNKNOWN in encoded and name == "critical-1"  # a critical extension that nobody knows
    assert told == ({"revocation_unknown"} if ignored else {f"revocation_{one}_odd" for one in expected})


@pytest.mark.parametrize("text", ["%Y%m%d%H%M%S.5Z", "%Y%m%d%H%M%S.123456Z", "%Y%m%d%H%M%S+0000", "%Y%m%d%H%MZ"])
def test_answers(text: str, pki: test_pki.Pki) -> None:
    at = pki_now().astimezone(UTC)
    plain = pki.ocsp("person", at=at)
    assert departures.of_answer(plain) == ()
    encoded = _answer_with_times(pki, plain, text)
    assert _refused(lambda: [ocsp.load_der_ocsp_response(encoded).produced_at_utc])
    assert departures.of_answer(encoded) == ("time",)
    OcspResponse.parse(encoded)
    item = EvidenceItem(EvidenceKind.OCSP, encoded, Origin.SUPPLIED)
    assert "revocation_time_odd" in _codes(pki, pki.cert("person"), item)
    assert "revocation_unknown" not in _codes(pki, pki.cert("person"), item)


@pytest.mark.parametrize("flag", [ONE, FALSE])
def test_answers_with_truth_values(flag: bytes, pki: test_pki.Pki) -> None:
    plain = pki.ocsp("person", at=pki_now())
    extensions = der.explicit(1, der.seq(der.seq(UNKNOWN, flag, VALUE)))
    data, *rest = der.children(_basic(plain))
    in_response = _resigned(pki, der.seq(*(p for p in der.children(data) if p[0] != 0xA1), extensions), rest)
    singles = der.children(der.children(data)[2])
    single = der.seq(*(p for p in der.children(singles[0]) if p[0] != 0xA1), extensions)
    parts = der.children(data)
    in_single = _resigned(pki, der.seq(*parts[:2], der.seq(single), *parts[3:]), rest)
    for encoded in (in_response, in_single):
        assert departures.of_answer(encoded) == ("boolean",)
        OcspResponse.parse(encoded)


def _basic(encoded: bytes) -> bytes:
    return der.content(der.children(der.children(der.children(encoded)[1])[0])[1])


def _answer_with_times(pki: test_pki.Pki, plain: bytes, text: str) -> bytes:
    """The answer with its times written otherwise, signed anew by the authority's responder."""
    data, *rest = der.children(_basic(plain))

    def again(match: re.Match[bytes]) -> bytes:
        when = datetime.strptime(match[1].decode(), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        return _time(when.strftime(text))

    def rewrite(value: bytes) -> bytes:
        if value[0] == 0x18:
            return re.sub(rb"\x18\x0f(\d{14})Z", again, value)
        return der.tlv(value[0], *map(rewrite, der.children(value))) if value[0] in (0x30, 0xA0, 0xA1) else value

    parts = der.children(data)
    changed = der.seq(parts[0], *map(rewrite, parts[1:3]), *parts[3:])
    return _resigned(pki, changed, rest)


def _resigned(pki: test_pki.Pki, data: bytes, rest: Parts) -> bytes:
    value = der.bits(signatures.sign(pki.key("ocsp-sub-g2-state"), data))
    basic = der.seq(data, rest[0], value, *rest[2:])
    inner = der.seq(der.oid("1.3.6.1.5.5.7.48.1.1"), der.octets(basic))
    return der.seq(der.enumerated(0), der.explicit(0, inner))


def test_what_is_none_of_them_departs_from_nothing() -> None:
    for octets in (b"", b"\x30\x00", b"\x30\x02\x30\x00", b"\x04\x01x", b"\x30\x03\x0a\x01\x00\x01\x01\x01"):
        assert departures.of_certificate(octets) == ()
        assert departures.of_list(octets) == ()
        assert departures.of_answer(octets) == ()
