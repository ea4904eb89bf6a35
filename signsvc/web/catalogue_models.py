"""What can be chosen, as the catalogue tells it: credentials, profiles, policies."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Open(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class Credential(_Open):
    id: str
    kind: str
    status: str
    subject: str | None = None
    serial_number: str | None = None
    not_before: datetime | None = None
    not_after: datetime | None = None
    key_type: str | None = None
    key_bits: int | None = None
    key_usage: tuple[str, ...] = ()
    algorithms: tuple[str, ...] = ()
    token_label: str | None = None


class CredentialList(_Open):
    credentials: list[Credential]


class Base(_Open):
    id: str
    version: str
    sha256: str


class ProfileAppearance(_Open):
    template: str = Field(description="Where the caller names none")
    shown: Literal["asked", "always", "never"]
    fixed: bool = Field(description="The caller may say nothing else")
    visible: dict[str, Any] | None = Field(description="The place, in the members of `visible` of a request")


class ProfileCredential(_Open):
    """Which keys and certificates may sign; what is empty demands nothing."""

    ids: list[str] = Field(description="Of credentials; `name*` means all that begin so")
    key_types: list[str]
    least_bits: dict[str, int] = Field(description="By key type")
    holder: Literal["person", "agency"] | None
    issuers: list[str] = Field(description="Common names of authorities, one of which is on the path")
    organizations: list[str] = Field(description="O or OU of the subject")
    policies: list[str] = Field(description="OIDs, one of which the certificate names")
    key_usage: list[str]
    extended_key_usage: list[str]


class ProfileText(_Open):
    value: str | None = Field(description="Where the caller says nothing")
    fixed: bool
    required: bool
    allowed: list[str]


class ProfileCertify(_Open):
    when: Literal["first", "always", "never"]
    permissions: Literal[2, 3]
    fixed: bool


class ProfileField(_Open):
    name: str | None = Field(description="A name, or a pattern whose {n} counts from 1")
    existing: bool
    fixed: bool


class ProfilePdfa(_Open):
    when_not: Literal["refuse", "warn", "ignore"] = Field(description="What happens to documents that claim no PDF/A")
    parts: list[str]
    transparency: Literal["flatten", "refuse", "allow"] = Field(description="Of pictures, in PDF/A-1")


class ProfileSignature(_Open):
    subfilter: str
    chain: Literal["path", "full"] = Field(description="full: with the root")
    capacity: list[str]
    role: str | None
    commitment: str | None


class ProfileTimestamp(_Open):
    raise_to: Literal["B-T", "B-LT", "B-LTA"] | None = Field(description="The level that a job raises it to, later")


class ProfileItem(_Open):
    """What a profile produces, and what it leaves to the caller."""

    id: str
    version: str
    sha256: str = Field(description="Of the file and of all that it extends")
    extends: list[Base]
    title: dict[str, str]
    description: dict[str, str]
    format: str
    packaging: str | None = Field(
        description="How signature and document stand to each other; null: as the format has it"
    )
    references: list[str] = Field(description="Ids of the elements that XAdES signs; empty: the whole document")
    covers: list[str] = Field(description="xmldsig: paths of the elements that it signs by their Ids")
    place: str | None = Field(description="xmldsig: path of the element that the signature is put into")
    canonical: Literal["c14n", "exclusive"] | None = Field(description="xmldsig: how what is signed is written")
    level: Literal["B-B", "B-T", "B-LT", "B-LTA"]
    digest: str
    scheme: Literal["pkcs1v15", "pss"]
    require_path: bool
    policy: str
    result: Literal["sound", "passed"] = Field(description="What the file has to be under the policy")
    appearance: ProfileAppearance
    credential: ProfileCredential
    metadata: dict[str, ProfileText] = Field(description="By reason, location, name, contact")
    certify: ProfileCertify
    field: ProfileField
    pdfa: ProfilePdfa
    signature: ProfileSignature | None = None
    timestamp: ProfileTimestamp
    experimental: bool = Field(description="Takes keys of algorithms that no list of approved ones names yet")


class ProfileList(_Open):
    profiles: list[ProfileItem]


class PolicyItem(_Open):
    id: str
    version: str
    sha256: str
    title: dict[str, str]
    trust_profiles: list[str]


class PolicyList(_Open):
    default: str
    policies: list[PolicyItem]


class AcceptanceRule(_Open):
    """What a receiving system demands; `otherwise` says what each condition leads to that does not hold."""

    id: str
    version: str
    sha256: str
    title: dict[str, str]
    signers: Literal["any", "seal", "person", "both"]
    timestamp: bool
    level: str | None
    coverage: bool
    min_signatures: int
    max_age_days: int | None
    policies: list[str]
    trust_profiles: list[str]
    organisation: bool
    otherwise: dict[str, Literal["reject", "review"]]


class AcceptanceRuleList(_Open):
    rules: list[AcceptanceRule]
