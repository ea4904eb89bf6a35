"""Validation policies: what is demanded and tolerated, as versioned data (EN 319 102-1 §5.1.4.2).

A policy is one TOML file.  Its hash is the SHA-256 of the file's octets, so that a report names exactly what judged.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any

from signsvc.algorithms import EXPERIMENTAL, DatedRow, not_after
from signsvc.errors import ConfigError
from signsvc.messages import catalogue
from signsvc.types import Finding, Level

IGNORE = "ignore"
LEVELS = (*(str(level) for level in Level), IGNORE)
TIMESTAMP_DEMANDS = ("required", "recommended", "optional")
SIGNATURE_LEVELS = ("B-B", "B-T", "B-LT", "B-LTA")

# Without these a signature is no proof of anything: no policy may weaken what leads to them.
PROTECTED_SUBS = frozenset(("HASH_FAILURE", "SIG_CRYPTO_FAILURE", "SIGNED_DATA_NOT_FOUND", "NOT_YET_VALID"))

_MAX_ENDS = 1000


class Role(StrEnum):
    """What an algorithm is used for; each has its own dated rows."""

    SIGNATURE = "signature"  # the signature value and the digests it covers
    REFERENCE = "reference"  # the digest of a signing-certificate reference
    CERTIFICATE = "certificate"
    REVOCATION = "revocation"
    TOKEN = "token"  # noqa: S105 - the signature of a timestamp token
    IMPRINT = "imprint"


@dataclass(frozen=True, slots=True)
class Freshness:
    """When revocation data is fresh enough; times in seconds.

    Data is fresh at an instant that does not lie after its nextUpdate (plus `grace`) nor more than the maximal age
    after its thisUpdate.  `at` says which instant: ``signing`` (the proven time of the signature; the time named in a
    token for its authority) or ``now`` (the validation time, as long as the certificate has not expired).
    """

    at: str = "signing"
    ocsp_max_age: int | None = None
    crl_max_age: int | None = None
    without_next_update: int = 86_400
    grace: int = 0


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy; build it with `parse` or `policies.load`, change copies with `dataclasses.replace`."""

    id: str
    version: str
    sha256: str
    title_vi: str
    title_en: str
    trust_profiles: tuple[str, ...]
    description_vi: str = ""
    description_en: str = ""
    required_level: str | None = None
    timestamp: str = "recommended"
    clock_tolerance: int = 300  # seconds
    timestamp_delay: int | None = None  # seconds allowed between the claimed time and the timestamp
    key_usage: frozenset[str] = frozenset(("digital_signature", "non_repudiation"))  # one of them
    extended_key_usage: frozenset[str] = frozenset()  # OIDs, besides an absent extension
    experimental: bool = False  # whether algorithms that no list names yet (ML-DSA) are relied on
    freshness: Freshness = field(default_factory=Freshness)
    keeps_expired_since: Mapping[bytes, datetime] = field(default_factory=dict)  # by SHA-256 of the CA certificate
    known_since: Mapping[bytes, datetime] = field(default_factory=dict)  # pinned intermediates, by SHA-256
    sunsets: Mapping[bytes, datetime] = field(default_factory=dict)  # trust anchors, by SHA-256
    signature_policies: Mapping[str, str] = field(default_factory=dict)  # OID -> SHA-256 of the policy document
    claimed_time_offsets: tuple[int, ...] = ()  # seconds by which tools are known to write the claimed time wrong
    levels: Mapping[str, str] = field(default_factory=dict)  # finding code -> fail | warn | info | ignore
    algorithms: Mapping[Role, tuple[DatedRow, ...]] = field(default_factory=dict)
    _ends: dict[tuple[Role, str, int | None], datetime | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def judge(self, finding: Finding) -> Finding | None:
        """The finding at the level that this policy gives it; None where the policy ignores it."""
        level = self.levels.get(finding.code)
        if level is None:
            return finding
        return None if level == IGNORE else finding.at(Level(level))

    def reliable_until(self, role: Role, algorithm: str, bits: int | None = None) -> datetime | None:
        """The instant from which `algorithm` proves nothing new in `role`; None: no end set."""
        key = (role, algorithm, bits)
        if key in self._ends:
            return self._ends[key]
        rows = self.algorithms.get(role, ())
        if self.experimental and algorithm in EXPERIMENTAL and all(row.algorithm != algorithm for row in rows):
            return None
        found = not_after(rows, algorithm, bits)
        if len(self._ends) < _MAX_ENDS:  # key sizes come from documents
            self._ends[key] = found
        return found

    @property
    def tolerance(self) -> timedelta:
        return timedelta(seconds=self.clock_tolerance)


def parse(data: bytes, where: str = "policy") -> Policy:
    """The policy in a TOML file's octets.  Raises `ConfigError` (``configuration_invalid``) naming what is wrong."""
    try:
        table = tomllib.loads(data.decode("utf-8"))
        policy = _build(table, hashlib.sha256(data).hexdigest())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError):
        raise ConfigError(reason=f"{where}: not a TOML file") from None
    except KeyError as error:
        raise ConfigError(reason=f"{where}: {error.args[0]} is missing") from None
    except (TypeError, ValueError) as error:
        raise ConfigError(reason=f"{where}: {error}") from None
    wrong = problems_of(policy)
    if wrong:
        raise ConfigError(reason=f"{where}: {wrong[0]}")
    return policy


