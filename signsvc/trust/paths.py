"""Certification path search (RFC 4158): bounded, best first, with signatures checked.

A path found here is a chain of names and signatures that ends in a trust anchor, nothing more: basic constraints,
validity, key usage, name constraints and revocation are judged by validation, which may want the next path.

The search goes down before it goes up.  From the anchors downwards, a certificate counts only once a key that counts
already has been seen to sign it; then paths are put together upwards, from links that are known to hold.  So nobody's
bag of certificates makes work but its own: a certificate that no anchor leads to costs one check for each authority
whose name it bears as issuer, its own key is never used, and it stands in nobody's way.  What is found, and in what
order, does not depend on the order in which certificates came.
"""

from __future__ import annotations

import hashlib
import heapq
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from signsvc.algorithms import SignatureCheck, resolve, verify_value
from signsvc.asn1 import DerError
from signsvc.trust.material import TrustAnchor
from signsvc.types import Certificate, names

Path = tuple[Certificate, ...]  # leaf first, anchor last
_Name = tuple[tuple[str, str], ...]
_Order = tuple[float, bytes]

_STEP = 10  # what one more certificate costs; penalties are in tenths of it
_NO_CA = 10 * _STEP
_LEAF_CHECKS = 20  # signature checks that each further certificate whose paths are sought adds


