"""Forms: kinds of signed XML whose parts are known, such as e-invoices, and what such a document says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FormSigner:
    """A place of a form where somebody signs; `signature` is the id of the signature there, None where it is empty."""

    role: str
    title_vi: str
    title_en: str
    signature: str | None
    name: str | None = None  # who should sign, as the document names them
    tax_code: str | None = None


@dataclass(frozen=True, slots=True)
class FormDocument:
    """One document of a form: where it stands (`path`, with positions from 1), what it says, who signed where."""

    path: str
    facts: tuple[tuple[str, str], ...]  # name, text
    signers: tuple[FormSigner, ...]


@dataclass(frozen=True, slots=True)
class Form:
    """What kind of signed XML a file is."""

    id: str
    title_vi: str
    title_en: str
    documents: tuple[FormDocument, ...]


__all__ = ["Form", "FormDocument", "FormSigner"]
