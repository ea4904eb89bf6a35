"""The document that is written, the names in it, and small elements that recur."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any

from signsvc.reports.objects import Objects

NAMESPACE = "http://uri.etsi.org/19102/v1.2.1#"
DS = "http://www.w3.org/2000/09/xmldsig#"
XADES = "http://uri.etsi.org/01903/v1.3.2#"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
URN = "urn:etsi:019102:"
OWN = "urn:signsvc:"
DOCUMENT = "DOC-1"


class Page:
    """What is written of one report.  `stamps` are all timestamps by the name of their object; `chain` is all
    certificates met by SHA-256."""

    def __init__(self, report: Mapping[str, Any], objects: Objects) -> None:
        from lxml import etree

        self._make = etree.SubElement
        self.report, self.objects = report, objects
        names = {None: NAMESPACE, "ds": DS, "xades": XADES}
        self.root = etree.Element(f"{{{NAMESPACE}}}ValidationReport", nsmap=names)
        self.signatures = list(report["signatures"])
        for one in self.signatures:  # counter-signatures are appended while it runs
            self.signatures.extend(one["counter_signatures"])
        self.stamps: dict[str, Mapping[str, Any]] = {}
        for part in [*(t for s in self.signatures for t in s["timestamps"]), *report["timestamps"]]:
            self.stamps.setdefault(f"TST-{len(self.stamps) + 1}", part)
        self._names = {part["id"]: name for name, part in self.stamps.items()}
        self.chain: dict[str, Mapping[str, Any]] = {}
        for part in [*self.signatures, *self.stamps.values()]:
            for entry in part["chain"]:
                self.chain.setdefault(entry["sha256"], entry)

    def stamp(self, identifier: str | None) -> str | None:
        """The object of a timestamp by its id in the report."""
        return self._names.get(identifier) if identifier else None

    def add(self, parent: Any, name: str, value: str | None = None, space: str = NAMESPACE) -> Any:
        made = self._make(parent, f"{{{space}}}{name}")
        made.text = None if value is None else _clean(value)
        return made

    def refer(self, parent: Any, name: str, *targets: str) -> Any:
        made = self.add(parent, name)
        made.set("VOReference", " ".join(targets))
        return made

    def digest(self, parent: Any, sha256: str, name: str = "DigestAlgAndValue", space: str = NAMESPACE) -> Any:
        made = self.add(parent, name, space=space)
        self.digest_parts(made, sha256)
        return made

    def digest_parts(self, parent: Any, sha256: str) -> None:
        self.add(parent, "DigestMethod", space=DS).set("Algorithm", SHA256)
        self.add(parent, "DigestValue", encoded(sha256), DS)

    def typed(self, parent: Any, name: str, kind: str, value: str) -> None:
        """A TypedDataType."""
        made = self.add(parent, name)
        self.add(made, "Type", kind)
        self.add(made, "Value", value)

    def poe(self, parent: Any, name: str, time: str, by: str | None) -> None:
        """A POEType: `by` is the name of the timestamp that proves it."""
        made = self.add(parent, name)
        self.add(made, "POETime", time)
        self.add(made, "TypeOfProof", f"{URN}poetype:validation")
        if by is not None:
            self.refer(made, "POEObject", by)

    def messages(self, parts: Iterable[Mapping[str, Any]], *levels: str) -> list[Mapping[str, Any]]:
        return [one for one in parts if one["level"] in levels]


def encoded(sha256: str) -> str:
    """Hex as XML writes digests."""
    return base64.b64encode(bytes.fromhex(sha256)).decode("ascii")


def _clean(value: str) -> str:
    """Without what XML cannot hold: names come from certificates."""
    return "".join(c if c in "\t\n\r" or (c >= " " and not "\ud800" <= c <= "\udfff" and c < "\ufffe") or c > "\uffff"
                   else "\ufffd" for c in value)  # fmt: skip


__all__ = ["DOCUMENT", "DS", "NAMESPACE", "OWN", "SHA256", "URN", "XADES", "Page", "encoded"]
