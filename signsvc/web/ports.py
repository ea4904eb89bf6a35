"""What the doors need of the house; `signsvc.services.Services` offers it, and tests offer small stand-ins."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from signsvc.formats.pades.prepare_fields import NewField
    from signsvc.issuing.seal import Sealer
    from signsvc.signing.appearance.images import Images
    from signsvc.signing.fields import FieldsResult
    from signsvc.signing.model import SignParams
    from signsvc.signing.profiles import Profile
    from signsvc.signing.sessions.service import SigningSessions
    from signsvc.store import Store
    from signsvc.types import Certificate
    from signsvc.verification import SignedRevision, VerifyRequest
    from signsvc.verification.model import OriginalFile
    from signsvc.verification.pictures import Pictures


class OutcomeLike(Protocol):
    @property
    def report(self) -> dict[str, Any]: ...
    @property
    def snapshot(self) -> bytes | None: ...


class VerifierLike(Protocol):
    def verify(self, path: Path, request: VerifyRequest, /) -> OutcomeLike: ...

    def verify_edxml(self, path: Path, request: VerifyRequest, /) -> dict[str, Any]: ...

    def pictures(self, path: Path, signature: str | None = None, /) -> Pictures: ...

    def revision(self, path: Path, signature: str | None, /) -> SignedRevision: ...


class SignResultLike(Protocol):
    @property
    def level(self) -> str: ...
    @property
    def certificate(self) -> Certificate | None: ...
    @property
    def report(self) -> dict[str, Any] | None: ...


class SigningLike(Protocol):
    def sign(
        self,
        source: Path,
        target: Path,
        *,
        profile: Profile,
        signer: Any,
        params: SignParams,
        more: Sequence[OriginalFile] = (),
    ) -> SignResultLike: ...

    def extend(
        self,
        source: Path,
        target: Path,
        *,
        level: str,
        policy: str,
        original: Path | None = None,
        original_name: str = "document",
    ) -> SignResultLike: ...

    def timestamp(self, source: Path, target: Path, *, policy: str) -> SignResultLike: ...

    def prepare_fields(self, source: Path, target: Path, *, fields: Sequence[NewField]) -> FieldsResult: ...


class KeyringLike(Protocol):
    def list(self) -> Iterable[Any]: ...

    def get(self, credential: str, /) -> Any: ...


class AppServices(Protocol):
    """The parts the doors call; each is made on first use and safe from several threads."""

    @property
    def store(self) -> Store: ...
    @property
    def verifier(self) -> VerifierLike: ...
    @property
    def signing(self) -> SigningLike: ...
    @property
    def keyring(self) -> KeyringLike: ...
    @property
    def sessions(self) -> SigningSessions: ...
    @property
    def images(self) -> Images: ...
    @property
    def sealer(self) -> Sealer: ...
