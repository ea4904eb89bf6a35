"""Gathering what a validation needs and a document does not carry: paths, OCSP answers, CRLs.

Order: what is embedded or supplied, lists that were imported, then the network (behind `Fetch`: its cache, then the
servers).  What may be asked of the network is decided here by what is known, never by the document alone:

* OCSP and CRL addresses are used of certificates on a path to an anchor, its signatures checked;
* CA certificates are fetched (AIA) only while a certificate has no path, only ten per collection, and only where the
  issuer wanted bears the name of a known authority or the address lies on a host that a profile or a known
  authority's own certificate names.
"""

from __future__ import annotations

import functools
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from signsvc.asn1 import DerError
from signsvc.errors import RequestError, UpstreamError
from signsvc.trust.crl import Crl
from signsvc.trust.fetching import MAX_AHEAD, Fetch, Fetched, FetchRequest
from signsvc.trust.material import TrustMaterial
from signsvc.trust.paths import Path, PathFinder, chain_problem, issued
from signsvc.trust.points import freshest_urls
from signsvc.trust.revocation_data import Answer, Answers
from signsvc.types import Certificate, EvidenceItem, EvidenceKind, Origin, names

if TYPE_CHECKING:
    from signsvc.trust.imported import ImportedLists

AIA_FETCHES = 10
AIA_DEPTH = 5
AIA_BUNDLE = 20  # certificates of one fetched file that are looked at beside the issuer
URLS_TRIED = 4  # addresses of one kind in one certificate
MAX_CERTIFICATES = 200  # whose status is looked for
SECONDS = 15.0


def collect(
    certificates: Iterable[Certificate],
    *,
    pool: Iterable[Certificate],
    material: TrustMaterial,
    have: Sequence[EvidenceItem],
    fetch: Fetch | None,
    now: datetime,
    deadline: float | None = None,
    imported: ImportedLists | None = None,
) -> tuple[EvidenceItem, ...]:
    """What is to be added to `have` so that `certificates` can be judged at `now` (aware UTC).

    For each certificate: the certificates of its best path that `have` lacks, and for each certificate of it below the
    anchor an OCSP answer or a CRL, unless `have` holds one that is fresh (for an expired certificate: one from its
    lifetime).  The certificates of OCSP responders are looked after too, by CRL only, so that none vouches for itself.
    `imported` lists join for every certificate of their issuers, whatever else there is.  `fetch` None: nothing is
    fetched.  `deadline` is a `time.monotonic` value, 15 s from now by default; what could not
    be had by then is missing.  Never raises for what the network or a certificate does.
    """
    until = deadline if deadline is not None else time.monotonic() + SECONDS
    return _Collection(pool, material, have, fetch, now, until, imported).run(certificates)


