"""What the rules let out, before any connection is made."""

from __future__ import annotations

import ipaddress

import pytest

from signsvc.errors import ConfigError, UpstreamError
from signsvc.net import NetRules
from signsvc.net.rules import Gate, is_public

NOT_PUBLIC = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.9.9.9",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.8",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "203.0.113.5",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a00:1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "2002:a00:1::",
    "2001:0:4136:e378:8000:63bf:f5ff:fffe",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "64:ff9b:1::a00:1",
    "100::1",
]
PUBLIC = [
    "8.8.8.8",
    "103.1.2.3",
    "1.1.1.1",
    "2001:4860:4860::8888",
    "2a00:1450::1",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
]


def reason(rules: NetRules, url: str) -> str:
    with pytest.raises(UpstreamError) as caught:
        Gate(rules).target(url)
    assert caught.value.code == "outbound_refused"
    return str(caught.value.data["reason"])


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_addresses_inside_are_not_public(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_addresses_of_the_internet_are_public(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("file:///etc/passwd", "scheme"),
        ("ldap://ca.gov.vn/cn=crl", "scheme"),
        ("ftp://ca.gov.vn/crl", "scheme"),
        ("gopher://ca.gov.vn/", "scheme"),
        ("//ca.gov.vn/", "scheme"),
        ("", "scheme"),
        ("http://", "url"),
        ("http:///path", "url"),
        ("http://user@ca.gov.vn/", "url"),
        ("http://user:secret@ca.gov.vn/", "url"),
        ("http://ca.gov.vn\\@127.0.0.1/", "url"),
        ("http://ca.gov.vn/a b", "url"),
        ("http://ca.gov.vn/a\r\nHost: x", "url"),
        ("http://ca.gov.vn\t.evil/", "url"),
        ("http://cá.gov.vn/", "url"),
        ("http://[::1/", "url"),
        ("http://ca.gov.vn:99999/", "url"),
        ("http://ca.gov.vn:abc/", "url"),
        ("http://ca_gov%2evn/", "url"),
        ("http://" + "a" * 3000, "url"),
        ("http://ca.gov.vn:22/", "port"),
        ("http://ca.gov.vn:8080/", "port"),
        ("http://ca.gov.vn:0/", "port"),
    ],
)
def test_refused_urls(url: str, expected: str) -> None:
    assert reason(NetRules(), url) == expected


def test_ordinary_urls_pass() -> None:
    target = Gate(NetRules()).target("HTTP://CA.gov.VN./pki/pub/crl/cp.crl?x=1#part")
    assert (target.host, target.port, target.path, target.private) == (
        "ca.gov.vn",
        80,
        "/pki/pub/crl/cp.crl?x=1",
        False,
    )
    assert target.url == "http://ca.gov.vn/pki/pub/crl/cp.crl?x=1"
    assert Gate(NetRules()).target("https://rootca.gov.vn").url == "https://rootca.gov.vn/"


def test_private_addresses_need_a_rule() -> None:
    inside = ipaddress.ip_address("10.20.30.40")
    target = Gate(NetRules()).target("http://crl.noi-bo.vn/a.crl")
    assert not Gate(NetRules()).permits(target, inside)
    for allow in ("crl.noi-bo.vn", "10.20.0.0/16", "10.20.30.40"):
        gate = Gate(NetRules(allow=(allow,)))
        assert gate.permits(gate.target("http://crl.noi-bo.vn/a.crl"), inside), allow
    other = Gate(NetRules(allow=("other.noi-bo.vn", "10.21.0.0/16")))
    assert not other.permits(other.target("http://crl.noi-bo.vn/a.crl"), inside)


def test_a_port_rule_opens_that_port_of_that_host_alone() -> None:
    rules = NetRules(allow=("tsa.noi-bo.vn:318", "[fd00::1]:8080"))
    assert Gate(rules).target("http://tsa.noi-bo.vn:318/").private
    assert Gate(rules).target("http://[fd00::1]:8080/").private
    assert reason(rules, "http://tsa.noi-bo.vn:319/") == "port"
    assert reason(rules, "http://khac.noi-bo.vn:318/") == "port"
    assert not Gate(rules).target("http://tsa.noi-bo.vn/").private


def test_the_host_map_replaces_host_and_port() -> None:
    gate = Gate(NetRules(host_map={"CA.btc": "ca.gov.vn", "ocsp.ca.ptc": "127.0.0.1:8899"}))
    assert gate.target("http://ca.btc/pki/pub/crl/btc.crl").url == "http://ca.gov.vn/pki/pub/crl/btc.crl"
    mapped = gate.target("http://ocsp.ca.ptc/x")
    assert (mapped.host, mapped.port, mapped.private) == ("127.0.0.1", 8899, True)
    assert gate.target("http://sub.ca.btc/").host == "sub.ca.btc"


def test_offline_refuses_everything() -> None:
    assert reason(NetRules(offline=True), "http://ca.gov.vn/") == "offline"


@pytest.mark.parametrize("text", ["http://a/", "a/b", "", "a:99999999", "user@host"])
def test_rules_that_cannot_be_read(text: str) -> None:
    with pytest.raises(ConfigError):
        Gate(NetRules(allow=(text,)))


def test_the_proxy_password_is_not_shown() -> None:
    assert "hunter2" not in repr(NetRules(proxy="http://user:hunter2@proxy:3128"))
