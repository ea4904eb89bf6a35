"""Path search: every shape of hierarchy, and bags made to exhaust it."""

from __future__ import annotations

import itertools
import time
from datetime import timedelta

import pytest

import test_pki
from signsvc.trust import TrustAnchor, paths
from signsvc.trust.paths import PathLimits, build, chain_problem
from signsvc.types import Certificate


@pytest.fixture
def cert(pki: test_pki.Pki):  # type: ignore[no-untyped-def]
    return lambda label: Certificate.from_der(pki.cert(label))


def names(found: tuple[paths.Path, ...], pki: test_pki.Pki) -> list[list[str]]:
    labels = {pki.cert(label): label for label in pki.labels()}
    return [[labels[c.der] for c in path] for path in found]


POOL = ("sub-g1", "sub-g1-btc", "sub-g2-state", "sub-g2-state-rekeyed", "sub-g2-party", "ca-public1", "ca-unknown")


@pytest.mark.parametrize(
    ("leaf", "expected"),
    [
        ("person", ["person", "sub-g2-state", "root-g2"]),
        ("of-rekeyed-ca", ["of-rekeyed-ca", "sub-g2-state-rekeyed", "root-g2"]),
        ("g1-person", ["g1-person", "sub-g1-btc", "root-g1"]),
        ("pss-only", ["pss-only", "sub-g2-state", "root-g2"]),
        ("public-business", ["public-business", "ca-public1", "root-public"]),
        ("sub-g2-state", ["sub-g2-state", "root-g2"]),
        ("root-g2", ["root-g2"]),
    ],
)
def test_paths_are_found(pki: test_pki.Pki, cert, leaf: str, expected: list[str]) -> None:  # type: ignore[no-untyped-def]
    anchors = [TrustAnchor(Certificate.from_der(der), label) for label, der in pki.roots.items()]
    assert names(build(cert(leaf), map(cert, POOL), anchors), pki) == [expected]


@pytest.mark.parametrize("leaf", ["unknown", "public-citizen", "of-revoked-ca", "root-unknown"])
def test_no_path_without_its_issuer_or_anchor(pki: test_pki.Pki, cert, leaf: str) -> None:  # type: ignore[no-untyped-def]
    anchors = [Certificate.from_der(der) for der in pki.roots.values()]
    assert build(cert(leaf), map(cert, POOL), anchors) == ()
    assert build(cert(leaf), map(cert, POOL), []) == ()


def test_names_without_signatures_are_no_path(pki: test_pki.Pki, cert) -> None:  # type: ignore[no-untyped-def]
    forged = Certificate.from_der(pki.issue("sub-g2-state", issuer="root-unknown", key="ca-unknown"))
    renamed = pki.issue("root-unknown", subject=pki.spec("root-g2").subject)
    leaf = Certificate.from_der(pki.issue("person", issuer="ca-unknown"))
    assert build(leaf, [forged, Certificate.from_der(renamed)], [cert("root-g2")]) == ()


def test_a_bridge_leads_to_each_anchor_shortest_first(pki: test_pki.Pki, cert) -> None:  # type: ignore[no-untyped-def]
    pool = [cert("cross-root-g2"), cert("sub-g2-state")]
    both = build(cert("person"), pool, [cert("root-public"), cert("root-g2")])
    assert names(both, pki) == [
        ["person", "sub-g2-state", "root-g2"],
        ["person", "sub-g2-state", "cross-root-g2", "root-public"],
    ]
    assert names(build(cert("person"), pool, [cert("root-public")]), pki) == [
        ["person", "sub-g2-state", "cross-root-g2", "root-public"]
    ]


def test_an_anchor_is_recognised_by_subject_and_key(pki: test_pki.Pki, cert) -> None:  # type: ignore[no-untyped-def]
    copy = Certificate.from_der(pki.issue("root-g2", serial=99))
    assert copy != cert("root-g2")
    found = build(cert("person"), [cert("sub-g2-state"), copy], [cert("root-g2")])
    assert names(found, pki) == [["person", "sub-g2-state", "root-g2"]]
    assert build(copy, [], [cert("root-g2")]) == ((cert("root-g2"),),)


