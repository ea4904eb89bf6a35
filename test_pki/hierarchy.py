"""The standing hierarchy: who issues whom, with which name, key and dates.

Dates count from the epoch, which lies 30 days back by default: what happens at epoch + 20 days is already past.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from test_pki import spec
from test_pki.spec import INTERNAL_HOST, Name, Revocation, Spec

POLICY = "2.16.704.1.1.1.1.1"
TSA_POLICY = "2.16.704.1.1.1.9.1"
_CA_USAGE = ("keyCertSign", "cRLSign")
_YEAR = 365


def days(count: float) -> timedelta:
    """*count* days from the epoch."""
    return timedelta(days=count)


def _ca(cn: str, issuer: str, key: str, *, organization: str = "Test Ban Cơ yếu Chính phủ", since: float = -8) -> Spec:
    return Spec(
        subject=(("C", "VN"), ("O", organization), ("CN", cn)),
        key=key,
        issuer=issuer,
        not_before=days(since * _YEAR),
        not_after=days(20 * _YEAR),
        ca=True,
        path_len=0,
        key_usage=_CA_USAGE,
        policies=(POLICY,),
    )


def _change(item: Spec, **changes: Any) -> Spec:
    return replace(item, **changes)


def _root(item: Spec, path_len: int | None = None) -> Spec:
    return _change(item, path_len=path_len, policies=(), crl_urls=(), ocsp_urls=(), aia_urls=())


G1_ORGANIZATION = "Test Ban Co yeu Chinh phu"


def _g1_ca(cn: str, issuer: str, key: str) -> Spec:
    item = _ca(cn, issuer, key, organization=G1_ORGANIZATION, since=-16)
    return _change(item, digest="sha1", ascii_names=True, aki="dirname", policies=(), ocsp_urls=())


CAS: dict[str, Spec] = {
    "root-g1": _root(_g1_ca("Test Co quan chung thuc so chuyen dung Chinh phu (RootCA)", "root-g1", "root-g1")),
    "sub-g1": _g1_ca("Test Co quan chung thuc so Chinh phu", "root-g1", "sub-g1"),
    "sub-g1-btc": _g1_ca("Test Co quan chung thuc so Bo Tai chinh", "root-g1", "sub-g1-btc"),
    "root-g2": _root(_ca("Test RootCA chuyên dùng Chính phủ G2", "root-g2", "root-g2")),
    "sub-g2-state": _ca("Test CA phục vụ các cơ quan Nhà nước G2", "root-g2", "sub-g2-state"),
    "sub-g2-party": _ca("Test CA phục vụ các cơ quan Đảng G2", "root-g2", "sub-g2-party"),
    "sub-g2-software": _ca("Test CA phục vụ cho dịch vụ phần mềm G2", "root-g2", "sub-g2-software"),
    "sub-g2-tsa": _ca("Test CA phục vụ dịch vụ cấp dấu thời gian G2", "root-g2", "sub-g2-tsa"),
    # Same name as sub-g2-state under another key, and an intermediate that its root has revoked.
    "sub-g2-state-rekeyed": _ca("Test CA phục vụ các cơ quan Nhà nước G2", "root-g2", "sub-g2-state-rekeyed"),
    "sub-g2-revoked": _change(
        _ca("Test CA đã bị thu hồi G2", "root-g2", "sub-g2-revoked"),
        revoked=Revocation(days(-10), "cACompromise"),
    ),
    "root-public": _root(
        _ca("Test Vietnam National Root CA", "root-public", "root-public", organization="Test Bộ Khoa học và Công nghệ")
    ),
    "ca-public1": _ca("Test Public CA Một", "root-public", "ca-public1", organization="Công ty Thử nghiệm Một"),
    "ca-public2": _ca("Test Public CA Hai", "root-public", "ca-public2", organization="Công ty Thử nghiệm Hai"),
    "root-unknown": _root(_ca("Unknown Root CA", "root-unknown", "root-unknown", organization="Unknown Authority")),
    "ca-unknown": _ca("Unknown CA", "root-unknown", "ca-unknown", organization="Unknown Authority"),
}
# The G2 root's name and key, certified by the public root as well.
CAS["cross-root-g2"] = _change(CAS["root-g2"], issuer="root-public", crl_urls=None, ocsp_urls=None, aia_urls=None)

ROOTS = ("root-g1", "root-g2", "root-public", "root-unknown")


def _person(cn: str, email: str) -> Name:
    return (
        ("C", "VN"),
        ("L", "Tỉnh Thử Nghiệm"),
        ("O", "Ủy ban nhân dân tỉnh Thử Nghiệm"),
        ("OU", "Sở Nội vụ"),
        ("OU", "Văn phòng Sở"),
        ("CN", cn),
        ("E", f"{email}@thunghiem.gov.vn.test"),
    )


def _leaf(subject: Name, key: str, issuer: str = "sub-g2-state") -> Spec:
    emails = tuple(value for kind, value in subject if kind == "E")
    return Spec(
        subject=subject,
        key=key,
        issuer=issuer,
        not_before=days(-300),
        not_after=days(3 * _YEAR - 300),
        policies=(POLICY,),
        emails=emails,
    )


_SIGNING = ("digitalSignature", "nonRepudiation")


def _numbered(number: int, what: str) -> Name:
    return _person(f"Người Thử {what}", f"thu{number}")


def _g1_leaf(subject: Name, key: str, issuer: str, name: str) -> Spec:
    """*name* is the issuer's short name in the internal addresses, as in ca.btc."""
    public = f"http://{spec.AIA_HOST}/pki/pub"
    return Spec(
        subject=subject,
        key=key,
        issuer=issuer,
        not_before=days(-4 * _YEAR),
        not_after=days(_YEAR),
        digest="sha1",
        ascii_names=True,
        aki="dirname",
        key_usage=("nonRepudiation",),
        comment=f"User Sign of {name.upper()}",
        ocsp_urls=(f"http://{INTERNAL_HOST}/ocsp/{issuer}",) if issuer == "sub-g1-btc" else (),
        aia_urls=(f"http://{INTERNAL_HOST}/pki/pub/cert/{name}.crt",),
        crl_urls=(f"http://{INTERNAL_HOST}/pki/pub/crl/{name}.crl", f"{public}/crl/{name}.crl"),
    )


