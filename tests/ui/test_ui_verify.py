"""The verify page in a real browser: drop a PDF, see the verdict."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

import test_pki
from signsvc.types import Original
from tests.support.packets import packet
from tests.support.seals import seal, with_image
from tests.support.service import Service
from tests.support.signed_cms import sign
from tests.ui.tab import INTRANET, MOBILE, OVERRIDE, OpenTab, Papers, Tab

PASSED = "Chữ ký hợp lệ"
FAILED = "Chữ ký không hợp lệ"
OPEN = "Không đủ thông tin xác thực chữ ký"


def test_who_when_and_what_next_of_a_good_document(open_tab: OpenTab, papers: Papers) -> None:
    tab = open_tab()
    tab.verify(papers.signed)
    assert tab.verdict == f"✓ {PASSED}"
    assert tab.page.title().startswith(PASSED)
    person, agency = tab.facts(1), tab.facts(2)
    assert person["Người ký"] == "Nguyễn Văn An"
    assert person["Cơ quan"] == "Văn phòng Sở, Sở Nội vụ, Ủy ban nhân dân tỉnh Thử Nghiệm"
    assert re.fullmatch(r"\d\d/\d\d/20\d\d \d\d:\d\d:\d\d \+07:00 \(theo dấu thời gian\)", person["Thời gian ký"])
    assert person["Sau khi ký"] == "điền biểu mẫu hoặc ký thêm; bổ sung dữ liệu xác thực, dấu thời gian"
    assert agency["Người ký"] == "Ủy ban nhân dân xã Thử Nghiệm"
    assert agency["Sau khi ký"] == "bổ sung dữ liệu xác thực, dấu thời gian"
    checks = tab.page.locator("section.signature >> nth=0 >> .checks li").all_inner_texts()
    assert [check.split("\n") for check in checks] == [
        ["Tính toàn vẹn", "đạt"],
        ["Đường dẫn chứng thực", "đạt"],
        ["Trạng thái thu hồi", "đạt"],
        ["Dấu thời gian", "đạt"],
        ["Độ an toàn thuật toán", "đạt"],
        ["Thay đổi sau khi ký", "đạt"],
    ]
    assert tab.page.locator(".signers li").count() == 2
    expect(tab.page.locator(".advice")).to_contain_text("Đối chiếu người ký và cơ quan")
    assert tab.page.locator(".reasons").count() == 0


def test_switch_to_english_and_back(open_tab: OpenTab, papers: Papers) -> None:
    tab = open_tab()
    tab.verify(papers.signed)
    tab.page.get_by_role("link", name="English").click()
    assert tab.verdict == "✓ Valid signature"
    assert tab.page.locator("html").get_attribute("lang") == "en"
    assert tab.facts()["Signed by"] == "Nguyễn Văn An"
    assert "Verify another file" in tab.text()
    tab.page.reload()
    assert tab.verdict == "✓ Valid signature"
    tab.page.get_by_role("link", name="Tiếng Việt").click()
    assert tab.verdict == f"✓ {PASSED}"
    assert tab.page.locator("html").get_attribute("lang") == "vi"


def test_time_that_nobody_proves_is_called_so(open_tab: OpenTab, papers: Papers) -> None:
    tab = open_tab()
    tab.verify(papers.plain)
    assert tab.verdict == f"✓ {PASSED}"
    facts = tab.facts()
    assert facts["Thời gian ký"].endswith("(do người ký khai, chưa được chứng minh)")
    assert facts["Sau khi ký"] == "tài liệu không thay đổi"
    expect(tab.page.locator(".advice")).to_contain_text("Thời gian ký chưa được chứng minh")


def test_a_tampered_document(open_tab: OpenTab, papers: Papers) -> None:
    tab = open_tab()
    tab.verify(papers.tampered)
    assert tab.verdict == f"✗ {FAILED}"
    assert tab.page.locator(".reasons li").all_inner_texts() == ["Tài liệu đã bị thay đổi."]
    assert tab.facts()["Sau khi ký"] == "nội dung đã ký không còn nguyên vẹn"
    expect(tab.page.locator(".advice")).to_contain_text("Không dùng tệp này làm căn cứ")
    assert not [line for line in tab.page.locator("h1, h2, .signers li").all_inner_texts() if PASSED in line]


def test_text_replaced_after_signing(open_tab: OpenTab, papers: Papers) -> None:
    tab = open_tab()
    tab.verify(papers.changed)
    assert tab.verdict == f"✗ {FAILED}"
    facts = tab.facts()
    assert facts["Sau khi ký"] == "thay đổi nội dung đã ký"
    assert facts["Kết luận tại thời điểm ký (chưa xét thay đổi sau đó)"] == PASSED
    assert "Tài liệu đã bị thay đổi sau khi ký" in tab.page.locator(".reasons").inner_text()


def test_a_signer_whom_nobody_vouches_for(open_tab: OpenTab, papers: Papers) -> None:
    tab = open_tab()
    tab.verify(papers.unknown)
    assert tab.verdict == f"? {OPEN}"
    assert tab.facts()["Người ký"] == "Người Lạ (tên ghi trong chứng thư, chưa được xác thực)"
    expect(tab.page.locator(".advice")).to_contain_text("không do tổ chức chứng thực đang được tin cậy cấp")


def test_colours_tell_the_verdicts_apart(open_tab: OpenTab, papers: Papers) -> None:
    tab = open_tab()
    seen = set()
    for paper in (papers.signed, papers.tampered, papers.unknown):
        tab.verify(paper)
        line = tab.page.locator("h1")
        seen.add(line.evaluate("el => getComputedStyle(el).color + getComputedStyle(el.parentElement).backgroundColor"))
        assert line.evaluate("el => parseFloat(getComputedStyle(el).fontSize)") >= 32
    assert len(seen) == 3


def test_a_document_without_signatures(open_tab: OpenTab, papers: Papers) -> None:
    tab = open_tab()
    tab.verify(papers.unsigned)
    assert tab.verdict == "– Tài liệu không có chữ ký số"
    assert tab.page.locator("section.signature").count() == 0
    expect(tab.page.locator(".advice")).to_contain_text("không phải chữ ký số")


def test_what_is_no_signed_file_is_said_in_plain_words(open_tab: OpenTab, papers: Papers) -> None:
    tab = open_tab(refusals=(415,))
    tab.verify(papers.text)
    assert tab.verdict == "Không kiểm tra được tệp này"
    assert "Định dạng tài liệu không được hỗ trợ; dịch vụ nhận tệp PDF, XML, ASiC (ZIP) và CMS" in tab.text()
    assert "Hãy chọn tệp đã ký hoặc tệp chữ ký." in tab.text()
    tab.page.get_by_role("link", name="Kiểm tra tệp khác").click()
    tab.verify(papers.plain)
    assert tab.verdict == f"✓ {PASSED}"


def test_an_empty_file(open_tab: OpenTab, tmp_path: Path) -> None:
    tab = open_tab(refusals=(400, 422))
    (tmp_path / "empty.pdf").touch()
    tab.verify(tmp_path / "empty.pdf")
    assert tab.verdict == "Không kiểm tra được tệp này"
    assert "Tài liệu rỗng." in tab.text()


def test_no_file_chosen(open_tab: OpenTab) -> None:
    tab = open_tab()
    tab.open("/verify")
    tab.page.locator("#submit").click()
    assert tab.page.locator("#document:invalid").count() == 1
    assert tab.page.locator("#submit").is_enabled()


def test_without_scripts(open_tab: OpenTab, papers: Papers) -> None:
    tab = open_tab(java_script_enabled=False)
    tab.verify(papers.signed)
    assert tab.verdict == f"✓ {PASSED}"
    assert not any(url.endswith(".js") for url in tab.requests)
    tab.page.locator("section.signature summary >> nth=0").click()
    expect(tab.page.get_by_text("PAdES B-LTA").first).to_be_visible()
    tab.verify(papers.tampered)
    assert tab.verdict == f"✗ {FAILED}"


def drop(tab: Tab, *paths: Path) -> None:
    files = [[path.name, base64.b64encode(path.read_bytes()).decode()] for path in paths]
    transfer = tab.page.evaluate_handle(
        """(files) => { const transfer = new DataTransfer();
        for (const [name, content] of files)
          transfer.items.add(new File([Uint8Array.from(atob(content), (c) => c.charCodeAt(0))], name, {type: "application/pdf"}));
        return transfer; }""",
        files,
    )
    for event in ("dragenter", "dragover", "drop"):
        tab.page.dispatch_event("#document", event, {"dataTransfer": transfer})


def test_drop_a_file(open_tab: OpenTab, papers: Papers) -> None:
    tab = open_tab()
    tab.open("/verify")
    with tab.page.expect_navigation():
        drop(tab, papers.signed)
    assert tab.verdict == f"✓ {PASSED}"
    assert "signed.pdf" in tab.page.locator(".kicker").inner_text()


def test_on_an_office_network_without_tls(open_tab: OpenTab, papers: Papers) -> None:
    tab = open_tab(host=INTRANET)
    tab.verify(papers.signed)
    assert tab.verdict == f"✓ {PASSED}"


def test_a_form_of_another_site_is_refused(open_tab: OpenTab, service: Service) -> None:
    tab = open_tab(host=INTRANET, refusals=(403,))
    tab.page.route(
        "**/elsewhere",
        lambda route: route.fulfill(
            body="<form id=f method=post enctype=multipart/form-data></form>", content_type="text/html"
        ),
    )
    tab.open("/elsewhere")
    with tab.page.expect_navigation() as answer:
        tab.page.evaluate("to => { f.action = to; f.submit(); }", f"http://{service.bind}/verify")
    assert answer.value.status == 403
    assert "forbidden" in tab.text()
    tab.requests.clear()  # the service is another origin here, on purpose


def test_several_files_each_have_their_verdict(open_tab: OpenTab, papers: Papers) -> None:
    tab = open_tab()
    tab.open("/verify")
    with tab.page.expect_navigation():
        drop(tab, papers.signed, papers.tampered, papers.unsigned, papers.text)
    assert tab.verdict == "Kết quả kiểm tra 4 tệp"
    entries = tab.page.locator(".files li").all_inner_texts()
    said = [PASSED, FAILED, "Tài liệu không có chữ ký số", "signsvc"]
    for entry, word, path in zip(
        entries, said, (papers.signed, papers.tampered, papers.unsigned, papers.text), strict=True
    ):
        assert path.name in entry
        assert word in entry or path is papers.text, entry
    ids = tab.page.locator("[id]").evaluate_all("all => all.map(one => one.id)")
    assert len(ids) == len(set(ids))
    tab.page.locator(".file >> nth=1 >> summary >> nth=0").click()
    expect(tab.page.locator(".file >> nth=1 >> .verdict")).to_be_visible()


def test_a_detached_signature_and_what_it_is_over(
    open_tab: OpenTab, papers: Papers, pki: test_pki.Pki, tmp_path: Path
) -> None:
    content, signature = tmp_path / "thu.txt", tmp_path / "thu.txt.p7s"
    content.write_bytes(b"noi dung")
    signature.write_bytes(sign(pki, content=Original("thu.txt", b"noi dung")))
    tab = open_tab()
    tab.open("/verify?lang=vi")
    tab.page.locator("#document").set_input_files([content, signature])
    expect(tab.page.locator("#status")).to_have_text("Đã chọn 2 tệp")
    with tab.page.expect_navigation():
        tab.page.locator("#submit").click()
    assert "thu.txt.p7s" in tab.page.locator(".kicker").inner_text()
    assert tab.page.locator(".lines li").first.is_visible()
    assert "Tài liệu chưa bị thay đổi." in tab.text()


def test_a_packet(open_tab: OpenTab, papers: Papers, tmp_path: Path) -> None:
    path = tmp_path / "goi-tin.edxml"
    path.write_bytes(packet(("quyet-dinh.pdf", papers.signed.read_bytes()), ("nhap.pdf", papers.unsigned.read_bytes())))
    tab = open_tab()
    tab.verify(path)
    assert "Gói tin edXML" in tab.page.locator(".kicker").first.inner_text()
    said = tab.text()
    for word in ("UBND tỉnh", "12/QĐ-UBND", "V/v <thử nghiệm>", "quyet-dinh.pdf", "nhap.pdf", PASSED, "Nguyễn Văn An"):
        assert word in said, word
    ids = tab.page.locator("[id]").evaluate_all("all => all.map(one => one.id)")
    assert len(ids) == len(set(ids))


def test_pages_on_a_telephone(open_tab: OpenTab, papers: Papers) -> None:
    tab = open_tab(size=MOBILE)
    tab.verify(papers.changed)
    for number in (0, 1):
        box = tab.page.locator(".sheet").nth(number).bounding_box()
        assert box is not None
        assert box["width"] > 250
        assert box["height"] > 300
        assert box["x"] + box["width"] <= MOBILE[0]


def test_as_signed_beside_now(open_tab: OpenTab, papers: Papers) -> None:
    tab = open_tab()
    tab.verify(papers.changed)
    expect(tab.page.locator(".sheets")).to_have_attribute("open", "")
    captions = tab.page.locator(".sheets figcaption").all_inner_texts()
    assert captions[:2] == ["Như lúc ký", "Hiện nay"]
    assert tab.page.locator(".over rect.changed").count() >= 1
    width = tab.page.locator(".sheet img").nth(0).evaluate("el => el.naturalWidth")
    assert width == 900
    box = tab.page.locator(".over rect.changed").first.bounding_box()
    sheet = tab.page.locator(".pair figure >> nth=1 >> .sheet").bounding_box()
    assert box is not None
    assert sheet is not None
    assert sheet["y"] <= box["y"] < sheet["y"] + sheet["height"] / 3


def test_downloads_and_commands(open_tab: OpenTab, papers: Papers) -> None:
    tab = open_tab()
    tab.verify(papers.signed)
    links = tab.page.locator(".downloads a")
    assert links.count() == 5
    for number, start in enumerate((b"%PDF-", b"{", b"<?xml", b"eyJ", b"<!")):
        with tab.page.expect_download() as waiting:
            links.nth(number).click()
        assert Path(waiting.value.path()).read_bytes().startswith(start)
    assert "Tệp đã được xóa" in tab.text()
    tab.page.get_by_text("Làm lại bằng dòng lệnh").click()
    said = tab.page.locator("pre").all_inner_texts()
    assert "curl" in said[0]
    assert "signed.pdf" in said[0]
    assert said[1].startswith("signsvc verify")


def test_a_file_that_is_known_here(open_tab: OpenTab, papers: Papers, tmp_path: Path) -> None:
    tab = open_tab()
    tab.verify(papers.signed)
    assert "Chính tệp này đã được ký tại hệ thống này." in tab.text()
    with tab.page.expect_download() as waiting:
        tab.page.locator(".downloads a").first.click()
    report = tmp_path / "bao-cao.pdf"
    report.write_bytes(Path(waiting.value.path()).read_bytes())
    tab.verify(report)
    assert "Báo cáo này do hệ thống cấp và giữ nguyên từng byte." in tab.text()
    report.write_bytes(report.read_bytes() + b"\n")
    tab.verify(report)
    assert "do hệ thống cấp" not in tab.text()


def test_an_acceptance_rule_and_a_time(open_tab: OpenTab, papers: Papers) -> None:
    tab = open_tab()
    tab.open("/verify?lang=vi")
    tab.page.locator("#document").set_input_files(papers.signed)
    tab.page.locator(".options summary").click()
    tab.page.locator("#accept").select_option("luu-tru")
    tab.page.locator("#at").fill("2030-01-02T03:04:05")
    with tab.page.expect_navigation():
        tab.page.locator("#submit").click()
    assert "Quyết định tiếp nhận (luu-tru)" in tab.page.locator(".decision").inner_text()
    assert "02/01/2030 03:04:05 +07:00" in tab.text()


def test_a_picture_of_a_seal_is_no_signature(open_tab: OpenTab, tmp_path: Path) -> None:
    path = tmp_path / "scan.pdf"
    path.write_bytes(with_image((300, 150, 105, 105), seal))
    tab = open_tab()
    tab.verify(path)
    assert "chỉ là ảnh, không phải chữ ký số" in tab.text()
    assert tab.page.locator(".over rect.seal").count() == 1


def test_keyboard_alone(open_tab: OpenTab, papers: Papers) -> None:
    tab = open_tab()
    # The browser must know that somebody waits for the chooser before the key is pressed: ask early.
    tab.page.on("filechooser", lambda _chooser: None)
    tab.open("/verify")
    focused = "document.activeElement.id || document.activeElement.tagName"
    tab.page.keyboard.press("Tab")
    expect(tab.page.get_by_role("link", name="Bỏ qua đến nội dung")).to_be_in_viewport()
    tab.page.keyboard.press("Enter")
    tab.page.keyboard.press("Tab")
    assert tab.page.evaluate(focused) == "document"
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert tab.page.evaluate(outline) == "solid"
    with tab.page.expect_file_chooser() as chooser:
        tab.page.keyboard.press("Enter")
    chooser.value.set_files(papers.signed)
    tab.page.keyboard.press("Tab")
    assert tab.page.evaluate(focused) == "SUMMARY"
    tab.page.keyboard.press("Tab")
    assert tab.page.evaluate(focused) == "submit"
    assert tab.page.evaluate(outline) == "solid"
    with tab.page.expect_navigation():
        tab.page.keyboard.press("Enter")
    assert tab.verdict == f"✓ {PASSED}"


def test_the_form_can_be_used_again_after_going_back(open_tab: OpenTab, papers: Papers) -> None:
    tab = open_tab()
    tab.verify(papers.plain)
    tab.page.go_back()
    expect(tab.page.locator("#submit")).to_be_enabled()
    tab.page.locator("#document").set_input_files(papers.tampered)
    with tab.page.expect_navigation():
        tab.page.locator("#submit").click()
    assert tab.verdict == f"✗ {FAILED}"


def test_choosing_a_policy(open_tab: OpenTab, papers: Papers) -> None:
    tab = open_tab()
    tab.open("/verify")
    tab.page.get_by_text("Tùy chọn").click()
    policies = tab.page.get_by_label("Chính sách xác thực").locator("option")
    assert policies.count() == 4
    tab.page.get_by_label("Chính sách xác thực").select_option("luu-tru")
    tab.page.locator("#document").set_input_files(papers.signed)
    with tab.page.expect_navigation():
        tab.page.locator("#submit").click()
    assert "luu-tru" in tab.page.locator("section[aria-labelledby='document']").inner_text()


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_hostile_names_stay_texts(lang: str, open_tab: OpenTab, papers: Papers) -> None:
    tab = open_tab()
    tab.verify(papers.hostile, lang)
    facts = tab.facts()
    name, agency = facts["Người ký" if lang == "vi" else "Signed by"], facts["Cơ quan" if lang == "vi" else "Agency"]
    assert name.startswith("<script>document.title='x'</script>An�fdp.txt�[31m�")
    assert agency == "</dd><img src=x onerror=\"document.title='x'\">{{7*7}}�"
    assert facts["Lý do" if lang == "vi" else "Reason"].startswith("<style>*{display:none}</style>�")
    content = tab.page.content()
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u2028\u2066" + OVERRIDE + "]", content)
    assert tab.page.title() != "x"
    assert tab.page.locator("main img:not(.sheet img), main script, main style").count() == 0


def test_hostile_names_stay_texts_in_the_report(service: Service, papers: Papers) -> None:
    report = service.verify(papers.hostile.read_bytes())
    text = report.body.decode("utf-8")
    assert OVERRIDE not in text
    assert "\\u202e" not in text.lower()
    assert "\\u001b" not in text.lower()
    assert report.json["signatures"][0]["signed_by"].startswith("<script>")


def test_scripts_that_are_not_ours_do_not_run(open_tab: OpenTab) -> None:
    """The policy is in force: what slipped past the escaping would still be refused."""
    tab = open_tab()
    tab.open("/verify")
    tab.page.evaluate(
        """() => { const script = document.createElement("script"); script.textContent = "document.title = 'x'";
        document.body.append(script); document.body.setAttribute("onclick", "document.title = 'x'"); document.body.click(); }"""
    )
    assert tab.page.title() != "x"
    assert any("Content Security Policy" in said for said in tab.complaints)
    tab.complaints.clear()
