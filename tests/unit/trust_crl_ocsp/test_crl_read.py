"""Revocation lists: what they say, whom they cover, how fast a large one answers."""

from __future__ import annotations

import random
import time
from datetime import datetime, timedelta

import pytest

import test_pki
from signsvc.algorithms import SignatureCheck
from signsvc.asn1 import DerError
from signsvc.trust.crl import Crl, Revoked
from signsvc.trust.memo import Memo
from signsvc.types import Certificate, EvidenceItem, EvidenceKind, Origin
from test_pki import certificates, der, revocation

CA = "sub-g2-state"
POINT = "2.5.29.28"


def cert(pki: test_pki.Pki, label: str) -> Certificate:
    return Certificate.from_der(pki.cert(label))


def raw_list(pki: test_pki.Pki, *entries: bytes, extra: tuple[tuple[str, bool, bytes], ...] = (), ca: str = CA) -> Crl:
    """A list with these encoded entries."""
    encoded = revocation.crl(
        pki.cert(ca), pki.key(ca), entries, this_update=pki.epoch, next_update=None, number=1, extra=extra
    )
    return Crl.parse(encoded)


def point(*fields: bytes) -> tuple[tuple[str, bool, bytes], ...]:
    return ((POINT, True, der.seq(*fields)),)


def full_name(url: str) -> bytes:
    return der.explicit(0, der.explicit(0, der.implicit(6, url.encode())))


def test_fields(pki: test_pki.Pki) -> None:
    issuer = cert(pki, CA)
    crl = Crl.parse(pki.crl(CA, pki.epoch, number=300))
    assert crl.issuer_der == issuer.subject_der
    assert crl.this_update == pki.epoch
    assert crl.next_update == pki.epoch + timedelta(days=7)
    assert crl.number == 300
    assert crl.aki == issuer.subject_key_identifier
    assert crl.idp is None
    assert crl.expired_certs_on_crl is None
    assert (crl.is_delta, crl.indirect, crl.problem) == (False, False, None)
    assert crl.issued_by(issuer)
    assert not crl.issued_by(cert(pki, "sub-g2-party"))
    assert not crl.issued_by(cert(pki, "sub-g2-state-rekeyed"))
    assert Crl.parse(pki.crl(CA, pki.epoch, next_update=None)).next_update is None


def test_entries(pki: test_pki.Pki) -> None:
    crl = Crl.parse(pki.crl(CA))
    assert crl.lookup(cert(pki, "person").serial_number) is None
    assert crl.lookup(cert(pki, "revoked").serial_number) == Revoked(pki.epoch - timedelta(days=10), "keyCompromise")
    held = crl.lookup(cert(pki, "suspended").serial_number, cert(pki, "suspended").issuer_der)
    assert held is not None
    assert held.reason == "certificateHold"
    assert crl.lookup(cert(pki, "revoked").serial_number, cert(pki, "sub-g2-party").subject_der) is None


def test_an_empty_list(pki: test_pki.Pki) -> None:
    assert raw_list(pki).lookup(1) is None


def test_signature(pki: test_pki.Pki) -> None:
    encoded = pki.crl(CA)
    assert Crl.parse(encoded).verify(cert(pki, CA)) is SignatureCheck.VALID
    assert Crl.parse(encoded).verify(cert(pki, "sub-g2-party")) is SignatureCheck.INVALID
    assert Crl.parse(encoded).verify(cert(pki, "ec")) is SignatureCheck.UNSUPPORTED
    forged = Crl.parse(pki.crl(CA, signer="sub-g2-party"))
    assert forged.issued_by(cert(pki, CA))
    assert forged.verify(cert(pki, CA)) is SignatureCheck.INVALID
    old = Crl.parse(pki.crl("sub-g1"))
    assert old.algorithm[0] == "1.2.840.113549.1.1.5"
    assert old.verify(cert(pki, "sub-g1")) is SignatureCheck.VALID


def test_key_usage_of_the_issuer(pki: test_pki.Pki) -> None:
    crl = Crl.parse(pki.crl(CA))
    assert not crl.issued_by(Certificate.from_der(pki.issue(CA, key_usage=("keyCertSign",))))


