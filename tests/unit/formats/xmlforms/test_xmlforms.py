"""Known forms of signed XML: which element has to be covered at its own place, whatever signatures say elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from lxml import etree

from signsvc.errors import ConfigError, RequestError
from signsvc.formats import xmlforms
from signsvc.formats.xmlforms import Signed

DS = "http://www.w3.org/2000/09/xmldsig#"
SIGNATURE = f'<Signature xmlns="{DS}" Id="{{}}">{{}}</Signature>'
DATA = (
    "<TTChung><KHMSHDon>1</KHMSHDon><KHHDon>C26TAA</KHHDon><SHDon>17</SHDon><NLap>2026-11-24</NLap></TTChung>"
    "<NDHDon><NBan><Ten>Công ty A</Ten><MST>0100109106</MST></NBan><NMua><Ten>B</Ten><MST>0102</MST></NMua></NDHDon>"
)


def invoice(data: str = DATA, *, seller: str = SIGNATURE.format("s", ""), code: str = "", more: str = "") -> Any:
    text = f'<HDon><DLHDon Id="d">{data}</DLHDon>{code}<DSCKS><NBan>{seller}</NBan></DSCKS>{more}</HDon>'
    return etree.fromstring(text)


def signed(root: Any, name: str, *covered: str) -> Signed:
    (element,) = (found for found in root.iter(f"{{{DS}}}Signature") if found.get("Id") == name)
    nodes = tuple(node for path in covered for node in root.xpath(path))
    assert len(nodes) >= len(covered)
    return Signed(name, element, nodes)


def codes(found: xmlforms.Judgement, name: str) -> set[str]:
    return {finding.code for finding in found.findings[name]}


def test_an_invoice_and_its_seller() -> None:
    root = invoice(code="<MCCQT Id='m'>00AB</MCCQT>")
    found = xmlforms.judge(root, [signed(root, "s", "/HDon/DLHDon")])
    assert found.form is not None
    assert found.form.id == "hoa-don-dien-tu"
    (document,) = found.form.documents
    assert document.path == "/HDon"
    assert dict(document.facts)["invoice_number"] == "17"
    assert dict(document.facts)["tax_authority_code"] == "00AB"
    assert [(one.role, one.signature) for one in document.signers] == [
        ("seller", "s"),
        ("buyer", None),
        ("tax-authority", None),
    ]
    assert (found.findings["s"], found.document, found.tax_codes) == ((), (), {"s": "0100109106"})


def test_the_invoice_in_a_message_is_numbered() -> None:
    one = etree.tostring(invoice()).decode()
    root = etree.fromstring(
        f"<TDiep><DLieu>{one}{one.replace('Id=' + chr(34) + 's', 'Id=' + chr(34) + 't')}</DLieu></TDiep>"
    )
    first, _ = root.xpath("//DLHDon")
    signatures = list(root.iter(f"{{{DS}}}Signature"))
    found = xmlforms.judge(root, [Signed("s", signatures[0], (first,)), Signed("t", signatures[1], (first,))])
    assert found.form is not None
    assert [one.path for one in found.form.documents] == ["/TDiep/DLieu/HDon[1]", "/TDiep/DLieu/HDon[2]"]
    assert codes(found, "s") == set()
    assert codes(found, "t") == {"form_not_covered"}  # the invoice of another does not count


@pytest.mark.parametrize(
    "moved",
    [
        "<Cover><DLHDon Id='d'>x</DLHDon></Cover>",  # beside
        SIGNATURE.format("o", "<Object><DLHDon Id='d'>x</DLHDon></Object>"),  # inside a signature
    ],
)
def test_a_signed_element_moved_aside_proves_nothing(moved: str) -> None:
    root = invoice(more=moved)
    aside = next(node for node in root.iter("{*}DLHDon") if node.getparent() is not root)
    found = xmlforms.judge(root, [Signed("s", next(root.iter(f"{{{DS}}}Signature")), (aside,))])
    assert codes(found, "s") == {"form_not_covered"}


def test_a_part_that_is_there_twice() -> None:
    root = invoice(more="<DLHDon>other</DLHDon>")
    found = xmlforms.judge(root, [signed(root, "s", "/HDon/DLHDon[1]")])
    assert {finding.code for finding in found.document} == {"form_element_repeated"}
    assert codes(found, "s") == {"form_not_covered"}


def test_signers_that_are_missing_or_stand_elsewhere() -> None:
    root = invoice(seller="", more=SIGNATURE.format("x", ""))
    found = xmlforms.judge(root, [signed(root, "x", "/HDon")])
    assert {finding.code for finding in found.document} == {"form_signer_missing"}
    assert codes(found, "x") == {"form_signature_elsewhere"}


def test_the_tax_authority_covers_its_code_as_well() -> None:
    root = etree.fromstring(
        f"<HDon><DLHDon>{DATA}</DLHDon><MCCQT>1</MCCQT><DSCKS><NBan>{SIGNATURE.format('s', '')}</NBan>"
        f"<CQT>{SIGNATURE.format('c', '')}</CQT></DSCKS></HDon>"
    )
    seller = signed(root, "s", "/HDon/DLHDon")
    found = xmlforms.judge(root, [seller, signed(root, "c", "/HDon/DLHDon")])
    assert codes(found, "c") == {"form_not_covered"}
    found = xmlforms.judge(root, [seller, signed(root, "c", "/HDon/DLHDon", "/HDon/MCCQT")])
    assert codes(found, "c") == set()
    assert found.tax_codes == {"s": "0100109106"}


@pytest.mark.parametrize("body", ["2026-11-24T08:00:00", "2026-11-24T01:00:00Z"])
def test_the_time_in_a_covered_object_is_what_the_signer_claims(body: str) -> None:
    held = f"<Object Id='t'><SignatureProperties xmlns=''><SignatureProperty><SigningTime>{body}</SigningTime></SignatureProperty></SignatureProperties></Object>"
    root = invoice(seller=SIGNATURE.format("s", held))
    held_object = next(root.iter(f"{{{DS}}}Object"))
    element = next(root.iter(f"{{{DS}}}Signature"))
    found = xmlforms.judge(root, [Signed("s", element, (root[0], held_object))])
    assert found.times == {"s": datetime(2026, 11, 24, 1, tzinfo=UTC)}
    assert xmlforms.judge(root, [Signed("s", element, (root[0],))]).times == {}


def test_school_records_and_notices() -> None:
    record = etree.fromstring(f"<DU_LIEU_HOC_BA Id='data'><a/>{SIGNATURE.format('s', '')}</DU_LIEU_HOC_BA>")
    found = xmlforms.judge(record, [signed(record, "s", "/DU_LIEU_HOC_BA")])
    assert found.form is not None
    assert (found.form.id, codes(found, "s")) == ("hoc-ba-so", set())
    notice = etree.fromstring(
        f"<TBao><DLTBao Id='n'><MSo>01</MSo></DLTBao><STBao><So>9</So></STBao><DSCKS><CQT>{SIGNATURE.format('s', '')}</CQT></DSCKS></TBao>"
    )
    found = xmlforms.judge(notice, [signed(notice, "s", "/TBao/DLTBao")])
    assert found.form is not None
    assert (found.form.id, codes(found, "s"), found.document) == ("thong-bao-thue", set(), ())


def test_other_documents_have_no_form_and_callers_say_what_has_to_be_covered() -> None:
    root = etree.fromstring(f"<a><b><c/></b><b/>{SIGNATURE.format('s', '')}</a>")
    first, second = signed(root, "s", "/a/b[1]"), signed(root, "s", "/a/b")
    assert xmlforms.judge(root, [first]).form is None
    assert [f.code for f in xmlforms.demanded(root, [first], ["/a/b"])] == ["xml_demanded_not_covered"]
    assert xmlforms.demanded(root, [second], ["/a/b", "/a/b/c"]) == ()
    assert [f.code for f in xmlforms.demanded(root, [second], ["/a/x"])] == ["xml_demanded_missing"]
    for path in ("a/b", "//b", "/a/b[1]", "/a/@id", "/" * 300, ""):
        with pytest.raises(RequestError):
            xmlforms.demanded(root, [first], [path])


@pytest.mark.parametrize(
    "text",
    [
        "",
        'id = "a"\ntitle_vi = "a"\ntitle_en = "a"\nat = ["HDon"]',
        'id = "a"\ntitle_vi = "a"\ntitle_en = "a"\nat = ["/HDon"]\nother = 1',
        'id = "a"\ntitle_vi = "a"\ntitle_en = "a"\nat = ["/HDon"]\nonce = ["//x"]',
        'id = "a"\ntitle_vi = "a"\ntitle_en = "a"\nat = ["/HDon"]\n[[signer]]\nrole = "x"',
    ],
)
def test_definitions_that_are_wrong(text: str) -> None:
    with pytest.raises(ConfigError):
        xmlforms.parse(text)


def test_many_documents_are_looked_at_in_time() -> None:
    root = etree.fromstring("<DSHDon>" + "<HDon><DLHDon/></HDon>" * 1_200 + "</DSHDon>")
    found = xmlforms.judge(root, [])
    assert found.form is not None
    assert len(found.form.documents) == 1_000
    assert {finding.code for finding in found.document} == {"form_too_many", "form_signer_missing"}
