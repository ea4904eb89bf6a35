"""A policy as plain values: for people, for JSON, and to compare two of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from signsvc.validation.policy import Policy, Role


@dataclass(frozen=True, slots=True)
class Difference:
    """One value in which two policies differ; None: it is not set."""

    key: str
    left: str | None
    right: str | None


def describe(policy: Policy) -> dict[str, Any]:
    """Everything a policy says, JSON-ready: strings, numbers, lists, dicts; times as RFC 3339 UTC."""
    fresh, asked = policy.freshness, policy.certificate_policies
    return {
        "id": policy.id,
        "version": policy.version,
        "sha256": policy.sha256,
        "extends": [{"id": i, "version": v, "sha256": h} for i, v, h in policy.extends],
        "title": {"vi": policy.title_vi, "en": policy.title_en},
        "description": {"vi": policy.description_vi, "en": policy.description_en},
        "trust_profiles": list(policy.trust_profiles),
        "required_level": policy.required_level,
        "timestamp": policy.timestamp,
        "timestamp_delay": policy.timestamp_delay,
        "clock_tolerance": policy.clock_tolerance,
        "claimed_time_offsets": list(policy.claimed_time_offsets),
        "key_usage": sorted(policy.key_usage),
        "extended_key_usage": sorted(policy.extended_key_usage),
        "experimental": policy.experimental,
        "certificate_policies": {
            "accepted": None if asked.accepted is None else sorted(asked.accepted),
            "required": asked.required,
            "inhibit_mapping": asked.inhibit_mapping,
            "inhibit_any": asked.inhibit_any,
        },
        "freshness": {
            "at": fresh.at,
            "ocsp_max_age": fresh.ocsp_max_age,
            "crl_max_age": fresh.crl_max_age,
            "without_next_update": fresh.without_next_update,
            "grace": fresh.grace,
        },
        "keeps_expired_since": {k.hex(): _time(v) for k, v in policy.keeps_expired_since.items()},
        "known_since": {k.hex(): _time(v) for k, v in policy.known_since.items()},
        "sunsets": {k.hex(): _time(v) for k, v in policy.sunsets.items()},
        "signature_policies": dict(policy.signature_policies),
        "levels": dict(sorted(policy.levels.items())),
        "algorithms": {
            str(role): [
                {"algorithm": row.algorithm, "bits": row.min_bits, "until": _time(row.not_after)}
                for row in policy.algorithms.get(role, ())
            ]
            for role in Role
        },
    }


def differences(left: Policy, right: Policy) -> tuple[Difference, ...]:
    """What two policies say differently, key by key; identity and texts are left out."""
    one, other = (dict(_flat("", _compared(policy))) for policy in (left, right))
    return tuple(
        Difference(key, one.get(key), other.get(key))
        for key in dict.fromkeys((*one, *other))
        if one.get(key) != other.get(key)
    )


def _compared(policy: Policy) -> dict[str, Any]:
    found = describe(policy)
    for name in ("id", "version", "sha256", "extends", "title", "description"):
        del found[name]
    found["algorithms"] = {
        role: {f"{row['algorithm']}≥{row['bits']}": row["until"] or "∞" for row in rows}
        for role, rows in found["algorithms"].items()
    }
    return found


def _flat(prefix: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(f"{prefix}.{key}" if prefix else str(key), inner)
    elif isinstance(value, list):
        yield prefix, ", ".join(map(str, value))
    elif value is not None:
        yield prefix, str(value)


def _time(moment: datetime | None) -> str | None:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment else None
