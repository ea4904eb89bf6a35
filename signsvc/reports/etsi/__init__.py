"""The report as ETSI TS 119 102-2 XML: one SignatureValidationReport per signature, certificates and timestamps as
validation objects.  It carries indications, times, signer, path and identity of each signature; the constraints that
were evaluated and the signed attributes are in the JSON report."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from signsvc.reports.objects import Objects

NAMESPACE = "http://uri.etsi.org/19102/v1.2.1#"
_DS = "http://www.w3.org/2000/09/xmldsig#"
_XADES = "http://uri.etsi.org/01903/v1.3.2#"
_SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
_URN = "urn:etsi:019102:"
_PROCESSES = {"B-T": "LTVM", "B-LT": "LTVM", "B-LTA": "LTA"}


def render_xml(report: Mapping[str, Any], objects: Objects | None = None) -> bytes:
    """`report` (the JSON of `signsvc.reports.build`) as an unsealed ValidationReport (TS 119 102-2, 4.2), the same
    octets for the same report; `objects` are given along in base64, what is not in them by digest alone."""
    from lxml import etree

    return bytes(etree.tostring(_Writer(report, objects or Objects()).root, encoding="UTF-8", xml_declaration=True))


class _Writer:
    def __init__(self, report: Mapping[str, Any], objects: Objects) -> None:
        from lxml import etree

        self._make = etree.SubElement
        self._report, self._objects = report, objects
        names = {None: NAMESPACE, "ds": _DS, "xades": _XADES}
        self.root = etree.Element(f"{{{NAMESPACE}}}ValidationReport", nsmap=names)
        found: dict[str, Mapping[str, Any]] = {}
        stamps: list[tuple[str, Mapping[str, Any]]] = []
        signatures = list(report["signatures"])
        for one in signatures:  # counter-signatures are appended while it runs
            signatures.extend(one["counter_signatures"])
        self._ids: dict[int, str] = {}
        for part in [*(t for s in signatures for t in s["timestamps"]), *report["timestamps"]]:
            self._ids[id(part)] = f"TST-{len(stamps) + 1}"
            stamps.append((self._ids[id(part)], part))
        for part in [*signatures, *(t for _, t in stamps)]:
            found.update((entry["sha256"], entry) for entry in part["chain"])
        self._certificates = found
        for one in signatures:
            self._signature(one)
        if not signatures:
            self._status(self._add(self.root, "SignatureValidationReport"), report)
        if found or stamps:
            listed = self._add(self.root, "SignatureValidationObjects")
            for digest in found:
                self._object(listed, f"CERT-{digest}", "certificate", self._objects.certificates.get(digest), digest)
            for name, stamp in stamps:
                self._stamp(listed, name, stamp)

    def _add(self, parent: Any, name: str, value: str | None = None, space: str = NAMESPACE) -> Any:
        made = self._make(parent, f"{{{space}}}{name}")
        made.text = value
        return made

    def _refer(self, parent: Any, name: str, target: str) -> None:
        self._add(parent, name).set("VOReference", target)

    def _digest(self, parent: Any, sha256: str) -> None:
        made = self._add(parent, "DigestAlgAndValue")
        self._add(made, "DigestMethod", space=_DS).set("Algorithm", _SHA256)
        self._add(made, "DigestValue", base64.b64encode(bytes.fromhex(sha256)).decode(), _DS)

    def _signature(self, one: Mapping[str, Any]) -> None:
        made = self._add(self.root, "SignatureValidationReport")
        bound = one.get("binding")
        if bound:
            known = self._add(made, "SignatureIdentifier")
            if bound["signed_bytes_sha256"]:
                self._digest(known, bound["signed_bytes_sha256"])
            self._add(known, "SignatureValue", bound["signature_value"], _DS)
            self._add(known, "HashOnly", "false")
            self._add(known, "DocHashOnly", "false")
        times = self._add(made, "ValidationTimeInfo")
        self._add(times, "ValidationTime", self._report["validation_time"])
        best = self._add(times, "BestSignatureTime")
        proven = one["time_source"] == "timestamp" and one["best_signature_time"]
        self._add(best, "POETime", proven or self._report["validation_time"])
        self._add(best, "TypeOfProof", f"{_URN}poetype:validation")
        for stamp in one["timestamps"] if proven else ():
            if stamp["time"] == proven:
                self._refer(best, "POEObject", self._ids[id(stamp)])
                break
        if one["certificate"] and one["certificate"]["sha256"] in self._certificates:
            signer = self._add(made, "SignerInformation")
            self._refer(signer, "SignerCertificate", f"CERT-{one['certificate']['sha256']}")
            if one["signed_by"]:
                self._add(signer, "Signer", one["signed_by"])
        process = next((v for k, v in _PROCESSES.items() if one["level"].endswith(k)), "Basic")
        self._add(
            self._add(made, "SignatureValidationProcess"),
            "SignatureValidationProcessID",
            f"{_URN}validationprocess:{process}",
        )
        self._status(made, one)

    def _status(self, parent: Any, one: Mapping[str, Any], word: str | None = None) -> None:
        made = self._add(parent, "SignatureValidationStatus")
        self._add(made, "MainIndication", f"{_URN}mainindication:{word or one['indication'].lower()}")
        if one["sub_indication"]:
            self._add(made, "SubIndication", f"{_URN}subindication:{one['sub_indication']}")
        if one.get("chain"):
            path = self._add(self._add(made, "AssociatedValidationReportData"), "CertificateChain")
            self._refer(path, "SigningCertificate", f"CERT-{one['chain'][0]['sha256']}")
            for entry in one["chain"][1:]:
                name = "TrustAnchor" if entry["trust_anchor"] else "IntermediateCertificate"
                self._refer(path, name, f"CERT-{entry['sha256']}")

    def _object(self, parent: Any, name: str, kind: str, octets: bytes | None, digest: str | None) -> Any:
        made = self._add(parent, "ValidationObject")
        made.set("id", name)
        self._add(made, "ObjectType", f"{_URN}validationObject:{kind}")
        shown = self._add(made, "ValidationObjectRepresentation")
        if octets is not None:
            self._add(shown, "base64", base64.b64encode(octets).decode())
        elif digest:
            self._digest(shown, digest)
        return made

    def _stamp(self, parent: Any, name: str, stamp: Mapping[str, Any]) -> None:
        made = self._object(parent, name, "timestamp", self._objects.timestamps.get(stamp["id"]), None)
        shown = made[-1]
        if not len(shown):
            self._add(shown, "URI", f"#{name}")
        if stamp["time"]:
            self._add(self._add(made, "POEProvisioning"), "POETime", stamp["time"])
        word = {"TOTAL-PASSED": "passed", "TOTAL-FAILED": "failed"}.get(stamp["indication"])
        self._status(self._add(made, "ValidationReport"), stamp, word)