LEAVES: dict[str, Spec] = {
    "person": _leaf(_person("Nguyễn Văn An", "annv"), "person"),
    "person2": _leaf(_person("Trần Thị Bích Ngọc", "ngocttb"), "person2"),
    "agency": _leaf(
        (
            ("C", "VN"),
            ("L", "Tỉnh Thử Nghiệm"),
            ("O", "Ủy ban nhân dân tỉnh Thử Nghiệm"),
            ("CN", "Ủy ban nhân dân xã Thử Nghiệm"),
            ("UID", "MST:0109999991"),
            ("E", "vanthu@xathunghiem.gov.vn.test"),
        ),
        "agency",
    ),
    "ec": _change(_leaf(_person("Lê Đường Cong", "congld"), "ec"), key_usage=_SIGNING),
    "rsa3072": _leaf(_person("Phạm Thẻ Mới", "moipt"), "rsa3072"),
    "pss": _change(_leaf(_person("Vũ Lược Đồ", "dovl"), "pss"), key_usage=_SIGNING),
    "pss-only": _change(_leaf(_person("Vũ Chỉ Lược Đồ", "chivl"), "pss"), pss_only=True, key_usage=_SIGNING),
    "expired": _change(_leaf(_numbered(1, "Hết Hạn"), "expired"), not_before=days(-4 * _YEAR), not_after=days(-60)),
    "expired-recently": _change(
        _leaf(_numbered(2, "Vừa Hết Hạn"), "expired-recently"), not_before=days(-_YEAR), not_after=days(20)
    ),
    "short": _change(_leaf(_numbered(3, "Sắp Hết Hạn"), "short"), not_before=days(-60), not_after=days(37)),
    "not-yet-valid": _change(
        _leaf(_numbered(4, "Chưa Hiệu Lực"), "not-yet-valid"), not_before=days(400), not_after=days(1500)
    ),
    "revoked": _change(_leaf(_numbered(5, "Thu Hồi Trước"), "revoked"), revoked=Revocation(days(-10), "keyCompromise")),
    "revoked-later": _change(
        _leaf(_numbered(6, "Thu Hồi Sau"), "revoked-later"), revoked=Revocation(days(20), "cessationOfOperation")
    ),
    "suspended": _change(_leaf(_numbered(7, "Tạm Dừng"), "suspended"), revoked=Revocation(days(-5), "certificateHold")),
    "wrong-usage": _change(_leaf(_numbered(8, "Sai Mục Đích"), "wrong-usage"), key_usage=("keyEncipherment",)),
    "rsa1024": _leaf(_numbered(9, "Khóa Ngắn"), "rsa1024"),
    "no-urls": _change(_leaf(_numbered(10, "Không Địa Chỉ"), "no-urls"), ocsp_urls=(), crl_urls=(), aia_urls=()),
    "crl-only": _change(_leaf(_numbered(11, "Chỉ Danh Sách"), "crl-only"), ocsp_urls=()),
    "party": _leaf(_person("Hoàng Văn Đảng", "danghv"), "party", "sub-g2-party"),
    "software": _leaf(
        (("C", "VN"), ("O", "Test Cục Phần mềm"), ("CN", "Test Hệ thống xác thực chữ ký số")),
        "software",
        "sub-g2-software",
    ),
    "of-revoked-ca": _leaf(_numbered(12, "CA Bị Thu Hồi"), "of-revoked-ca", "sub-g2-revoked"),
    "of-rekeyed-ca": _leaf(_numbered(13, "CA Đổi Khóa"), "of-rekeyed-ca", "sub-g2-state-rekeyed"),
    "unknown": _leaf(_person("Người Lạ", "la"), "unknown", "ca-unknown"),
    "public-business": _leaf(
        (("C", "VN"), ("ST", "Hà Nội"), ("CN", "Công ty TNHH Thử Nghiệm"), ("UID", "MST:0109999992")),
        "public-business",
        "ca-public1",
    ),
    "public-citizen": _leaf(
        (("C", "VN"), ("ST", "Hà Nội"), ("CN", "Đỗ Công Dân"), ("UID", "CCCD:001099999999")),
        "public-citizen",
        "ca-public2",
    ),
    "g1-person": _g1_leaf((("C", "VN"), ("O", "BTC"), ("CN", "TCHQ")), "g1-person", "sub-g1-btc", "btc"),
    "g1-state": _g1_leaf((("C", "VN"), ("O", "UBND"), ("CN", "Nguyen Van Cu")), "g1-state", "sub-g1", "cp"),
    "g1-old": _change(
        _g1_leaf((("C", "VN"), ("O", "BTC"), ("CN", "TCT")), "g1-old", "sub-g1-btc", "btc"),
        not_before=days(-11 * _YEAR),
        not_after=days(-6 * _YEAR),
    ),
}


