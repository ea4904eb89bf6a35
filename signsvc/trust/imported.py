"""Revocation lists that the operator brought in by hand, for networks that reach no server.

A directory of files; a name tells the issuer and the list's digest, so that readers need no catalogue.  A list found
here speaks of every certificate of its issuer, whether or not the certificate names a list; its signature, scope and
dates are judged like any other's.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from signsvc.asn1 import DerError
from signsvc.errors import ConfigError, RequestError
from signsvc.trust import crl_index
from signsvc.trust.crl import MAX_OCTETS, Crl
from signsvc.trust.files import write_whole
from signsvc.trust.memo import Memo
from signsvc.trust.points import point_names
from signsvc.types import Certificate, EvidenceItem, EvidenceKind, Origin, names

DIRECTORY = "crls"  # within the trust directory
MAX_PER_ISSUER = 50
_PEM = re.compile(rb"-----BEGIN X509 CRL-----([A-Za-z0-9+/=\s]*)-----END X509 CRL-----")
_NAME = re.compile(r"([0-9a-f]{32})-([0-9a-f]{64})\.crl")
_READ: Memo[str, bytes] = Memo(128 * 1024 * 1024)  # by file name, which holds the digest


@dataclass(frozen=True, slots=True)
class ImportedList:
    """One list of the collection."""

    path: Path
    sha256: str
    imported_at: datetime

    def read(self) -> bytes | None:
        """The octets, where they are still those of the name."""
        found = _READ.get(self.path.name)
        if found is None:
            try:
                with self.path.open("rb") as file:
                    found = file.read(MAX_OCTETS + 1)
            except OSError:
                return None
            if hashlib.sha256(found).hexdigest() != self.sha256:
                return None
            _READ.put(self.path.name, found, len(found))
        return found

    def item(self) -> EvidenceItem | None:
        """The list as evidence."""
        found = self.read()
        if found is None:
            return None
        kind = EvidenceKind.CRL
        return EvidenceItem(kind, found, Origin.IMPORTED, obtained_at=self.imported_at, id=f"{kind}:{self.sha256}")


class ImportedLists:
    """The lists in `directory`, which need not exist.  The directory is read once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._listed: dict[str, list[ImportedList]] | None = None

    @classmethod
    def below(cls, trust_dir: Path) -> ImportedLists:
        """Those of an installation, by where its trust is."""
        return cls(trust_dir / DIRECTORY)

    def about(self, certificate: Certificate) -> Iterator[EvidenceItem]:
        """Every list by the certificate's issuer, or by one that its distribution points name; the latest first."""
        if not self._by_issuer:
            return
        issuers = {certificate.issuer_der: None}
        try:
            issuers.update((issuer, None) for point in point_names(certificate) for issuer in point.issuers)
            keys = {_key(issuer): None for issuer in issuers}
        except (DerError, IndexError):
            return
        for key in keys:
            for found in self._by_issuer.get(key, ())[:MAX_PER_ISSUER]:
                item = found.item()
                if item is not None:
                    yield item

    def all(self) -> tuple[ImportedList, ...]:
        """Every list, by issuer, the latest import first."""
        return tuple(found for _, group in sorted(self._by_issuer.items()) for found in group)

    def add(
        self, encoded: bytes, indexer: Callable[[bytes], bytes | None] | None = None, *, replace: bool = False
    ) -> tuple[ImportedList, Crl]:
        """Keep a list (DER or PEM); `indexer` makes the index of a large one, `replace` drops older ones of the same
        issuer, scope and kind.

        Raises `RequestError` where it is no list, `ConfigError` where the directory cannot be written.
        """
        crl = read_list(encoded)
        sha256 = crl.sha256.hex()
        path = self._directory / f"{_key(crl.issuer_der)}-{sha256}.crl"
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o755)
            if len(crl.der) >= crl_index.WORTHWHILE and indexer is not None:
                made = indexer(crl.der)
                if made is not None and crl_index.whole(made, crl.sha256):
                    write_whole(crl_index.path_in(self._directory, crl.sha256), made, mode=0o644)
            write_whole(path, crl.der, mode=0o644)
        except OSError as error:
            raise ConfigError(reason=f"{self._directory}: {error.strerror}") from None
        self._listed = None
        if replace:
            self._drop_older(crl)
        return ImportedList(path, sha256, datetime.now(UTC)), crl

    def remove(self, sha256: str) -> bool:
        """Whether there was such a list."""
        found = [one for one in self.all() if one.sha256 == sha256.lower().replace(":", "")]
        for one in found:
            one.path.unlink(missing_ok=True)
            crl_index.path_in(self._directory, bytes.fromhex(one.sha256)).unlink(missing_ok=True)
        self._listed = None
        return bool(found)

    def _drop_older(self, crl: Crl) -> None:
        for one in self._by_issuer.get(_key(crl.issuer_der), ()):
            encoded = one.read()
            if encoded is None or one.sha256 == crl.sha256.hex():
                continue
            other = read_list(encoded)
            if (other.idp, other.is_delta, other.aki) == (crl.idp, crl.is_delta, crl.aki) and (
                other.this_update <= crl.this_update
            ):
                self.remove(one.sha256)

    @property
    def _by_issuer(self) -> dict[str, list[ImportedList]]:
        if self._listed is None:
            found: dict[str, list[ImportedList]] = {}
            try:
                with os.scandir(self._directory) as entries:
                    for entry in entries:
                        name = _NAME.fullmatch(entry.name)
                        if name is not None:
                            moment = datetime.fromtimestamp(entry.stat().st_mtime, UTC)
                            one = ImportedList(Path(entry.path), name[2], moment)
                            found.setdefault(name[1], []).append(one)
            except OSError:
                found = {}
            for group in found.values():
                group.sort(key=lambda one: one.imported_at, reverse=True)
            self._listed = found
        return self._listed


def read_list(data: bytes) -> Crl:
    """The list in a DER or PEM file.  Raises `RequestError`."""
    if len(data) > MAX_OCTETS * 3 // 2:
        raise RequestError(reason="list too large")
    try:
        found = _PEM.search(data)
        return Crl.parse(base64.b64decode(found[1]) if found else data)
    except (DerError, binascii.Error):
        raise RequestError(reason="not a certificate revocation list") from None


def _key(issuer_der: bytes) -> str:
    return hashlib.sha256(repr(names.normalized(issuer_der)).encode()).hexdigest()[:32]
