"""Gathering what a validation needs and a document does not carry: paths, OCSP answers, CRLs.

Order: what is embedded or supplied, then the network (behind `Fetch`: its cache, then the servers).  What may be asked
of the network is decided here by what is known, never by the document alone:

* OCSP and CRL addresses are used of certificates on a path to an anchor, its signatures checked;
* CA certificates are fetched (AIA) only while a certificate has no path, only ten per collection, and only where the
  issuer wanted bears the name of a known authority or the address lies on a host that a profile or a known
  authority's own certificate names.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from urllib.parse import urlsplit

from signsvc.asn1 import DerError
from signsvc.errors import RequestError, UpstreamError
from signsvc.trust.fetching import Fetch, FetchRequest
from signsvc.trust.material import TrustMaterial
from signsvc.trust.paths import Path, build, chain_problem, issued
from signsvc.trust.revocation_data import Answers
from signsvc.types import Certificate, EvidenceItem, EvidenceKind, Origin, names

AIA_FETCHES = 10
AIA_DEPTH = 5
URLS_TRIED = 4  # addresses of one kind in one certificate
MAX_CERTIFICATES = 200  # whose status is looked for
SECONDS = 30.0


def collect(
    certificates: Iterable[Certificate],
    *,
    pool: Iterable[Certificate],
    material: TrustMaterial,
    have: Sequence[EvidenceItem],
    fetch: Fetch | None,
    now: datetime,
    deadline: float | None = None,
) -> tuple[EvidenceItem, ...]:
    """What is to be added to `have` so that `certificates` can be judged at `now` (aware UTC).

    For each certificate: the certificates of its best path that `have` lacks, and for each certificate of it below the
    anchor an OCSP answer or a CRL, unless `have` holds one that is fresh (for an expired certificate: one from its
    lifetime).  The certificates of OCSP responders are looked after too, by CRL only, so that none vouches for itself.
    `fetch` None: nothing is fetched.  `deadline` is a `time.monotonic` value, 30 s from now by default; what could not
    be had by then is missing.  Never raises for what the network or a certificate does.
    """
    until = deadline if deadline is not None else time.monotonic() + SECONDS
    return _Collection(pool, material, have, fetch, now, until).run(certificates)


class _Collection:
    def __init__(
        self,
        pool: Iterable[Certificate],
        material: TrustMaterial,
        have: Sequence[EvidenceItem],
        fetch: Fetch | None,
        now: datetime,
        until: float,
    ) -> None:
        self._material = material
        self._fetch = fetch
        self._now = now
        self._until = until
        self._had = {item.id for item in have}
        self._added: dict[str, EvidenceItem] = {}
        self._known = dict.fromkeys((a.certificate for a in material.anchors), Origin.PROFILE)
        self._known |= dict.fromkeys(material.intermediates, Origin.PROFILE)
        self._authorities = tuple(self._known)
        for certificate in pool:
            self._known.setdefault(certificate, Origin.CMS)
        for item in have:
            if item.kind is EvidenceKind.CERTIFICATE:
                try:
                    self._known.setdefault(Certificate.from_der(item.der), item.origin)
                except DerError:
                    continue
        self._answers = Answers(have)
        self._aia_left = AIA_FETCHES
        self._asked: set[str] = set()  # addresses of CA certificates
        self._hosts = _known_hosts(material, self._authorities)

    def run(self, certificates: Iterable[Certificate]) -> tuple[EvidenceItem, ...]:
        # (certificate, whether only CRLs may speak of it)
        waiting = deque((certificate, False) for certificate in dict.fromkeys(certificates))
        done: set[Certificate] = set()
        while waiting:
            certificate, only_lists = waiting.popleft()
            for path in self._paths(certificate):
                for member in path:
                    self._add_certificate(member)
                for subject, issuer in pairwise(path):
                    if subject in done or len(done) >= MAX_CERTIFICATES:
                        continue
                    done.add(subject)
                    responder = self._status(subject, issuer, only_lists=only_lists)
                    if responder is not None and responder != issuer and not responder.ocsp_no_check:
                        waiting.append((responder, True))
        return tuple(self._added.values())

    # paths ------------------------------------------------------------------------------------------------------
    def _paths(self, certificate: Certificate) -> tuple[Path, ...]:
        """The best path, and the best one without an obvious defect where that is another."""
        found = self._build(certificate)
        if not found and self._fetch is not None and self._climb(certificate):
            found = self._build(certificate)
        if not found:
            return ()
        sound = next((path for path in found if chain_problem(path, self._now) is None), found[0])
        return tuple(dict.fromkeys((sound, found[0])))

    def _build(self, certificate: Certificate) -> tuple[Path, ...]:
        return build(certificate, self._known, self._material.anchors)

    def _climb(self, certificate: Certificate) -> bool:
        """Fetch issuers upwards (RFC 5280 §4.2.2.1) until one is known; whether any was found."""
        found = False
        for _ in range(AIA_DEPTH):
            issuer = self._fetch_issuer(certificate)
            if issuer is None:
                break
            found = True
            self._known.setdefault(issuer, Origin.NETWORK)
            if issuer.self_issued or any(names.same(issuer.issuer_der, c.subject_der) for c in self._authorities):
                break
            certificate = issuer
        return found

    def _fetch_issuer(self, certificate: Certificate) -> Certificate | None:
        from signsvc.trust.bundle import read_certificates

        try:
            urls = certificate.ca_issuer_urls[:URLS_TRIED]
        except (DerError, IndexError):
            return None
        named = any(names.same(certificate.issuer_der, c.subject_der) for c in self._authorities)
        for url in urls:
            if self._aia_left <= 0 or url in self._asked or not (named or self._host_known(url)):
                continue
            self._aia_left -= 1
            self._asked.add(url)
            value = self._get(FetchRequest("certificate", url))
            if value is None:
                continue
            try:
                candidates = read_certificates(value)
            except RequestError:
                continue
            for candidate in candidates:
                if names.same(candidate.subject_der, certificate.issuer_der) and issued(certificate, candidate):
                    return candidate
        return None

    def _host_known(self, url: str) -> bool:
        host = _host(url)
        return host is not None and (
            host in self._hosts or any(name.startswith(".") and host.endswith(name) for name in self._hosts)
        )

    # status -----------------------------------------------------------------------------------------------------
    def _status(self, certificate: Certificate, issuer: Certificate, *, only_lists: bool) -> Certificate | None:
        """See that there is an answer about `certificate`; the OCSP responder that gave it, if one did."""
        if certificate.no_revocation_available:
            return None
        if only_lists and certificate.ocsp_no_check:
            return None
        answer = self._answers.best(certificate, issuer, self._known, self._now)
        if answer is not None and answer.adequate:
            return answer.responder
        if self._fetch is None:
            return answer.responder if answer else None
        if not only_lists:
            responder = self._ask_ocsp(certificate, issuer)
            if responder is not None:
                return responder
        self._get_lists(certificate, issuer)
        return answer.responder if answer else None

    def _ask_ocsp(self, certificate: Certificate, issuer: Certificate) -> Certificate | None:
        from signsvc.trust.ocsp import ocsp_request

        try:
            urls = certificate.ocsp_urls[:URLS_TRIED]
            body = ocsp_request(certificate, issuer) if urls else b""
        except (ValueError, IndexError):
            return None
        for url in urls:
            for value in self._values("ocsp", url, body):
                answer = self._answers.ocsp(value, certificate, issuer, self._known, self._now)
                if answer is None:
                    continue
                if answer.adequate:
                    self._add(EvidenceKind.OCSP, value, url)
                    return answer.responder
        return None

    def _get_lists(self, certificate: Certificate, issuer: Certificate) -> None:
        try:
            urls = certificate.crl_urls[:URLS_TRIED]
        except (DerError, IndexError):
            return
        for url in urls:
            for value in self._values("crl", url, None):
                answer = self._answers.crl(value, certificate, issuer, self._known, self._now)
                if answer is None:
                    continue
                self._add(EvidenceKind.CRL, value, url)
                if answer.adequate:
                    return

    # the network ------------------------------------------------------------------------------------------------
    def _values(self, kind: str, url: str, body: bytes | None) -> Iterable[bytes]:
        """What the server has, and once more from the server itself where the consumer did not stop at a kept one."""
        first = self._get(FetchRequest(kind, url, body))
        if first is None:
            return
        yield first
        again = self._get(FetchRequest(kind, url, body, newer_than=self._now - timedelta(seconds=10)))
        if again is not None and again != first:
            yield again

    def _get(self, request: FetchRequest) -> bytes | None:
        if self._fetch is None or time.monotonic() >= self._until:
            return None
        try:
            return self._fetch(request)
        except UpstreamError:
            return None

    # the result -------------------------------------------------------------------------------------------------
    def _add_certificate(self, certificate: Certificate) -> None:
        origin = self._known.get(certificate, Origin.CMS)
        moment = self._now if origin is Origin.NETWORK else None
        self._put(EvidenceItem(EvidenceKind.CERTIFICATE, certificate.der, origin, obtained_at=moment))

    def _add(self, kind: EvidenceKind, value: bytes, url: str) -> None:
        item = EvidenceItem(kind, value, Origin.NETWORK, obtained_at=self._now, url=url)
        self._put(item)
        self._answers.add(item)

    def _put(self, item: EvidenceItem) -> None:
        if item.id not in self._had:
            self._added.setdefault(item.id, item)


def _known_hosts(material: TrustMaterial, authorities: Iterable[Certificate]) -> frozenset[str]:
    found = set(material.hosts) | set(material.host_map)
    for certificate in authorities:
        try:
            urls = (*certificate.ca_issuer_urls, *certificate.crl_urls, *certificate.ocsp_urls)
        except (DerError, IndexError):
            continue
        found.update(host for url in urls if (host := _host(url)) is not None)
    return frozenset(found)


def _host(url: str) -> str | None:
    try:
        return (urlsplit(url).hostname or "").lower().rstrip(".") or None
    except ValueError:
        return None