def test_negative_zero_and_large_serials(pki: test_pki.Pki) -> None:
    serials = (-128, -1, 0, 127, 128, 2**159 - 1, 5)
    crl = raw_list(pki, *(revocation.entry(s, pki.epoch, "superseded") for s in serials))
    for serial in serials:
        assert crl.lookup(serial) == Revoked(pki.epoch, "superseded"), serial
    for serial in (1, -2, 129, 255, 2**159 - 2):
        assert crl.lookup(serial) is None, serial


def test_a_serial_inside_something_else_is_not_an_entry(pki: test_pki.Pki) -> None:
    """The octets of an entry inside another entry's extension are no entry."""
    inside = revocation.entry(77, pki.epoch, "unspecified")
    extension = der.seq(der.seq(der.oid("1.2.3"), der.octets(inside)))
    holder = der.seq(der.integer(5), der.time(pki.epoch), extension)
    other = revocation.entry(6, pki.epoch, "unspecified")
    crl = raw_list(pki, holder, other)
    assert inside in crl.der
    assert crl.lookup(77) is None
    assert crl.lookup(5) is not None
    assert crl.lookup(6) is not None


def test_entries_of_every_size(pki: test_pki.Pki) -> None:
    def entry(serial: int, size: int) -> bytes:
        extension = der.seq(der.seq(der.oid("1.2.3"), der.octets(bytes(size))))
        return der.seq(der.integer(serial), der.time(pki.epoch), extension)

    sizes = [*range(260), 70_000]
    crl = raw_list(pki, *(entry(1000 + n, size) for n, size in enumerate(sizes)))
    for n in range(len(sizes)):
        assert crl.lookup(1000 + n) == Revoked(pki.epoch), n
    assert crl.lookup(999) is None


def test_invalidity_date(pki: test_pki.Pki) -> None:
    extension = der.seq(der.seq(der.oid("2.5.29.24"), der.octets(der.generalized_time(pki.epoch - timedelta(days=3)))))
    found = raw_list(pki, der.seq(der.integer(5), der.time(pki.epoch), extension)).lookup(5)
    assert found == Revoked(pki.epoch, "unspecified", pki.epoch - timedelta(days=3))


def test_unknown_critical_extensions_forbid_use(pki: test_pki.Pki) -> None:
    assert raw_list(pki, extra=(("1.2.3", True, b"\x05\x00"),)).problem == "crl_critical_extension_unknown"
    assert raw_list(pki, extra=(("1.2.3", False, b"\x05\x00"),)).problem is None
    extension = der.seq(der.seq(der.oid("1.2.3"), der.boolean(True), der.octets(b"")))
    entry = der.seq(der.integer(5), der.time(pki.epoch), extension)
    crl = raw_list(pki, revocation.entry(4, pki.epoch, "unspecified"), entry)
    assert crl.problem == "crl_entry_extension_unknown"
    # ... but an entry still revokes.
    assert crl.lookup(5) is not None


def test_who_is_covered(pki: test_pki.Pki) -> None:
    person, issuer = cert(pki, "person"), cert(pki, CA)
    url = person.crl_urls[0]
    assert raw_list(pki).covers(person)
    assert not raw_list(pki).covers(cert(pki, "party"))
    assert raw_list(pki, extra=point(full_name(url))).covers(person)
    assert not raw_list(pki, extra=point(full_name("http://other.test/x.crl"))).covers(person)
    assert not raw_list(pki, extra=point(full_name(url))).covers(cert(pki, "no-urls"))
    assert raw_list(pki).covers(cert(pki, "no-urls"))
    only_ca, only_user, only_attribute = (der.implicit(n, b"\xff") for n in (2, 1, 5))
    assert raw_list(pki, extra=point(only_user)).covers(person)
    assert not raw_list(pki, extra=point(only_ca)).covers(person)
    assert not raw_list(pki, extra=point(only_attribute)).covers(person)
    assert raw_list(pki, extra=point(only_ca), ca="root-g2").covers(issuer)
    assert not raw_list(pki, extra=point(only_user), ca="root-g2").covers(issuer)
    assert not raw_list(pki, extra=point(der.implicit(3, b"\x06\x40"))).covers(person)
    delta = raw_list(pki, extra=(("2.5.29.27", True, der.integer(1)),))
    assert delta.is_delta
    assert not delta.covers(person)


