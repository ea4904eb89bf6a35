"""Certification path search (RFC 4158): bounded, best first, with signatures checked.

A path found here is a chain of names and signatures that ends in a trust anchor, nothing more: basic constraints,
validity, key usage, name constraints and revocation are judged by validation, which may want the next path.

Hostile bags of certificates cost no more than the budget: names that cannot lead to an anchor are left out before
any signature is checked, a link is checked once per (certificate, issuer key) however many certificates carry that
key, and no path names the same subject and key twice.
"""

from __future__ import annotations

import hashlib
import heapq
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from signsvc.algorithms import SignatureCheck, resolve, verify_value
from signsvc.asn1 import DerError
from signsvc.trust.material import TrustAnchor
from signsvc.types import Certificate, names

Path = tuple[Certificate, ...]  # leaf first, anchor last
_Name = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class PathLimits:
    """What one search may cost."""

    paths: int = 20  # paths returned
    length: int = 10  # certificates in a path, anchor included
    signature_checks: int = 200
    steps: int = 2000  # partial paths looked at
    certificates: int = 500  # of the pool, the rest is left out
    waiting: int = 10_000  # partial paths kept


def build(
    leaf: Certificate,
    pool: Iterable[Certificate],
    anchors: Iterable[TrustAnchor | Certificate],
    *,
    limits: PathLimits | None = None,
) -> tuple[Path, ...]:
    """Paths from `leaf` to an anchor, shortest and best matching first; empty where there is none.

    Every certificate's signature verifies with the key of the next one.  An anchor is recognised by subject and key,
    so a cross-certified or re-issued copy of it ends the path too; the path then holds the anchor itself.  Certificates
    that say they are no CA stand behind all others but are not left out.  Never raises.
    """
    return _Search(pool, anchors, limits or PathLimits()).run(leaf)


def issued(child: Certificate, issuer: Certificate) -> bool:
    """Whether `issuer`'s key made `child`'s signature; names are not compared.  Positive answers are remembered."""
    key = (child.sha256, hashlib.sha256(issuer.public_key_info).digest())
    if _LINKS.known(key):
        return True
    try:
        algorithm = resolve(child.signature_oid, child.signature_parameters)
    except (DerError, IndexError):
        return False
    valid = verify_value(issuer, algorithm, child.signature, message=child.tbs_der) is SignatureCheck.VALID
    if valid:
        _LINKS.remember(key)
    return valid