def test_an_anchor_with_a_sunset_stands_behind_one_without(pki: test_pki.Pki, cert) -> None:  # type: ignore[no-untyped-def]
    twin = Certificate.from_der(pki.issue("sub-g2-state", issuer="root-public"))
    for dated, lasting in (("root-g2", "root-public"), ("root-public", "root-g2")):
        anchors = [TrustAnchor(cert(dated), dated, pki.epoch), TrustAnchor(cert(lasting), lasting)]
        found = build(cert("person"), [cert("sub-g2-state"), twin], anchors)
        assert [path[-1] for path in found] == [cert(lasting), cert(dated)]


def test_a_ca_goes_before_one_that_says_it_is_none(pki: test_pki.Pki, cert) -> None:  # type: ignore[no-untyped-def]
    not_ca = Certificate.from_der(pki.issue("sub-g2-state", ca=False, serial=5))
    found = build(cert("person"), [not_ca, cert("sub-g2-state")], [cert("root-g2")])
    assert [path[1].is_ca for path in found] == [True, False]
    assert chain_problem(found[0], pki.epoch) is None
    assert chain_problem(found[1], pki.epoch) == "not_a_ca"


def test_the_key_identifier_decides_between_re_keyed_authorities(pki: test_pki.Pki, cert) -> None:  # type: ignore[no-untyped-def]
    limits = PathLimits(signature_checks=3)  # one for each authority, and the right one for the leaf
    for order in itertools.permutations(["sub-g2-state", "sub-g2-state-rekeyed"]):
        paths._LINKS._kept.clear()
        found = build(cert("of-rekeyed-ca"), map(cert, order), [cert("root-g2")], limits=limits)
        assert names(found, pki)[0][1] == "sub-g2-state-rekeyed"


def test_chain_problems(pki: test_pki.Pki, cert) -> None:  # type: ignore[no-untyped-def]
    path = (cert("person"), cert("sub-g2-state"), cert("root-g2"))
    assert chain_problem(path, pki.epoch) is None
    assert chain_problem((cert("expired"), *path[1:]), pki.epoch) == "validity"
    deep = Certificate.from_der(pki.issue("sub-g2-party", issuer="sub-g2-state"))
    assert chain_problem((path[0], deep, *path[1:]), pki.epoch) == "path_length"
    no_sign = Certificate.from_der(pki.issue("sub-g2-state", key_usage=("cRLSign",)))
    assert chain_problem((path[0], no_sign, path[2]), pki.epoch) == "key_usage"
    odd = Certificate.from_der(pki.issue("person", extra=(("1.2.3.4", True, b"\x05\x00"),)))
    assert chain_problem((odd, *path[1:]), pki.epoch) == "critical_extension"
    # An anchor's own dates do not count.
    ended = Certificate.from_der(pki.issue("root-g2", not_after=timedelta(days=-1)))
    assert chain_problem((*path[:2], ended), pki.epoch) is None


# Bags --------------------------------------------------------------------------------------------------------------


def bag(pki: test_pki.Pki, count: int, keys: list[str], issuers: list[str]) -> list[Certificate]:
    """CA certificates that all bear one name."""
    subject = (("CN", "X"),)
    made = []
    for number, (key, issuer) in enumerate(itertools.islice(itertools.cycle(itertools.product(keys, issuers)), count)):
        label = f"bag-issuer-{issuer}"
        pki.add(label, "root-unknown", subject=subject, key=issuer, issuer=label)
        made.append(
            Certificate.from_der(
                pki.issue("ca-unknown", subject=subject, key=key, issuer=label, serial=1000 + number, path_len=None)
            )
        )
    return made