def points_of(*fields: bytes) -> tuple[tuple[str, bool, bytes], ...]:
    return (("2.5.29.31", False, der.seq(der.seq(*fields))),)


def test_relative_names(pki: test_pki.Pki) -> None:
    relative = der.explicit(0, der.explicit(1, der.content(der.name((("CN", "CRL 1"),)))[2:]))
    issuer = der.content(certificates.field(pki.cert(CA), "subject"))
    full = der.explicit(
        0, der.explicit(0, der.explicit(4, der.seq(issuer + der.content(der.name((("CN", "CRL 1"),))))))
    )
    person = Certificate.from_der(pki.issue("person", crl_urls=(), extra=points_of(relative)))
    assert raw_list(pki, extra=point(relative)).covers(person)
    assert raw_list(pki, extra=point(full)).covers(person)
    other = der.explicit(0, der.explicit(1, der.content(der.name((("CN", "CRL 2"),)))[2:]))
    assert not raw_list(pki, extra=point(other)).covers(person)


def test_indirect_lists(pki: test_pki.Pki) -> None:
    """A list of another issuer covers only where the certificate names that issuer (RFC 5280 §6.3.3 (b)(1))."""
    names = {label: certificates.field(pki.cert(label), "subject") for label in (CA, "sub-g2-party")}

    def entry(serial: int, issuer: str | None) -> bytes:
        if issuer is None:
            return der.seq(der.integer(serial), der.time(pki.epoch))
        value = der.octets(der.seq(der.explicit(4, names[issuer])))
        extension = der.seq(der.seq(der.oid("2.5.29.29"), der.boolean(True), value))
        return der.seq(der.integer(serial), der.time(pki.epoch), extension)

    indirect = point(der.implicit(4, b"\xff"))
    crl = raw_list(pki, entry(5, None), entry(6, "sub-g2-party"), entry(7, None), entry(5, CA), extra=indirect)
    assert crl.indirect
    assert crl.problem is None
    assert crl.lookup(5) is not None
    assert crl.lookup(6) is None
    assert crl.lookup(6, names["sub-g2-party"]) is not None
    assert crl.lookup(7, names["sub-g2-party"]) is not None
    assert crl.lookup(5, names["sub-g2-party"]) is None
    assert crl.lookup(5, names[CA]) is not None
    named = points_of(der.explicit(2, der.explicit(4, names[CA])))
    party = Certificate.from_der(pki.issue("party", crl_urls=(), extra=named))
    assert crl.covers(party)
    assert not raw_list(pki).covers(party)
    assert not crl.covers(cert(pki, "party"))


def test_expired_certificates_on_the_list(pki: test_pki.Pki) -> None:
    crl = raw_list(pki, extra=(("2.5.29.60", False, der.generalized_time(pki.epoch - timedelta(days=900))),))
    assert crl.expired_certs_on_crl == pki.epoch - timedelta(days=900)
    assert crl.problem is None


@pytest.mark.parametrize("octets", [b"", b"\x30\x00", b"\x30\x03\x02\x01\x05", b"junk" * 9, b"\x30\x80\x00\x00"])
def test_what_is_no_list(octets: bytes) -> None:
    with pytest.raises(DerError):
        Crl.parse(octets)