class _Collection:
    def __init__(
        self,
        pool: Iterable[Certificate],
        material: TrustMaterial,
        have: Sequence[EvidenceItem],
        fetch: Fetch | None,
        now: datetime,
        until: float,
        imported: ImportedLists | None,
    ) -> None:
        self._imported = imported
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
        self._ahead: tuple[FetchRequest, ...] = ()
        self._origins: dict[Certificate, Fetched] = {}  # of fetched CA certificates
        self._finder: PathFinder | None = None  # over what is known so far

    def run(self, certificates: Iterable[Certificate]) -> tuple[EvidenceItem, ...]:
        # (path, whether only CRLs may speak of its first certificate)
        waiting = deque((path, False) for one in dict.fromkeys(certificates) for path in self._paths(one))
        self._take_imported(member for path, _ in waiting for member in path[:-1])
        self._look_ahead(pair for path, _ in waiting for pair in pairwise(path))
        done: set[Certificate] = set()
        while waiting:
            path, only_lists = waiting.popleft()
            for member in path:
                self._add_certificate(member)
            for subject, issuer in pairwise(path):
                if subject in done or len(done) >= MAX_CERTIFICATES:
                    continue
                done.add(subject)
                responder = self._status(subject, issuer, only_lists=only_lists)
                if responder is not None and responder != issuer and not responder.ocsp_no_check:
                    more = self._paths(responder)
                    self._take_imported(member for found in more for member in found[:-1])
                    waiting += [(found, True) for found in more]
        return tuple(self._added.values())

    def _take_imported(self, members: Iterable[Certificate]) -> None:
        if self._imported is not None:
            for member in dict.fromkeys(members):
                for item in self._imported.about(member):
                    if item.id not in self._had and item.id not in self._added:
                        self._add(item)

    def _look_ahead(self, pairs: Iterable[tuple[Certificate, Certificate]]) -> None:
        """Let what will surely be asked for be fetched at the same time, with the first request."""
        if self._fetch is None:
            return
        wanted: list[FetchRequest] = []
        for subject, issuer in dict.fromkeys(pairs):
            if len(wanted) >= MAX_AHEAD:
                break
            if subject.no_revocation_available:
                continue
            answer = self._answers.best(subject, issuer, self._known, self._now)
            if answer is not None and answer.adequate:
                continue
            request = _ocsp_wish(subject, issuer) or _list_wish(subject)
            if request is not None:
                wanted.append(request)
        # The first one is asked for at once anyway.
        self._ahead = tuple(wanted[1:])

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
        if self._finder is None:
            self._finder = PathFinder(self._known, self._material.anchors)
        return self._finder.paths(certificate)

    def _climb(self, certificate: Certificate) -> bool:
        """Fetch issuers upwards (RFC 5280 §4.2.2.1) until there is a path or one is known; whether any was found."""
        found = False
        start = certificate
        for _ in range(AIA_DEPTH):
            issuer = self._fetch_issuer(certificate)
            if issuer is None:
                break
            found = True
            self._finder = None
            if self._build(start):
                break
            if issuer.self_issued or any(names.same(issuer.issuer_der, c.subject_der) for c in self._authorities):
                break
            certificate = issuer
        return found

    def _fetch_issuer(self, certificate: Certificate) -> Certificate | None:
        from signsvc.trust.bundle import read_certificates

        try:
            given = certificate.ca_issuer_urls[:URLS_TRIED]
        except (DerError, IndexError):
            return None
        named = any(names.same(certificate.issuer_der, c.subject_der) for c in self._authorities)
        urls = [url for url in given if url not in self._asked and (named or self._host_known(url))]
        urls = urls[: self._aia_left]
        self._aia_left -= len(urls)
        self._asked.update(urls)
        while urls:
            value = self._get(FetchRequest("certificate", urls[0], others=tuple(urls[1:])))
            if value is None:
                break
            urls = [url for url in urls if url != value.url] if value.url in urls else urls[1:]
            try:
                candidates = read_certificates(value.body)
            except RequestError:
                continue
            for candidate in candidates:
                if names.same(candidate.subject_der, certificate.issuer_der) and issued(certificate, candidate):
                    # A file of several holds what stands above it too (RFC 5280 §4.2.2.1).
                    for other in (candidate, *candidates[:AIA_BUNDLE]):
                        if self._known.setdefault(other, Origin.NETWORK) is Origin.NETWORK:
                            self._origins.setdefault(other, value)
                    return candidate
        return None

    @functools.cached_property
    def _hosts(self) -> frozenset[str]:
        return _known_hosts(self._material, self._authorities)

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
        wish = _ocsp_wish(certificate, issuer)
        for value in self._values(wish):
            item = self._item(EvidenceKind.OCSP, value)
            answer = self._answers.of(item, certificate, issuer, self._known, self._now)
            before = self._replaced(wish, item, value, answer, certificate, issuer)
            if answer is not None and answer.adequate:
                self._add(item)
                return answer.responder
            if before is not None and before.adequate:
                return before.responder
        return None

    def _get_lists(self, certificate: Certificate, issuer: Certificate) -> None:
        fresher = dict.fromkeys(_freshest(certificate))
        complete = _list_wish(certificate)
        for value in self._values(complete):
            item = self._item(EvidenceKind.CRL, value)
            answer = self._answers.of(item, certificate, issuer, self._known, self._now)
            self._replaced(complete, item, value, answer, certificate, issuer)
            if answer is None:
                continue
            self._add(item)
            fresher |= dict.fromkeys(Crl.of(item).freshest_urls)
            if answer.adequate:
                break
        # What changed since the list was made (RFC 5280 §5.2.6): the first address that gives a delta of this issuer.
        urls = tuple(fresher)[:URLS_TRIED]
        wish = FetchRequest("crl", urls[0], others=urls[1:]) if urls else None
        for value in self._values(wish):
            item = self._item(EvidenceKind.CRL, value)
            answer = self._answers.of(item, certificate, issuer, self._known, self._now)
            if answer is not None and Crl.of(item).is_delta:
                self._add(item)
                if not _ended(Crl.of(item), self._now):
                    return

    def _replaced(
        self,
        wish: FetchRequest | None,
        item: EvidenceItem,
        value: Fetched,
        answer: Answer | None,
        certificate: Certificate,
        issuer: Certificate,
    ) -> Answer | None:
        """The answer that a fetched value replaced in the cache: both count, and the one made later is kept.

        Whoever stands between may give an older answer that is still fresh, from before a revocation.
        """
        if wish is None or not value.replaced:
            return None
        request = replace(wish, url=value.url, others=())
        before = self._get(replace(request, before=True))
        if before is None:
            return None
        other = self._item(item.kind, before)
        found = self._answers.of(other, certificate, issuer, self._known, self._now)
        if found is not None:
            self._add(other)
        now = answer if answer is not None and answer.adequate else None
        if found is not None and found.adequate and (now is None or found.made > now.made):
            self._get(replace(request, keep=before.sha256))
        elif now is not None:
            self._get(replace(request, keep=value.sha256))
        return found

    # the network ------------------------------------------------------------------------------------------------
    def _values(self, wish: FetchRequest | None) -> Iterable[Fetched]:
        """What the servers have, each once, as the first answers; and once more from the server itself where the
        consumer did not stop at a kept value."""
        urls = list(wish.urls) if wish is not None else []
        while wish is not None and urls:
            first = self._get(replace(wish, url=urls[0], others=tuple(urls[1:])))
            if first is None:
                return
            yield first
            url = first.url if first.url in urls else urls[0]
            again = self._get(replace(wish, url=url, others=(), newer_than=self._now - timedelta(seconds=10)))
            if again is not None and again.sha256 != first.sha256:
                yield again
            urls.remove(url)

    def _get(self, request: FetchRequest) -> Fetched | None:
        if self._fetch is None or time.monotonic() >= self._until:
            return None
        ahead, self._ahead = self._ahead, ()
        try:
            return Fetched.of(self._fetch(replace(request, ahead=ahead, deadline=self._until)), request)
        except UpstreamError:
            return None

    # the result -------------------------------------------------------------------------------------------------
    def _add_certificate(self, certificate: Certificate) -> None:
        value = self._origins.get(certificate)
        if value is not None:
            value = replace(value, body=certificate.der, sha256=certificate.sha256.hex())
            self._put(self._item(EvidenceKind.CERTIFICATE, value))
        else:
            self._put(EvidenceItem(EvidenceKind.CERTIFICATE, certificate.der, self._known.get(certificate, Origin.CMS)))

    def _item(self, kind: EvidenceKind, value: Fetched) -> EvidenceItem:
        # What was fetched ahead for this very collection is not from before it.
        kept = value.from_cache and (value.fetched_at is None or value.fetched_at < self._now)
        return EvidenceItem(
            kind,
            value.body,
            Origin.CACHE if kept else Origin.NETWORK,
            obtained_at=value.fetched_at or self._now,
            url=value.url,
            stale=value.stale,
            id=f"{kind}:{value.sha256}",
        )

    def _add(self, item: EvidenceItem) -> None:
        self._put(item)
        self._answers.add(item)

    def _put(self, item: EvidenceItem) -> None:
        if item.id not in self._had:
            self._added.setdefault(item.id, item)


def _ocsp_wish(certificate: Certificate, issuer: Certificate) -> FetchRequest | None:
    from signsvc.trust.ocsp import ocsp_request

    try:
        urls = certificate.ocsp_urls[:URLS_TRIED]
        return FetchRequest("ocsp", urls[0], ocsp_request(certificate, issuer), others=urls[1:]) if urls else None
    except (ValueError, IndexError):
        return None


def _list_wish(certificate: Certificate) -> FetchRequest | None:
    try:
        urls = certificate.crl_urls[:URLS_TRIED]
    except (DerError, IndexError):
        return None
    return FetchRequest("crl", urls[0], others=urls[1:]) if urls else None


def _freshest(certificate: Certificate) -> tuple[str, ...]:
    try:
        raw = certificate.extension("2.5.29.46")
    except (DerError, IndexError):
        return ()
    return freshest_urls(raw) if raw is not None else ()


def _ended(crl: Crl, now: datetime) -> bool:
    return crl.next_update is not None and crl.next_update < now


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
