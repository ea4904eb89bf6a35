"""What the container image is built from; building and running it needs an engine that tests cannot count on."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from signsvc.settings import Settings

SOURCE = Path(__file__).resolve().parents[3]
DOCKER = SOURCE / "docker"
# A line of TOML that is commented out, not a sentence.
EXAMPLE = re.compile(r"^# (\[\[\w+\]\]|\w+ = .+)$", re.MULTILINE)


def test_the_configuration_is_valid_with_its_examples_too() -> None:
    text = (DOCKER / "signsvc.toml").read_text("utf-8")
    plain = Settings(**tomllib.loads(text))
    assert plain.mode == "production"
    assert [tsa.url for tsa in plain.tsa] == ["http://tsa.ca.gov.vn/"]
    full = Settings(**tomllib.loads(EXAMPLE.sub(r"\1", text)))
    (token,), (credential,) = full.tokens, full.credentials
    assert (token.module, token.token) == (credential.module, credential.token)
    assert token.pin == "file:/run/secrets/token-pin"
    assert "token-pin:" in (DOCKER / "compose.yaml").read_text("utf-8")


def test_the_build_context_is_what_the_image_copies() -> None:
    """A context that is closed by default holds no PIN file and no key, whatever lies in the checkout."""
    rules = (SOURCE / ".dockerignore").read_text("utf-8").splitlines()
    assert next(rule for rule in rules if not rule.startswith("#")) == "*"
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", (DOCKER / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert {name for line in copies for name in line.split()} == allowed
    assert all((SOURCE / name).exists() for name in allowed)
