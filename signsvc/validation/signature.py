"""One signature: the processes of EN 319 102-1 §5.3, §5.5 and §5.6 over one walk.

The proofs of existence gathered from verified timestamps decide which process it amounts to: without any it is the
basic one, with a signature timestamp the one with time, with document or archive timestamps the long-term one.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from signsvc.types import (
    CertificateStatus,
    Finding,
    Indication,
    Level,
    SignatureVerdict,
    SignatureView,
    SignerView,
)
from signsvc.validation.algorithms_check import Strength
from signsvc.validation.chain import ChainResult, validate_chain
from signsvc.validation.changes import AFTERWARDS, check_changes
from signsvc.validation.checks import Facts, checks_of
from signsvc.validation.conclude import conclude, judged
from signsvc.validation.constraints import (
    check_claimed_time,
    check_level,
    check_purpose,
    check_signature_policy,
    check_tax_code,
    check_timestamp_demand,
)
from signsvc.validation.context import Context
from signsvc.validation.inventory import Inventory, counter_id, signature_id
from signsvc.validation.moments import shown
from signsvc.validation.poe import certificate_id
from signsvc.validation.policy import SIGNATURE_LEVELS, Role
from signsvc.validation.signer import SignerResult, check_signer, check_strength
from signsvc.validation.timestamps import Token, in_order, newest_first, validate_timestamp

MAX_COUNTER_DEPTH = 3


@dataclass(frozen=True, slots=True)
class _Core:
    """What is found out about one SignerInfo."""

    result: SignerResult
    tokens: tuple[Token, ...]  # its own, in the order found
    chain: ChainResult | None
    proven: datetime | None
    proven_by: str | None
    findings: tuple[Finding, ...]
    ends: datetime | None


def validate_signature(
    context: Context,
    inventory: Inventory,
    view: SignatureView,
    document_tokens: tuple[Token, ...],
    sealed: Collection[int] = (),
) -> SignatureVerdict:
    """Judge one top-level signature; `document_tokens` are the judged document timestamps, in file order, `sealed` the
    revisions in which an agency signed."""
    policy = context.policy
    found: list[Finding] = [f for f in view.findings if f.code not in AFTERWARDS]
    later = [f for f in view.findings if f.code in AFTERWARDS]
    core: _Core | None = None
    covering = tuple(t for t in document_tokens if signature_id(view.id) in inventory.proven_by(t.view))
    if view.signer is None:
        if not any(f.level is Level.FAIL for f in found):
            found.append(Finding.of("signature_unreadable", subject=view.id))
    else:
        core = _core(context, inventory, view.signer, view.id, covering, view.claimed_time)
        # Where the format is not understood no digest was computed, which does not mean that the data is missing.
        unread = any(f.level is Level.FAIL and f.block == "FC" for f in found)
        found += [f for f in core.findings if not (unread and f.code == "signed_data_missing")]
    found += check_tax_code(core.result.certificate if core else None, view.tax_code, view.id)
    unsaid = view.scope.type == "PARTIAL" and not view.covered
    if unsaid and not any(f.level is Level.FAIL and f.block == "FC" for f in found):
        found.append(Finding.of("coverage_unknown", subject=view.id))
    tokens = (*core.tokens, *covering) if core else covering
    level = _level(view.level, tokens)
    found += check_level(policy, _reached(level, tokens))
    proven = core is not None and core.proven is not None
    found += check_timestamp_demand(policy, proven, any(t.view.kind != "content" for t in tokens))
    kept = judged(policy, (f if f.subject else replace(f, subject=view.id) for f in found))
    after = judged(policy, (*later, *check_changes(view.scope, view.id, sealed)))
    as_signed = conclude(kept)
    indication, sub = conclude((*kept, *after))
    signer = view.signer
    return SignatureVerdict(
        id=view.id,
        indication=indication,
        sub_indication=sub,
        as_signed_indication=as_signed[0],
        as_signed_sub_indication=as_signed[1],
        format=view.format,
        level=level,
        scope=view.scope,
        field=view.field,
        certificate=core.result.certificate if core else None,
        claimed_time=view.claimed_time or (signer.claimed_time if signer else None),
        best_signature_time=core.proven if core else None,
        time_source="timestamp" if proven else "claimed",
        digest_algorithm=core.result.algorithm.digest if core and core.result.algorithm else None,
        signature_algorithm=core.result.algorithm.name if core and core.result.algorithm else None,
        chain=core.chain.entries if core and core.chain else (),
        checks=checks_of(_facts(core, signer, view, tokens), kept, after),
        timestamps=tuple(t.verdict for t in core.tokens) if core else (),
        findings=(*kept, *after),
        extend_before=_extend_before(level, core, covering) if indication is Indication.TOTAL_PASSED else None,
        reason=view.reason,
        location=view.location,
        claimed_roles=signer.claimed_roles if signer else (),
        commitment_oids=signer.commitment_oids if signer else (),
        covered=view.covered,
        counter_signatures=_counter_signatures(context, inventory, view, 0),
    )


def _core(
    context: Context,
    inventory: Inventory,
    signer: SignerView,
    name: str,
    covering: tuple[Token, ...],
    claimed: datetime | None,
) -> _Core:
    policy = context.policy
    result = check_signer(context, signer, name)
    own = {
        view.id: validate_timestamp(context, inventory, view)
        for kind in ("archive", "signature", "content")
        for view in newest_first(v for v in signer.timestamps if v.kind == kind)
    }
    tokens = tuple(own[view.id] for view in signer.timestamps if view.id in own)
    proof = context.proofs.of(signature_id(name))
    findings = [*result.findings, *check_signature_policy(policy, signer, name)]
    findings += [
        Finding.of("timestamp_not_valid", subject=name, id=token.view.id) for token in tokens if not token.passed
    ]
    by_kind = {kind: [t for t in tokens if t.view.kind == kind] for kind in ("content", "signature", "archive")}
    first, last = _by_time(by_kind["content"]), [*_by_time(by_kind["archive"]), *covering]
    orders = [[*first, token, *last] for token in by_kind["signature"]] or [[*first, *last]]
    if not all(in_order(context, tokens) for tokens in orders):
        findings.append(Finding.of("timestamp_order_wrong", subject=name))
    strength = Strength(policy)
    check_strength(strength, signer, result, Role.SIGNATURE, proof.time, name)
    findings += strength.findings
    chain: ChainResult | None = None
    certificate = result.certificate
    if certificate is not None:
        if proof.by is not None:
            # What the signed attributes hold or name by digest is as old as the signature; a certificate that they
            # do not name may have been issued for its key later.
            named = (certificate_id(certificate),) if signer.references else ()
            context.proofs.add((*named, *_signed_evidence(signer)), proof.time, proof.by)
        chain = validate_chain(
            context,
            certificate,
            proven=proof.time,
            exists=max(proof.time, context.proofs.certificate(certificate)),
            policies=policy.certificate_policies,
            signing=True,
        )
        findings += chain.findings
        findings += check_purpose(policy, certificate)
        findings += _lower_bound(by_kind["content"], chain)
    claimed = claimed or signer.claimed_time
    proven = proof.time if proof.by is not None else None
    findings += check_claimed_time(policy, certificate, claimed, proven, context.present)
    ends = [t for t in (strength.sunset, chain.ends if chain else None) if t is not None]
    return _Core(result, tokens, chain, proven, proof.by, tuple(findings), min(ends, default=None))


def _signed_evidence(signer: SignerView) -> list[str]:
    """Ids of revocation values that stand in the signed attributes (adbe-revocationInfoArchival)."""
    message = signer.value.message
    return [item.id for item in signer.evidence if message is not None and item.der in message]


def _by_time(tokens: list[Token]) -> list[Token]:
    return sorted(tokens, key=lambda t: t.view.gen_time.timestamp() if t.view.gen_time else 0.0)


def _lower_bound(content: list[Token], chain: ChainResult) -> list[Finding]:
    """A content timestamp is older than the signature: made after revocation or expiry is then proven (§5.5.4)."""
    times = [t.view.gen_time for t in content if t.passed and t.view.gen_time is not None]
    if not times or not chain.entries:
        return []
    bound, entry = max(times), chain.entries[0]
    subject, name = entry.certificate.sha256.hex(), entry.certificate.common_name
    found = []
    revoked = entry.revoked_at if entry.status is CertificateStatus.REVOKED else None
    if revoked is not None and bound > revoked:
        since = shown(revoked)
        found.append(Finding.of("signature_made_after_revocation", subject=subject, name=name, since=since))
    if bound > entry.certificate.not_after:
        end = shown(entry.certificate.not_after)
        found.append(Finding.of("signature_made_after_expiry", subject=subject, name=name, not_after=end))
    return found


def _level(level: str, tokens: tuple[Token, ...]) -> str:
    """A level above B-B needs a timestamp that is really over this signature, LTA one over what is kept with it."""
    sound = {t.view.kind for t in tokens if t.sound} - {"content"}
    if sound:
        return level[:-1] if level.endswith("LTA") and not sound & {"archive", "document"} else level
    if level in ("B-T", "B-LT", "B-LTA"):
        return "B-B"
    return "PKCS7-B" if level.startswith("PKCS7-") else level


def _reached(level: str, tokens: tuple[Token, ...]) -> str:
    """The level that valid timestamps carry: what a policy demands is more than structure."""
    kinds = {t.view.kind for t in tokens if t.passed} - {"content"}
    if level not in ("B-T", "B-LT", "B-LTA") or not kinds:
        return "B-B" if level in SIGNATURE_LEVELS else level
    return "B-LT" if level == "B-LTA" and not kinds & {"archive", "document"} else level


def _facts(core: _Core | None, signer: SignerView | None, view: SignatureView, tokens: tuple[Token, ...]) -> Facts:
    return Facts(
        digest_matches=signer.digest_matches if signer else None,
        value_valid=core.result.valid if core else None,
        path_found=bool(core and core.chain and core.chain.path),
        revocation_known=bool(core and core.chain and core.chain.revocation_known),
        timestamps=tuple(t.verdict.indication for t in tokens if t.view.kind != "content"),
        changes=view.scope.changes_after,
        # Outside PDF there are no revisions: what is not covered stood there or came later, nobody can tell.
        later_revisions=view.scope.type != "FULL" and not view.covered,
    )


def _extend_before(level: str, core: _Core | None, covering: tuple[Token, ...]) -> datetime | None:
    """Until when the signature can be checked as it is: then it should have been extended (DESIGN: the archive's due).

    With archive timestamps the newest decides; with revocation data inside, its issuers and the timestamp; below that
    the signer certificate as well, since its revocation data must still be obtained.
    """
    if core is None or core.chain is None:
        return None
    archive = [t for t in (*covering, *core.tokens) if t.passed and t.view.kind in ("archive", "document")]
    if archive and level.endswith("LTA"):
        return max((t.ends for t in archive if t.ends is not None), default=None)
    stamped = [
        t.ends for t in (*core.tokens, *covering) if t.passed and t.ends is not None and t.view.kind != "content"
    ]
    own = core.result.certificate.not_after if core.result.certificate is not None else None
    embedded = bool(stamped) and level.endswith(("LT", "LTA"))
    ends = [t for t in (core.ends, core.chain.evidence_ends if embedded else own) if t is not None]
    if stamped:
        ends.append(max(stamped))
    return min(ends, default=None)


def _counter_signatures(
    context: Context, inventory: Inventory, view: SignatureView, depth: int
) -> tuple[SignatureVerdict, ...]:
    """Counter-signatures are judged alone; their failure leaves the parent as it is."""
    if view.signer is None or depth >= MAX_COUNTER_DEPTH:
        return ()
    return tuple(
        validate_signature(
            context,
            inventory,
            SignatureView(
                id=counter_id(view.id, index),
                format=view.format,
                level="BES",
                signer=replace(signer, counter_signatures=()) if depth + 1 >= MAX_COUNTER_DEPTH else signer,
                scope=replace(view.scope, type="FULL", changes_after=()),
            ),
            (),
        )
        for index, signer in enumerate(view.signer.counter_signatures, 1)
    )
