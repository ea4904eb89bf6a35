"""Files whose signature structures, certificates and validation data are made to cost (see `hostile_files`)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import timedelta

import test_pki
from test_pki import der, revocation, timestamps
from test_pki.certificates import serial_number
from tests.attacks.hostile_files import ROOM, hostile, signed, stream
from tests.pdf_writer import PdfWriter

SIGNED_DATA = "1.2.840.113549.1.7.2"


def by(
    pki: test_pki.Pki, leaf: bytes, *above: bytes, key: str = "person", more: Sequence[bytes] = (),
    unsigned: Sequence[bytes] = (),
) -> Callable[[bytes], bytes]:  # fmt: skip
    """Makes the CMS of `leaf` over a digest."""

    def make(digest: bytes) -> bytes:
        return timestamps.signed_data(
            None, digest, pki.key(key), leaf, attributes=[timestamps.signing_certificate(leaf), *more],
            include=[leaf, *above], unsigned=unsigned,
        )  # fmt: skip

    return make


def rebuilt(pki: test_pki.Pki, change: Callable[[list[bytes]], list[bytes]]) -> Callable[[bytes], bytes]:
    """Makes an ordinary CMS over a digest and changes the parts of its SignedData."""
    plain = by(pki, pki.cert("person"), *pki.chain("person")[1:])

    def make(digest: bytes) -> bytes:
        body = der.children(der.content(der.children(plain(digest))[1]))
        return der.seq(der.oid(SIGNED_DATA), der.explicit(0, der.seq(*change(body))))

    return make


@hostile(1_000, 200_000, 1_000_000)
def list_of_many_entries(pki: test_pki.Pki, size: int) -> bytes:
    at = test_pki.pki.now()
    entry = revocation.entry(0x7F00000000000000, at, "unspecified")
    place = entry.index(b"\x7f\0\0\0")
    entries = [entry[:place] + (0x7F << 56 | i).to_bytes(8, "big") + entry[place + 8 :] for i in range(size)]
    value = revocation.crl(
        pki.cert("sub-g2-state"), pki.key("sub-g2-state"), entries, this_update=at, next_update=at + timedelta(days=7),
        number=1, digest="sha256",
    )  # fmt: skip
    pdf = PdfWriter()
    pdf.sign(pki, room=ROOM)
    pdf.store(pki, values={"Certs": pki.chain("person"), "CRLs": [value]})
    return pdf.data


@hostile(10, 500, 15_000)
def store_of_many_lists(pki: test_pki.Pki, size: int) -> bytes:
    base = pki.crl("ca-unknown")
    pdf = PdfWriter()
    pdf.sign(pki, room=ROOM)
    values = [base[:-4] + i.to_bytes(4, "big") for i in range(size)]
    answers = [pki.ocsp("person", "good")[:-4] + i.to_bytes(4, "big") for i in range(min(size, 500))]
    pdf.store(pki, values={"Certs": pki.chain("person"), "CRLs": values, "OCSPs": answers})
    return pdf.data


def bag(pki: test_pki.Pki, size: int) -> list[bytes]:
    """CA certificates of one name that issue each other, above the signer's."""
    subject = pki.spec("sub-g2-state").subject
    keys = ("person2", "agency", "short", "expired", "revoked")
    found = []
    for i in range(size):
        key, above = keys[i % 5], keys[(i + 1) % 5]
        changes = {"key": key, "issuer": f"bag-{above}", "serial": 1000 + i, "path_len": None, "subject": subject}
        for name in (f"bag-{key}", f"bag-{above}"):
            if name not in pki.labels():
                pki.add(name, "sub-g2-state", key=name[4:], subject=subject, issuer=name, path_len=None)
        found.append(pki.issue("sub-g2-state", **changes))
    # one of them the root has certified: there is a way through the bag
    return [*found, pki.issue("sub-g2-state", key="agency", path_len=None, subject=subject)]


@hostile(8, 30, 400)
def authorities_of_one_name(pki: test_pki.Pki, size: int) -> bytes:
    authorities = bag(pki, size)
    leaf = pki.issue("person", issuer="bag-agency")
    return signed(pki, cms=by(pki, leaf, *authorities))