def test_a_bag_of_one_name_and_one_key_costs_nothing(pki: test_pki.Pki, cert) -> None:  # type: ignore[no-untyped-def]
    same = bag(pki, 30, ["person"], ["person"])
    leaf = Certificate.from_der(pki.issue("person", issuer="bag-issuer-person"))
    started = time.perf_counter()
    assert build(leaf, same, [cert("root-g2")]) == ()
    assert time.perf_counter() - started < 1


def test_a_bag_that_hangs_on_an_anchor_by_name_costs_no_more(pki: test_pki.Pki, cert) -> None:  # type: ignore[no-untyped-def]
    """The names do lead to the anchor: one member claims to be issued by it."""
    keys = ["person", "person2", "agency", "party", "software", "short"]
    crossed = bag(pki, 36, keys, keys)
    claim = Certificate.from_der(pki.issue("ca-unknown", subject=(("CN", "X"),), key="person", issuer="ca-unknown"))
    root = Certificate.from_der(pki.issue("root-unknown", subject=pki.spec("ca-unknown").subject, key="root-unknown"))
    leaf = Certificate.from_der(pki.issue("person", issuer="bag-issuer-person"))
    paths._LINKS._kept.clear()
    started = time.perf_counter()
    assert build(leaf, [*crossed, claim], [root]) == ()
    assert time.perf_counter() - started < 1


def test_a_true_path_is_found_inside_a_bag(pki: test_pki.Pki, cert) -> None:  # type: ignore[no-untyped-def]
    keys = ["person", "person2", "agency", "party", "software", "short"]
    crossed = bag(pki, 36, keys, keys)
    pki.add("bag-root", "root-unknown", subject=(("CN", "X"),), key="person", issuer="bag-root")
    top = Certificate.from_der(pki.issue("ca-unknown", subject=(("CN", "X"),), key="agency", issuer="root-g2"))
    leaf = Certificate.from_der(pki.issue("person", issuer="bag-issuer-person"))
    started = time.perf_counter()
    found = build(leaf, [*crossed, top], [cert("root-g2")])
    assert time.perf_counter() - started < 1
    assert 0 < len(found) <= PathLimits().paths
    assert all(path[-1] == cert("root-g2") for path in found)
    # leaf (by person's key) <- X certified by agency's key <- X certified by the root
    assert len(found[0]) == 4
    for path in found:
        assert len({(c.subject_der, c.public_key_info) for c in path}) == len(path)


def test_budgets_hold(pki: test_pki.Pki, cert, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    checks = 0
    real = paths.issued

    def counting(child: Certificate, issuer: Certificate) -> bool:
        nonlocal checks
        checks += 1
        return real(child, issuer)

    monkeypatch.setattr(paths, "issued", counting)
    paths._LINKS._kept.clear()
    keys = ["person", "person2", "agency", "party", "software", "short"]
    top = Certificate.from_der(pki.issue("ca-unknown", subject=(("CN", "X"),), key="agency", issuer="root-g2"))
    leaf = Certificate.from_der(pki.issue("person", issuer="bag-issuer-person"))
    pool = [*bag(pki, 36, keys, keys), top]
    assert build(leaf, pool, [cert("root-g2")], limits=PathLimits(signature_checks=5)) is not None
    assert checks <= 5
    assert len(build(leaf, pool, [cert("root-g2")], limits=PathLimits(paths=2))) == 2
    assert build(leaf, pool, [cert("root-g2")], limits=PathLimits(steps=1)) == ()
    assert build(leaf, pool, [cert("root-g2")], limits=PathLimits(length=3)) == ()


def test_good_links_are_checked_once(pki: test_pki.Pki, cert, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    build(cert("person"), [cert("sub-g2-state")], [cert("root-g2")])

    def never(*args: object, **kwargs: object) -> object:
        raise AssertionError("a signature was checked again")

    monkeypatch.setattr(paths, "verify_value", never)
    assert build(cert("person"), [cert("sub-g2-state")], [cert("root-g2")])
