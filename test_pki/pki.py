"""The hierarchy at work: certificates by label, and anything signed with its keys at any time."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from test_pki import certificates, der, hierarchy, keys, revocation, signatures, spec, timestamps
from test_pki.revocation import Answer, Entry, Extensions
from test_pki.signatures import PrivateKey
from test_pki.spec import Spec

PASSWORD = b"secret"
CertLike = str | bytes  # a label, or a DER certificate made by issue()


class Pki:
    """The test hierarchy relative to *epoch*. Certificates are computed when asked for and kept; thread-safe."""

    def __init__(self, out_dir: Path, epoch: datetime) -> None:
        self.out_dir = out_dir
        self.epoch = epoch.astimezone(UTC)
        self._specs: dict[str, Spec] = dict(hierarchy.ALL)
        self._certs: dict[str, bytes] = {}
        self._lock = threading.RLock()
        self._serial = 0

    def __repr__(self) -> str:
        return f"Pki(epoch={self.epoch:%Y-%m-%dT%H:%M:%SZ})"

    # Who is who

    def labels(self) -> tuple[str, ...]:
        """All labels, in a stable order; labels added with add() come last."""
        return tuple(self._specs)

    def spec(self, label: str) -> Spec:
        """What the certificate *label* is made from; KeyError for an unknown label."""
        return self._specs[label]

    def add(self, new: str, base: str = "person", **changes: Any) -> bytes:
        """Register the certificate *new* made like *base* with Spec fields changed; its DER.

        Afterwards chain(), ocsp(), crl(), timestamp() and the responders know it. ValueError if *new* is
        already something else. A self-signed certificate needs issuer=<its own label>.
        """
        item = replace(self._specs[base], **changes)
        with self._lock:
            if self._specs.setdefault(new, item) != item:
                raise ValueError(f"label {new} is taken")
        return self.cert(new)

    def cert(self, label: str) -> bytes:
        """The certificate *label*, DER."""
        with self._lock:
            if label not in self._certs:
                item = self._specs[label]
                self._certs[label] = self._build(label, item, item.issuer == label)
            return self._certs[label]

    def issue(self, subject_label: str = "person", **changes: Any) -> bytes:
        """A one-off certificate made like *subject_label* with fields of Spec changed; nothing is remembered.

        A root issued anew stays self-signed unless issuer changes.
        issuer and key are labels; not_before and not_after are datetimes or timedeltas from the epoch.
        """
        item = replace(self._specs[subject_label], **changes)
        name = f"{subject_label}/{sorted(changes.items(), key=str)!r}"
        return self._build(name, item, item.issuer == subject_label)

    def _build(self, label: str, item: Spec, own: bool) -> bytes:
        issuer_key = item.key if own else self._specs[item.issuer].key
        issuer = None if own else self.cert(item.issuer)
        return certificates.build(label, item, self.epoch, keys.load(item.key), keys.load(issuer_key), issuer)

    def issuer(self, label: str) -> str:
        """Label of the CA that issued *label* (a root issues itself)."""
        return self._specs[label].issuer

    def chain(self, label: str) -> list[bytes]:
        """DER certificates from *label* up to and including its root."""
        return [self.cert(name) for name in self._path(label)]

    def _path(self, label: str) -> Iterator[str]:
        yield label
        while (above := self.issuer(label)) != label:
            yield above
            label = above

    def key(self, label: str) -> PrivateKey:
        """The private key of *label*, parsed once per process."""
        return keys.load(self._specs[label].key if label in self._specs else label)

    @property
    def roots(self) -> dict[str, bytes]:
        """The roots a verifier would trust, label -> DER ("root-unknown" is left out on purpose)."""
        return {label: self.cert(label) for label in hierarchy.ROOTS if label != "root-unknown"}

    def p12(self, label: str) -> Path:
        """Path of a PKCS#12 file (password b"secret") with the key of *label* and its chain without the root."""
        path = self.out_dir / "p12" / f"{label}.p12"
        with self._lock:
            if not path.is_file():
                from test_pki.export import write_p12

                write_p12(self, label, path)
        return path

    def sign_data(self, label: str, data: bytes, digest: str = "sha256", pss: bool = False) -> bytes:
        """Raw signature of *label*'s key over *data*."""
        return signatures.sign(self.key(label), data, digest, pss)

    # Revocation

    def revocation(self, label: str, at: datetime) -> tuple[datetime, str] | None:
        """When and why *label* was revoked, if that has happened by *at*."""
        found = self._specs[label].revoked
        if found is None:
            return None
        when = spec.moment(found.at, self.epoch)
        return (when, found.reason) if when <= at else None

    def issued_by(self, ca: str) -> list[str]:
        """Labels of what *ca* issued, itself excluded."""
        return [label for label, item in list(self._specs.items()) if item.issuer == ca != label]

    def crl(
        self,
        ca: str,
        at: datetime | None = None,
        next_update: timedelta | None = timedelta(days=7),
        *,
        entries: Iterable[Entry] | None = None,
        number: int | None = None,
        digest: str | None = None,
        signer: str | None = None,
        extra: Extensions = (),
    ) -> bytes:
        """CertificateList of *ca* with thisUpdate *at* (now if None), DER.

        Lists what the hierarchy has revoked by then, or exactly *entries* (serial, time, reason). *signer*: label
        whose key signs instead (the issuer name stays the CA's). *next_update* None leaves the field out.
        """
        at = at or now()
        if entries is None:
            entries = [
                (certificates.serial_number(self.cert(label)), *found)
                for label in self.issued_by(ca)
                if (found := self.revocation(label, at))
            ]
        return revocation.crl(
            self.cert(ca),
            self.key(signer or ca),
            [revocation.entry(*one) for one in entries],
            this_update=at,
            next_update=at + next_update if next_update is not None else None,
            number=int(at.timestamp()) if number is None else number,
            digest=digest or self._specs[ca].digest,
            extra=extra,
        )

    def ocsp(
        self,
        cert: CertLike,
        status: str | None = None,
        at: datetime | None = None,
        *,
        issuer: str | None = None,
        this_update: datetime | None = None,
        next_update: timedelta | None = timedelta(days=1),
        revoked_at: datetime | None = None,
        reason: str = "unspecified",
        signer: str | None = None,
        include: tuple[bytes, ...] | None = None,
        by_name: bool = False,
        nonce: bytes | None = None,
        hash: str = "sha1",  # noqa: A002 - the name is part of the interface
        digest: str | None = None,
        extra: Extensions = (),
    ) -> bytes:
        """OCSPResponse about *cert* produced *at* (now if None), DER.

        *status* None tells the truth of the hierarchy at that time; "good", "revoked" (at *revoked_at*, default one
        day before *at*) or "unknown" say so. *issuer* is needed for DER certificates. *signer*: label of the
        responder, default the CA's delegated one with a certificate valid at that time (a CA of add() signs itself);
        the CA's own label signs directly and sends no certificate. *extra*: singleExtensions.
        """
        at = at or now()
        if isinstance(cert, str):
            issuer = issuer or self.issuer(cert)
            if status is None and (found := self.revocation(cert, at)):
                status, revoked_at, reason = "revoked", *found
            cert = self.cert(cert)
        if issuer is None:
            raise ValueError("issuer is needed for a DER certificate")
        answer = self.answer(
            issuer,
            certificates.serial_number(cert),
            status or "good",
            revoked_at=revoked_at or at - timedelta(days=1),
            reason=reason,
            this_update=this_update or at,
            next_update=next_update,
            hash=hash,
            extra=extra,
        )
        return self.ocsp_response(
            issuer, [answer], at, signer=signer, include=include, by_name=by_name, nonce=nonce, digest=digest
        )

    def answer(
        self,
        issuer: str,
        serial: int,
        status: str,
        *,
        this_update: datetime,
        revoked_at: datetime | None = None,
        reason: str = "unspecified",
        next_update: timedelta | None = timedelta(days=1),
        hash: str = "sha1",  # noqa: A002 - the name is part of the interface
        extra: Extensions = (),
    ) -> Answer:
        """What to say about one serial of *issuer*, for ocsp_response()."""
        until = this_update + next_update if next_update is not None else None
        identifier = revocation.cert_id(self.cert(issuer), serial, hash)
        return Answer(identifier, status, revoked_at, reason, this_update, until, extra)

    def ocsp_response(
        self,
        issuer: str,
        answers: Iterable[Answer],
        at: datetime,
        *,
        signer: str | None = None,
        include: tuple[bytes, ...] | None = None,
        by_name: bool = False,
        nonce: bytes | None = None,
        digest: str | None = None,
    ) -> bytes:
        """An OCSPResponse with any *answers*, signed as described at ocsp()."""
        signer = signer or self._responder(issuer)
        certificate = self.cert(signer)
        item = self._specs[signer]
        if item.nocheck and not self._covers(item, at):
            # Responder certificates are short-lived: the one of that time is another one.
            certificate = self.issue(signer, not_before=at - timedelta(days=30), not_after=at + timedelta(days=335))
        if include is None:
            include = () if signer == issuer else (certificate,)
        return revocation.ocsp(
            answers,
            self.key(signer),
            certificate,
            produced_at=at,
            include=include,
            by_name=by_name,
            nonce=nonce,
            digest=digest or self._specs[issuer].digest,
        )

    def _responder(self, ca: str) -> str:
        return f"ocsp-{ca}" if f"ocsp-{ca}" in self._specs else ca

    def _covers(self, item: Spec, at: datetime) -> bool:
        return spec.moment(item.not_before, self.epoch) <= at <= spec.moment(item.not_after, self.epoch)

    # Time stamps

    def timestamp(
        self,
        data_digest: bytes,
        *,
        tsa: str = "tsa1",
        at: datetime | None = None,
        hash: str = "sha256",  # noqa: A002 - the name is part of the interface
        nonce: int | None = None,
        policy: str = hierarchy.TSA_POLICY,
        serial: int | None = None,
        accuracy: int | None = 1,
        certs: Iterable[bytes] | None = None,
        key: str | None = None,
        digest: str = "sha256",
        flip: bool = False,
        **profile: Any,
    ) -> bytes:
        """A TimeStampToken over *data_digest* (a digest under *hash*) with genTime *at* (now if None), DER ContentInfo.

        *certs*: certificates inside, default the chain without its root. *key*: label whose key signs in place of
        the TSA's. *flip* breaks the signature. Further Spec fields (eku=(), not_after=...) sign with a one-off
        certificate made like *tsa*.
        """
        certificate = self.issue(tsa, **profile) if profile else self.cert(tsa)
        if certs is None:
            above = profile.get("issuer", self.issuer(tsa))
            certs = [certificate, *(self.chain(above)[:-1] if above != tsa else ())]
        info = timestamps.tst_info(
            data_digest,
            at=at or now(),
            algorithm=hash,
            policy=policy,
            serial=self._next_serial(data_digest) if serial is None else serial,
            nonce=nonce,
            accuracy=accuracy,
        )
        return timestamps.signed_data(
            info,
            signatures.digest(info, digest),
            self.key(key or profile.get("key", tsa)),
            certificate,
            content_type=timestamps.TST_INFO,
            attributes=[timestamps.signing_certificate(certificate, digest)],
            include=certs,
            digest=digest,
            flip=flip,
        )

    def _next_serial(self, seed: bytes) -> int:
        with self._lock:
            self._serial += 1
            count = self._serial
        return int.from_bytes(hashlib.sha256(seed + der.integer(count)).digest()[:8], "big") >> 1


def now() -> datetime:
    """The present, UTC, whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)
