"""Name constraints (RFC 5280 §4.2.1.10, §6.1): permitted and excluded subtrees."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from signsvc.asn1 import DerError, der
from signsvc.types import Certificate, names

NAME_CONSTRAINTS = "2.5.29.30"
_SUBJECT_ALT_NAME = "2.5.29.17"
_EMAIL = "1.2.840.113549.1.9.1"
_RFC822, _DNS, _DIRECTORY, _URI, _IP = 0x81, 0x82, 0xA4, 0x86, 0x87
_KNOWN = frozenset((_RFC822, _DNS, _DIRECTORY, _URI, _IP))
MAX_SUBTREES = 1000

Name = tuple[int, bytes]  # GeneralName tag and content; for a directory name the DER Name


@dataclass
class Constraints:
    """The subtrees that the certificates above have set: every permitted list must allow a name."""

    permitted: list[list[Name]] = field(default_factory=list)
    excluded: list[Name] = field(default_factory=list)

    def add(self, certificate: Certificate) -> None:
        """Take over the constraints of a CA certificate.  Raises `DerError` where they are malformed."""
        raw = certificate.extension(NAME_CONSTRAINTS)
        if raw is None:
            return
        for part in der.children(raw, der.read_all(raw, tag=der.SEQUENCE)):
            bases = [_base(raw, subtree) for subtree in der.children(raw, part, limit=MAX_SUBTREES)]
            if part.tag == 0xA0:
                self.permitted.append(bases)
            elif part.tag == 0xA1:
                self.excluded += bases
            else:
                raise DerError("malformed name constraints")

    def allow(self, certificate: Certificate) -> bool:
        """Whether every name of `certificate` lies inside.  Raises `DerError` where its names are malformed."""
        if not self.permitted and not self.excluded:
            return True
        for name in _names_of(certificate):
            if any(_within(name, base) for base in self.excluded):
                return False
            for bases in self.permitted:
                alike = [base for base in bases if base[0] == name[0]]
                if alike and not any(_within(name, base) for base in alike):
                    return False
        return True


def _base(raw: bytes, subtree: der.Tlv) -> Name:
    base = der.children(raw, subtree)[0]
    if base.tag not in _KNOWN:
        # A form that cannot be compared constrains everything: RFC 5280 wants such a certificate rejected.
        raise DerError("name constraint of unknown form")
    return _name(raw, base)


def _name(raw: bytes, element: der.Tlv) -> Name:
    if element.tag == _DIRECTORY:
        return element.tag, der.read(raw, element.content, element.end, tag=der.SEQUENCE).full(raw)
    return element.tag, element.value(raw)


def _names_of(certificate: Certificate) -> list[Name]:
    found: list[Name] = []
    subject = names.attributes(certificate.subject_der)
    if subject:
        found.append((_DIRECTORY, certificate.subject_der))
    raw = certificate.extension(_SUBJECT_ALT_NAME)
    if raw is not None:
        elements = der.children(raw, der.read_all(raw, tag=der.SEQUENCE))
        found += [_name(raw, e) for e in elements if e.tag in _KNOWN]
    else:
        found += [(_RFC822, value.encode()) for oid, value in subject if oid == _EMAIL]
    return found


def _within(name: Name, base: Name) -> bool:
    tag, value = name
    if tag != base[0]:
        return False
    if tag == _DIRECTORY:
        return _directory_within(value, base[1])
    if tag == _IP:
        return _address_within(value, base[1])
    text, limit = value.decode("latin-1").casefold(), base[1].decode("latin-1").casefold()
    if tag == _DNS:
        return not limit or text == limit or text.endswith("." + limit.removeprefix("."))
    if tag == _RFC822:
        if "@" in limit:
            return text == limit
        host = text.rpartition("@")[2]
    else:
        host = _host(text)
    return host.endswith(limit) if limit.startswith(".") else host == limit


def _host(uri: str) -> str:
    authority = uri.partition("://")[2].partition("/")[0].partition("?")[0].partition("#")[0]
    return authority.rpartition("@")[2].partition(":")[0]


def _directory_within(name: bytes, base: bytes) -> bool:
    whole, start = names.normalized(name), names.normalized(base)
    return whole[: len(start)] == start


def _address_within(address: bytes, base: bytes) -> bool:
    if len(base) != 2 * len(address) or len(address) not in (4, 16):
        return False
    size = len(address)
    mask = int.from_bytes(base[size:], "big")
    network = int(ipaddress.ip_address(base[:size]))
    return int(ipaddress.ip_address(address)) & mask == network & mask