@dataclass(frozen=True, slots=True)
class PathLimits:
    """What one search may cost."""

    paths: int = 60  # paths returned
    unsound: int = 5  # of them, such as break a rule that the caller checks at once
    length: int = 10  # certificates in a path, anchor included
    signature_checks: int = 3000  # for the first certificate, in checks by a common key
    steps: int = 4000  # partial paths looked at
    certificates: int = 2000  # that bear the name of a possible issuer; those behind them are left out
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
    so a re-issued copy of it ends the path too; the path then holds the anchor itself.  Certificates that say they are
    no CA stand behind all others but are not left out.  Never raises.
    """
    return PathFinder(pool, anchors, limits).paths(leaf)


def issued(child: Certificate, issuer: Certificate) -> bool:
    """Whether `issuer`'s key made `child`'s signature; names are not compared.  Positive answers are remembered."""
    key = _link(child, issuer)
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


def _link(child: Certificate, issuer: Certificate) -> tuple[bytes, bytes]:
    return child.sha256, hashlib.sha256(issuer.public_key_info).digest()


def _order(certificate: Certificate) -> _Order:
    """Among equals: what lasts longest, then whatever, but always the same."""
    return -certificate.not_after.timestamp(), certificate.sha256


@dataclass(slots=True)
class _Graph:
    """What the anchors lead to among the certificates above one issuer name."""

    total: dict[Certificate, int] = field(default_factory=dict)  # an authority -> its cheapest way, itself included
    issuers: dict[Certificate, list[tuple[int, Certificate]]] = field(default_factory=dict)  # best first, with costs
    top: list[Certificate] = field(default_factory=list)  # the authorities that bear the name itself


class PathFinder:
    """Searches one bag of certificates under one set of anchors; what it finds out about links it keeps.

    Put certificates that no document controls first in `pool`: where there are more than `limits` allow, those behind
    are left out.
    """

    def __init__(
        self,
        pool: Iterable[Certificate],
        anchors: Iterable[TrustAnchor | Certificate],
        limits: PathLimits | None = None,
    ) -> None:
        self.limits = limits or PathLimits()
        self._checks = self.limits.signature_checks - _LEAF_CHECKS
        self._kept_back = min(_LEAF_CHECKS, self.limits.signature_checks // 2)  # of checks, for the certificate itself
        self._refuted: set[tuple[bytes, bytes]] = set()
        self._signed_by: dict[Certificate, bytes] = {}
        self._graphs: dict[_Name, _Graph] = {}
        self._numbers: dict[tuple[_Name, bytes], int] = {}
        self._whose: dict[Certificate, int] = {}
        self._anchors: dict[int, Certificate] = {}
        self._sunset: set[Certificate] = set()
        for anchor in anchors:
            certificate = anchor if isinstance(anchor, Certificate) else anchor.certificate
            self._anchors.setdefault(self._who(certificate), certificate)
            if isinstance(anchor, TrustAnchor) and anchor.sunset is not None:
                self._sunset.add(certificate)
        self._named: dict[_Name, list[Certificate]] = {}
        for certificate in dict.fromkeys(pool):
            self._named.setdefault(names.normalized(certificate.subject_der), []).append(certificate)

    def paths(
        self,
        leaf: Certificate,
        *,
        sound: Callable[[Path], bool] | None = None,
        without: Collection[Certificate] = (),
    ) -> tuple[Path, ...]:
        """Paths from `leaf` as `build` gives them, none of which passes through a certificate in `without`.

        Those that are not `sound` stand behind all that are, and crowd none of them out.
        """
        own = self._anchors.get(self._who(leaf))
        if own is not None:
            return ((own,),)
        self._checks += _LEAF_CHECKS
        graph = self._graph(names.normalized(leaf.issuer_der))
        good: list[Path] = []
        bad: list[Path] = []
        # With what is to come, longest first, order, number; so far; the path, and whom it names.
        heap: list[tuple[int, int, _Order, int, int, Path, frozenset[int]]] = []
        count = cost = 0
        path: Path = (leaf,)
        seen = frozenset((self._who(leaf),))
        steps = [(_STEP + _misfit(leaf, issuer, self._is_anchor(issuer)), issuer) for issuer in graph.top]
        for _ in range(self.limits.steps):
            if len(path) < self.limits.length:
                for step, issuer in steps:
                    who = self._who(issuer)
                    if who in seen or issuer in without or len(heap) >= self.limits.waiting:
                        continue
                    count += 1
                    ahead, so_far = cost + step + graph.total[issuer], cost + step + self._own(issuer)
                    entry = (ahead, -len(path), _order(issuer), count, so_far, (*path, issuer), seen | {who})
                    heapq.heappush(heap, entry)
            if not heap or len(good) >= self.limits.paths:
                break
            _, _, _, _, cost, path, seen = heapq.heappop(heap)
            last = path[-1]
            # The leaf's own links are checked when they are taken up: most often the first is the last.
            if len(path) == 2 and not self._linked(leaf, last):
                steps = []
            elif self._is_anchor(last):
                steps = []
                if sound is None or sound(path):
                    good.append(path)
                elif len(bad) < self.limits.unsound:
                    bad.append(path)
            else:
                steps = graph.issuers.get(last, [])
        return (*good, *bad)[: self.limits.paths]

    def _graph(self, name: _Name) -> _Graph:
        """The authorities that may stand above a certificate issued by `name`, found from the anchors downwards."""
        known = self._graphs.get(name)
        if known is not None:
            return known
        graph = self._graphs[name] = _Graph()
        below = self._above(name)
        heap: list[tuple[int, _Order, int, Certificate]] = []
        for number, anchor in enumerate(self._anchors.values()):
            if names.normalized(anchor.subject_der) in below:
                heapq.heappush(heap, (self._own(anchor), _order(anchor), number, anchor))
        count = len(self._anchors)
        height = dict.fromkeys(self._anchors.values(), 1)  # certificates on the shortest way, itself included
        while heap:
            total, _, _, issuer = heapq.heappop(heap)
            if issuer in graph.total:
                continue
            graph.total[issuer] = total
            subject = names.normalized(issuer.subject_der)
            if subject == name:
                graph.top.append(issuer)
            if height[issuer] >= self.limits.length:
                continue
            for child in below[subject]:
                if self._who(child) == self._who(issuer) or not self._linked(child, issuer, self._kept_back):
                    continue
                step = _STEP + _misfit(child, issuer, self._is_anchor(issuer))
                graph.issuers.setdefault(child, []).append((step, issuer))
                height[child] = min(height.get(child, self.limits.length), height[issuer] + 1)
                if child not in graph.total:
                    count += 1
                    heapq.heappush(heap, (total + step + self._own(child), _order(child), count, child))
        return graph

    def _above(self, name: _Name) -> dict[_Name, list[Certificate]]:
        """For each name that may stand above `name`, and itself: the certificates issued by it that may do so too."""
        found: dict[_Name, list[Certificate]] = {name: []}
        front = [name]
        left = self.limits.certificates
        while front:
            following: list[_Name] = []
            for subject in front:
                for certificate in self._named.get(subject, ()):
                    if self._who(certificate) in self._anchors and certificate.self_issued:
                        continue  # an anchor or a copy of one
                    if left <= 0:
                        return found
                    left -= 1
                    issuer = names.normalized(certificate.issuer_der)
                    if issuer not in found:
                        found[issuer] = []
                        following.append(issuer)
                    found[issuer].append(certificate)
            front = following
        return found

    def _who(self, certificate: Certificate) -> int:
        """A number for subject and key."""
        number = self._whose.get(certificate)
        if number is None:
            identity = (names.normalized(certificate.subject_der), certificate.public_key_info)
            number = self._whose[certificate] = self._numbers.setdefault(identity, len(self._numbers))
        return number

    def _is_anchor(self, certificate: Certificate) -> bool:
        return self._anchors.get(self._who(certificate)) == certificate

    def _own(self, certificate: Certificate) -> int:
        """What an authority costs by itself."""
        if self._is_anchor(certificate):
            return 1 if certificate in self._sunset else 0
        try:
            return 0 if certificate.is_ca else _NO_CA
        except (DerError, IndexError):
            return _NO_CA

    def _linked(self, child: Certificate, issuer: Certificate, kept_back: int = 0) -> bool:
        signer = self._signed_by.get(child)
        if signer is not None:
            return signer == issuer.public_key_info  # one signature is by one key
        key = (child.sha256, issuer.public_key_info)
        if key in self._refuted:
            return False
        if not _LINKS.known(_link(child, issuer)):
            if self._checks <= kept_back:
                return False
            self._checks -= _effort(issuer)
            if not issued(child, issuer):
                self._refuted.add(key)
                return False
        self._signed_by[child] = issuer.public_key_info
        return True


def _effort(issuer: Certificate) -> int:
    """What one check by a key costs, in checks by a key on P-256 or of RSA with up to 4096 bits."""
    if issuer.key_type.startswith("rsa"):
        return 1 if (issuer.key_bits or 0) <= 4096 else 20
    return 1 if issuer.key_type == "ed25519" or (issuer.key_bits or 0) <= 256 else 7


def _misfit(child: Certificate, issuer: Certificate, anchor: bool) -> int:
    """How badly `issuer` fits, in tenths of a step."""
    try:
        wanted, given = child.authority_key_identifier, issuer.subject_key_identifier
        points = 5 if wanted is not None and given is not None and wanted != given else 0
    except (DerError, IndexError):
        return _NO_CA
    # The issuer should have been valid when it signed.
    return points + (0 if anchor or issuer.not_before <= child.not_before <= issuer.not_after else 2)


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
