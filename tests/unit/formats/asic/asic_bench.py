"""ASiC containers made with real keys and tokens, and judged by the one engine."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from signsvc.algorithms import SignatureAlgorithm, SignatureScheme
from signsvc.formats import asic
from signsvc.formats.asic import extend, write
from signsvc.formats.asic.write import AsicSpec
from signsvc.formats.cades import write as cades
from signsvc.formats.cms.write import CmsPlan
from signsvc.formats.zip import File, build, open_container
from signsvc.trust import TrustMaterial
from signsvc.types import Certificate, DocumentVerdict, EvidenceItem, Original
from signsvc.validation import validate
from tests.unit.formats.xades.xades_bench import XadesBench

SHA256_URI = "http://www.w3.org/2001/04/xmlenc#sha256"
E, S = asic.MEDIA_TYPE_E, asic.MEDIA_TYPE_S
FILES = (
    Original("văn bản.pdf", b"%PDF-1.7 \x00\xff" * 50),
    Original("phụ lục/a+b %2B.txt", "xin chào".encode() * 40),
    Original("rỗng.txt", b""),
)


@dataclass
class AsicBench:
    """What `XadesBench` does, for containers."""

    xml: XadesBench

    def _complete(self, made: write.Prepared, label: str) -> bytes:
        made = write.Prepared.from_json(made.to_json())
        return write.complete(made, self.xml.pki.sign_data(label, made.octets, "sha256", False))

    def sign(self, files: Sequence[Original] = FILES, label: str = "person", **spec: Any) -> bytes:
        return self._complete(write.prepare(files, self.xml.plan(label), AsicSpec(**spec)), label)

    def further(self, data: bytes, label: str = "agency", **spec: Any) -> bytes:
        return self._complete(write.prepare_further(data, self.xml.plan(label), AsicSpec(**spec)), label)

    def raised(self, data: bytes, level: str, *labels: str) -> bytes:
        """`data` raised: a timestamp on day 10, validation data of day 11, an archive timestamp on day 12."""
        data = extend.signature_timestamp(data, self.xml.stamp(self.xml.day(10)))
        if level in ("B-LT", "B-LTA"):
            evidence = self.xml.status(*(labels or ("person",)), "tsa1", at=self.xml.day(11))
            data = extend.validation_data(data, evidence)
        if level == "B-LTA":
            data = extend.archive_timestamp(data, self.xml.stamp(self.xml.day(12)))
        return data

    def judge(
        self, data: bytes, *, evidence: Sequence[EvidenceItem] | None = None, now: datetime | None = None, **policy: Any
    ) -> DocumentVerdict:
        now = now or self.xml.now
        labels = ("person", "tsa1", "ec", "agency")
        known = self.xml.status(*labels, at=now) if evidence is None else evidence
        return validate(
            asic.read(data),
            material=TrustMaterial(("test",), self.xml.anchors, ()),
            evidence=known,
            policy=replace(self.xml.policy, **policy),
            now=now,
        )

    def cms(self, content: bytes, label: str = "person") -> bytes:
        """A detached CAdES signature."""
        chain = tuple(Certificate.from_der(one) for one in self.xml.pki.chain(label)[1:-1])
        certificate = Certificate.from_der(self.xml.pki.cert(label))
        scheme = SignatureScheme.ECDSA if certificate.key_type == "ec" else SignatureScheme.RSA_PKCS1
        plan = CmsPlan(certificate, SignatureAlgorithm(scheme, "sha256"), chain)
        made = cades.prepare(Original("x", content), plan, cades.CadesSpec(self.xml.day(9)))
        return cades.complete(made, self.xml.pki.sign_data(label, made.octets, "sha256", False))

    def token(self, content: bytes, day: float, **options: Any) -> bytes:
        return self.xml.stamp(self.xml.day(day), **options)(hashlib.sha256(content).digest(), "sha256")


def manifest(signature: str, files: Mapping[str, bytes]) -> bytes:
    """An ASiCManifest over `files`, by URI."""
    rows = "".join(
        f'<asic:DataObjectReference URI="{uri}" MimeType="text/plain"><ds:DigestMethod Algorithm="{SHA256_URI}"/>'
        f"<ds:DigestValue>{base64.b64encode(hashlib.sha256(data).digest()).decode()}</ds:DigestValue>"
        "</asic:DataObjectReference>"
        for uri, data in files.items()
    )
    return (
        '<asic:ASiCManifest xmlns:asic="http://uri.etsi.org/02918/v1.2.1#" '
        'xmlns:ds="http://www.w3.org/2000/09/xmldsig#">'
        f'<asic:SigReference URI="{signature}" MimeType="application/pkcs7-signature"/>{rows}</asic:ASiCManifest>'
    ).encode()


def packed(media_type: str, files: Iterable[tuple[str, bytes]]) -> bytes:
    return build([File("mimetype", media_type.encode(), stored=True), *(File(name, data) for name, data in files)])


def unpacked(data: bytes) -> dict[str, bytes]:
    container = open_container(data)
    return {entry.name: container.read(entry) for entry in container.entries}


def repacked(data: bytes, changes: Mapping[str, bytes | None], names: Mapping[str, str] | None = None) -> bytes:
    """The container with entries changed, taken away (None) or renamed."""
    held = {**unpacked(data), **changes}
    named = names or {}
    return build(
        [
            File(named.get(name, name), octets, stored=name == "mimetype")
            for name, octets in held.items()
            if octets is not None
        ]
    )