def test_damage(pki: test_pki.Pki) -> None:
    """Whatever octet changes: DerError, or a list whose signature does not verify."""
    encoded, issuer = pki.crl(CA), cert(pki, CA)
    person = cert(pki, "person")
    for place in range(len(encoded)):
        mutant = bytearray(encoded)
        mutant[place] ^= 0x01
        try:
            crl = Crl(bytes(mutant))
            crl.lookup(person.serial_number)
        except DerError:
            continue
        crl.covers(person)
        _ = crl.problem
        assert crl.verify(issuer) is not SignatureCheck.VALID, place
    rng = random.Random(7)
    for _ in range(300):
        mutant = bytearray(encoded)
        at = rng.randrange(len(mutant))
        mutant[at : at + rng.randrange(3)] = rng.randbytes(rng.randrange(4))
        try:
            crl = Crl(bytes(mutant))
            crl.lookup(person.serial_number)
        except DerError:
            continue
        _ = crl.problem
        assert bytes(mutant) == encoded or crl.verify(issuer) is not SignatureCheck.VALID


@pytest.fixture(scope="module")
def large(pki: test_pki.Pki) -> tuple[bytes, list[tuple[int, datetime, str]]]:
    rng = random.Random(5)
    entries = [
        (rng.getrandbits(120) + 1, pki.epoch - timedelta(seconds=n), ("unspecified", "superseded")[n % 2])
        for n in range(100_000)
    ]
    return pki.crl(CA, pki.epoch, entries=entries), entries


def test_a_hundred_thousand_entries(pki: test_pki.Pki, large: tuple[bytes, list[tuple[int, datetime, str]]]) -> None:
    encoded, entries = large
    start = time.process_time()
    crl = Crl.parse(encoded)
    assert crl.lookup(1) is None
    assert crl.verify(cert(pki, CA)) is SignatureCheck.VALID
    assert crl.problem is None
    first = time.process_time() - start
    item = EvidenceItem(EvidenceKind.CRL, encoded, Origin.CACHE)
    start = time.process_time()
    for _ in range(100):
        assert Crl.of(item).lookup(1) is None
    again = (time.process_time() - start) / 100
    for serial, at, reason in entries[::9_999]:
        assert crl.lookup(serial) == Revoked(at, reason)
    for serial in range(2, 2_000):
        assert crl.lookup(serial) is None
    start = time.process_time()
    for serial in range(2_000, 4_000):
        assert crl.lookup(serial) is None
    each = (time.process_time() - start) / 2_000
    # Measured 10 ms, 2 µs and 4 µs; the bounds leave room for a busy machine.
    assert first < 0.1
    assert again < 0.001
    assert each < 0.0005


def test_memo_is_bounded() -> None:
    memo: Memo[int, str] = Memo(10)
    for n in range(5):
        memo.put(n, "x", 3)
    assert len(memo) == 3
    assert memo.get(0) is None
    assert memo.get(2) == "x"
    memo.put(9, "y", 3)
    assert memo.get(3) is None
    assert memo.get(2) == "x"
    memo.put(10, "too heavy", 11)
    assert memo.get(10) is None
    memo.put(2, "z", 1)
    assert memo.get(2) == "z"


def test_a_list_full_of_false_places_takes_linear_time(pki: test_pki.Pki) -> None:
    """The searched octets stand a hundred thousand times where no entry starts."""
    serial = der.integer(0x1234567890)
    decoy = der.seq(serial, der.time(pki.epoch))
    extension = der.seq(der.seq(der.oid("1.2.3"), der.octets(decoy * 4)))
    entry = der.seq(der.integer(5), der.time(pki.epoch), extension)
    crl = raw_list(pki, *[entry] * 20_000, *[der.seq(der.integer(6), der.time(pki.epoch), der.seq())] * 20_000, decoy)
    assert crl.der.count(decoy) >= 80_000
    start = time.process_time()
    assert crl.lookup(0x1234567890) == Revoked(pki.epoch)
    assert crl.lookup(0x1234567891) is None
    assert time.process_time() - start < 1


def test_malformed_entries(pki: test_pki.Pki) -> None:
    crl = raw_list(pki, der.seq(der.integer(5)), b"\x30\x00", der.seq(der.integer(6), der.time(pki.epoch)))
    with pytest.raises(DerError):
        crl.lookup(5)
    assert crl.lookup(6) is not None
    broken = raw_list(pki, b"\x02\x01\x05" * 3)
    with pytest.raises(DerError):
        broken.lookup(5)
