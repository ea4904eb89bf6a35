"""Timestamps from configured authorities: asked in order, each answer checked before it is handed on."""

from __future__ import annotations

import base64
import itertools
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from signsvc.errors import ConfigError, RequestError, UpstreamError
from signsvc.trust import tsa_token
from signsvc.trust.material import TrustMaterial
from signsvc.trust.paths import PathLimits, build, chain_problem
from signsvc.trust.tsa_health import TsaHealth
from signsvc.trust.tsa_status import ChainStatus
from signsvc.trust.tsa_token import CheckedToken, TokenError
from signsvc.types import Certificate

if TYPE_CHECKING:
    from signsvc.net import HttpClient

QUERY = "application/timestamp-query"
_REPLIES = frozenset(("application/timestamp-reply", "application/timestamp-response"))
_OURS = frozenset(("busy", "deadline"))  # no failures of the authority
_PATHS = PathLimits(paths=5, signature_checks=40, steps=200)


@dataclass(frozen=True, slots=True)
class TsaConfig:
    """One authority.  `timeout` in seconds; `concurrency` calls at most run at once (the government's TSA takes up to
    two minutes per call).  `allow_unknown_chain` accepts a token whose certificate leads to no installed anchor.
    """

    name: str
    url: str
    timeout: float = 30.0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    policy_oid: str | None = None
    concurrency: int = 4
    allow_unknown_chain: bool = False


@dataclass(frozen=True, slots=True)
class TimestampToken:
    """A checked token (`der`: ContentInfo), its time and the name of the TSA that made it; `chain` is the TSA's path,
    leaf to anchor, empty where an unknown chain is allowed."""

    der: bytes
    gen_time: datetime
    tsa: str
    certificate: Certificate
    certificates: tuple[Certificate, ...]
    chain: tuple[Certificate, ...]


