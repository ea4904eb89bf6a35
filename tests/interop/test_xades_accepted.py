"""EU DSS passes what we sign in XML, at every level and packaging, and names the same level; the schemas of ETSI of July
2024 hold for it."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from signsvc.formats.xades import read
from signsvc.formats.xades.elements import ProductionPlace
from signsvc.validation import policies
from test_pki import Pki
from tests.interop.conftest import JAVA, Question
from tests.unit.formats.xades.xades_bench import INVOICE, Packaging, XadesBench, original

Ask = Callable[[Sequence[Question]], list[dict[str, Any]]]
LEVELS = ("B-B", "B-T", "B-LT", "B-LTA")
CAS = ("root-g2", "sub-g2-state", "sub-g2-software", "sub-g2-tsa")
DS = "http://www.w3.org/2000/09/xmldsig#"
SHAPES: dict[str, tuple[bytes | None, dict[str, Any]]] = {
    "enveloped": (INVOICE, {"roles": ("Giám đốc",), "place": ProductionPlace(city="Hà Nội", country="VN")}),
    "part": (INVOICE, {"references": ("data",), "commitments": ("1.2.840.113549.1.9.16.6.5", "1.2.3.4")}),
    "enveloping": (None, {"files": (original("a.txt", b"xin chao"),), "packaging": Packaging.ENVELOPING}),
    "ec": (INVOICE, {"label": "ec"}),
    "pss": (INVOICE, {}),
    "utf-16": (INVOICE.decode().replace("UTF-8", "UTF-16").encode("utf-16"), {}),
}


@pytest.fixture(scope="module")
def signed(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """Every shape at every level, and files with two signatures and with a counter-signature."""
    bench = XadesBench(pki, policies.load("hon-hop"), datetime.now(UTC), ())
    directory = tmp_path_factory.mktemp("xades")
    found: dict[tuple[str, str], Path] = {}

    def keep(shape: str, level: str, data: bytes) -> None:
        found[shape, level] = directory / f"{shape}-{level}.xml"
        found[shape, level].write_bytes(data)

    for shape, (data, spec) in SHAPES.items():
        plan = {"plan": bench.plan(pss=True)} if shape == "pss" else {}
        made = bench.sign(data, **spec, **plan)
        label = spec.get("label", "person")
        for level in LEVELS:
            keep(shape, level, made if level == "B-B" else bench.raised(made, level, label=label))
    keep("two", "B-LTA", bench.raised(bench.sign(bench.sign(), references=("other",)), "B-LTA"))
    once = bench.sign()
    countered = bench.sign(once, "ec", parent=read(once).signatures[0].field)
    keep("counter", "B-LTA", bench.raised(countered, "B-LTA"))
    return found


def test_dss_passes_every_level(dss: Ask, pki: Pki, signed: dict[tuple[str, str], Path], tmp_path: Path) -> None:
    """Below B-LT, and for the counter-signature, DSS gets lists from files; else only what is inside."""
    for label in CAS:
        (tmp_path / f"{label}.crt").write_bytes(pki.cert(label))
        (tmp_path / f"{label}.crl").write_bytes(pki.crl(label))
    certificates = tuple(tmp_path / f"{label}.crt" for label in CAS)
    lists = tuple(tmp_path / f"{label}.crl" for label in CAS)
    questions = []
    known = {key: path for key, path in signed.items() if key[0] != "utf-16"}  # which DSS takes for no XML
    for (shape, level), path in known.items():
        helped = level in ("B-B", "B-T") or shape == "counter"
        questions.append(Question(path, certificates[:1], certificates[1:] if helped else (), lists if helped else ()))
    for ((shape, level), _), answer in zip(known.items(), dss(questions), strict=True):
        said = [(one["indication"], one["format"]) for one in answer["signatures"]]
        passed = ("TOTAL_PASSED", f"XAdES-BASELINE-{level[2:]}")
        more = {"two": [passed], "counter": [("TOTAL_PASSED", "XAdES-BASELINE-B")]}.get(shape, [])
        assert said == [passed, *more], (shape, level, answer)


def test_dss_refuses_what_was_changed(dss: Ask, signed: dict[tuple[str, str], Path], tmp_path: Path) -> None:
    changed = tmp_path / "changed.xml"
    changed.write_bytes(signed["enveloped", "B-B"].read_bytes().replace(b'a="1"', b'a="2"', 1))
    (answer,) = dss([Question(changed)])
    assert (answer["signatures"][0]["indication"], answer["signatures"][0]["intact"]) == ("TOTAL_FAILED", False)


@pytest.fixture(scope="module")
def schema(dss: Ask, tmp_path_factory: pytest.TempPathFactory) -> etree.XMLSchema:
    """XML Signature with both namespaces of XAdES, as DSS carries the schemas."""
    directory = tmp_path_factory.mktemp("xsd")
    for name in ("specs-xades", "specs-xmldsig"):
        (jar,) = (JAVA / "lib").glob(f"{name}-[0-9]*.jar")
        with zipfile.ZipFile(jar) as held:
            for item in held.namelist():
                if item.endswith(".xsd"):
                    (directory / Path(item).name).write_bytes(held.read(item))
    local = {
        "http://www.w3.org/TR/2008/REC-xmldsig-core-20080610/xmldsig-core-schema.xsd": "xmldsig-core-schema.xsd",
        "https://forge.etsi.org/rep/esi/x19_13201_XAdES/raw/v1.3.1/1913201-XAdES01903v132.xsd": "XAdES01903v132-202407.xsd",
    }
    for name in ("XAdES01903v132-202407.xsd", "XAdES01903v141-202407.xsd"):
        text = (directory / name).read_text("utf-8")
        for remote, here in local.items():
            text = text.replace(remote, here)
        (directory / name).write_text(text, "utf-8")
    whole = directory / "whole.xsd"
    spaces = {
        DS: "xmldsig-core-schema.xsd",
        "http://uri.etsi.org/01903/v1.3.2#": "XAdES01903v132-202407.xsd",
        "http://uri.etsi.org/01903/v1.4.1#": "XAdES01903v141-202407.xsd",
    }
    imports = "".join(f'<import namespace="{space}" schemaLocation="{name}"/>' for space, name in spaces.items())
    whole.write_text(f'<schema xmlns="http://www.w3.org/2001/XMLSchema">{imports}</schema>', "utf-8")
    return etree.XMLSchema(etree.parse(str(whole), etree.XMLParser(no_network=True)))


def test_the_schemas_hold(schema: etree.XMLSchema, signed: dict[tuple[str, str], Path]) -> None:
    checked = 0
    for path in signed.values():
        for found in etree.parse(str(path)).iter(f"{{{DS}}}Signature"):
            alone = etree.fromstring(etree.tostring(found, with_tail=False))
            assert schema.validate(alone), (path.name, schema.error_log)
            checked += 1
            for name in ("SigningTime", "EncapsulatedTimeStamp"):
                for leaf in alone.iter(f"{{http://uri.etsi.org/01903/v1.3.2#}}{name}"):
                    leaf.text = "no such value!"
                    assert not schema.validate(alone)  # the schema does look inside
    assert checked >= len(signed)
