"""The index of a list that processes share: the same answers as the list itself, faster, and never of another list."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import test_pki
from signsvc.asn1 import DerError
from signsvc.trust import crl_index
from signsvc.trust.crl import Crl, Revoked
from signsvc.types import Certificate
from test_pki import certificates, der, revocation

FULL = os.environ.get("SIGNSVC_TEST_FULL") == "1"
CA = "sub-g2-state"
OTHER = "sub-g2-party"


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Path]:
    crl_index.look_in(tmp_path)
    yield tmp_path
    crl_index.look_in()


def list_of(pki: test_pki.Pki, *entries: bytes, extra: tuple[tuple[str, bool, bytes], ...] = ()) -> bytes:
    return revocation.crl(
        pki.cert(CA), pki.key(CA), entries, this_update=pki.epoch, next_update=None, number=1, extra=extra
    )


def shelve(shelf: Path, encoded: bytes) -> Path:
    made = Crl(encoded).make_index()
    assert made is not None
    path = crl_index.path_in(shelf, Crl(encoded).sha256)
    path.write_bytes(made)
    return path


def many(pki: test_pki.Pki, count: int = 3_000, seed: int = 1) -> list[bytes]:
    rng = random.Random(seed)
    return [
        revocation.entry(
            rng.getrandbits(rng.choice((63, 120, 159))) + 1, pki.epoch - timedelta(seconds=n), "superseded"
        )
        for n in range(count)
    ]


def from_issuer(pki: test_pki.Pki, serial: int, label: str, reason: str) -> bytes:
    name = der.seq(der.explicit(4, certificates.field(pki.cert(label), "subject")))
    extensions = der.seq(
        der.seq(der.oid("2.5.29.21"), der.octets(der.enumerated({"keyCompromise": 1, "superseded": 4}[reason]))),
        der.seq(der.oid("2.5.29.29"), der.boolean(True), der.octets(name)),
    )
    return der.seq(der.integer(serial), der.time(pki.epoch), extensions)


def test_the_same_answers_as_the_list(pki: test_pki.Pki, shelf: Path) -> None:
    serials = (-128, -1, 0, 5, 127, 128, 2**159 - 1)
    entries = many(pki)
    entries[100:100] = [revocation.entry(s, pki.epoch, "superseded") for s in serials]
    entries.append(revocation.entry(5, pki.epoch, "keyCompromise"))  # listed twice: the first counts
    encoded = list_of(pki, *entries)
    plain = Crl(encoded)
    expected = {s: plain.lookup(s) for s in range(-130, 300)} | {s: plain.lookup(s) for s in serials}
    assert expected[5] == Revoked(pki.epoch, "superseded")
    shelve(shelf, encoded)
    indexed = Crl(encoded)
    assert indexed._index is not None
    assert {s: indexed.lookup(s) for s in expected} == expected
    assert indexed.lookup(5, Certificate.from_der(pki.cert(OTHER)).subject_der) is None
    assert indexed.problem is None


def test_issuers_of_entries(pki: test_pki.Pki, shelf: Path) -> None:
    """An entry belongs to the issuer that it or one before it names (RFC 5280 §5.3.3)."""
    idp = (("2.5.29.28", True, der.seq(der.implicit(4, b"\xff"))),)
    block = many(pki, seed=2)
    entries = [
        revocation.entry(7, pki.epoch, "superseded"),
        *block[:1000],
        from_issuer(pki, 7, OTHER, "keyCompromise"),
        *block[1000:2000],
        revocation.entry(8, pki.epoch, "superseded"),
        from_issuer(pki, 8, CA, "keyCompromise"),
        *block[2000:],
    ]
    encoded = list_of(pki, *entries, extra=idp)
    own, other = (Certificate.from_der(pki.cert(label)).subject_der for label in (CA, OTHER))
    questions = [(serial, issuer) for serial in (7, 8, 9) for issuer in (None, own, other)]
    plain = Crl(encoded)
    expected = [plain.lookup(*question) for question in questions]
    assert [found.reason if found else None for found in expected] == [
        *("superseded", "superseded", "keyCompromise"),
        *("keyCompromise", "keyCompromise", "superseded"),
        *(None, None, None),
    ]
    shelve(shelf, encoded)
    indexed = Crl(encoded)
    assert indexed._index is not None
    assert indexed._index.names_issuers
    assert [indexed.lookup(*question) for question in questions] == expected
    assert indexed.problem == plain.problem is None


def test_unknown_critical_extensions_are_remembered(pki: test_pki.Pki, shelf: Path) -> None:
    odd = der.seq(
        der.integer(1), der.time(pki.epoch), der.seq(der.seq(der.oid("1.2.3"), der.boolean(True), der.octets(b"")))
    )
    encoded = list_of(pki, *many(pki), odd)
    shelve(shelf, encoded)
    assert Crl(encoded)._index is not None
    assert Crl(encoded).problem == "crl_entry_extension_unknown"


def test_damaged_and_foreign_indexes_are_not_used(pki: test_pki.Pki, shelf: Path) -> None:
    encoded = list_of(pki, *many(pki), revocation.entry(77, pki.epoch, "superseded"))
    path = shelve(shelf, encoded)
    good = path.read_bytes()
    rng = random.Random(3)
    places = [0, 8, 39, 40, 44, 47, len(good) - 33, len(good) - 1, *(rng.randrange(len(good)) for _ in range(20))]
    for at in places:
        path.write_bytes(good[:at] + bytes((good[at] ^ 1,)) + good[at + 1 :])
        assert Crl(encoded)._index is None
        assert Crl(encoded).lookup(77) is not None
    for kept in (b"", good[:50], good[:-1], good + b"\0", good[:-16]):
        path.write_bytes(kept)
        assert Crl(encoded)._index is None
    other = shelve(shelf, list_of(pki, *many(pki, seed=9))).read_bytes()
    path.write_bytes(other)
    assert Crl(encoded)._index is None


def test_what_an_index_points_at_is_compared(pki: test_pki.Pki, shelf: Path) -> None:
    """Whatever stands in it, no entry is taken for one of another number."""
    encoded = list_of(pki, *many(pki), revocation.entry(77, pki.epoch, "superseded"))
    crl = Crl(encoded)
    path = crl_index.path_in(shelf, crl.sha256)
    region = crl._entries
    assert region is not None
    path.write_bytes(crl_index.encode(crl.sha256, [(der.integer(78), region.content, crl_index.OWN)], 0))
    assert Crl(encoded).lookup(78) is None
    for at in (0, region.end, 2**32 - 1):
        path.write_bytes(crl_index.encode(crl.sha256, [(der.integer(78), at, crl_index.OWN)], 0))
        with pytest.raises(DerError):
            Crl(encoded).lookup(78)


def test_malformed_and_small_lists_get_none(pki: test_pki.Pki) -> None:
    assert Crl(list_of(pki, revocation.entry(1, pki.epoch, "superseded"))).make_index() is None
    with pytest.raises(DerError):
        Crl(list_of(pki, *many(pki), b"\x30\x00")).make_index()


def test_an_index_that_comes_later_is_found(pki: test_pki.Pki, shelf: Path) -> None:
    encoded = list_of(pki, *many(pki))
    crl = Crl(encoded)
    assert crl.lookup(1) is None
    assert crl._index is None
    shelve(shelf, encoded)
    assert crl.lookup(2) is None
    assert crl._index is not None


def test_a_million_entries(pki: test_pki.Pki, shelf: Path) -> None:
    """At one tenth; measured at 1,000,000: 5 µs a look-up, 8 ms to open, 2 s to make, 16 MB on disk."""
    count = 1_000_000 if FULL else 100_000
    rng = random.Random(4)
    moment = der.time(pki.epoch)
    serials = [rng.getrandbits(120) + 1 for _ in range(count)]
    encoded = list_of(pki, *(der.seq(der.integer(serial), moment) for serial in serials))
    shelve(shelf, encoded)
    start = time.process_time()
    crl = Crl(encoded)
    assert crl._index is not None
    opened = time.process_time() - start
    start = time.process_time()
    for serial in range(2_000):
        assert crl.lookup(serial) is None
    missed = (time.process_time() - start) / 2_000
    start = time.process_time()
    for serial in serials[:: count // 1000]:
        assert crl.lookup(serial) == Revoked(pki.epoch)
    met = (time.process_time() - start) / 1000
    assert missed < 50e-6
    assert met < 50e-6
    assert opened < (0.2 if FULL else 0.05)
