"""Files of a site: mistakes told with their line in both languages, and policies that build on others."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import pytest

from signsvc.errors import ConfigError, RequestError
from signsvc.toml_files import line_of
from signsvc.validation import Role, policies
from signsvc.validation.policies.describe import describe, differences
from signsvc.validation.policy_file import parse

BASE = (resources.files("signsvc.validation.policies") / "hon-hop.toml").read_text("utf-8")
HASH = "ab" * 32


def site(head: str = "", tables: str = "") -> bytes:
    """hon-hop with `head` before its first table and `tables` at its end."""
    return BASE.replace("[freshness]", head + "\n[freshness]", 1).encode() + tables.encode()


@pytest.mark.parametrize(
    ("data", "place", "en", "vi"),
    [
        (site("surprise = 1"), "surprise", "no such key", "không có thành phần này"),
        (site(tables="[freshness.more]\na = 1"), "freshness.more", "no such key", "không có thành phần này"),
        (site().replace(b"grace = 0", b"graze = 0"), "freshness.graze", "no such key", "không có thành phần này"),
        (site().replace(b"grace = 0", b'grace = "1"'), "freshness.grace", "seconds", "số giây"),
        (site().replace(b"tolerance = 300", b"tolerance = -1"), "clock_tolerance", "must be a number of seconds", "phải là số giây"),
        (site().replace(b"tolerance = 300", b"tolerance = true"), "clock_tolerance", "must be a number of seconds", "phải là số giây"),
        (site("levels = 1"), "levels", "must be a table", "phải là một bảng"),
        (site().replace(b'["cong-vu", "cong-cong"]', b"[]"), "trust_profiles", "list", "danh sách"),
        (site().replace(b'"cong-vu", ', b"7, "), "trust_profiles", "lower-case letters", "chữ thường"),
        (site().replace(b'"non_repudiation"', b'"anything"'), "key_usage", "must be one of", "phải là một trong"),
        (site().replace(b'"2.5.29.37.0"', b'"any"'), "extended_key_usage", "object identifier", "OID"),
        (site().replace(b"[25200]", b"[99999999]"), "claimed_time_offsets", "seconds", "số giây"),
        (site("experimental = 1"), "experimental", "true or false", "true hoặc false"),
        (site('required_level = "B-XL"'), "required_level", "B-B, B-T", "một trong: B-B, B-T"),
        (site(tables=f'[levels]\nsignature_value_wrong = "{HASH}"'), "levels.signature_value_wrong", "", ""),
        (site(tables='[levels]\nnothing = "warn"'), "levels.nothing", "no such finding", "không có mã phát hiện"),
        (site(tables='[levels]\ndigest_mismatch = "info"'), "levels.digest_mismatch", "weakened", "hạ mức"),
        (site(tables="[sunsets]\nab = 2020-01-01"), "sunsets.ab", "32 octets", "32 byte"),
        (site(tables=f'[sunsets]\n"{HASH}" = 5'), f"sunsets.{HASH}", "not a date", "không phải ngày"),
        (site(tables='[signature_policies]\n"1.2" = "00"'), "signature_policies.1.2", "32 octets", "32 byte"),
        (site(tables="[algorithms.signature]\nsha1 = 5"), "algorithms.signature.sha1", "bits and until", "bits"),
        (site(tables="[algorithms.some]\nsha1 = {}"), "algorithms.some", "no such role", "vai trò"),
        (site().replace(b"bits = 1900, until", b'bits = "x", until', 1), "algorithms.all.rsa-pkcs1v15", "bits", "bits"),
        (site().replace(b'id = "hon-hop"', b'id = "../x"'), "id", "lower-case", "chữ thường"),
        (site('extends = "nothing"'), "extends", "no such policy", "không có chính sách"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_their_line(data: bytes, place: str, en: str, vi: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(data, "rieng.toml")
    said = caught.value.text("en")
    number = int(said.split("line ")[1].split(":")[0])
    key = "1.2" if place.endswith(".1.2") else place.rpartition(".")[2]
    line = data.decode().splitlines()[number - 1]
    assert key in line, line
    assert f"rieng.toml, line {number}: {place}: " in said
    assert en in said
    shown = caught.value.text("vi")
    assert f"rieng.toml, dòng {number}: {place}: " in shown
    assert vi in shown


def test_a_line_that_is_no_toml_is_named() -> None:
    with pytest.raises(ConfigError, match=r"a\.toml, line 3: not a TOML file"):
        parse(b'id = "a"\nversion = "1"\nwrong\n', "a.toml")
    for data in (b"a = " + b"[" * 20_000, b"#" * (1024 * 1024 + 1)):
        with pytest.raises(ConfigError, match="not a TOML file"):
            parse(data, "a.toml")


def test_lines_are_found_by_the_longest_fit() -> None:
    text = '# c\na = 1\n[b]\nc = 2\n"d.e" = 3\n[b.f]\ng.h = 4\n'
    wanted = {("a",): 2, ("b",): 3, ("b", "c"): 4, ("b", "d.e"): 5, ("b", "f", "g", "h"): 7, ("b", "x"): 3}
    assert {path: line_of(text, path) for path in wanted} == wanted
    assert line_of(text, ("z",)) is None


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.toml"
    path.write_text(f'id = "{name}"\n{text}', "utf-8")
    return path


OWN = """version = "3"
extends = "cong-vu"
timestamp = "required"
required_level = "B-LT"
title_vi = "Sở"
[levels]
certificate_purpose_unusual = "fail"
[algorithms.all]
sha1 = { until = 2016-07-01 }
[algorithms.token]
sha1 = { until = 2018-01-01 }
[sunsets]
"""


def test_a_policy_builds_on_another(tmp_path: Path) -> None:
    path = write(tmp_path, "so", OWN + f'"{HASH}" = 2030-01-01')
    base, found = policies.load("cong-vu"), policies.load("so", (tmp_path,))
    changed = {d.key for d in differences(base, found)}
    rows = {f"algorithms.{role}.sha1≥0" for role in Role}
    assert changed == rows | {"timestamp", "required_level", "levels.certificate_purpose_unusual", f"sunsets.{HASH}"}
    # What the file says for all roles goes before what the other says for one.
    assert found.reliable_until(Role.SIGNATURE, "sha1") == datetime(2016, 7, 1, tzinfo=UTC)
    assert found.reliable_until(Role.TOKEN, "sha1") == datetime(2018, 1, 1, tzinfo=UTC)
    assert found.known_since == base.known_since
    assert (found.title_vi, found.title_en) == ("Sở", base.title_en)
    assert found.extends == (("cong-vu", base.version, base.sha256),)
    assert found.sha256 == hashlib.sha256(path.read_bytes() + bytes.fromhex(base.sha256)).hexdigest()
    assert describe(found)["extends"] == [{"id": "cong-vu", "version": base.version, "sha256": base.sha256}]


def test_over_several_steps_and_back_to_the_built_in(tmp_path: Path) -> None:
    write(tmp_path, "hon-hop", 'version = "site"\nextends = "hon-hop"\nclock_tolerance = 60\nrequired_level = "B-T"')
    write(tmp_path, "phong", 'version = "1"\nextends = "hon-hop"\nrequired_level = "none"')
    found = policies.load("phong", (tmp_path,))
    assert (found.clock_tolerance, found.required_level) == (60, None)
    assert [(i, v) for i, v, _ in found.extends] == [("hon-hop", "site"), ("hon-hop", "1.0")]
    assert policies.load("hon-hop", (tmp_path,)).required_level == "B-T"
    assert policies.load("hon-hop").clock_tolerance == 300


def test_rings_and_long_chains_end(tmp_path: Path) -> None:
    write(tmp_path, "a", 'version = "1"\nextends = "b"')
    write(tmp_path, "b", 'version = "1"\nextends = "a"')
    with pytest.raises(ConfigError, match="extend each other"):
        policies.load("a", (tmp_path,))
    for number in range(12):
        base = f"p{number + 1}" if number < 11 else "hon-hop"
        write(tmp_path, f"p{number}", f'version = "1"\nextends = "{base}"')
    assert len(policies.load("p6", (tmp_path,)).extends) == 6
    with pytest.raises(ConfigError, match="extend each other"):
        policies.load("p0", (tmp_path,))


def test_a_mistake_in_what_is_extended_names_that_file(tmp_path: Path) -> None:
    write(tmp_path, "a", 'version = "1"\nextends = "b"')
    write(tmp_path, "b", 'version = "1"\nextends = "hon-hop"\ntimestamp = "never"')
    with pytest.raises(ConfigError, match=r"b\.toml, line 4: timestamp"):
        policies.load("a", (tmp_path,))
    with pytest.raises(RequestError, match="policy_not_found"):
        policies.load("c", (tmp_path,))


def test_files_are_read_again_when_they_or_their_base_change(tmp_path: Path) -> None:
    write(tmp_path, "a", 'version = "1"\nextends = "hon-hop"')
    first = policies.load("a", (tmp_path,))
    assert policies.load("a", (tmp_path,)) is first
    write(tmp_path, "hon-hop", 'version = "2"\nextends = "hon-hop"\nclock_tolerance = 7')
    second = policies.load("a", (tmp_path,))
    assert (second.clock_tolerance, second.sha256 != first.sha256) == (7, True)
    base = write(tmp_path, "hon-hop", 'version = "2"\nextends = "hon-hop"\nclock_tolerance = 8')
    os.utime(base, ns=(1, 1))
    assert policies.load("a", (tmp_path,)).clock_tolerance == 8
    base.unlink()
    assert policies.load("a", (tmp_path,)) == first


def test_every_value_of_a_policy_can_be_set(tmp_path: Path) -> None:
    """What issue and convention name is there: each key changes what a policy says."""
    text = f"""version = "1"