class _Links:
    """Links that were once found good: facts that no time changes, so they may be kept."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[tuple[bytes, bytes], None] = OrderedDict()
        self._lock = threading.Lock()

    def known(self, key: tuple[bytes, bytes]) -> bool:
        with self._lock:
            if key not in self._kept:
                return False
            self._kept.move_to_end(key)
            return True

    def remember(self, key: tuple[bytes, bytes]) -> None:
        with self._lock:
            self._kept[key] = None
            if len(self._kept) > self._size:
                self._kept.popitem(last=False)


_LINKS = _Links(20_000)


def _identity(certificate: Certificate) -> tuple[_Name, bytes]:
    return names.normalized(certificate.subject_der), certificate.public_key_info


class _Search:
    def __init__(
        self, pool: Iterable[Certificate], anchors: Iterable[TrustAnchor | Certificate], limits: PathLimits
    ) -> None:
        self._limits = limits
        self._checks = limits.signature_checks
        self._refuted: set[tuple[bytes, bytes]] = set()
        self._anchors: dict[tuple[_Name, bytes], Certificate] = {}
        self._sunset: set[Certificate] = set()
        for anchor in anchors:
            certificate = anchor if isinstance(anchor, Certificate) else anchor.certificate
            self._anchors.setdefault(_identity(certificate), certificate)
            if isinstance(anchor, TrustAnchor) and anchor.sunset is not None:
                self._sunset.add(certificate)
        self._issuers: dict[_Name, list[Certificate]] = {}
        for certificate in self._anchors.values():
            self._issuers.setdefault(names.normalized(certificate.subject_der), []).append(certificate)
        below: dict[_Name, set[_Name]] = {}  # issuer name -> subject names
        for certificate in list(dict.fromkeys(pool))[: limits.certificates]:
            identity = _identity(certificate)
            if identity in self._anchors and certificate.self_issued:
                continue  # a copy of an anchor
            self._issuers.setdefault(identity[0], []).append(certificate)
            below.setdefault(names.normalized(certificate.issuer_der), set()).add(identity[0])
        self._distance = self._measure(below)

    def _measure(self, below: dict[_Name, set[_Name]]) -> dict[_Name, int]:
        """How many names lie between each name and the nearest anchor, going by names alone."""
        found = {name: 0 for name, _ in self._anchors}
        front = list(found)
        while front:
            following: list[_Name] = []
            for name in front:
                for subject in below.get(name, ()):
                    if subject not in found:
                        found[subject] = found[name] + 1
                        following.append(subject)
            front = following
        return found

    def run(self, leaf: Certificate) -> tuple[Path, ...]:
        own = self._anchors.get(_identity(leaf))
        if own is not None:
            return ((own,),)
        found: list[Path] = []
        heap: list[tuple[int, int, int, Path]] = []
        count = 0
        self._push(heap, 0, (leaf,), 0)
        for _ in range(self._limits.steps):
            if not heap or len(found) >= self._limits.paths:
                break
            _, penalty, _, path = heapq.heappop(heap)
            if len(path) > 1:
                # Links are checked when a partial path is taken up, not when it is queued: most never are.
                if not self._linked(path[-2], path[-1]):
                    continue
                anchor = self._anchors.get(_identity(path[-1]))
                if anchor is not None and anchor == path[-1]:
                    found.append(path)
                    continue
            if len(path) >= self._limits.length:
                continue
            seen = {_identity(certificate) for certificate in path}
            for issuer in self._issuers.get(names.normalized(path[-1].issuer_der), ()):
                if _identity(issuer) in seen or len(heap) >= self._limits.waiting:
                    continue
                count += 1
                self._push(heap, count, (*path, issuer), penalty + self._penalty(path[-1], issuer))
        return tuple(found)

    def _push(self, heap: list[tuple[int, int, int, Path]], count: int, path: Path, penalty: int) -> None:
        last = path[-1]
        if self._anchors.get(_identity(last)) == last:
            rest = 0
        else:
            distance = self._distance.get(names.normalized(last.issuer_der))
            if distance is None:
                return
            rest = distance + 1
        heapq.heappush(heap, (10 * (len(path) + rest) + penalty, penalty, count, path))

    def _penalty(self, child: Certificate, issuer: Certificate) -> int:
        """How badly `issuer` fits, in tenths of a path's step."""
        if issuer in self._sunset:
            points = 1
        else:
            points = 0
        try:
            wanted, given = child.authority_key_identifier, issuer.subject_key_identifier
            if wanted is not None and given is not None and wanted != given:
                points += 5
            if self._anchors.get(_identity(issuer)) != issuer:
                points += 0 if issuer.is_ca else 100
                # The issuer should have been valid when it signed.
                points += 0 if issuer.not_before <= child.not_before <= issuer.not_after else 2
        except DerError:
            points += 100
        return points

    def _linked(self, child: Certificate, issuer: Certificate) -> bool:
        key = (child.sha256, issuer.public_key_info)
        if key in self._refuted:
            return False
        if _LINKS.known((child.sha256, hashlib.sha256(issuer.public_key_info).digest())):
            return True
        if self._checks <= 0:
            return False
        self._checks -= 1
        if issued(child, issuer):
            return True
        self._refuted.add(key)
        return False


def first(paths: Sequence[Path]) -> Path | None:
    """The best path, or None."""
    return paths[0] if paths else None


# What this module's own chain check understands among critical extensions.
_UNDERSTOOD = frozenset(("2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.32", "2.5.29.37"))


def chain_problem(path: Path, at: datetime) -> str | None:
    """Why a found path may not be relied on at `at`, in one word, or None: a minimal RFC 5280 §6.1 check.

    For the chains of services that this product chooses itself (timestamp authorities).  Constraints that it does not
    process (name and policy constraints) are refused where they are critical.  A trust anchor's own dates do not count.
    """
    try:
        for depth, certificate in enumerate(path[:-1]):
            if not certificate.not_before <= at <= certificate.not_after:
                return "validity"
            if certificate.critical_extensions - _UNDERSTOOD:
                return "critical_extension"
            if depth == 0:
                continue
            is_ca, path_length = certificate.basic_constraints
            if not is_ca:
                return "not_a_ca"
            below = sum(1 for lower in path[1:depth] if not lower.self_issued)
            if path_length is not None and below > path_length:
                return "path_length"
            if certificate.key_usage is not None and "key_cert_sign" not in certificate.key_usage:
                return "key_usage"
    except DerError:
        return "malformed"
    return None
