"""Rules as data, and the reading of their files.

extends = "van-ban-den"       # by id; then only what differs
id = "so-noi-vu"
version = "1"
signers = "both"              # seal | person | both | any
max_age_days = 30

[otherwise]
timestamp = "reject"          # instead of what the condition leads to by itself

[organisations]               # by identifier of the issuing agency: names that may stand in the certificate
"000.00.00.H29" = ["Ủy ban nhân dân tỉnh A"]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from signsvc.toml_files import (
    Lookup,
    Place,
    Rules,
    Table,
    identifier,
    is_bool,
    list_of,
    one_of,
    resolve,
    table_problems,
    text_of,
    whole_number,
)

SIGNERS = ("any", "seal", "person", "both")
LEVELS = ("B-B", "B-T", "B-LT", "B-LTA")
# Conditions of a rule and what it leads to where one of them does not hold.
CONDITIONS: Mapping[str, str] = MappingProxyType(
    {
        "signers": "reject",
        "holder_unknown": "review",
        "timestamp": "review",
        "level": "review",
        "coverage": "reject",
        "min_signatures": "reject",
        "max_age_days": "review",
        "policies": "review",
        "trust_profiles": "review",
        "organisation": "review",
    }
)
_DECISIONS = one_of("reject", "review")
_TEXT = text_of(500)


@dataclass(frozen=True, slots=True)
class Rule:
    """What a receiving system demands of a document whose signatures are valid.

    `signers`: whose certificates must have signed.  `timestamp`: every signature's time must be proven.  `level`: the
    least of every signature.  `coverage`: every signature covers all that was there when it was made.  `max_age_days`:
    since the latest signature.  `policies` and `trust_profiles`: those that the report may rest on; empty: any.
    `organisation`: the issuing agency's identifier must lead to an organisation in a signer's certificate.
    """

    id: str
    version: str
    sha256: str
    title_vi: str
    title_en: str
    signers: str = "any"
    timestamp: bool = False
    level: str | None = None
    coverage: bool = True
    min_signatures: int = 1
    max_age_days: int | None = None
    policies: tuple[str, ...] = ()
    trust_profiles: tuple[str, ...] = ()
    organisation: bool = False
    otherwise: Mapping[str, str] = field(default_factory=dict)
    organisations: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def decision(self, condition: str) -> str:
        """``reject`` or ``review``: what a condition that does not hold leads to."""
        return self.otherwise.get(condition, CONDITIONS[condition])


_KEYS = {
    "id": identifier,
    "version": text_of(32),
    "extends": identifier,
    "title_vi": _TEXT,
    "title_en": _TEXT,
    "signers": one_of(*SIGNERS),
    "timestamp": is_bool,
    "level": one_of(*LEVELS),
    "coverage": is_bool,
    "min_signatures": whole_number(1, 1000),
    "max_age_days": whole_number(1, 36_500),
    "policies": list_of(identifier),
    "trust_profiles": list_of(identifier),
    "organisation": is_bool,
}


def parse(data: bytes, where: str = "", lookup: Lookup | None = None) -> Rule:
    """The rule in a file's octets.  Raises `ConfigError` with the line of a mistake."""
    table, chain = resolve(data, where or "acceptance rule", _RULES, lookup)
    table.pop("extends", None)
    named = {name: tuple(listed) for name, listed in table.pop("organisations", {}).items()}
    fields: Table = {**table, "organisations": named}
    for name in ("policies", "trust_profiles"):
        fields[name] = tuple(table.get(name, ()))
    return Rule(sha256=chain[0][2], **fields)


def _problems(table: Table) -> Iterator[tuple[Place, str]]:
    yield from table_problems(
        table, _KEYS, {"otherwise": dict.fromkeys(CONDITIONS, _DECISIONS)}, others=frozenset(("organisations",))
    )
    names = table.get("organisations", {})
    if not isinstance(names, dict):
        yield ("organisations",), "must be a table"
        return
    for name, listed in names.items():
        if problem := list_of(_TEXT, least=1)(listed):
            yield ("organisations", name), problem


def _merged(base: Table, own: Table) -> Table:
    tables = {name: {**base.get(name, {}), **own.get(name, {})} for name in ("otherwise", "organisations")}
    return {**base, **own, **{name: value for name, value in tables.items() if value}}


_RULES = Rules(
    noun="acceptance rule",
    nouns="acceptance rules",
    problems=_problems,
    needed=("title_vi", "title_en"),
    whole=lambda _: iter(()),
    merged=_merged,
)

__all__ = ["CONDITIONS", "Rule", "parse"]