extends = "hon-hop"
title_vi = "t"
title_en = "t"
description_vi = "d"
description_en = "d"
trust_profiles = ["cong-vu", "danh-muc"]
required_level = "B-T"
timestamp = "optional"
clock_tolerance = 1
timestamp_delay = 86400
key_usage = ["non_repudiation"]
extended_key_usage = []
experimental = true
claimed_time_offsets = []
[certificate_policies]
accepted = ["2.16.840.1.101.3.2.1.48.1"]
required = true
inhibit_mapping = true
inhibit_any = true
[freshness]
at = "now"
ocsp_max_age = 1
crl_max_age = 2
without_next_update = 3
grace = 4
[levels]
timestamp_absent = "ignore"
[keeps_expired_since]
{HASH} = 2015-01-01T00:00:00+07:00
[known_since]
{HASH} = 2015-01-01
[sunsets]
{HASH} = 2030-01-01
[signature_policies]
"1.2.3" = "{HASH}"
[algorithms.imprint]
sha1 = {{ until = 2010-01-01 }}
"""
    write(tmp_path, "tat-ca", text)
    found = policies.load("tat-ca", (tmp_path,))
    changed = {d.key.split(".")[0] for d in differences(policies.load("hon-hop"), found)}
    assert changed == set(describe(found)) - {"id", "version", "sha256", "extends", "title", "description"}
    assert found.keeps_expired_since == {bytes.fromhex(HASH): datetime(2014, 12, 31, 17, tzinfo=UTC)}
