"""Path search among hostile and tangled bags: what it costs, what it finds, and that the order of arrival is nothing."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from signsvc.trust import TrustAnchor, paths
from signsvc.trust.paths import Path, PathFinder, PathLimits, build
from signsvc.types import Certificate

START = datetime(2026, 1, 1, tzinfo=UTC)
Key = ec.EllipticCurvePrivateKey
_serials = itertools.count(1)
Bag = tuple[Certificate, list[Certificate], list[Certificate]]  # leaf, pool, anchors


def new_key(curve: type[ec.EllipticCurve] = ec.SECP256R1) -> Key:
    return ec.generate_private_key(curve())


def make(
    subject: str, key: Key, issuer: str, by: Key, *, ca: bool = True, key_id: bytes | None = None, days: int = 3650
) -> Certificate:
    """A small certificate; `key_id` becomes both its own and its issuer's key identifier."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(next(_serials))
        .not_valid_before(START)
        .not_valid_after(START + timedelta(days=days))
    )
    if ca:
        builder = builder.add_extension(x509.BasicConstraints(True, None), True)
    if key_id is not None:
        builder = builder.add_extension(x509.SubjectKeyIdentifier(key_id), False)
        builder = builder.add_extension(x509.AuthorityKeyIdentifier(key_id, None, None), False)
    signed = builder.sign(by, hashes.SHA256())
    return Certificate(signed.public_bytes(serialization.Encoding.DER))


ROOT, LEAF = new_key(), new_key()
ANCHOR = make("R", ROOT, "R", ROOT)


def fakes(curve: type[ec.EllipticCurve], key_id: bytes | None = None) -> Bag:
    """400 certificates that claim to be the issuer, by the root, and one that is."""
    root, sub, liar = new_key(curve), new_key(), new_key()
    pool = [make("S", new_key(), "R", liar, key_id=key_id) for _ in range(400)]
    pool.append(make("S", sub, "R", root, key_id=key_id))
    return make("leaf", LEAF, "S", sub, ca=False, key_id=key_id), pool, [make("R", root, "R", root, key_id=key_id)]


def mesh(names: int, keys: int, top: bool) -> Bag:
    """Every key certified by every other; `names` 1: all under one name."""
    made = [new_key() for _ in range(keys)]

    def name(i: int) -> str:
        return "X" if names == 1 else f"X{i}"

    pool = [make(name(i), a, name(j), b) for i, a in enumerate(made) for j, b in enumerate(made) if i != j]
    if top:
        pool.append(make(name(keys - 1), made[-1], "R", ROOT))
    return make("leaf", LEAF, name(0), made[0], ca=False), pool, [ANCHOR]


def ring(length: int, top: bool) -> Bag:
    keys = [new_key() for _ in range(length)]
    pool = [make(f"C{i}", keys[i], f"C{(i + 1) % length}", keys[(i + 1) % length]) for i in range(length)]
    if top:
        pool.append(make("C3", keys[3], "R", ROOT))
    return make("leaf", LEAF, "C0", keys[0], ca=False), pool, [ANCHOR]


def ladder(width: int, height: int) -> Bag:
    """Layers, each certified by everybody in the next: width ** height paths."""
    keys = [[new_key() for _ in range(width)] for _ in range(height)]
    pool = [
        make(f"L{i}.{a}", keys[i][a], f"L{i + 1}.{b}", keys[i + 1][b])
        for i in range(height - 1)
        for a in range(width)
        for b in range(width)
    ]
    pool += [make(f"L{height - 1}.{a}", keys[-1][a], "R", ROOT) for a in range(width)]
    return make("leaf", LEAF, "L0.0", keys[0][0], ca=False), pool, [ANCHOR]


def twins() -> Bag:
    sub = new_key()
    return make("leaf", LEAF, "S", sub, ca=False), [make("S", sub, "R", ROOT) for _ in range(400)], [ANCHOR]