@hostile(100, 2_000, 20_000)
def name_constraints_times_names(pki: test_pki.Pki, size: int) -> bytes:
    def subtrees(tag: int) -> bytes:
        return der.implicit(tag, b"".join(der.seq(der.tlv(0x82, b"h%d.example" % i)) for i in range(size)))

    def extension(oid: str, value: bytes) -> tuple[str, bool, bytes]:
        return (oid, False, value)

    constraints = der.seq(_constructed(subtrees(0)), _constructed(subtrees(1)))
    names = der.seq(*(der.tlv(0x82, b"a.h%d.example" % i) for i in range(size)))
    pki_ca = f"constrained-{size}"
    if pki_ca not in pki.labels():
        pki.add(pki_ca, "sub-g2-state", key="agency", extra=(extension("2.5.29.30", constraints),))
    leaf = pki.issue("person", issuer=pki_ca, emails=(), extra=(extension("2.5.29.17", names),))
    return signed(pki, cms=by(pki, leaf, pki.cert(pki_ca)))


def _constructed(value: bytes) -> bytes:
    return bytes([value[0] | 0x20]) + value[1:]


@hostile(10, 100, 1_000)
def policies_that_multiply(pki: test_pki.Pki, size: int) -> bytes:
    """Each authority maps every policy to every other: the tree of RFC 5280 §6.1 doubles at each level."""
    chosen = [f"1.2.3.{i}" for i in range(size)]
    mapped = der.seq(*(der.seq(der.oid(a), der.oid(b)) for a in chosen[:40] for b in chosen[: min(size, 200)]))
    above = "root-g2"
    chain = []
    for level in range(6):
        name = f"mapping-{size}-{level}"
        key = ("agency", "person2")[level % 2]
        subject = (("C", "VN"), ("CN", name))
        if name not in pki.labels():
            extra = (("2.5.29.33", False, mapped),)
            pki.add(name, "sub-g2-state", key=key, subject=subject, issuer=above, policies=tuple(chosen), extra=extra, path_len=None)  # fmt: skip
        chain.append(pki.cert(name))
        above = name
    leaf = pki.issue("person", issuer=above, policies=tuple(chosen))
    return signed(pki, cms=by(pki, leaf, *chain))


