"""Digest and signature algorithms: names, object identifiers, strengths with dates, and checking a value.

Dates come from ETSI TS 119 312 v1.5.1 and Circular 15/2025/TT-BKHCN App. I; a policy may carry its own rows.
"""

from signsvc.algorithms.tables import (
    DIGESTS,
    EXPERIMENTAL,
    SHAKE256,
    TS_119_312,
    DatedRow,
    DigestAlgorithm,
    SignatureAlgorithm,
    SignatureScheme,
    digest_by_name,
    digest_by_oid,
    digest_name,
    may_sign,
    new_hash,
    not_after,
    parameters_fit,
    resolve,
)
from signsvc.algorithms.verify import SignatureCheck, verify_value

__all__ = [
    "DIGESTS",
    "EXPERIMENTAL",
    "SHAKE256",
    "TS_119_312",
    "DatedRow",
    "DigestAlgorithm",
    "SignatureAlgorithm",
    "SignatureCheck",
    "SignatureScheme",
    "digest_by_name",
    "digest_by_oid",
    "digest_name",
    "may_sign",
    "new_hash",
    "not_after",
    "parameters_fit",
    "resolve",
    "verify_value",
]