class TsaClient:
    """Asks the authorities of `configs` in order until one gives a token that passes every check.  Thread-safe.

    `material` may be a callable, so that newly installed authorities count at once.  `clock_skew` is how many seconds
    genTime may lie before the call began or after it ended.
    """

    def __init__(
        self,
        configs: Sequence[TsaConfig],
        http: HttpClient,
        material: TrustMaterial | Callable[[], TrustMaterial],
        *,
        clock_skew: float = 60.0,
        max_accuracy: float | None = None,
        status: Callable[[tuple[Certificate, ...], datetime], ChainStatus] | None = None,
        refuse_unknown_status: bool = False,
        health: TsaHealth | None = None,
        seconds: float | None = None,
    ) -> None:
        """`max_accuracy`: a token that claims less (more seconds) is refused.  `status` tells whether a chain is
        revoked, which is always refused; unknown is, where `refuse_unknown_status`.  `health` remembers failures;
        `seconds` is the time over all authorities where a call names no deadline.
        """
        if any(config.concurrency < 1 for config in configs):
            raise ConfigError(reason="tsa concurrency must be at least 1")
        self.configs = tuple(configs)
        self._http = http
        self._material: Callable[[], TrustMaterial] = material if callable(material) else lambda: material
        self._skew = timedelta(seconds=clock_skew)
        self._max_accuracy = max_accuracy
        self._status = status
        self._refuse_unknown = refuse_unknown_status
        self.health = health or TsaHealth()
        self._seconds = seconds
        self._turns = {config.name: threading.BoundedSemaphore(config.concurrency) for config in configs}

    def timestamp(
        self, digest: bytes, digest_name: str, *, now: datetime, deadline: float | None = None
    ) -> TimestampToken:
        """A token over `digest` (made with `digest_name`, hashlib's name), checked in all its parts.

        `now` is the aware UTC time of the call; `deadline` a `time.monotonic` value over all authorities.

        Raises `RequestError` where digest and name do not fit, `UpstreamError` where no authority gives a usable token:
        ``tsa_invalid_token`` if at least one answered with a token that fails a check, else ``tsa_unavailable``.  The
        error's `reason` and `tsas` say why, per authority.
        """
        begun = time.monotonic()
        if deadline is None and self._seconds is not None:
            deadline = begun + self._seconds
        reasons: list[tuple[str, str]] = []
        answered = False
        rested: list[TsaConfig] = []
        for config in itertools.chain(self.configs, rested):
            left = config.timeout if deadline is None else min(config.timeout, deadline - time.monotonic())
            if left <= 0:
                reasons.append((config.name, "deadline"))
                continue
            if config not in rested and not self.health.allows(config.name):
                rested.append(config)  # asked last: nobody is refused a timestamp that nobody was asked for
                continue
            try:
                token = self._ask(config, digest, digest_name, now, begun, time.monotonic() + left)
            except TokenError as error:
                answered = True
                reason = error.reason
            except UpstreamError as error:
                reason = str(error.data.get("reason", error.code))
            else:
                self.health.succeeded(config.name)
                return token
            reasons.append((config.name, reason))
            # Who is given less time than it is known to need has not failed.
            if reason not in _OURS and not (reason == "timeout" and left < config.timeout):
                self.health.failed(config.name, reason)
        raise UpstreamError(
            "tsa_invalid_token" if answered else "tsa_unavailable",
            reason="; ".join(f"{name}: {reason}" for name, reason in reasons) or "no TSA is configured",
            tsas=reasons,
        )

    def _ask(
        self, config: TsaConfig, digest: bytes, digest_name: str, now: datetime, begun: float, deadline: float
    ) -> TimestampToken:
        nonce = secrets.randbits(63) | 1 << 63
        try:
            body = tsa_token.request(digest, digest_name, nonce, policy_oid=config.policy_oid)
        except ValueError:
            raise RequestError(reason="digest and algorithm do not go together") from None
        headers = {"Accept": "application/timestamp-reply"}
        if config.username is not None:
            pair = f"{config.username}:{config.password or ''}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        turn = self._turns[config.name]
        if not turn.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise UpstreamError("tsa_unavailable", reason="busy")
        try:
            response = self._http.post(
                config.url, body, content_type=QUERY, kind="tsa", headers=headers, deadline=deadline
            )
        finally:
            turn.release()
        if response.status != 200:
            raise UpstreamError("tsa_unavailable", reason=f"http_{response.status}")
        if response.media_type not in _REPLIES:
            raise UpstreamError("tsa_unavailable", reason="media_type")
        if not response.body:
            raise UpstreamError("tsa_unavailable", reason="empty")
        material = self._material()
        token = tsa_token.open_response(response.body)
        checked = tsa_token.check(token, digest, digest_name, nonce=nonce, known=material.intermediates)
        ended = now + timedelta(seconds=time.monotonic() - begun)
        if not now - self._skew <= checked.gen_time <= ended + self._skew:
            raise TokenError("time")
        if config.policy_oid is not None and checked.policy_oid != config.policy_oid:
            raise TokenError("policy")
        if self._max_accuracy is not None and (checked.accuracy or 0.0) > self._max_accuracy:
            raise TokenError("accuracy")
        chain = _chain(checked, material)
        if not chain and not config.allow_unknown_chain:
            raise TokenError("chain")
        if chain and self._status is not None:
            found = self._status(chain, now)
            if found is ChainStatus.REVOKED:
                raise TokenError("revoked")
            if found is ChainStatus.UNKNOWN and self._refuse_unknown:
                raise TokenError("status_unknown")
        return TimestampToken(
            checked.der, checked.gen_time, config.name, checked.certificate, checked.certificates, chain
        )


def _chain(checked: CheckedToken, material: TrustMaterial) -> tuple[Certificate, ...]:
    pool = (*checked.certificates, *material.intermediates)
    for path in build(checked.certificate, pool, material.anchors, limits=_PATHS):
        if len(path) > 1 and chain_problem(path, checked.gen_time) is None:
            return path
    return ()