def chain(length: int) -> Bag:
    keys = [new_key() for _ in range(length)]
    pool = [make(f"C{i}", keys[i], f"C{i + 1}", keys[i + 1]) for i in range(length - 1)]
    pool.append(make(f"C{length - 1}", keys[-1], "R", ROOT))
    return make("leaf", LEAF, "C0", keys[0], ca=False), pool, [ANCHOR]


def rollover(steps: int) -> Bag:
    """One name whose keys certify each other in turn; the first is the anchor's."""
    keys = [ROOT, *(new_key() for _ in range(steps))]
    pool = [make("R", new, "R", old) for old, new in itertools.pairwise(keys)]
    pool += [make("R", old, "R", new) for old, new in itertools.pairwise(keys)]
    return make("leaf", LEAF, "R", keys[-1], ca=False), pool, [ANCHOR]


def anchors(count: int) -> Bag:
    """One authority certified by many anchors."""
    sub, roots = new_key(), [new_key() for _ in range(count)]
    pool = [make("S", sub, f"A{i}", root) for i, root in enumerate(roots)]
    found = [make(f"A{i}", root, f"A{i}", root) for i, root in enumerate(roots)]
    return make("leaf", LEAF, "S", sub, ca=False), pool, found


def under_an_end_entity() -> Bag:
    """Somebody's end certificate as the authority above 300 copies of the true issuer, and the true issuer."""
    sub, person = new_key(), new_key()
    pool = [make("S", sub, "person", person) for _ in range(300)]
    pool += [make("person", person, "R", ROOT, ca=False), make("S", sub, "R", ROOT)]
    return make("leaf", LEAF, "S", sub, ca=False), pool, [ANCHOR]


BAGS: dict[str, tuple[Callable[[], Bag], int]] = {
    "fakes": (lambda: fakes(ec.SECP256R1), 1),
    "fakes under a slow key": (lambda: fakes(ec.SECP384R1), 1),
    "fakes with the same key identifier": (lambda: fakes(ec.SECP256R1, b"same"), 1),
    "one name, all keys by all": (lambda: mesh(1, 20, top=True), 60),
    "one name, all keys by all, no anchor": (lambda: mesh(1, 20, top=False), 0),
    "names certified crosswise": (lambda: mesh(20, 20, top=True), 60),
    "names certified crosswise, no anchor": (lambda: mesh(20, 20, top=False), 0),
    "ring": (lambda: ring(300, top=True), 1),
    "ring without an anchor": (lambda: ring(300, top=False), 0),
    "ladder": (lambda: ladder(6, 8), 60),
    "twins": (twins, 60),
    "longest chain": (lambda: chain(8), 1),
    "chain too long": (lambda: chain(300), 0),
    "rollover": (lambda: rollover(5), 1),
    "endless rollover": (lambda: rollover(100), 0),
    "many anchors": (lambda: anchors(40), 40),
    "under an end certificate": (under_an_end_entity, 60),
}


def well_formed(path: Path, leaf: Certificate, roots: list[Certificate]) -> bool:
    linked = all(paths.issued(child, issuer) for child, issuer in itertools.pairwise(path))
    who = {(c.subject_der, c.public_key_info) for c in path}
    return linked and path[0] == leaf and path[-1] in roots and len(who) == len(path) <= PathLimits().length


@pytest.mark.parametrize("name", BAGS)
def test_a_bag_of_100_kb_costs_less_than_a_second(name: str) -> None:
    made, expected = BAGS[name]
    leaf, pool, roots = made()
    assert sum(len(c.der) for c in pool) < 150_000
    random.Random(name).shuffle(pool)
    paths._LINKS._kept.clear()
    started = time.process_time()
    found = build(leaf, pool, roots)
    assert time.process_time() - started < 1
    assert len(found) == expected
    assert all(well_formed(path, leaf, roots) for path in found)
    assert [len(path) for path in found] == sorted(len(path) for path in found) or name == "under an end certificate"


