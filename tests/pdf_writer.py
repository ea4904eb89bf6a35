"""PDF files of any shape, right and wrong, written octet by octet.

pdf = PdfWriter(pages=2); pdf.sign(pki); pdf.update({7: b"<< >>"}); pdf.data
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import test_pki
from test_pki import timestamps
from test_pki.pki import now as pki_now

HEADER = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"


@dataclass(frozen=True)
class Written:
    """Where a signature written by `PdfWriter.sign` stands."""

    dictionary: int  # object number
    field: int
    before: int
    after: int
    end: int


class PdfWriter:
    """One file: a first revision with `pages` pages, then what is appended.

    Objects 1, 2, 3 are the catalog, the page tree and the first page.  `style` of a revision: table, stream (object
    and cross-reference streams), hybrid (both).
    """

    def __init__(
        self, pages: int = 1, extra: dict[int, bytes] | None = None, style: str = "table", catalog: bytes = b""
    ) -> None:
        self.fields: list[int] = []
        self.annotations: list[int] = []
        self.catalog_extra = catalog
        self.pages = pages
        self.data = HEADER
        self.prev: int | None = None
        content = b"BT /F1 12 Tf 72 720 Td (Xin ch\\340o) Tj ET"
        objects = {
            2: b"<< /Type /Pages /Count %d /Kids [%s] >>"
            % (pages, b" ".join(b"%d 0 R" % self._page_number(i) for i in range(pages))),
            4: b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
            5: b"<< /Type /Font /Subtype /Type1 /BaseFont /Times-Roman >>",
        }
        for index in range(pages):
            objects[self._page_number(index)] = self.page(index)
        self.size = max(6, *(n + 1 for n in objects))
        if extra:
            objects.update(extra)
            self.size = max(self.size, max(extra) + 1)
        objects[1] = self.catalog()
        self.update(objects, style=style)

    @staticmethod
    def _page_number(index: int) -> int:
        return 3 if index == 0 else 5 + index

    def page(self, index: int = 0) -> bytes:
        annots = b" ".join(b"%d 0 R" % n for n in self.annotations) if index == 0 else b""
        return (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
            b" /Resources << /Font << /F1 5 0 R >> >>" + (b" /Annots [%s]" % annots if annots else b"") + b" >>"
        )

    def catalog(self) -> bytes:
        form = b""
        if self.fields:
            form = b" /AcroForm << /SigFlags 3 /Fields [%s] >>" % b" ".join(b"%d 0 R" % n for n in self.fields)
        return b"<< /Type /Catalog /Pages 2 0 R" + form + self.catalog_extra + b" >>"

    def new(self, count: int = 1) -> int:
        """A free object number (the first of `count`)."""
        first = self.size
        self.size += count
        return first

    def update(
        self,
        objects: dict[int, bytes],
        *,
        style: str = "table",
        free: tuple[int, ...] = (),
        trailer: bytes = b"",
        plain: tuple[int, ...] = (),
    ) -> None:
        """Append a revision that writes `objects`; those in `plain` never go into an object stream."""
        start = len(self.data)
        out = bytearray(self.data)
        offsets: dict[int, int] = {}
        packed: dict[int, tuple[int, int]] = {}
        kept = dict(objects)
        self.size = max(self.size, *(n + 1 for n in objects)) if objects else self.size
        stream_number = 0
        if style in ("stream", "hybrid"):
            inside = {n: kept.pop(n) for n in sorted(objects) if b"stream\n" not in objects[n] and n not in plain}
            if style == "hybrid":  # what old readers need stays outside
                for n in [n for n in inside if n in (1, 2, 3)]:
                    kept[n] = inside.pop(n)
            if inside:
                stream_number = self.new()
                head, body = b"", b""
                for index, (n, value) in enumerate(inside.items()):
                    head += b"%d %d " % (n, len(body))
                    body += value + b" "
                    packed[n] = (stream_number, index)
                raw = zlib.compress(head + body)
                kept[stream_number] = b"<< /Type /ObjStm /N %d /First %d /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % (
                    len(inside), len(head), len(raw), raw)  # fmt: skip
        for n in sorted(kept):
            offsets[n] = len(out)
            out += b"%d 0 obj\n%s\nendobj\n" % (n, kept[n])
        common = b"/Root 1 0 R" + (b" /Prev %d" % self.prev if self.prev is not None else b"") + trailer
        entries = {n: (1, at, 0) for n, at in offsets.items()} | {n: (2, *place) for n, place in packed.items()}
        entries |= dict.fromkeys(free, (0, 0, 1))
        hidden = None
        if style == "stream":
            at = self._xref_stream(out, entries, common)
        else:
            if style == "hybrid" and packed:
                hidden = self._xref_stream(out, {n: entries[n] for n in packed}, b"", tail=False)
                entries = {n: (0, 0, 0) if n in packed else entry for n, entry in entries.items()}
                common += b" /XRefStm %d" % hidden
            if start == len(HEADER):
                entries.setdefault(0, (0, 0, 65535))
            at = len(out)
            out += b"xref\n"
            for first, rows in _runs(entries):
                out += b"%d %d\n" % (first, len(rows))
                for kind, where, extra in rows:
                    out += b"%010d %05d %s \n" % (where, extra, b"n" if kind else b"f")
            out += b"trailer\n<< /Size %d %s >>\nstartxref\n%d\n%%%%EOF\n" % (self.size, common, at)
        self.prev = at
        self.data = bytes(out)

    def _xref_stream(
        self, out: bytearray, entries: dict[int, tuple[int, int, int]], common: bytes, *, tail: bool = True
    ) -> int:
        number = self.new()
        at = len(out)
        entries = dict(entries)
        if tail:
            entries[number] = (1, at, 0)
        rows, index = b"", []
        for first, run in _runs(entries):
            index += [b"%d %d" % (first, len(run))]
            rows += b"".join(bytes([k]) + w.to_bytes(4, "big") + e.to_bytes(2, "big") for k, w, e in run)
        predicted, above = b"", bytes(7)
        for pos in range(0, len(rows), 7):
            row = rows[pos : pos + 7]
            predicted += b"\x02" + bytes((a - b) & 255 for a, b in zip(row, above, strict=True))
            above = row
        raw = zlib.compress(predicted)
        out += (
            b"%d 0 obj\n<< /Type /XRef /Size %d /W [1 4 2] /Index [%s] /Filter /FlateDecode"
            b" /DecodeParms << /Predictor 12 /Columns 7 >> /Length %d %s >>\nstream\n%s\nendstream\nendobj\n"
        ) % (number, self.size, b" ".join(index), len(raw), common, raw)
        if tail:
            out += b"startxref\n%d\n%%%%EOF\n" % at
        return at

    def sign(
        self,
        pki: test_pki.Pki,
        label: str = "person",
        *,
        name: str = "Signature",
        room: int = 24000,
        style: str = "table",
        sub_filter: str = "ETSI.CAdES.detached",
        extra: bytes = b" /M (D:20260102030405+07'00')",
        field_extra: bytes = b"",
        kind: bytes = b" /Type /Sig",
        objects: dict[int, bytes] | None = None,
        cms: bytes | Callable[[bytes], bytes] | None = None,
        timestamped: bool = False,
        rect: bytes = b" /Rect [10 20 110 60]",
    ) -> Written:
        """Append a revision with a signature field and its signature; a document timestamp for ETSI.RFC3161."""
        number = self.new(2)
        holder = number + 1
        self.fields.append(holder)
        self.annotations.append(holder)
        text = name.encode("latin-1")
        dictionary = (
            b"<<%s /Filter /Adobe.PPKLite /SubFilter /%s /ByteRange [0 %s %s %s] /Contents <%s>%s >>"
            % (kind, sub_filter.encode(), *[b"*" * 10] * 3, b"0" * room, extra)
        )  # fmt: skip
        all_objects = {
            number: dictionary,
            holder: b"<< /Type /Annot /Subtype /Widget /FT /Sig /T (%s) /V %d 0 R /P 3 0 R%s%s >>"
            % (text, number, rect, field_extra),
            1: self.catalog(),
            3: self.page(),
            **(objects or {}),
        }
        self.update(all_objects, style=style, plain=(number,))
        return self.fill(pki, label, number, sub_filter=sub_filter, cms=cms, timestamped=timestamped)

    def fill(
        self, pki: test_pki.Pki, label: str, number: int, *, sub_filter: str = "ETSI.CAdES.detached",
        cms: bytes | Callable[[bytes], bytes] | None = None, timestamped: bool = False,
    ) -> Written:  # fmt: skip
        """Complete the placeholder of object `number`: the range, then the signature over it.

        `cms` is that signature, or makes it from the octets covered.
        """
        data = self.data
        at = data.rindex(b"\n%d 0 obj\n" % number)
        before = data.index(b"<0000", at)
        after = data.index(b">", before) + 1
        values = b"[0 %d %d %d]" % (before, after, len(data) - after)
        place = data.index(b"[0 **********", at)
        data = data[:place] + values.ljust(36) + data[place + 36 :]
        covered = data[:before] + data[after:]
        if cms is None:
            cms = make_cms(pki, label, covered, sub_filter, timestamped=timestamped)
        elif not isinstance(cms, bytes):
            cms = cms(covered)
        value = cms.hex().encode().ljust(after - before - 2, b"0")
        assert len(value) == after - before - 2, "no room"
        self.data = data[: before + 1] + value + data[after - 1 :]
        return Written(number, number + 1, before, after, len(data))

    def store(self, pki: test_pki.Pki, label: str = "person", *, values: dict[str, list[bytes]] | None = None) -> None:
        """Append a revision with a DSS that holds the chain, CRL and OCSP response of `label`."""
        issuer = pki.issuer(label)
        values = values or {
            "Certs": pki.chain(label),
            "CRLs": [pki.crl(issuer, pki_now())],
            "OCSPs": [pki.ocsp(label, "good", pki_now())],
        }
        objects: dict[int, bytes] = {}
        lists = b""
        for key, items in values.items():
            refs = []
            for item in items:
                n = self.new()
                objects[n] = b"<< /Length %d >>\nstream\n%s\nendstream" % (len(item), item)
                refs.append(b"%d 0 R" % n)
            lists += b" /%s [%s]" % (key.encode(), b" ".join(refs))
        number = self.new()
        objects[number] = b"<<%s >>" % lists
        self.catalog_extra = re.sub(rb" /DSS \d+ 0 R", b"", self.catalog_extra) + b" /DSS %d 0 R" % number
        objects[1] = self.catalog()
        self.update(objects)


def make_cms(pki: test_pki.Pki, label: str, covered: bytes, sub_filter: str, *, timestamped: bool = False) -> bytes:
    """The CMS over `covered` as the sub filter asks for."""
    digest = hashlib.sha256(covered).digest()
    if sub_filter == "ETSI.RFC3161":
        return pki.timestamp(digest)
    attributes = [timestamps.signing_certificate(pki.cert(label))] if sub_filter.startswith("ETSI") else []
    content = None
    if sub_filter == "adbe.pkcs7.sha1":
        content = hashlib.sha1(covered, usedforsecurity=False).digest()
        digest = hashlib.sha256(content).digest()
    arguments = {"content": content, "content_digest": digest, "key": pki.key(label), "certificate": pki.cert(label)}
    plain = timestamps.signed_data(**arguments, attributes=attributes, include=pki.chain(label)[:-1])
    if not timestamped:
        return plain
    from signsvc.formats import cms

    value = cms.read(plain, subject="x", digest=None).signers[0].value.value
    token = timestamps.attribute("1.2.840.113549.1.9.16.2.14", pki.timestamp(hashlib.sha256(value).digest()))
    return timestamps.signed_data(**arguments, attributes=attributes, include=pki.chain(label)[:-1], unsigned=[token])


def _runs(entries: dict[int, tuple[int, int, int]]) -> list[tuple[int, list[tuple[int, int, int]]]]:
    runs: list[tuple[int, list[tuple[int, int, int]]]] = []
    for n in sorted(entries):
        if runs and runs[-1][0] + len(runs[-1][1]) == n:
            runs[-1][1].append(entries[n])
        else:
            runs.append((n, [entries[n]]))
    return runs
