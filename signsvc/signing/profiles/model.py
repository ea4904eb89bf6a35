"""What a signing profile says, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from dataclasses import field as member
from typing import Any

LEVELS = ("B-B", "B-T", "B-LT", "B-LTA")
SCHEMES = ("pkcs1v15", "pss")
DIGESTS = ("sha256", "sha384", "sha512")
FORMATS = ("pades", "xades", "xmldsig", "edxml", "cades", "asic-s-xades", "asic-e-xades")
PACKAGINGS = ("enveloped", "enveloping", "detached", "container")
HOLDERS = ("person", "agency")
TEXTS = ("reason", "location", "name", "contact")
RESULTS = ("sound", "passed")
SHOWN = ("asked", "always", "never")
CANONICALS = ("c14n", "exclusive")
SUBFILTERS = ("ETSI.CAdES.detached", "adbe.pkcs7.detached")
CHAINS = ("path", "full")
CERTIFY_WHEN = ("first", "always", "never")
PDFA_WHEN_NOT = ("refuse", "warn", "ignore")
PDFA_TRANSPARENCY = ("flatten", "refuse", "allow")


@dataclass(frozen=True, slots=True)
class TextRule:
    """A text of the signature dictionary: `value` where the caller says nothing, `fixed`: the caller may not."""

    value: str | None = None
    fixed: bool = False
    required: bool = False
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CredentialRule:
    """Which keys and certificates may sign under a profile; empty members demand nothing."""

    ids: tuple[str, ...] = ()  # of credentials; ``name*`` means all that begin so
    key_types: tuple[str, ...] = ()  # rsa, rsa-pss, ec
    least_bits: Mapping[str, int] = member(default_factory=dict)  # by key type
    holder: str | None = None  # person, agency
    issuers: tuple[str, ...] = ()  # common names of authorities, one of which is on the path
    organizations: tuple[str, ...] = ()  # O or OU of the subject
    policies: tuple[str, ...] = ()  # certificate policies, one of which the certificate names
    key_usage: tuple[str, ...] = ()  # all of which it has
    extended_key_usage: tuple[str, ...] = ()  # one of which it has


@dataclass(frozen=True, slots=True)
class CertifyRule:
    """Whether the signature certifies the document (DocMDP) and how far it may change then: 2 or 3."""

    when: str = "never"  # first: where the document has no signature yet
    permissions: int = 2
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class FieldRule:
    """The signature field: a name, or a pattern whose ``{n}`` counts from 1."""

    name: str | None = None
    existing: bool = False  # it must be an empty signature field of the document
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class SignatureRule:
    """What the CMS is and claims.  `subfilter` other than that of PAdES is for readers that know no other; such
    signatures carry the time of signing among their attributes.  `chain`: ``full`` embeds the root too.  `capacity`,
    `role` and `commitment` are claimed where the caller claims none; a commitment goes without a reason."""

    subfilter: str = "ETSI.CAdES.detached"
    chain: str = "path"
    capacity: tuple[str, ...] = ()
    role: str | None = None
    commitment: str | None = None

    @property
    def timed(self) -> bool:
        """Whether the time of signing is an attribute (EN 319 142-1 §6.3 forbids it in PAdES)."""
        return self.subfilter != "ETSI.CAdES.detached"


@dataclass(frozen=True, slots=True)
class PdfaRule:
    """What happens to documents that do not claim PDF/A, or another part than the `parts` named (such as ``3b``), and
    to transparent pictures in those that claim PDF/A-1, which forbids them: ``flatten`` makes their points opaque or
    leaves them out, ``allow`` gives up the claim."""

    when_not: str = "ignore"
    parts: tuple[str, ...] = ()
    transparency: str = "flatten"


@dataclass(frozen=True, slots=True)
class Profile:
    """What to produce.  `sha256` is the hash of the file the profile was read from and of all that it extends.

    `appearance` is the template of a visible signature where the caller names none, `visible` the place of one that
    is asked for without a place, in the members of a request's ``visible``; `shown` tells whether the signature is
    visible when nobody asks.  `result` is what the file has to be under `policy` before it is handed out: ``sound``
    (nothing about it fails) or ``passed``.
    """

    id: str
    version: str
    level: str  # B-B, B-T, B-LT, B-LTA
    title_vi: str = ""
    title_en: str = ""
    format: str = "pades"
    digest: str = "sha256"
    scheme: str = "pkcs1v15"
    require_path: bool = False
    policy: str = "hon-hop"
    appearance: str = "simple"
    sha256: str = ""
    description_vi: str = ""
    description_en: str = ""
    extends: tuple[tuple[str, str, str], ...] = ()
    result: str = "sound"
    shown: str = "asked"
    appearance_fixed: bool = False
    visible: Mapping[str, Any] | None = None
    credential: CredentialRule = CredentialRule()
    texts: Mapping[str, TextRule] = member(default_factory=dict)
    certify: CertifyRule = CertifyRule()
    field: FieldRule = FieldRule()
    pdfa: PdfaRule = PdfaRule()
    signature: SignatureRule = SignatureRule()
    raise_to: str | None = None  # the level that a job raises the signature to, later
    packaging: str | None = None  # how signature and document stand to each other; None: as the format has it
    references: tuple[str, ...] = ()  # Ids of the elements that XAdES signs; empty: the whole document
    covers: tuple[str, ...] = ()  # xmldsig: paths of elements that it signs by their Ids
    place: str = "."  # xmldsig: path of the element that the signature is put into
    canonical: str = "c14n"  # xmldsig: how what is signed is written
    experimental: bool = False  # keys of algorithms that no list names yet (ML-DSA) may sign

    def __post_init__(self) -> None:
        """Take the plain values of `asdict`, which a JSON document brings back as lists and objects, as well."""
        for name, kind in (
            ("credential", CredentialRule),
            ("certify", CertifyRule),
            ("field", FieldRule),
            ("pdfa", PdfaRule),
            ("signature", SignatureRule),
        ):
            value = getattr(self, name)
            if isinstance(value, Mapping):
                object.__setattr__(self, name, kind(**_tuples(value)))
        texts = {
            name: TextRule(**_tuples(rule)) if isinstance(rule, Mapping) else rule for name, rule in self.texts.items()
        }
        object.__setattr__(self, "texts", texts)
        object.__setattr__(self, "references", tuple(self.references))
        object.__setattr__(self, "covers", tuple(self.covers))
        object.__setattr__(self, "extends", tuple((i, v, h) for i, v, h in self.extends))

    @property
    def rank(self) -> int:
        """Position of the level: 0 for B-B to 3 for B-LTA."""
        return LEVELS.index(self.level)

    def to_json(self) -> dict[str, Any]:
        """For people and API callers."""
        return {
            "id": self.id,
            "version": self.version,
            "sha256": self.sha256,
            "extends": [{"id": i, "version": v, "sha256": h} for i, v, h in self.extends],
            "title": {"vi": self.title_vi, "en": self.title_en},
            "description": {"vi": self.description_vi, "en": self.description_en},
            "format": self.format,
            "packaging": self.packaging,
            "references": list(self.references),
            "covers": list(self.covers),
            "place": self.place if self.format == "xmldsig" else None,
            "canonical": self.canonical if self.format == "xmldsig" else None,
            "level": self.level,
            "digest": self.digest,
            "scheme": self.scheme,
            "require_path": self.require_path,
            "experimental": self.experimental,
            "policy": self.policy,
            "result": self.result,
            "appearance": {
                "template": self.appearance,
                "shown": self.shown,
                "fixed": self.appearance_fixed,
                "visible": dict(self.visible) if self.visible else None,
            },
            "credential": _plain(self.credential),
            "metadata": {name: _plain(rule) for name, rule in self.texts.items()},
            "certify": _plain(self.certify),
            "field": _plain(self.field),
            "pdfa": _plain(self.pdfa),
            "signature": _plain(self.signature),
            "timestamp": {"raise_to": self.raise_to},
        }


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def _plain(rule: Any) -> dict[str, Any]:
    return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(rule).items()}
