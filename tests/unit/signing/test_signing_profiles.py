"""Profiles and parameters: what is built in, what is refused."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import test_pki
from signsvc.algorithms import SignatureScheme
from signsvc.errors import ConfigError, CredentialError, DocumentError, RequestError
from signsvc.signing import SignParams, profiles
from signsvc.signing.algorithm import choose
from signsvc.signing.profiles import apply
from signsvc.signing.wire import params_from_json, params_to_json
from signsvc.types import Certificate
from signsvc.web.catalogue_models import ProfileItem


def test_built_in_profiles() -> None:
    found = profiles.builtin()
    families = [f"{family}-{level.lower()}" for family in ("cong-vu", "pades") for level in profiles.LEVELS]
    assert [name for name in found if name in families] == families
    assert {p.level for p in found.values()} == set(profiles.LEVELS)
    plain = ("pades", "xades", "cades", "asic", "hoa-don", "hoc-ba", "edxml")
    assert all(p.require_path == (p.policy == "cong-vu") == (not p.id.startswith(plain)) for p in found.values())
    for form in ("xades", "cades", "asic-s-xades", "asic-e-xades"):
        own = [found[f"{form}-{level.lower()}"] for level in profiles.LEVELS]
        assert [(p.format, p.level) for p in own] == [(form, level) for level in profiles.LEVELS]
    assert all(len(p.sha256) == 64 and p.title_vi and p.title_en for p in found.values())
    for_documents = ("van-ban-ky-phe-duyet", "van-ban-dong-dau", "van-ban-so-ngay", "phu-luc", "cong-van-den")
    for_copies = ("sao-y", "sao-luc", "trich-sao")
    assert {*for_documents, *for_copies} < set(found)
    assert all(found[name].appearance == name.removeprefix("van-ban-") for name in (*for_documents, *for_copies))
    agency = {name for name in found if found[name].credential.holder == "agency"}
    assert {"van-ban-dong-dau", *for_copies} <= agency
    assert found["van-ban-ky-phe-duyet"].credential.holder == "person"


def test_the_contract_has_every_member_of_profiles() -> None:
    def compare(model: type[BaseModel], value: Any) -> None:
        assert set(value) <= set(model.model_fields), model.__name__
        for name, field in model.model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                compare(field.annotation, value[name])

    for profile in profiles.builtin().values():
        ProfileItem.model_validate_json(json.dumps(profile.to_json()))
        compare(ProfileItem, profile.to_json())


def test_an_installation_adds_and_replaces_profiles(tmp_path: Path) -> None:
    (tmp_path / "pades-b-b.toml").write_text('extends = "pades-b-b"\nid = "pades-b-b"\nversion = "2"\nlevel = "B-T"\n')
    changed = profiles.load("pades-b-b", [tmp_path])
    assert (changed.level, changed.title_vi) == ("B-T", profiles.load("pades-b-b").title_vi)
    assert profiles.load("pades-b-b").level == "B-B"
    assert profiles.available([tmp_path])["pades-b-b"] == changed
    assert [base for base, _, _ in changed.extends] == ["pades-b-b"]


def test_unknown_profiles() -> None:
    with pytest.raises(RequestError) as caught:
        profiles.load("pades-b-z")
    assert caught.value.code == "profile_not_found"


WHOLE = 'extends = "pades-b-b"\nid = "a"\nversion = "1"\n'


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("id =\n\nversion = 1", "line 1: not a TOML file"),
        ('id = "a"', ""),
        ('id = "a"\nversion = "1"\nlevel = "B-B"', "title_vi"),
        ('id = "a"\nversion = 1\nlevel = "B-B"', "line 2: version"),
        ('extends = "nothing"\nid = "a"\nversion = "1"', "line 1: extends: no such profile"),
        (WHOLE + 'level = "B-X"', "line 4: level"),
        (WHOLE + 'digest = "sha1"', "line 4: digest"),
        (WHOLE + 'require_path = "no"', "line 4: require_path"),
        (WHOLE + 'colour = "blue"', "line 4: colour: no such key"),
        (WHOLE + 'result = "good"', "line 4: result"),
        (WHOLE + 'appearance = "simple"', "line 4: appearance: must be a table"),
        (WHOLE + '[appearance]\ntemplate = "none"', "line 5: appearance.template"),
        (WHOLE + "[certify]\npermissions = 1", "line 5: certify.permissions"),
        (WHOLE + '[certify]\nwhen = "last"', "line 5: certify.when"),
        (WHOLE + '[field]\nname = "a.b"', "line 5: field.name"),
        (WHOLE + '[field]\nname = "a{m}"', "line 5: field.name"),
        (WHOLE + "[field]\nexisting = true", "line 4: field: existing needs a name"),
        (WHOLE + '[signature]\nsubfilter = "adbe.x509.rsa_sha1"', "line 5: signature.subfilter"),
        (WHOLE + '[signature]\nchain = "half"', "line 5: signature.chain"),
        (WHOLE + '[signature]\ncapacity = ["CHỦ TỊCH"]', "line 5: signature.capacity"),
        (WHOLE + '[signature]\ncommitment = "yes"', "line 5: signature.commitment"),
        (
            WHOLE + '[metadata]\nreason = "a"\n[signature]\ncommitment = "origin"',
            "line 7: signature.commitment: goes without a reason",
        ),
        (WHOLE + '[pdfa]\nparts = ["a4"]', "line 5: pdfa.parts"),
        (WHOLE + '[pdfa]\nwhen_not = "cry"', "line 5: pdfa.when_not"),
        (WHOLE + '[credential]\nholder = "cat"', "line 5: credential.holder"),
        (WHOLE + '[credential]\nids = ["*a"]', "line 5: credential.ids"),
        (WHOLE + "[credential]\nleast_bits = 2048", "line 5: credential.least_bits"),
        (WHOLE + '[credential]\npolicies = ["one"]', "line 5: credential.policies"),
        (WHOLE + '[metadata]\ncolour = "red"', "line 5: metadata.colour"),
        (WHOLE + "[metadata]\nreason = 5", "line 5: metadata.reason"),
        (WHOLE + "[metadata.reason]\nfixed = 1", "line 5: metadata.reason.fixed"),
        (WHOLE + '[metadata]\nreason = { value = "a", allowed = ["b"] }', "line 5: metadata.reason: the value is none"),
    ],
)
def test_wrong_profiles_are_told_with_file_line_and_cause(text: str, line: str, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        profiles.check(tmp_path / "own.toml")
    reason = str(caught.value.data["reason"])
    assert reason.startswith("own.toml")
    assert line in reason


def own(text: str, tmp_path: Path) -> profiles.Profile:
    (tmp_path / "own.toml").write_text(WHOLE + text)
    return profiles.check(tmp_path / "own.toml")


def test_profiles_survive_the_way_to_a_worker(tmp_path: Path) -> None:
    text = '[credential]\nids = ["a*"]\nleast_bits = { rsa = 3072 }\n[metadata]\nreason = { required = true }\n[pdfa]\nparts = ["2b"]\n'
    found = own(text, tmp_path)
    assert profiles.Profile(**json.loads(json.dumps(asdict(found)))) == found
    assert json.loads(json.dumps(found.to_json()))["credential"]["least_bits"] == {"rsa": 3072}


def test_what_the_caller_leaves_open_is_the_profiles(tmp_path: Path) -> None:
    text = '[metadata]\nreason = "Ban hành"\nlocation = { value = "Hà Nội", fixed = true }\n[field]\nname = "VanThu{n}"\n[certify]\nwhen = "first"\n'
    profile = own(text, tmp_path)
    params = apply.settle(profile, SignParams())
    assert (params.reason, params.location, params.field, params.certify) == ("Ban hành", "Hà Nội", None, None)
    assert apply.settle(profile, SignParams(reason="Sao y")).reason == "Sao y"
    first = apply.for_document(profile, params, signed=False, fields=(), empty=())
    assert (first.field, first.certify) == ("VanThu1", 2)
    later = apply.for_document(profile, params, signed=True, fields=("VanThu1", "VanThu2"), empty=("VanThu2",))
    assert (later.field, later.certify) == ("VanThu2", None)


def test_what_a_profile_claims(tmp_path: Path) -> None:
    claims = '[signature]\ncapacity = ["TL. BỘ TRƯỞNG"]\nrole = "CHÁNH VĂN PHÒNG"\ncommitment = "origin"\n'
    profile = own(claims, tmp_path)
    assert profiles.Profile(**json.loads(json.dumps(asdict(profile)))) == profile
    params = apply.settle(profile, SignParams())
    assert params.claimed_roles == ("TL. BỘ TRƯỞNG", "CHÁNH VĂN PHÒNG")
    assert (params.commitment, params.reason) == ("origin", None)
    own_words = apply.settle(profile, SignParams(role="GIÁM ĐỐC", commitment="creation"))
    assert (own_words.claimed_roles, own_words.commitment) == (("GIÁM ĐỐC",), "creation")
    # a reason that the caller gives takes the commitment's place
    params = apply.settle(profile, SignParams(reason="Phát hành"))
    assert (params.reason, params.commitment) == ("Phát hành", None)
    with pytest.raises(RequestError):
        apply.settle(profile, SignParams(reason="Phát hành", commitment="origin"))


@pytest.mark.parametrize(
    ("text", "params", "code", "name"),
    [
        ('[metadata]\nreason = { value = "a", fixed = true }', {"reason": "b"}, "parameter_fixed", "reason"),
        ("[metadata]\nname = { fixed = true }", {"name": "b"}, "parameter_fixed", "name"),
        ('[metadata]\nreason = { allowed = ["a", "b"] }', {"reason": "c"}, "parameter_fixed", "reason"),
        ("[metadata]\ncontact = { required = true }", {}, "parameter_missing", "contact"),
        ('[field]\nname = "A"\nfixed = true', {"field": "B"}, "parameter_fixed", "field"),
        ('[certify]\nwhen = "never"\nfixed = true', {"certify": 2}, "parameter_fixed", "certify"),
        ('[certify]\nwhen = "always"\nfixed = true', {"certify": 3}, "parameter_fixed", "certify"),
    ],
)
def test_what_the_profile_fixes_is_not_the_callers(
    text: str, params: dict[str, Any], code: str, name: str, tmp_path: Path
) -> None:
    with pytest.raises(RequestError) as caught:
        apply.settle(own(text, tmp_path), SignParams(**params))
    assert (caught.value.code, caught.value.data["name"]) == (code, name)
    assert name in caught.value.text("vi")


def test_a_field_that_has_to_exist(tmp_path: Path) -> None:
    profile = own('[field]\nname = "GiamDoc"\nexisting = true', tmp_path)
    params = apply.settle(profile, SignParams())
    found = apply.for_document(profile, params, signed=False, fields=("GiamDoc",), empty=("GiamDoc",))
    assert found.field == "GiamDoc"
    for empty in ((), ("GiamDoc2",)):
        with pytest.raises(DocumentError) as caught:
            apply.for_document(profile, params, signed=False, fields=empty, empty=empty)
        assert caught.value.data["reason"] == "no-such-field"


RULES = [
    ('holder = "person"', "person", None),
    ('holder = "agency"', "agency", None),
    ('holder = "agency"', "public-business", None),
    ('holder = "agency"', "person", "certificate_wrong_holder"),
    ('holder = "agency"', "public-citizen", "certificate_wrong_holder"),
    ('holder = "person"', "agency", "certificate_wrong_holder"),
    ('key_types = ["ec"]', "ec", None),
    ('key_types = ["ec"]', "person", "key_not_acceptable"),
    ("least_bits = { rsa = 3072 }", "rsa3072", None),
    ("least_bits = { rsa = 3072 }", "person", "key_not_acceptable"),
    ('key_usage = ["non_repudiation"]', "person", None),
    ('key_usage = ["non_repudiation"]', "wrong-usage", "certificate_not_for_signing"),
    ('extended_key_usage = ["1.3.6.1.5.5.7.3.4"]', "person", "certificate_not_for_signing"),
    ('organizations = ["ủy ban nhân dân  tỉnh Thử Nghiệm"]', "agency", None),
    ('organizations = ["Bộ Thử Nghiệm"]', "agency", "certificate_wrong_organization"),
    ('policies = ["2.16.704.1.1.1.1.99"]', "person", "certificate_wrong_policy"),
]


@pytest.mark.parametrize(("text", "label", "code"), RULES)
def test_which_certificates_a_profile_is_for(
    text: str, label: str, code: str | None, tmp_path: Path, pki: test_pki.Pki
) -> None:
    rule = own(f"[credential]\n{text}", tmp_path).credential
    certificate = Certificate.from_der(pki.cert(label))
    if code is None:
        apply.check_certificate(rule, certificate)
        return
    with pytest.raises(CredentialError) as caught:
        apply.check_certificate(rule, certificate)
    assert caught.value.code == code
    assert "{" not in caught.value.text("vi")


def test_which_authorities_a_profile_is_for(tmp_path: Path, pki: test_pki.Pki) -> None:
    path = [Certificate.from_der(der) for der in pki.chain("person")]
    for name in (path[1].common_name, path[-1].common_name.upper()):
        apply.check_path(own(f'[credential]\nissuers = ["{name}"]', tmp_path).credential, path)
    rule = own(f'[credential]\nissuers = ["{path[0].common_name}"]', tmp_path).credential
    with pytest.raises(CredentialError) as caught:
        apply.check_path(rule, path)
    assert caught.value.code == "certificate_wrong_issuer"


def test_which_credentials_a_profile_is_for(tmp_path: Path) -> None:
    profile = own('[credential]\nids = ["van-thu*", "giam-doc"]', tmp_path)
    for name in ("van-thu", "van-thu-2", "giam-doc"):
        apply.check_credential(profile, name)
    with pytest.raises(CredentialError) as caught:
        apply.check_credential(profile, "giam-doc-2")
    assert caught.value.code == "credential_not_allowed"


@pytest.mark.parametrize(
    ("label", "profile", "scheme"),
    [
        ("person", "pades-b-b", SignatureScheme.RSA_PKCS1),
        ("pss-only", "pades-b-b", SignatureScheme.RSA_PSS),
        ("ec", "pades-b-b", SignatureScheme.ECDSA),
    ],
)
def test_the_algorithm_goes_with_the_key(label: str, profile: str, scheme: SignatureScheme, pki: test_pki.Pki) -> None:
    chosen = choose(profiles.load(profile), Certificate.from_der(pki.cert(label)))
    assert (chosen.scheme, chosen.digest) == (scheme, "sha256")


def test_short_keys_do_not_sign(pki: test_pki.Pki) -> None:
    with pytest.raises(CredentialError) as caught:
        choose(profiles.load("pades-b-b"), Certificate.from_der(pki.cert("rsa1024")))
    assert (caught.value.code, caught.value.data["bits"]) == ("key_not_acceptable", 1024)


def test_parameters() -> None:
    params = SignParams.from_json(
        {
            "reason": "Ban hành",
            "location": None,
            "visible": {"page": -1, "rect": [380, 60, 560, 130], "template": "simple"},
            "metadata": {"doc_number": "12/QĐ-UBND"},
        }
    )
    assert params.reason == "Ban hành"
    assert params.location is None
    assert params.visible is not None
    assert (params.visible.page, params.visible.rect) == (-1, (380.0, 60.0, 560.0, 130.0))


@pytest.mark.parametrize(
    "data",
    [
        {"color": "red"},
        {"reason": 5},
        {"reason": "x" * 501},
        {"reason": "a\x00b"},
        {"field": "a.b"},
        {"field": " "},
        {"certify": 1},
        {"certify": True},
        {"visible": []},
        {"visible": {"page": 0, "rect": [0, 0, 100, 100]}},
        {"visible": {"page": 1, "rect": [0, 0, 100]}},
        {"visible": {"page": 1, "rect": [0, 0, 5, 100]}},
        {"visible": {"page": 1, "rect": [0, 0, 1e9, 100]}},
        {"visible": {"page": 1, "rect": [0, 0, float("nan"), 100]}},
        {"visible": {"page": 1, "rect": [0, 0, 100, 100], "template": "../x"}},
        {"metadata": {"a": 1}},
        {"metadata": "a"},
    ],
)
def test_wrong_parameters_are_refused(data: dict[str, Any]) -> None:
    with pytest.raises(RequestError) as caught:
        SignParams.from_json(data)
    assert caught.value.code == "invalid_request"


def test_what_the_signer_signs_as() -> None:
    params = SignParams.from_json({"capacity": ["TM. ỦY BAN NHÂN DÂN", "KT. CHỦ TỊCH"], "role": "PHÓ CHỦ TỊCH"})
    assert params.claimed_roles == ("TM. ỦY BAN NHÂN DÂN", "KT. CHỦ TỊCH", "PHÓ CHỦ TỊCH")
    assert SignParams.from_json({"capacity": "Q. GIÁM ĐỐC"}).claimed_roles == ("Q. GIÁM ĐỐC",)
    assert SignParams().claimed_roles == ()
    assert params_from_json(params_to_json(params)) == params


@pytest.mark.parametrize(
    "data",
    [
        {"capacity": ["CHỦ TỊCH"]},
        {"capacity": ["KT."]},
        {"capacity": ["KT. A\nB"]},
        {"capacity": ["TM. A", "TL. B", "KT. C", "Q. D"]},
        {"capacity": [1]},
        {"capacity": 1},
        {"role": 1},
        {"commitment": "phê duyệt"},
        {"commitment": ["approval"]},
        {"commitment": "approval", "reason": "Phê duyệt"},
    ],
)
def test_claims_that_are_refused(data: dict[str, Any]) -> None:
    with pytest.raises(RequestError) as caught:
        SignParams.from_json(data)
    assert caught.value.code == "invalid_request"


def test_what_is_asked_for_without_a_place_stands_where_the_profile_says(tmp_path: Path) -> None:
    text = WHOLE + '[appearance]\ntemplate = "simple"\npage = -1\nanchor = "GIÁM ĐỐC"\nsize = [60, 20]\n'
    (tmp_path / "here.toml").write_text(text.replace('id = "a"', 'id = "here"'), "utf-8")
    profile = profiles.load("here", (tmp_path,))

    def settled(**visible: Any) -> Any:
        return apply.settle(profile, SignParams.from_json({"visible": visible})).visible

    assert apply.settle(profile, SignParams()).visible is None
    found = settled(time_format="vgca")
    assert (found.page, found.anchor.text, found.size, found.time_format) == (-1, "GIÁM ĐỐC", (60, 20), "vgca")
    own = settled(rect=[0, 0, 100, 100])
    assert (own.page, own.anchor, own.rect, own.size) == (None, None, (0, 0, 100, 100), (60, 20))
    assert settled(template="so-ngay").anchor is None  # another template has its own place
    in_field = apply.settle(profile, SignParams.from_json({"visible": {"field": "Ky"}}))
    assert (in_field.field, in_field.visible) == ("Ky", SignParams.from_json({"visible": {}}).visible)