def _tsa(cn: str, key: str, issuer: str) -> Spec:
    return Spec(
        subject=(("C", "VN"), ("O", "Test Ban Cơ yếu Chính phủ"), ("CN", cn)),
        key=key,
        issuer=issuer,
        not_before=days(-2 * _YEAR),
        not_after=days(8 * _YEAR),
        key_usage=_SIGNING,
        eku=("timeStamping",),
        eku_critical=True,
    )


_TSA = _tsa("Test TSA sai", "tsa-bad", "sub-g2-tsa")
TSAS: dict[str, Spec] = {
    "tsa1": _tsa("Test TSA 1", "tsa1", "sub-g2-tsa"),
    "tsa2": _tsa("Test TSA 2", "tsa2", "sub-g2-software"),
    "tsa-no-eku": _change(_TSA, eku=(), eku_critical=False),
    "tsa-wrong-eku": _change(_TSA, eku=("serverAuth",), eku_critical=False),
    "tsa-eku-not-critical": _change(_TSA, eku_critical=False),
    "tsa-two-ekus": _change(_TSA, eku=("timeStamping", "clientAuth")),
    "tsa-expired": _change(_TSA, not_before=days(-4 * _YEAR), not_after=days(-60)),
    "tsa-short": _change(_TSA, not_before=days(-60), not_after=days(20)),
    "tsa-revoked": _change(_TSA, revoked=Revocation(days(20), "keyCompromise")),
    "tsa-unknown": _change(_TSA, issuer="ca-unknown"),
}


def _ocsp(ca: str) -> Spec:
    issuer = CAS[ca]
    return Spec(
        subject=(*issuer.subject[:-1], ("CN", f"Test OCSP {ca}")),
        key=f"ocsp-{ca}",
        issuer=ca,
        not_before=days(-_YEAR),
        not_after=days(4 * _YEAR),
        digest=issuer.digest,
        ascii_names=issuer.ascii_names,
        key_usage=("digitalSignature",),
        eku=("OCSPSigning",),
        nocheck=True,
        ocsp_urls=(),
        crl_urls=(),
    )


OCSP: dict[str, Spec] = {f"ocsp-{ca}": _ocsp(ca) for ca in CAS if ca != "cross-root-g2"}

ALL: dict[str, Spec] = {**CAS, **OCSP, **TSAS, **LEAVES}


def key_kinds() -> dict[str, str]:
    """Every key label of the hierarchy with the kind of key it wants."""
    large = ("root-g2", "sub-g2-state", "sub-g2-party", "sub-g2-software", "sub-g2-tsa", "root-public")
    special = {"ec": "ec256", "rsa3072": "rsa3072", "rsa1024": "rsa1024", **dict.fromkeys(large, "rsa4096")}
    return {item.key: special.get(item.key, "rsa2048") for item in ALL.values()}
