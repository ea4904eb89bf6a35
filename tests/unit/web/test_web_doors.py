"""What each door answers."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import threading
from typing import Any

import pytest

from signsvc.errors import PROBLEMS, SignsvcError
from signsvc.messages import problems as problem_texts
from signsvc.store import full_disk

PDF = b"%PDF-1.7\n" + b"x" * 200 + b"\n%%EOF\n"
SIGN = {"profile": "pades-b-b", "credential": "office-seal"}


def digest(data: bytes, name: str = "sha256") -> str:
    return base64.b64encode(hashlib.new(name, data).digest()).decode()


def form(params: dict[str, Any] | None = None, data: bytes = PDF, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"document": (io.BytesIO(data), "công văn.pdf", "application/pdf"), **more}
    if params is not None:
        found["params"] = json.dumps(params)
    return found


def problem(response: Any) -> dict[str, Any]:
    assert response.mimetype == "application/problem+json", response.data
    found = json.loads(response.data)
    assert found["status"] == response.status_code == PROBLEMS[found["code"]].status
    return found


class TestVerify:
    def test_multipart(self, stage: Any) -> None:
        response = stage.client.post("/v1/verify", data=form({"policy": "cong-vu"}), headers=stage.auth("verify"))
        assert response.status_code == 200
        report = response.get_json()
        assert report["document"] == {
            **report["document"],
            "name": "công văn.pdf",
            "sha256": hashlib.sha256(PDF).hexdigest(),
        }
        assert report["policy"]["id"] == "cong-vu"
        assert response.headers["Content-Location"] == f"/v1/reports/{report['id']}"
        again = stage.client.get(f"/v1/reports/{report['id']}", headers=stage.auth("read"))
        assert again.get_json() == report

    def test_raw_body_with_query(self, stage: Any) -> None:
        response = stage.client.post(
            "/v1/verify?policy=luu-tru&offline=true&at=2025-01-01T07:00:00%2B07:00",
            data=PDF,
            content_type="application/pdf",
            headers=stage.auth("verify"),
        )
        assert response.status_code == 200
        asked = stage.services.verifier.requests[0]
        assert (asked.policy, asked.offline, asked.at.isoformat()) == ("luu-tru", True, "2025-01-01T00:00:00+00:00")

    def test_raw_body_may_name_the_file(self, stage: Any) -> None:
        response = stage.client.post(
            "/v1/verify",
            data=PDF,
            content_type="application/pdf",
            headers={**stage.auth(), "Content-Disposition": "attachment; filename*=UTF-8''c%C3%B4ng%20v%C4%83n.pdf"},
        )
        assert response.get_json()["document"]["name"] == "công văn.pdf"

    @pytest.mark.parametrize("size", [0, 5000, 300_000, 1_000_000])
    def test_json_body(self, stage: Any, size: int) -> None:
        data = PDF + bytes(i % 251 for i in range(size))
        content = base64.b64encode(data).decode().replace("/", "\\/")
        crl = base64.b64encode(b"crl" * 20_000).decode()
        text = '{"document": {"name": "a \\"b\\".pdf", "content": "' + content + '"}, "crls": ["' + crl + '"]}'
        response = stage.client.post("/v1/verify", data=text, content_type="application/json", headers=stage.auth())
        assert response.status_code == 200, response.data
        assert response.get_json()["document"]["sha256"] == hashlib.sha256(data).hexdigest()
        assert stage.services.verifier.requests[0].crls == (b"crl" * 20_000,)

    @pytest.mark.parametrize(
        "text",
        [
            "", "{", "[1]", '{"document": 1}', '{"document": {"content": "%%%"}}', '{"document": {"content": "QQ==',
            '{"document": {"content": "' + "%" * 9000 + '"}}', '{"document": {"content": "' + "A=" * 9000 + '"}}',
            '{"document": {"content": "QQ=="}, "document": {"content": "QQ=="}}', '{"a": NaN}',
            '{"document": {"content": "QQ==", "upload_id": "x"}}', "[" * 100_000, '{"x": "\\',
        ],
    )  # fmt: skip
    def test_wrong_json(self, stage: Any, text: str) -> None:
        response = stage.client.post("/v1/verify", data=text, content_type="application/json", headers=stage.auth())
        assert problem(response)["code"] == "invalid_request"

    def test_supplied_files(self, stage: Any) -> None:
        pem = b"-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n" * 2
        data = form({"certificates": ["AAA="]}, cert=(io.BytesIO(pem), "c.pem"), crl=(io.BytesIO(b"\x30\x00"), "c.crl"))
        assert stage.client.post("/v1/verify", data=data, headers=stage.auth()).status_code == 200
        asked = stage.services.verifier.requests[0]
        assert asked.certificates == (b"\0\0", b"\0\1\2", b"\0\1\2")
        assert asked.crls == (b"\x30\x00",)

    def test_params_as_form_fields(self, stage: Any) -> None:
        response = stage.client.post("/v1/verify", data=form(None, policy="cong-cong"), headers=stage.auth())
        assert response.get_json()["policy"]["id"] == "cong-cong"

    @pytest.mark.parametrize(
        ("params", "pointer"),
        [
            ({"policy": ""}, "/policy"),
            ({"at": "2025-01-01T00:00:00"}, "/at"),
            ({"secret-1234": 1}, ""),
            ({"at": "0001-01-01T00:00:00+14:00"}, "/at"),
            ({"at": "9999-12-31T23:59:59-12:00"}, "/at"),
        ],
    )
    def test_wrong_params(self, stage: Any, params: dict[str, Any], pointer: str) -> None:
        found = problem(stage.client.post("/v1/verify", data=form(params), headers=stage.auth()))
        assert found["code"] == "invalid_request"
        assert found["errors"][0]["pointer"] == pointer
        assert "secret-1234" not in json.dumps(found)

    def test_html_by_accept(self, stage: Any) -> None:
        headers = {**stage.auth(), "Accept": "text/html", "Accept-Language": "en"}
        response = stage.client.post("/v1/verify", data=form(), headers=headers)
        assert response.mimetype == "text/html"
        assert "Invalid signature" in response.text

    def test_not_acceptable(self, stage: Any) -> None:
        headers = {**stage.auth(), "Accept": "image/png"}
        assert problem(stage.client.post("/v1/verify", data=form(), headers=headers))["code"] == "not_acceptable"


class TestBodies:
    def post(self, stage: Any, data: bytes, **headers: str) -> Any:
        return stage.client.post(
            "/v1/verify", data=data, content_type="application/pdf", headers={**stage.auth(), **headers}
        )

    def test_empty(self, stage: Any) -> None:
        assert problem(self.post(stage, b""))["code"] == "empty_document"
        response = stage.client.post("/v1/verify", data=form(data=b""), headers=stage.auth())
        assert problem(response)["code"] == "empty_document"

    def test_limit_is_exact(self, staged: Any) -> None:
        stage = staged(max_body_bytes=4096)
        assert self.post(stage, PDF.ljust(4096)).status_code == 200
        found = problem(self.post(stage, PDF.ljust(4097)))
        assert found["code"] == "document_too_large"
        assert found["data"] == {"limit": 4096}

    def test_json_has_its_own_limit(self, staged: Any) -> None:
        stage = staged(max_json_bytes=2048)
        text = json.dumps({"document": {"content": "A" * 4000}})
        response = stage.client.post("/v1/verify", data=text, content_type="application/json", headers=stage.auth())
        assert problem(response)["data"] == {"limit": 2048}
        assert self.post(stage, PDF.ljust(4000)).status_code == 200

    @pytest.mark.parametrize("header", ["Content-Digest", "Repr-Digest"])
    def test_digests(self, stage: Any, header: str) -> None:
        good = f"sha-256=:{digest(PDF)}:, sha-512=:{digest(PDF, 'sha512')}:, md5=:AAAA:"
        assert self.post(stage, PDF, **{header: good}).status_code == 200
        for wrong in (f"sha-256=:{digest(b'other')}:", f"sha-256=:{digest(PDF)}:, sha-512=:{digest(b'')}:"):
            assert problem(self.post(stage, PDF, **{header: wrong}))["code"] == "digest_mismatch"
        assert problem(self.post(stage, PDF, **{header: "sha-256=abc"}))["code"] == "invalid_request"
        assert len(stage.services.verifier.requests) == 1

    def test_digest_over_multipart(self, stage: Any) -> None:
        body = b'--b\r\nContent-Disposition: form-data; name="document"; filename="a"\r\n\r\n' + PDF + b"\r\n--b--\r\n"
        for data, status in ((body, 200), (PDF, 400)):
            response = stage.client.post(
                "/v1/verify",
                data=body,
                content_type="multipart/form-data; boundary=b",
                headers={**stage.auth(), "Content-Digest": f"sha-256=:{digest(data)}:"},
            )
            assert response.status_code == status

    def test_digest_of_a_part(self, stage: Any) -> None:
        for data, status in ((PDF, 200), (b"", 400)):
            head = b'--b\r\nContent-Disposition: form-data; name="document"; filename="a"\r\nContent-Digest: sha-256=:'
            body = head + digest(data).encode() + b":\r\n\r\n" + PDF + b"\r\n--b--\r\n"
            response = stage.client.post(
                "/v1/verify", data=body, content_type="multipart/form-data; boundary=b", headers=stage.auth()
            )
            assert response.status_code == status

    @pytest.mark.parametrize("kind", ["text/plain", "image/png", "application/x-www-form-urlencoded"])
    def test_wrong_content_type(self, stage: Any, kind: str) -> None:
        response = stage.client.post("/v1/verify", data=PDF, content_type=kind, headers=stage.auth())
        assert problem(response)["code"] == "wrong_content_type"

    def test_compressed_bodies_are_not_taken(self, stage: Any) -> None:
        assert problem(self.post(stage, PDF, **{"Content-Encoding": "gzip"}))["code"] == "wrong_content_type"

    @pytest.mark.parametrize(
        "body",
        [
            b"--b\r\nContent-Disposition: form-data; name=\"document\"; filename=\"a\"\r\n\r\n%PDF-",
            b"nothing of the kind",
            b'--b\r\nContent-Disposition: form-data; name="other"; filename="a"\r\n\r\nx\r\n--b--\r\n',
            b'--b\r\nContent-Disposition: form-data; name="policy"\r\n\r\nx\r\n' * 70 + b"--b--\r\n",
        ],
    )  # fmt: skip
    def test_broken_multipart(self, stage: Any, body: bytes) -> None:
        response = stage.client.post(
            "/v1/verify", data=body, content_type="multipart/form-data; boundary=b", headers=stage.auth()
        )
        assert problem(response)["code"] == "invalid_request"

    def test_two_documents(self, stage: Any) -> None:
        data = form(None, file=(io.BytesIO(PDF), "b.pdf"))
        assert problem(stage.client.post("/v1/verify", data=data, headers=stage.auth()))["code"] == "invalid_request"

    def test_body_shorter_than_declared(self, stage: Any) -> None:
        response = stage.client.post(
            "/v1/verify",
            data=PDF,
            environ_overrides={"CONTENT_LENGTH": str(len(PDF) + 1)},
            content_type="application/pdf",
            headers=stage.auth(),
        )
        assert problem(response)["code"] == "invalid_request"

    def test_too_slow(self, staged: Any) -> None:
        stage = staged(body_timeout_seconds=1e-9)
        assert problem(self.post(stage, PDF))["code"] == "request_timeout"

    def test_file_names_lose_their_path(self, stage: Any) -> None:
        data = {"document": (io.BytesIO(PDF), "../../etc/y\x07.pdf")}
        report = stage.client.post("/v1/verify", data=data, headers=stage.auth()).get_json()
        assert report["document"]["name"] == "y.pdf"

    def test_nothing_stays_in_the_spool(self, stage: Any) -> None:
        self.post(stage, PDF)
        self.post(stage, b"no pdf")
        stage.client.post("/v1/verify", data=form({"policy": 1}), headers=stage.auth())
        stage.client.post("/v1/sign", data=form(SIGN), headers=stage.auth()).close()
        assert list(stage.spool.iterdir()) == []


class TestSign:
    def test_pdf_answer(self, stage: Any) -> None:
        response = stage.client.post("/v1/sign", data=form({**SIGN, "reason": "Ban hành"}), headers=stage.auth("sign"))
        assert response.status_code == 200
        assert response.mimetype == "application/pdf"
        assert response.data == PDF + b"signed 1"
        assert response.headers["Repr-Digest"] == f"sha-256=:{digest(response.data)}:"
        assert response.headers["Signsvc-Signature-Id"].startswith("sig_")
        link = re.fullmatch(r'<(/v1/reports/\S+)>; rel="describedby"', response.headers["Link"])
        assert link is not None
        assert stage.client.get(link[1], headers=stage.auth("sign")).status_code == 200
        profile, signer, params = stage.services.signing.calls[0]
        assert (profile, signer, params.reason) == ("pades-b-b", "signer:office-seal", "Ban hành")

    def test_json_answer_and_document(self, stage: Any) -> None:
        headers = {**stage.auth("sign"), "Accept": "application/json"}
        visible = {"page": -1, "rect": [380, 60, 560, 130]}
        answer = stage.client.post("/v1/sign", data=form({**SIGN, "visible": visible}), headers=headers).get_json()
        assert answer["state"] == "succeeded"
        assert answer["signature"]["level"] == "PAdES-B-B"
        found = stage.client.get(answer["document"]["href"], headers=stage.auth("sign"))
        assert found.data == PDF + b"signed 1"
        assert hashlib.sha256(found.data).hexdigest() == answer["document"]["sha256"]
        assert stage.services.signing.calls[0][2].visible.rect == (380.0, 60.0, 560.0, 130.0)

    def test_others_documents_and_reports_are_hidden(self, stage: Any) -> None:
        headers = {**stage.auth("sign"), "Accept": "application/json"}
        answer = stage.client.post("/v1/sign", data=form(SIGN), headers=headers).get_json()
        other = stage.services.store.api_keys.create(
            "b", ["sign"], now=__import__("datetime").datetime.now(__import__("datetime").UTC)
        )
        for href in (answer["document"]["href"], answer["report"]["href"]):
            response = stage.client.get(href, headers={"Authorization": f"Bearer {other.secret}"})
            assert problem(response)["code"] == "not_found"
            assert stage.client.get(href, headers=stage.auth("read")).status_code == 200

    def test_raw_body(self, stage: Any) -> None:
        response = stage.client.post(
            "/v1/sign?profile=pades-b-lta&credential=office-seal",
            data=PDF, content_type="application/octet-stream", headers=stage.auth(),
        )  # fmt: skip
        assert response.headers["Signsvc-Level"] == "PAdES-B-LTA"

    def test_documents_need_not_be_kept(self, staged: Any) -> None:
        stage = staged(store={"keep_documents": False})
        response = stage.client.post("/v1/sign", data=form(SIGN), headers=stage.auth())
        assert response.data == PDF + b"signed 1"
        assert not stage.settings.blob_dir.exists()
        assert list(stage.spool.iterdir()) == []

    @pytest.mark.parametrize(
        ("params", "code"),
        [
            ({**SIGN, "profile": "none"}, "profile_not_found"),
            ({**SIGN, "credential": "none"}, "credential_not_found"),
            ({"profile": "pades-b-b"}, "invalid_request"),
            ({**SIGN, "pin": "12345678"}, "invalid_request"),
            ({**SIGN, "visible": {"page": 1, "rect": [1, 2, 3]}}, "invalid_request"),
            ({**SIGN, "certify": 1}, "invalid_request"),
        ],
    )
    def test_wrong_params(self, stage: Any, params: dict[str, Any], code: str) -> None:
        response = stage.client.post("/v1/sign", data=form(params), headers=stage.auth())
        assert problem(response)["code"] == code
        assert b"12345678" not in response.data
        assert stage.services.signing.count == 0

    def test_extend(self, stage: Any) -> None:
        response = stage.client.post("/v1/extend", data=form({"level": "B-LTA"}), headers=stage.auth("sign"))
        assert response.headers["Signsvc-Signature-Id"].startswith("ext_")
        assert problem(stage.client.post("/v1/extend", data=form({"level": "B-B"}), headers=stage.auth()))

    def test_failure_leaves_nothing(self, stage: Any) -> None:
        stage.fail_with(SignsvcError("tsa_unavailable"))
        found = problem(stage.client.post("/v1/sign", data=form(SIGN), headers=stage.auth()))
        assert (found["code"], found["retryable"]) == ("tsa_unavailable", True)
        assert list(stage.spool.iterdir()) == []
        assert not stage.settings.blob_dir.exists()


class TestIdempotency:
    def post(
        self, stage: Any, key: str, params: dict[str, Any] | None = None, scope: str = "sign", data: bytes = PDF
    ) -> Any:
        headers = {**stage.auth(scope), "Idempotency-Key": key}
        return stage.client.post("/v1/sign", data=form(params or SIGN, data), headers=headers)

    def test_replay(self, stage: Any) -> None:
        first, second = self.post(stage, '"k-1"'), self.post(stage, "k-1")
        assert "Idempotency-Replayed" not in first.headers
        assert second.headers["Idempotency-Replayed"] == "true"
        assert first.data == second.data
        for name in ("Signsvc-Signature-Id", "Link", "Repr-Digest", "Signsvc-Level"):
            assert first.headers[name] == second.headers[name]
        assert stage.services.signing.count == 1

    def test_reuse_for_another_request(self, stage: Any) -> None:
        self.post(stage, "k").close()
        assert problem(self.post(stage, "k", data=PDF + b"!"))["code"] == "idempotency_key_reused"
        assert problem(self.post(stage, "k", {**SIGN, "reason": "x"}))["code"] == "idempotency_key_reused"

    def test_keys_belong_to_callers(self, stage: Any) -> None:
        self.post(stage, "k").close()
        self.post(stage, "k", scope="admin").close()
        assert stage.services.signing.count == 2

    def test_a_failure_frees_the_key(self, stage: Any) -> None:
        stage.fail_with(SignsvcError("token_removed"))
        assert problem(self.post(stage, "k"))["code"] == "token_removed"
        stage.services.signing.problem = None
        response = self.post(stage, "k")
        assert response.status_code == 200
        response.close()

    def test_in_flight(self, stage: Any) -> None:
        signing = stage.services.signing
        signing.gate = threading.Event()
        answers: list[int] = []

        def first() -> None:
            response = self.post(stage, "k")
            answers.append(response.status_code)
            response.close()

        worker = threading.Thread(target=first)
        worker.start()
        assert signing.entered.wait(10)
        response = self.post(stage, "k")
        signing.gate.set()
        worker.join()
        assert problem(response)["code"] == "idempotency_in_progress"
        assert response.headers["Retry-After"]
        assert answers == [200]

    @pytest.mark.parametrize("key", ["", '"', "a b", "x" * 300, "ä"])
    def test_malformed_keys(self, stage: Any, key: str) -> None:
        assert problem(self.post(stage, key))["code"] == "invalid_request"


class TestKeys:
    @pytest.mark.parametrize(
        ("scope", "method", "path", "status"),
        [
            ("verify", "post", "/v1/sign", 403),
            ("read", "post", "/v1/extend", 403),
            ("sign", "post", "/v1/verify", 403),
            ("verify", "get", "/v1/credentials", 403),
            ("sign", "get", "/v1/credentials", 200),
            ("verify", "get", "/v1/policies", 200),
            ("verify", "get", "/v1/profiles", 200),
        ],
    )
    def test_scopes(self, stage: Any, scope: str, method: str, path: str, status: int) -> None:
        response = getattr(stage.client, method)(path, headers=stage.auth(scope))
        assert response.status_code == status
        if status == 403:
            assert problem(response)["code"] == "forbidden"

    @pytest.mark.parametrize(
        "value", ["", "Bearer", "Bearer sk_wrong", "Basic c2s6", "Bearer " + "x" * 5000, "Bearer é"]
    )
    def test_wrong_keys(self, stage: Any, value: str) -> None:
        for path in ("/v1/credentials", "/v1/reports/rep_1", "/v1/documents/" + "0" * 64):
            response = stage.client.get(path, headers={"Authorization": value} if value else {})
            assert problem(response)["code"] == "unauthorized"
            assert response.headers["WWW-Authenticate"].startswith("Bearer")

    def test_a_revoked_key_is_out(self, stage: Any) -> None:
        from datetime import UTC, datetime

        keys = stage.services.store.api_keys
        new = keys.create("x", ["read"], now=datetime.now(UTC))
        headers = {"Authorization": f"Bearer {new.secret}"}
        assert stage.client.get("/v1/policies", headers=headers).status_code == 200
        keys.revoke(new.key.id, now=datetime.now(UTC))
        assert stage.client.get("/v1/policies", headers=headers).status_code == 401

    def test_keys_may_be_switched_off(self, staged: Any) -> None:
        stage = staged(auth={"required": False})
        response = stage.client.post("/v1/sign", data=form(SIGN))
        assert response.status_code == 200
        response.close()

    @pytest.mark.parametrize(
        "path", ["/healthz", "/readyz", "/version", "/openapi.json", "/docs", "/docs/problems", "/verify"]
    )
    def test_no_redirect_repeats_the_host_of_the_caller(self, stage: Any, path: str) -> None:
        response = stage.client.get(f"{path}//x", headers={"Host": "evil.example"})
        assert response.status_code == 404
        assert "Location" not in response.headers

    @pytest.mark.parametrize(
        "path", ["/healthz", "/readyz", "/version", "/openapi.json", "/docs", "/docs/problems", "/verify"]
    )
    def test_open_doors(self, stage: Any, path: str) -> None:
        assert stage.client.get(path).status_code == 200


class TestCatalogue:
    def test_credentials(self, stage: Any) -> None:
        found = stage.client.get("/v1/credentials", headers=stage.auth()).get_json()["credentials"]
        assert [c["id"] for c in found] == ["office-seal"]
        assert stage.client.get("/v1/credentials/office-seal", headers=stage.auth()).get_json() == found[0]
        response = stage.client.get("/v1/credentials/other", headers=stage.auth())
        assert problem(response)["code"] == "credential_not_found"

    @pytest.mark.parametrize(
        ("kind", "known", "code"),
        [("profiles", "pades-b-lta", "profile_not_found"), ("policies", "cong-vu", "policy_not_found")],
    )
    def test_profiles_and_policies(self, stage: Any, kind: str, known: str, code: str) -> None:
        listed = stage.client.get(f"/v1/{kind}", headers=stage.auth()).get_json()[kind]
        assert known in {entry["id"] for entry in listed}
        assert stage.client.get(f"/v1/{kind}/{known}", headers=stage.auth()).get_json()["id"] == known
        assert problem(stage.client.get(f"/v1/{kind}/other", headers=stage.auth()))["code"] == code


class TestProblems:
    @pytest.mark.parametrize("code", sorted(PROBLEMS))
    def test_every_code_reads_well_over_http(self, stage: Any, code: str) -> None:
        stage.fail_with(SignsvcError(code, reason="x", limit=1, sha256="00", tries_left="few"))
        for lang in ("vi", "en"):
            response = stage.client.post("/v1/verify", data=form(), headers={**stage.auth(), "Accept-Language": lang})
            found = problem(response)
            assert found["code"] == code
            assert found["localized"]["lang"] == lang
            assert found["localized"]["message"]
            assert found["retryable"] is PROBLEMS[code].retryable
            assert ("Retry-After" in response.headers) is PROBLEMS[code].retryable
            assert found["type"].endswith(f"/docs/problems#{code}")
        page = stage.client.get("/docs/problems").text
        assert f'id="{code}"' in page
        assert set(problem_texts()[code]) >= {"vi", "en"}

    @pytest.mark.parametrize(
        ("method", "path", "code"),
        [
            ("get", "/nothing", "not_found"),
            ("get", "/v1/nothing", "not_found"),
            ("get", "/v1/sign", "method_not_allowed"),
            ("delete", "/v1/verify", "method_not_allowed"),
            ("post", "/healthz", "method_not_allowed"),
        ],
    )
    def test_http_errors(self, stage: Any, method: str, path: str, code: str) -> None:
        response = getattr(stage.client, method)(path)
        assert problem(response)["code"] == code
        if code == "method_not_allowed":
            assert response.headers["Allow"]

    def test_unexpected_errors_say_nothing(self, stage: Any) -> None:
        stage.services.verifier.problem = ValueError("PIN 12345678 at /secret/place")
        response = stage.client.post("/v1/verify", data=form(), headers=stage.auth())
        assert problem(response)["code"] == "internal_error"
        assert b"12345678" not in response.data
        assert b"secret" not in response.data

    def test_disk_full(self, stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        import errno
        import tempfile

        def full(*_: Any, **__: Any) -> Any:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(tempfile, "mkdtemp", full)
        found = problem(stage.client.post("/v1/verify", data=form(), headers=stage.auth()))
        assert (found["code"], found["status"]) == ("storage_full", 507)

    def test_other_os_errors_pass(self) -> None:
        with pytest.raises(PermissionError), full_disk():
            raise PermissionError(13, "no")

    def test_busy(self, staged: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        stage = staged(threads=1)
        state = stage.app.extensions["signsvc.state"]
        monkeypatch.setattr(state.slots, "_wait", 0.05)
        with state.slots.taken():
            response = stage.client.post("/v1/verify", data=form(), headers=stage.auth())
        assert problem(response)["code"] == "busy"
        assert stage.client.post("/v1/verify", data=form(), headers=stage.auth()).status_code == 200


class TestHeaders:
    def test_ids(self, stage: Any) -> None:
        trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        response = stage.client.get("/v1/nothing", headers={"X-Request-ID": "call.7", "traceparent": trace})
        assert response.headers["X-Request-ID"] == "call.7"
        assert re.fullmatch(
            "00-0af7651916cd43dd8448eb211c80319c-(?!b7ad6b7169203331)[0-9a-f]{16}-01", response.headers["traceparent"]
        )
        for wrong in ("bad id", "x" * 65, "a\u00e9"):
            response = stage.client.get("/v1/nothing", headers={"X-Request-ID": wrong, "traceparent": "00-zz"})
            assert response.headers["X-Request-ID"] != wrong
            assert problem(response)["instance"] == f"urn:uuid:{response.headers['X-Request-ID']}"

    def test_content_security(self, stage: Any) -> None:
        response = stage.client.get("/verify")
        policy = response.headers["Content-Security-Policy"]
        nonce = re.search(r"script-src 'nonce-([^']+)'", policy)
        assert nonce is not None
        assert "unsafe" not in policy
        assert set(re.findall(r'nonce="([^"]+)"', response.text)) == {nonce[1]}
        assert nonce[1] not in stage.client.get("/verify").text

    def test_public_url(self, staged: Any) -> None:
        stage = staged(public_url="https://ky.example.vn/")
        assert problem(stage.client.get("/v1/x"))["type"] == "https://ky.example.vn/docs/problems#not_found"
        assert stage.client.get("/openapi.json").get_json()["servers"] == [{"url": "https://ky.example.vn"}]


class TestPages:
    def test_form_post(self, stage: Any) -> None:
        response = stage.client.post("/verify", data=form(None, policy="hon-hop"), headers={"Accept": "text/html"})
        assert response.status_code == 200
        assert "Chữ ký không hợp lệ" in response.text
        assert "TOTAL-FAILED / HASH_FAILURE" in response.text
        assert "<script>alert" not in response.text
        assert "&lt;script&gt;alert" in response.text
        link = re.search(r'href="(/verify/rep_[0-9a-f]+)\?', response.text)
        assert link is not None
        assert "Invalid signature" in stage.client.get(link[1] + "?lang=en").text

    def test_errors_are_pages_for_people(self, stage: Any) -> None:
        response = stage.client.post("/verify", data=form(data=b"no pdf"), headers={"Accept": "text/html,*/*;q=0.8"})
        assert response.status_code == 415
        assert response.mimetype == "text/html"
        assert "Định dạng tài liệu không được hỗ trợ" in response.text
        assert stage.client.get("/x", headers={"Accept": "text/html"}).mimetype == "text/html"

    @pytest.mark.parametrize(
        "headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {"Origin": "null"}]
    )
    def test_other_sites_cannot_post(self, stage: Any, headers: dict[str, str]) -> None:
        assert problem(stage.client.post("/verify", data=form(), headers=headers))["code"] == "forbidden"
        assert stage.services.verifier.requests == []

    def test_closed_page_needs_a_key(self, staged: Any) -> None:
        stage = staged(auth={"open_verify": False})
        assert 'name="api_key"' in stage.client.get("/verify").text
        assert stage.client.post("/verify", data=form(None, api_key="sk_x")).status_code == 401
        assert stage.client.post("/verify", data=form()).status_code == 401
        assert stage.client.post("/verify", data=form(None, api_key=stage.secrets["sign"])).status_code == 403
        response = stage.client.post("/verify", data=form(None, api_key=stage.secrets["verify"]))
        assert response.status_code == 200
        report = re.search(r"rep_[0-9a-f]{32}", response.text)
        assert report is not None
        assert stage.client.get(f"/verify/{report[0]}").status_code == 404

    def test_whoever_has_no_key_sends_no_document(self, staged: Any) -> None:
        """The key stands before the file in the form, and nothing is kept of a file that comes without."""

        class Endless(io.RawIOBase):
            taken = 0

            def readable(self) -> bool:
                return True

            def readinto(self, buffer: Any) -> int:
                head = b'--b\r\nContent-Disposition: form-data; name="document"; filename="a.pdf"\r\n\r\n'
                data = (head if not self.taken else b"x" * len(buffer))[: len(buffer)]
                buffer[: len(data)] = data
                self.taken += len(data)
                return len(data)

        stage = staged(auth={"open_verify": False})
        for kind in ("multipart/form-data; boundary=b", "application/pdf", "application/json"):
            stream = Endless()
            given = {"wsgi.input": stream, "CONTENT_LENGTH": str(50 << 20), "CONTENT_TYPE": kind}
            response = stage.client.post("/verify", environ_overrides=given)
            assert problem(response)["code"] == "unauthorized"
            assert stream.taken <= 1 << 20

    def test_vietnamese_unless_switched(self, stage: Any) -> None:
        headers = {"Accept-Language": "en-US,en;q=0.9"}
        for path in ("/verify", "/docs", "/docs/problems"):
            assert '<html lang="vi">' in stage.client.get(path, headers=headers).text
            assert '<html lang="en">' in stage.client.get(f"{path}?lang=en").text

    def test_home(self, stage: Any) -> None:
        response = stage.client.get("/?lang=en")
        assert (response.status_code, response.headers["Location"]) == (303, "/verify?lang=en")

    def test_report_page(self, stage: Any) -> None:
        identifier = stage.client.post("/v1/verify", data=form(), headers=stage.auth()).get_json()["id"]
        page = stage.client.get(f"/v1/reports/{identifier}.html", headers=stage.auth())
        nonce = re.search(r"style-src 'nonce-([^']+)'", page.headers["Content-Security-Policy"])
        assert nonce is not None
        assert f'<style nonce="{nonce[1]}">' in page.text
        for words in ("Nguyễn Văn An", "22/11/2026 08:00:05 +07:00", "điền biểu mẫu hoặc ký thêm", "Đã bị thay đổi."):
            assert words in page.text
        assert stage.client.get(f"/v1/reports/{identifier}.json", headers=stage.auth()).mimetype == "application/json"
        assert stage.client.get(f"/v1/reports/{identifier}.png", headers=stage.auth()).status_code == 404


class TestContract:
    def test_openapi(self, stage: Any) -> None:
        document = stage.client.get("/openapi.json").get_json()
        assert document["openapi"] == "3.1.0"
        assert set(document["paths"]["/v1/sign"]["post"]["requestBody"]["content"]) == {
            "multipart/form-data", "application/pdf", "application/json",
        }  # fmt: skip
        wanted = {"/v1/sign", "/v1/verify", "/v1/extend", "/v1/reports/{identifier}", "/v1/documents/{sha256}", "/v1/credentials",
                  "/v1/credentials/{credential}", "/v1/profiles", "/v1/policies", "/healthz", "/readyz", "/version", "/metrics"}  # fmt: skip
        assert wanted <= set(document["paths"])
        known = document["components"]["schemas"]
        for reference in re.findall(r'"\$ref": ?"#/components/schemas/([^"]+)"', json.dumps(document)):
            assert reference in known
        identifiers = [o["operationId"] for p in document["paths"].values() for o in p.values()]
        assert len(identifiers) == len(set(identifiers))

    def test_every_v1_route_is_described_and_keyed(self, stage: Any) -> None:
        for rule in stage.app.url_map.iter_rules():
            if rule.rule.startswith("/v1/"):
                assert stage.app.view_functions[rule.endpoint].operation.scopes, rule.rule

    def test_members_of_a_raw_body_stand_in_the_query(self, stage: Any) -> None:
        paths = stage.client.get("/openapi.json").get_json()["paths"]
        for path, names in (
            ("/v1/sign", {"profile", "credential", "reason", "field"}),
            ("/v1/extend", {"level"}),
            ("/v1/verify", {"policy", "at", "offline"}),
        ):
            query = {p["name"] for p in paths[path]["post"]["parameters"] if p["in"] == "query"}
            assert names <= query
            assert not query & {"visible", "metadata", "trust_anchors"}

    def test_metrics_are_open_in_trials_only_or_when_said_so(self, staged: Any) -> None:
        for mode, said, scope, status in (
            ("trial", None, None, 200),
            ("trial", False, None, 401),
            ("production", None, None, 401),
            ("production", None, "verify", 403),
            ("production", None, "read", 200),
            ("production", True, None, 200),
        ):
            stage = staged(mode=mode, auth={"open_metrics": said})
            headers = stage.auth(scope) if scope else {}
            assert stage.client.get("/metrics", headers=headers).status_code == status

    def test_metrics(self, stage: Any) -> None:
        stage.client.post("/v1/verify", data=form(), headers=stage.auth())
        text = stage.client.get("/metrics", headers=stage.auth()).text
        assert re.search(r'signsvc_verdicts_total{indication="TOTAL-FAILED"} [1-9]', text)
        assert 'route="/v1/verify"' in text