@hostile(2048, 16384, 200_000)
def keys_of_many_bits(pki: test_pki.Pki, size: int) -> bytes:
    """A signer's key whose modulus and exponent are as long as that; nothing is known to vouch for it."""
    parts = der.children(pki.cert("person"))
    info = next(p for p in der.children(parts[0]) if b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01" in p[:40] and len(p) > 200)
    modulus = (1 << size) - 159
    key = der.seq(der.integer(modulus), der.integer(modulus - 2))
    tbs = der.seq(*(der.seq(der.children(info)[0], der.bits(key)) if p == info else p for p in der.children(parts[0])))
    return signed(pki, cms=by(pki, der.seq(tbs, *parts[1:]), *pki.chain("person")[1:]))


@hostile(2, 20, 1_000)
def signers_in_one_cms(pki: test_pki.Pki, size: int) -> bytes:
    return signed(pki, cms=rebuilt(pki, lambda body: [*body[:-1], der.tlv(0x31, *der.children(body[-1]) * size)]))


@hostile(2, 50, 2_000)
def timestamps_in_one_signature(pki: test_pki.Pki, size: int) -> bytes:
    token = pki.timestamp(hashlib.sha256(b"x").digest())
    unsigned = [
        timestamps.attribute("1.2.840.113549.1.9.16.2.14", *[token] * size),
        timestamps.attribute("0.4.0.1733.2.4", *[token] * min(size, 100)),
    ]
    return signed(pki, cms=by(pki, *pki.chain("person"), unsigned=unsigned))


@hostile(3, 50, 2_000)
def counter_signatures_in_depth(pki: test_pki.Pki, size: int) -> bytes:
    def deepen(body: list[bytes]) -> list[bytes]:
        plain = der.children(der.children(body[-1])[0])
        info = der.seq(*plain)
        for _ in range(size):
            unsigned = timestamps.attribute("1.2.840.113549.1.9.6", info)
            info = der.seq(*plain, b"\xa1" + der.tlv(0x31, unsigned)[1:])
        return [*body[:-1], der.tlv(0x31, info)]

    return signed(pki, cms=rebuilt(pki, deepen))


@hostile(2, 20, 500)
def counter_signatures_side_by_side(pki: test_pki.Pki, size: int) -> bytes:
    def widen(body: list[bytes]) -> list[bytes]:
        plain = der.children(der.children(body[-1])[0])
        inner = timestamps.attribute("1.2.840.113549.1.9.6", *[der.seq(*plain)] * size)
        middle = der.seq(*plain, b"\xa1" + der.tlv(0x31, inner)[1:])
        outer = timestamps.attribute("1.2.840.113549.1.9.6", *[middle] * min(size, 20))
        return [*body[:-1], der.tlv(0x31, der.seq(*plain, b"\xa1" + der.tlv(0x31, outer)[1:]))]

    return signed(pki, cms=rebuilt(pki, widen))


@hostile(100, 10_000, 1_000_000)
def indefinite_lengths_in_depth(pki: test_pki.Pki, size: int) -> bytes:
    return signed(pki, cms=lambda _: b"\x30\x80" * size + b"\0\0" * size)


@hostile(100, 10_000, 1_000_000)
def content_in_many_pieces(pki: test_pki.Pki, size: int) -> bytes:
    pieces = der.explicit(0, b"\x24\x80" + b"\x04\x01x" * size + b"\0\0")
    inner = der.seq(der.oid("1.2.840.113549.1.7.1"), pieces)
    return signed(pki, cms=rebuilt(pki, lambda body: [*body[:2], inner, *body[3:]]))


@hostile(10, 1_000, 100_000)
def attributes_in_one_signature(pki: test_pki.Pki, size: int) -> bytes:
    more = [timestamps.attribute(f"1.2.3.{i}", der.null()) for i in range(size)]
    return signed(pki, cms=by(pki, *pki.chain("person"), more=more, unsigned=more))


@hostile(10, 1_000, 50_000)
def names_of_many_parts(pki: test_pki.Pki, size: int) -> bytes:
    """Distinguished names are compared and shown: thousands of attributes in each."""
    subject = (("C", "VN"), *(("OU", f"Phòng {i}") for i in range(size)), ("CN", "x"))
    leaf = pki.issue("person", subject=subject)
    return signed(pki, cms=by(pki, leaf, *pki.chain("person")[1:]))


@hostile(10, 1_000, 1_700)
def serials_of_many_octets(pki: test_pki.Pki, size: int) -> bytes:
    """A serial number of that many octets in the certificate, the list and the answer."""
    leaf = pki.issue("person", serial=int.from_bytes(b"\x7f" * size, "big"))
    at = test_pki.pki.now()
    pdf = PdfWriter()
    pdf.data = signed(pki, cms=by(pki, leaf, *pki.chain("person")[1:]))
    answer = pki.ocsp(leaf, "good", at, issuer="sub-g2-state")
    listed = pki.crl("sub-g2-state", at, entries=[(serial_number(leaf), at, "keyCompromise")])
    return stored(pdf.data, {"Certs": [leaf], "CRLs": [listed], "OCSPs": [answer]})


@hostile(10, 100, 480)
def responders_times_answers(pki: test_pki.Pki, size: int) -> bytes:
    """Every answer has a wrong signature, and every one of as many responders has to be tried for it."""
    names = [pki.issue("ocsp-sub-g2-state", serial=5000 + i) for i in range(size)]
    answer = pki.ocsp("person", "good", include=())
    answers = [answer[:-2] + i.to_bytes(2, "big") for i in range(size)]
    lists = [pki.crl("sub-g2-state")[:-2] + i.to_bytes(2, "big") for i in range(size)]
    return stored(signed(pki), {"Certs": [*pki.chain("person"), *names], "OCSPs": answers, "CRLs": lists})


@hostile(10, 100, 480)
def list_issuers_times_lists(pki: test_pki.Pki, size: int) -> bytes:
    """Lists signed by none of many certificates that carry the authority's name and may sign lists."""
    authorities = bag(pki, size)
    lists = [pki.crl("sub-g2-state", signer="person2")[:-2] + i.to_bytes(2, "big") for i in range(size)]
    return stored(signed(pki), {"Certs": [*pki.chain("person"), *authorities], "CRLs": lists})


def stored(data: bytes, values: dict[str, list[bytes]]) -> bytes:
    """`data` with a validation store of `values` appended."""
    pdf = PdfWriter()
    pdf.data = data
    pdf.prev = int(data[data.rindex(b"startxref") + 9 :].split()[0])
    pdf.size = 100
    pdf.fields = pdf.annotations = [7]
    lists, objects = b"", {}
    for key, items in values.items():
        references = b""
        for item in items:
            number = pdf.new()
            objects[number] = stream(item)
            references += b"%d 0 R " % number
        lists += b" /%s [%s]" % (key.encode(), references)
    pdf.catalog_extra = b" /DSS <<%s >>" % lists
    pdf.update({1: pdf.catalog(), **objects})
    return pdf.data
