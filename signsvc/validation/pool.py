"""All certificates at hand, found by subject and by issuer, so that a large bag costs no more than a small one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from signsvc.types import Certificate, names

_Name = tuple[tuple[str, str], ...]


class Pool:
    """An ordered set of certificates with two indexes."""

    def __init__(self, certificates: Iterable[Certificate]) -> None:
        self._all = tuple(dict.fromkeys(certificates))
        self._by_subject: dict[_Name, list[Certificate]] = {}
        self._by_issuer: dict[_Name, list[Certificate]] = {}
        for certificate in self._all:
            self._by_subject.setdefault(names.normalized(certificate.subject_der), []).append(certificate)
            self._by_issuer.setdefault(names.normalized(certificate.issuer_der), []).append(certificate)

    def __iter__(self) -> Iterator[Certificate]:
        return iter(self._all)

    def named(self, name_der: bytes) -> tuple[Certificate, ...]:
        """Certificates whose subject is this DER Name."""
        return tuple(self._by_subject.get(names.normalized(name_der), ()))

    def issued_by(self, name_der: bytes) -> tuple[Certificate, ...]:
        """Certificates whose issuer is this DER Name; their signatures are not checked."""
        return tuple(self._by_issuer.get(names.normalized(name_der), ()))
