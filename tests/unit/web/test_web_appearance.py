"""Visible signatures over HTTP: wishes, pictures sent and named."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

PDF = b"%PDF-1.7\n"
SIGN = {"profile": "pades-b-b", "credential": "office-seal"}
PNG = b"\x89PNG\r\n\x1a\nrest"


def form(params: dict[str, Any], **files: bytes) -> dict[str, Any]:
    parts = {name: (io.BytesIO(data), f"{name}.bin") for name, data in files.items()}
    return {"document": (io.BytesIO(PDF), "a.pdf"), "params": json.dumps(params), **parts}


def ask(stage: Any, visible: Any, key: str | None = None, **files: bytes) -> Any:
    headers = {**stage.auth("sign"), **({"Idempotency-Key": key} if key else {})}
    return stage.client.post("/v1/sign", data=form({**SIGN, "visible": visible}, **files), headers=headers)


def test_a_picture_comes_with_the_request(stage: Any) -> None:
    wish = {"template": "ky-phe-duyet", "anchor": {"text": "GIÁM ĐỐC", "to": "Nguyễn Văn An"}}
    assert ask(stage, wish, image=PNG).status_code == 200
    visible = stage.services.signing.calls[0][2].visible
    assert (visible.picture, visible.anchor.position) == (PNG, "between")


def test_a_picture_of_the_installation(stage: Any, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "dau.png").write_bytes(PNG)
    wish = {"template": "dong-dau", "beside": {"field": "GiamDoc"}, "image": "dau.png", "size": [38, 38]}
    assert ask(stage, wish).status_code == 200
    visible = stage.services.signing.calls[0][2].visible
    assert (visible.picture, visible.beside.field, visible.size) == (PNG, "GiamDoc", (38, 38))


def test_another_picture_is_another_request(stage: Any) -> None:
    wish = {"template": "dong-dau", "beside": "GiamDoc"}
    assert ask(stage, wish, key="one", image=PNG).status_code == 200
    assert ask(stage, wish, key="one", image=PNG).headers["Idempotency-Replayed"] == "true"
    again = ask(stage, wish, key="one", image=PNG + b"more")
    assert again.get_json(force=True)["code"] == "idempotency_key_reused"


@pytest.mark.parametrize(
    ("visible", "files", "code"),
    [
        ({"template": "dong-dau", "beside": "A"}, {}, "image_missing"),
        ({"template": "dong-dau", "beside": "A", "image": "../settings.toml"}, {}, "image_not_found"),
        ({"template": "dong-dau", "beside": "A"}, {"images": PNG}, "invalid_request"),
        ({"template": "simple", "rect": [0, 0, 50, 50], "anchor": "A"}, {}, "invalid_request"),
        ({"template": "simple", "colour": "red"}, {}, "invalid_request"),
    ],
)
def test_refused(stage: Any, visible: Any, files: dict[str, bytes], code: str) -> None:
    response = ask(stage, visible, **files)
    assert response.get_json(force=True)["code"] == code
    assert not stage.services.signing.calls