def test_nobodys_keys_are_used_but_those_that_an_anchor_leads_to(monkeypatch: pytest.MonkeyPatch) -> None:
    leaf, pool, roots = fakes(ec.SECP256R1)
    users: set[Certificate] = set()
    real = paths.issued

    def watched(child: Certificate, issuer: Certificate) -> bool:
        users.add(issuer)
        return real(child, issuer)

    paths._LINKS._kept.clear()
    monkeypatch.setattr(paths, "issued", watched)
    assert len(build(leaf, pool, roots)) == 1
    assert users == {roots[0], pool[-1]}


def test_fifty_leaves_share_what_was_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    _, pool, roots = fakes(ec.SECP256R1)
    checks = 0
    real = paths.issued

    def counting(child: Certificate, issuer: Certificate) -> bool:
        nonlocal checks
        checks += 1
        return real(child, issuer)

    monkeypatch.setattr(paths, "issued", counting)
    finder = PathFinder(pool, roots)
    sub = new_key()
    for _ in range(50):
        assert finder.paths(make("leaf", LEAF, "S", sub, ca=False)) == ()
    assert checks <= 401 + 50


def tangle() -> tuple[Certificate, list[Certificate], list[TrustAnchor]]:
    """Two anchors, a bridge between them, an issuer certified by three, a rollover, a twin, and strangers."""
    root2, bridge, sub, old, new, liar = (new_key() for _ in range(6))
    pool = [
        make("S", sub, "R", ROOT),
        make("S", sub, "R", ROOT, days=900),
        make("S", sub, "R2", root2),
        make("S", sub, "B", bridge),
        make("B", bridge, "R", ROOT),
        make("B", bridge, "R2", root2),
        make("R", ROOT, "B", bridge),
        make("R2", root2, "B", bridge),
        make("O", old, "R", ROOT),
        make("O", new, "O", old),
        make("O", old, "O", new),
        make("S", sub, "O", new),
        make("S", sub, "X", liar),
        make("X", liar, "R", liar),
        make("S", new_key(), "R", ROOT),
    ]
    leaf = make("leaf", LEAF, "S", sub, ca=False)
    return leaf, pool, [TrustAnchor(ANCHOR, "R"), TrustAnchor(make("R2", root2, "R2", root2), "R2", START)]


def test_the_order_of_arrival_counts_for_nothing() -> None:
    leaf, pool, roots = tangle()
    expected = build(leaf, pool, roots)
    certificates = [anchor.certificate for anchor in roots]
    assert all(well_formed(path, leaf, certificates) for path in expected)
    # Twins of one issuer, the other anchor (with a sunset), the bridge, each anchor across the bridge, the rollover.
    assert [" ".join(c.common_name for c in path[1:]) for path in expected] == [
        "S R",
        "S R",
        "S R2",
        "S B R",
        "S B R2",
        "S R2 B R",
        "S O O R",
        "S R B R2",
        "S R B R2",
        "S O O R B R2",
    ]
    assert expected[0][1].not_after > expected[1][1].not_after
    chance = random.Random(5)
    for _ in range(60):
        chance.shuffle(pool)
        chance.shuffle(roots)
        paths._LINKS._kept.clear()
        assert build(leaf, pool, roots) == expected


def test_what_is_not_sound_stands_behind_and_crowds_nothing_out() -> None:
    leaf, pool, roots = twins()
    last = build(leaf, pool, roots, limits=PathLimits(paths=400))[-1]
    limits = PathLimits(paths=3, unsound=2)
    found = PathFinder(pool, roots, limits).paths(leaf, sound=lambda path: path == last)
    assert found[0] == last
    assert len(found) == 3
    around = PathFinder(pool, roots, limits).paths(leaf, without=[path[1] for path in found])
    assert len(around) == 3
    assert not {path[1] for path in around} & {path[1] for path in found}
