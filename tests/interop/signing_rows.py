"""What can be signed, with what and how, in rows in which every two values meet; and the documents for it."""

from __future__ import annotations

import itertools
import random
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from io import BytesIO
from pathlib import Path
from typing import Any

from signsvc.samples import path as sample
from signsvc.signing.model import TEMPLATES
from tests.pdf_writer import PdfWriter
from tests.unit.signing.appearance_pages import METADATA, document

FIELD = "KyDuyet"
PICTURES = {"ky-phe-duyet": "hand.png", "dong-dau": "seal.png"}
LEVELS = ("B-B", "B-T", "B-LT", "B-LTA")
DIGESTS = ("sha256", "sha384", "sha512")
# Kind of key -> credential and scheme: tokens, files, a key that a remote service keeps.
KEYS = {
    "token-rsa2048": ("person", "pkcs1v15"),
    "token-rsa3072-pss": ("rsa3072", "pss"),
    "token-p256": ("ec", "pkcs1v15"),
    "file-rsa2048-pss": ("p12-agency", "pss"),
    "file-rsa4096": ("p12-rsa4096", "pkcs1v15"),
    "file-p256": ("p12-ec", "pkcs1v15"),
    "file-p384": ("p12-p384", "pkcs1v15"),
    "remote-rsa2048": ("remote", "pkcs1v15"),
}
EXTRAS = ("plain", "field", "locked-field", "certified-2", "certified-3", "claims", *TEMPLATES)
DOORS = ("direct", "http", "session")
BASES = ("table", "stream", "hybrid", "packed", "linearized", "rotated", "pdf-2.0", "large",
         "encrypted", "encrypted-mac", "signed-here", "signed-elsewhere")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    level: str
    key: str
    digest: str
    base: str
    extra: str
    door: str

    @property
    def name(self) -> str:
        return "_".join((self.base, self.extra, self.level, self.key, self.digest, self.door))

    @property
    def possible(self) -> bool:
        """No second signature certifies, and pictures are not sent to a session."""
        signed = self.base.startswith("signed-")
        return not (signed and self.extra.startswith("certified")) and not (
            self.door == "session" and self.extra in PICTURES
        )

    @property
    def pairs(self) -> set[tuple[str, str]]:
        return set(itertools.combinations((f"{f.name}={getattr(self, f.name)}" for f in fields(self)), 2))

    @property
    def params(self) -> dict[str, Any]:
        """What the caller says."""
        texts = {"reason": "Phê duyệt", "location": "Hà Nội"}
        if self.extra in ("field", "locked-field"):
            return {**texts, "field": FIELD}
        if self.extra.startswith("certified"):
            return {**texts, "certify": int(self.extra[-1])}
        if self.extra == "claims":
            return {"capacity": ["KT. CHỦ TỊCH"], "role": "PHÓ CHỦ TỊCH", "commitment": "origin"}
        if self.extra in TEMPLATES:
            visible: dict[str, Any] = {"template": self.extra, "page": 1, "rect": [40, 60, 250, 160]}
            if self.extra in PICTURES:
                visible["image"] = PICTURES[self.extra]
            return {**texts, "visible": visible, "metadata": METADATA}
        return texts


def rows(times: int = 1) -> Iterator[Row]:
    """Rows until every two values that can be together have been so many `times`; those that add most come first."""
    axes = (LEVELS, tuple(KEYS), DIGESTS, BASES, EXTRAS, DOORS)
    every = [row for row in (Row(*values) for values in itertools.product(*axes)) if row.possible]
    rng = random.Random(20)
    missing = dict.fromkeys(set().union(*(row.pairs for row in every)), times)
    by_pair: dict[tuple[str, str], list[Row]] = {pair: [] for pair in sorted(missing)}
    for row in every:
        for pair in row.pairs:
            by_pair[pair].append(row)
    seen: set[Row] = set()
    while missing:
        pair = rng.choice(sorted(missing))
        row = max(rng.choices(by_pair[pair], k=40), key=lambda row: (row not in seen, len(row.pairs & missing.keys())))
        for met in row.pairs & missing.keys():
            missing[met] -= 1
            if not missing[met]:
                del missing[met]
        if row not in seen:
            seen.add(row)
            yield row


def _qpdf(*options: str) -> bytes:
    command = ["qpdf", *options, str(sample("van-ban.pdf")), "-"]
    return subprocess.run(command, check=True, capture_output=True).stdout


def _encrypted(**options: Any) -> bytes:
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.pdf_utils.writer import copy_into_new_writer

    writer: Any = copy_into_new_writer(PdfFileReader(BytesIO(sample("van-ban.pdf").read_bytes())))
    writer.encrypt(owner_pass="owner", user_pass="", **options)
    out = BytesIO()
    writer.write(out)
    return out.getvalue()


UNSIGNED: dict[str, Callable[[], bytes]] = {
    "table": lambda: PdfWriter(pages=2).data,
    "stream": lambda: PdfWriter(style="stream").data,
    "hybrid": lambda: PdfWriter(style="hybrid").data,
    "packed": lambda: _qpdf("--object-streams=generate"),
    "linearized": lambda: _qpdf("--linearize"),
    "rotated": lambda: document(rotate=90),
    "pdf-2.0": lambda: _qpdf("--force-version=2.0"),
    "large": lambda: PdfWriter(pages=500, extra={600: b"<< /Length 3000000 >>\nstream\n" + bytes(3_000_000) + b"\nendstream"}).data,
    "encrypted": lambda: _qpdf("--encrypt", "", "owner", "256", "--"),
    "encrypted-mac": _encrypted,
}  # fmt: skip


def with_field(data: bytes, *, locked: bool) -> bytes:
    """`data` with an empty signature field that another program made."""
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
    from pyhanko.sign import fields as stock

    writer = IncrementalPdfFileWriter(BytesIO(data), strict=False)
    if writer.prev.encrypted:
        writer.encrypt(b"")
    lock = stock.FieldMDPSpec(stock.FieldMDPAction.ALL) if locked else None
    stock.append_signature_field(writer, stock.SigFieldSpec(FIELD, box=(40, 60, 250, 160), field_mdp_spec=lock))
    out = BytesIO()
    writer.write(out)
    return out.getvalue()


def signed_elsewhere(data: bytes, p12: Path, password: bytes) -> bytes:
    """`data` signed by stock pyHanko."""
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
    from pyhanko.sign import fields as stock
    from pyhanko.sign import signers

    signer = signers.SimpleSigner.load_pkcs12(str(p12), passphrase=password)
    assert signer is not None
    metadata = signers.PdfSignatureMetadata(field_name="First", subfilter=stock.SigSeedSubFilter.PADES)
    writer = IncrementalPdfFileWriter(BytesIO(data))
    return bytes(signers.sign_pdf(writer, metadata, signer=signer).getvalue())


__all__ = ["FIELD", "KEYS", "LEVELS", "PICTURES", "UNSIGNED", "Row", "rows", "signed_elsewhere", "with_field"]
