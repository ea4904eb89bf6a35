"""What is settled before a key is touched: whether the document permits a signature, whether the certificate may sign
(Decree 68/2024 art. 29 §1-2, art. 31-32: validity, purpose, path, status at this moment)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

from signsvc.asn1 import DerError
from signsvc.errors import PROBLEMS, CredentialError, DocumentError, RequestError
from signsvc.signing.material import Gatherer
from signsvc.signing.model import SignParams
from signsvc.signing.profiles import LEVELS, Profile, apply
from signsvc.signing.standing import Ground, Standings
from signsvc.signing.workfile import WorkFile
from signsvc.types import Certificate, DocumentView, EvidenceItem, EvidenceKind, Finding, Level, SignerView

if TYPE_CHECKING:
    from signsvc.formats.pades.write_open import Opened
    from signsvc.keys.signer import Signer

# A file that other programs mend, each in its own way, shows no one thing that could be signed.
_MENDED = ("document_needs_repair", "document_pages_not_found")
# Not established is not the same as bad: only profiles that demand a path, and levels that embed it, refuse these.
_UNKNOWN = ("certificate_path_unknown", "certificate_status_unknown")


@dataclass(frozen=True, slots=True)
class Document:
    """The document before anything is added, as our bounded reader and the writer see it."""

    opened: Opened
    revisions: int
    signed: bool
    signers: tuple[Certificate, ...]  # certificates whose status its signatures and timestamps need
    certificates: tuple[Certificate, ...]  # all that it carries
    all_timestamped: bool
    params: SignParams | None = None  # with the profile's own in the places that the caller left open
    warnings: tuple[Finding, ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.opened.release()


@dataclass(frozen=True, slots=True)
class Checked:
    """A certificate that may sign: its chain as far as known, leaf first, and what was not established."""

    chain: tuple[Certificate, ...]
    warnings: tuple[Finding, ...]
    evidence: tuple[EvidenceItem, ...] = ()


def document(work: WorkFile, params: SignParams | None, profile: Profile | None = None) -> Document:
    """Read the working copy within limits and, with `params`, make sure that it permits this signature and is what
    `profile` is for.  For a ``with`` statement, at whose end the document is let go.

    Raises `DocumentError`: ``empty_document``, ``unsupported_format``, ``document_unreadable``,
    ``encrypted_document``, ``document_too_complex``, ``signing_not_permitted``, ``pdfa_required``,
    ``pdfa_transparency``; `RequestError`: ``parameter_fixed``, ``parameter_missing``, ``image_unusable``.
    """
    from signsvc import validation
    from signsvc.formats import pades
    from signsvc.formats.pades.write_gate import check_may_sign, read_fields
    from signsvc.formats.pades.write_open import contents, in_our_words, open_writer
    from signsvc.verification import sniff

    warnings: tuple[Finding, ...] = ()
    if params is not None and profile is not None:
        params = apply.settle(profile, params)
    data, state = contents(work.stream), work.state
    if sniff.media_type(bytes(data[:1024]), len(data)) != sniff.PDF:
        raise DocumentError("unsupported_format")
    view, read = pades.inspected(data, sha256=state.digest())
    if any(finding.code in _MENDED for finding in view.findings):
        raise DocumentError("document_unreadable")
    opened = open_writer(work.stream, document=read, state=state)
    if params is not None and profile is not None:
        with in_our_words():
            form = read_fields(opened.writer.root)
        signed = bool(view.signatures or view.timestamps)
        params = apply.for_document(profile, params, signed=signed, fields=form.names, empty=tuple(form.empty))
        warnings = _pdfa(view, profile)
        if (view.pdfa or "").startswith("1"):
            params = _opaque(params, profile)
    if params is not None:
        check_may_sign(opened, params.field, certify=params.certify is not None)
        if params.certify is not None and (view.signatures or view.timestamps):
            raise DocumentError("signing_not_permitted", reason="already-signed")
    return Document(
        opened=opened,
        revisions=view.revisions or 1,
        signed=bool(view.signatures),
        signers=validation.wanted(view),
        certificates=tuple(dict.fromkeys(_carried(view))),
        all_timestamped=all(_timestamped(view, index) for index in range(len(view.signatures))),
        params=params,
        warnings=warnings,
    )


def _pdfa(view: DocumentView, profile: Profile) -> tuple[Finding, ...]:
    """What the profile has to say about a document that is not PDF/A, or another part than it names."""
    rule = profile.pdfa
    if rule.when_not == "ignore" or (view.pdfa is not None and (not rule.parts or view.pdfa in rule.parts)):
        return ()
    claimed = f"PDF/A-{view.pdfa}" if view.pdfa else "PDF"
    if rule.when_not == "refuse":
        raise DocumentError("pdfa_required", claimed=claimed)
    return (Finding.of("pdfa_missing", claimed=claimed),)


def _opaque(params: SignParams, profile: Profile) -> SignParams:
    """What is shown in a document that claims PDF/A-1 (ISO 19005-1 §6.4).

    Raises `DocumentError` (``pdfa_transparency``), `RequestError` (``image_unusable``).
    """
    wanted = profile.pdfa.transparency
    if wanted == "flatten":
        return replace(params, flat=True)
    if wanted == "refuse" and params.visible is not None and params.visible.picture is not None:
        from signsvc.formats.pades.pictures import picture
        from signsvc.signing.appearance.templates import builtin

        template = builtin().get(params.visible.template or profile.appearance)
        if template is not None and template.image is not None and picture(params.visible.picture).transparent:
            raise DocumentError("pdfa_transparency")
    return params


def certificate(
    signer: Signer,
    profile: Profile,
    gatherer: Gatherer,
    *,
    directories: Iterable[Path],
    now: datetime,
    standings: Standings | None = None,
    known: tuple[object, ...] | None = None,
) -> Checked:
    """The chain of a certificate that may sign under `profile` now.

    Always refused: expired, not yet valid, revoked or on hold, not for signing, not of the kind that the profile's
    credential rule asks for.  Where path or status cannot be
    established: refused if the profile requires the path or its level embeds it, otherwise a warning.

    `standings` serve while all that they rest on is the same; `known` tells one state of the revocation data that
    `gatherer` obtains from others (None: nothing does).  Raises `CredentialError` with the problem code.
    """
    from signsvc import validation
    from signsvc.validation import policies

    rule = profile.credential
    pool = signer.certificate_chain
    policy = policies.load(profile.policy, tuple(directories))
    ground = Ground((signer.certificate, *pool), policy, gatherer.material, (gatherer.fetch is None, known))
    usable = standings if known is not None and not gatherer.supplied else None
    found = usable.find(ground, now) if usable is not None else None
    if found is not None:
        verdict, evidence = found.verdict, found.evidence
    else:
        evidence = gatherer.evidence((signer.certificate,), pool=pool, now=now)

        def judge(moment: datetime) -> validation.CertificateVerdict:
            return validation.check_certificate(
                signer.certificate,
                pool=pool,
                material=gatherer.material,
                evidence=evidence,
                policy=policy,
                now=moment,
            )

        verdict = judge(now)
        if usable is not None:
            usable.keep(ground, verdict, evidence, now, judge)
    if verdict.code is not None:
        # which authorities stand above a certificate is known only where its path is
        demanded = profile.require_path or profile.rank >= LEVELS.index("B-LT") or bool(rule.issuers)
        if verdict.code not in _UNKNOWN or demanded:
            if verdict.code not in PROBLEMS:
                raise RequestError("invalid_request", reason="certificate")
            raise CredentialError(verdict.code, **dict(verdict.data))
    apply.check_certificate(rule, signer.certificate)
    apply.check_path(rule, verdict.chain)
    noted = tuple(finding for finding in verdict.findings if finding.level is not Level.INFO)
    return Checked(verdict.chain, noted, evidence)


def _carried(view: DocumentView) -> Iterable[Certificate]:

    for signer in _signers(view):
        yield from signer.certificates
    for item in (*view.evidence, *(item for signature in view.signatures for item in signature.evidence)):
        if item.kind is EvidenceKind.CERTIFICATE:
            try:
                yield Certificate.from_der(item.der)
            except DerError:  # the reader has its own finding for it
                continue


def _signers(view: DocumentView) -> Iterable[SignerView]:
    for signature in view.signatures:
        if signature.signer is not None:
            yield signature.signer
            for timestamp in signature.signer.timestamps:
                if timestamp.signer is not None:
                    yield timestamp.signer
    for timestamp in view.timestamps:
        if timestamp.signer is not None:
            yield timestamp.signer


def _timestamped(view: DocumentView, index: int) -> bool:
    """Whether a signature has a timestamp of its own or a document timestamp over its revision."""
    signature = view.signatures[index]
    if signature.signer is not None and any(t.kind == "signature" for t in signature.signer.timestamps):
        return True
    revision = signature.scope.revision or 0
    return any(t.scope is not None and (t.scope.revision or 0) > revision for t in view.timestamps)
