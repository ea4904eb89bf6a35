"""What may be called: schemes, ports, hosts and addresses."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import urlsplit

from signsvc.errors import ConfigError, UpstreamError

MIB = 1024 * 1024
KIB = 1024

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_BYTES: Mapping[str, int] = MappingProxyType(
    {"crl": 10 * MIB, "ocsp": 64 * KIB, "tsa": 64 * KIB, "certificate": MIB, "other": MIB}
)
LARGE_CRL = 64 * MIB  # a million and a half entries
_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?)*\.?")
_MAX_URL = 2048
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Special ranges (RFC 6890) that some Python versions call global.
_SPECIAL = tuple(
    ipaddress.ip_network(text)
    for text in ("192.0.0.0/24", "192.88.99.0/24", "64:ff9b:1::/48", "100::/64", "2001::/23", "3fff::/20", "5f00::/16")
)
_V4_COMPATIBLE = ipaddress.IPv6Network("::/96")


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that passed the rules, before its name is resolved.  `host` is what is resolved and named to the server,
    `name` what the URL said before the host map; `private` tells that the operator allows a private address."""

    scheme: str
    name: str
    host: str
    port: int
    path: str  # with query
    private: bool

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


@dataclass(frozen=True, slots=True)
class NetRules:
    """What an installation lets out.

    `allow` names hosts, ``host:port`` or networks that may be private (or on another port); `host_map` maps names in
    certificates to hosts that really serve them, and what it maps to is allowed.  Times in seconds, sizes in octets of
    the decoded body by kind; a list from `large_crl_hosts` may have 64 MiB.  `proxy` is an
    ``http://[user:password@]host[:port]`` URL; the environment's proxy variables are never used.  Behind a proxy a name
    that resolves here must still be public; one that does not resolve is the proxy's to judge.
    """

    allow: tuple[str, ...] = ()
    host_map: Mapping[str, str] = field(default_factory=dict)
    proxy: str | None = field(default=None, repr=False)
    connect_timeout: float = 5.0
    total_timeout: float = 20.0
    max_bytes: Mapping[str, int] = field(default_factory=dict)
    large_crl_hosts: tuple[str, ...] = ()
    max_redirects: int = 3
    offline: bool = False
    user_agent: str = "signsvc"
    ca_file: str | None = None  # further TLS roots, PEM, for servers inside the house

    def limit(self, kind: str, *hosts: str) -> int:
        """Most octets of a decoded body of this kind, from a server with these names."""
        if kind == "crl" and not {name.lower() for name in self.large_crl_hosts}.isdisjoint(hosts):
            return max(LARGE_CRL, self.max_bytes.get(kind, 0))
        return self.max_bytes.get(kind) or MAX_BYTES.get(kind) or MAX_BYTES["other"]


class Gate:
    """`NetRules` ready for use.  Raises `ConfigError` where a rule cannot be read."""

    def __init__(self, rules: NetRules) -> None:
        self.rules = rules
        self._hosts: set[str] = set()
        self._ports: set[tuple[str, int]] = set()
        self._networks: list[Network] = []
        for text in rules.allow:
            self._add(text)
        self._map = {name.lower().rstrip("."): _host_port(target) for name, target in rules.host_map.items()}

    def _add(self, text: str) -> None:
        try:
            self._networks.append(ipaddress.ip_network(text, strict=False))
            return
        except ValueError:
            host, port = _host_port(text)
        if port is None:
            self._hosts.add(host)
        else:
            self._ports.add((host, port))

    def target(self, url: str) -> Target:
        """What `url` asks for, mapped and checked.  Raises `UpstreamError` (``outbound_refused``)."""
        if self.rules.offline:
            raise refused("offline")
        if len(url) > _MAX_URL or not url.isascii() or any(c <= " " or c == "\x7f" or c == "\\" for c in url):
            raise refused("url")
        try:
            parts = urlsplit(url)
            given, port = parts.hostname, parts.port
        except ValueError:
            raise refused("url") from None
        scheme = parts.scheme.lower()
        if scheme not in _PORTS:
            raise refused("scheme")
        if not given or parts.username is not None or parts.password is not None:
            raise refused("url")
        host = given.lower().rstrip(".")
        if literal(host) is None and not _HOST.fullmatch(host):
            raise refused("url")
        port = port if port is not None else _PORTS[scheme]
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        mapped = self._map.get(host)
        if mapped is not None:
            # The operator names the machine; which of its ports, a document does not choose.
            if mapped[1] is None and port not in _PORTS.values() and (mapped[0], port) not in self._ports:
                raise refused("port")
            return Target(scheme, host, mapped[0], mapped[1] or port, path, private=True)
        exact = (host, port) in self._ports
        if port not in _PORTS.values() and not exact:
            raise refused("port")
        return Target(scheme, host, host, port, path, private=exact or host in self._hosts)

    def permits(self, target: Target, address: Address) -> bool:
        """Whether this resolved address may be called for `target`."""
        return target.private or is_public(address) or any(address in network for network in self._networks)


def is_public(address: Address) -> bool:
    """Whether an address is one of the public Internet; embedded IPv4 addresses are looked through."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address.teredo is not None:
            inner = address.teredo[1]
        if inner is None and (address in _NAT64 or address in _V4_COMPATIBLE):
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address.is_site_local:
            return False
    if any(address in network for network in _SPECIAL):
        return False
    return address.is_global and not (
        address.is_multicast
        or address.is_reserved
        or address.is_loopback
        or address.is_link_local
        or address.is_unspecified
        or address.is_private
    )


def literal(host: str) -> Address | None:
    """The address that a host text is, or None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def refused(reason: str) -> UpstreamError:
    """`reason`: offline, url, scheme, port, address, redirect, redirects."""
    return UpstreamError("outbound_refused", reason=reason)


def failed(reason: str, **data: object) -> UpstreamError:
    """`reason`: name, connect, tls, timeout, too_large, protocol, encoding, status, breaker."""
    return UpstreamError("outbound_failed", reason=reason, **data)


def _host_port(text: str) -> tuple[str, int | None]:
    try:
        address = literal(text.strip("[]"))
        if address is not None:
            return str(address), None
        parts = urlsplit(f"//{text}")
        if not parts.hostname or parts.path or parts.query or parts.username is not None:
            raise ValueError
        return parts.hostname.lower().rstrip("."), parts.port
    except ValueError:
        raise ConfigError(reason=f"not a host, host:port or network: {text[:80]}") from None