def problems_of(policy: Policy) -> list[str]:
    """What is wrong with a policy, in English; empty where it may be used."""
    found: list[str] = []
    known = catalogue()
    for code, level in policy.levels.items():
        if code not in known or not known[code].block:
            found.append(f"levels.{code}: no such finding")
        elif level not in LEVELS:
            found.append(f"levels.{code}: {level} is no level")
        elif known[code].sub in PROTECTED_SUBS and known[code].level == "fail" and level != "fail":
            found.append(f"levels.{code}: may not be weakened")
    if not isinstance(policy.experimental, bool):
        found.append("experimental: must be true or false")
    if policy.timestamp not in TIMESTAMP_DEMANDS:
        found.append(f"timestamp: {policy.timestamp} is none of {', '.join(TIMESTAMP_DEMANDS)}")
    if policy.required_level is not None and policy.required_level not in SIGNATURE_LEVELS:
        found.append(f"required_level: {policy.required_level} is none of {', '.join(SIGNATURE_LEVELS)}")
    if policy.freshness.at not in ("signing", "now"):
        found.append("freshness.at: must be signing or now")
    found += [f"algorithms: role {role} has no rows" for role in Role if not policy.algorithms.get(role)]
    return found


def _build(table: dict[str, Any], sha256: str) -> Policy:
    fields: dict[str, Any] = {
        "trust_profiles": tuple(table.pop("trust_profiles")),
        "algorithms": _algorithms(table.pop("algorithms")),
        "freshness": Freshness(**table.pop("freshness", {})),
        "signature_policies": dict(table.pop("signature_policies", {})),
        "levels": {str(code): str(level) for code, level in table.pop("levels", {}).items()},
        "claimed_time_offsets": tuple(table.pop("claimed_time_offsets", ())),
    }
    for name in ("keeps_expired_since", "known_since", "sunsets"):
        fields[name] = {_fingerprint(k): _moment(v) for k, v in table.pop(name, {}).items()}
    for name in ("key_usage", "extended_key_usage"):
        if name in table:
            fields[name] = frozenset(table.pop(name))
    return Policy(
        id=table.pop("id"),
        version=table.pop("version"),
        sha256=sha256,
        title_vi=table.pop("title_vi"),
        title_en=table.pop("title_en"),
        **table,
        **fields,
    )


def _algorithms(table: dict[str, Any]) -> dict[Role, tuple[DatedRow, ...]]:
    """``[algorithms.all]`` holds the rows for every role, ``[algorithms.<role>]`` puts others in their place."""
    common = {name: _rows(name, value) for name, value in table.pop("all", {}).items()}
    found: dict[Role, tuple[DatedRow, ...]] = {}
    for role in Role:
        own = {name: _rows(name, value) for name, value in table.pop(role, {}).items()}
        found[role] = tuple(row for rows in (common | own).values() for row in rows)
    if table:
        raise ValueError(f"algorithms.{next(iter(table))}: no such role")
    return found


def _rows(name: str, value: object) -> list[DatedRow]:
    entries = value if isinstance(value, list) else [value]
    rows = []
    for entry in entries:
        if not isinstance(entry, dict) or not set(entry) <= {"bits", "until"}:
            raise ValueError(f"algorithms: {name} holds tables of bits and until")
        until = entry.get("until")
        rows.append(DatedRow(name, int(entry.get("bits", 0)), _moment(until) if until is not None else None))
    return rows


def _moment(value: object) -> datetime:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("a date-time needs its zone")
        return value.astimezone(UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    raise ValueError("not a date")


def _fingerprint(text: str) -> bytes:
    raw = bytes.fromhex(text.replace(":", ""))
    if len(raw) != 32:
        raise ValueError("a fingerprint is 32 octets of hex")
    return raw
