"""Why signsvc, stock pyHanko and EU DSS do not say the same of a file: every kind of difference, on purpose.

A row holds for the differences whose words, ``ASPECT OURS/PYHANKO/DSS``, and whose file name it matches, both wholly;
`shows` is a file that has such a difference, so that a row nobody needs is found out.  See `opinions` for the words.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    said: str
    pattern: str
    shows: str
    why: str


def attacks(*names: str) -> str:
    return rf"attack/\w+/({'|'.join(names)})"


def additions(*names: str) -> str:
    return rf"addition/\w+/({'|'.join(names)})"


ROWS = (
    # Who reads the file at all.
    Row(
        r"file read/\w+/read",
        r"octets/.*|case/octets/.*|shape/17 .*|hidden/rewritten-without-range|hostile/.*|"
        + attacks("packed_objects_freed", "malformed_field")
        + "|"
        + additions("document timestamp"),
        "shape/17 two signers",
        "One malformed object, signature or token makes pyHanko raise for the whole file, or a shape made to exhaust it.",
    ),
    Row(
        r"file read/PdfReadError/DSSException",
        r"octets/junk-before-the-header",
        "octets/junk-before-the-header",
        "The others want the header first; the signature is found and judged here, and the file said to need repair.",
    ),
    Row(
        r"file read/read/DSSException",
        attacks("packed_objects_replaced"),
        "attack/table/packed_objects_replaced",
        "The page tree is gone with the object stream that held it: DSS refuses the file, here the signature is judged.",
    ),
    Row(
        r"file read/\w+/(late|DSSException)",
        r"hostile/.*",
        "hostile/object_with_many_users_takes_turns",
        "A shape made to exhaust readers, which DSS does not bound, or gives up.",
    ),
    Row(
        r"file document_too_complex/read/(read|late|DSSException)",
        r"hostile/(bombs_in_the_store|filters_.*)",
        "hostile/bombs_in_the_store",
        "The others do not decode what stands there, or do and take their time; here a limit is hit and named.",
    ),
    # Which signatures are found.
    Row(
        r"signature found/(-|found|missing)/missing",
        r"octets/(range|contents|type)-.*|case/octets/.*|shape/04 timestamp that says Sig|hidden/rewritten-.*|"
        + additions("document timestamp", "signature with a widget of its own", "signature named in the tags"),
        "octets/type-other",
        "A damaged, unfinished or mislabelled signature is still a signature; DSS leaves it out, and pyHanko raises, "
        "or leaves out what names no known kind.",
    ),
    Row(
        r"signature found/missing/found",
        r"octets/sub-filter-.*|case/signature/adobe-sha1|shape/15 .*",
        "octets/sub-filter-unknown",
        "pyHanko leaves out kinds of signatures that it does not judge: unknown ones and adbe.pkcs7.sha1.",
    ),
    Row(
        r"signature found/missing/missing",
        r"case/document/signature-removed|hidden/.*|"
        + attacks("form_gone", "signature_(field|value)_gone", "signature_overwritten", "signature_value_swapped"),
        "hidden/field-gone",
        "A signature that a later revision took out of its field is found in the revision that it signed.",
    ),
    Row(
        r"signature found/found/missing",
        attacks("fields_are_pages"),
        "attack/table/fields_are_pages",
        "The form and the page tree share their kids, so that DSS finds no fields.",
    ),
    Row(
        r"signature (found/-/missing|missing/-/found)",
        r"octets/cut-off-.*",
        "octets/cut-off-behind-the-signature",
        "Where a download broke off, a signature is found by its dictionary alone, without the name of its field.",
    ),
    Row(
        r"signature found/(-|missing)/missing",
        r"hostile/.*",
        "hostile/many_false_signatures",
        "Every dictionary that calls itself a signature and covers octets is told, also in no field.",
    ),
    # Whether they hold.
    Row(
        r"integrity broken/(-|intact)/(intact|broken)",
        r"shape/(17|21|22) .*|hostile/signers_in_one_cms",
        "shape/21 attributes out of order",
        "Two signers, a repeated signing time and attributes out of order are against the standards (RFC 5652, "
        "EN 319 142-1): the others read past one or the other.",
    ),
    Row(
        r"integrity broken/intact/broken",
        r"octets/contents-(short-string|comment-in-padding)",
        "octets/contents-short-string",
        "The gap must be one hexadecimal string and nothing else; pyHanko takes what its parser makes of it.",
    ),
    Row(
        r"(integrity broken/intact/intact|coverage -/less/revision)",
        r"hidden/copied-into-another-field",
        "hidden/copied-into-another-field",
        "A copied dictionary has the range of another signature, and its own octets lie outside that gap.",
    ),
    Row(
        r"integrity broken/refused/intact",
        r"case/signature/reference-to-another",
        "case/signature/reference-to-another",
        "The signed reference names a certificate that is there, and its key did not make the value.",
    ),
    Row(
        r"integrity intact/refused/(-|intact)",
        r"shape/(04|25) .*|hidden/rewritten-as-timestamp|case/signature/(reference-to-absent|no-certificates)"
        r"|case/path/self-signed",
        "shape/25 content of another type",
        "pyHanko refuses to judge what is not as its profile wants it, such as no certificate beside the value.",
    ),
    # What they cover.
    Row(
        r"coverage file/revision/revision",
        r"later/white space behind the end",
        "later/white space behind the end",
        "White space behind the end is told as a warning; nothing can be shown with it.",
    ),
    Row(
        r"coverage less/-/revision",
        r"hostile/(prev_to_itself_and_forward|white_space_and_comments_after_the_end)",
        "hostile/prev_to_itself_and_forward",
        "In a file that needs repair nobody knows what a revision is: the answer is 'indeterminate'. DSS repairs.",
    ),
    Row(
        r"coverage revision/less/revision",
        r"hidden/rewritten-with-a-name",
        "hidden/rewritten-with-a-name",
        "The dictionary was rewritten later; it is judged as it stood in its own revision.",
    ),
    Row(
        r"coverage revision/refused/(-|revision)",
        r"hostile/.*|"
        + attacks(
            "dangling_.*", "length_elsewhere", "malformed_.*", "annotation_of_.*", "annotation_that_.*", "packed_.*"
        ),
        "attack/table/dangling_behind_comment",
        "pyHanko's comparison raises on later objects that cannot be read and references that lead nowhere, and takes "
        "the whole answer with it.",
    ),
    # What came later: more lenient here.
    Row(
        r"grade annotation/undefined/annotation",
        r"shape/13 .*|" + additions("comment.*", "free text beside the fields"),
        "addition/table/comment",
        "pyHanko has no rule for comments; ISO 32000-2 allows them under P=3 and without certification.",
    ),
    Row(
        r"grade unchanged/undefined/unchanged",
        r"shape/09 .*|hostile/(equal_values_behind_references|stores_take_turns)|"
        + additions("store .*", "odd VRI key", "foreign key in the store", "direct for indirect", "object.* use.*"),
        "addition/table/object nothing uses",
        "Objects that nothing shows, values spelled in another way and oddities of the validation store change nothing; "
        "pyHanko wants every object explained.",
    ),
    Row(
        r"grade unchanged/undefined/undefined",
        additions("store dropped"),
        "addition/table/store dropped",
        "What is dropped is the validation store; its values stay proven by the revision that held them. An unknown "
        "catalog entry that is null is no entry.",
    ),
    Row(
        r"grade unchanged/(form|undefined)/unchanged",
        additions("numbers and strings written differently"),
        "addition/table/numbers and strings written differently",
        "A field whose values are only spelled in another way was not filled.",
    ),
    Row(
        r"grade form/undefined/form",
        r"shape/10 .*|" + additions("signature named in the tags"),
        "shape/10 tags of a new widget",
        "pyHanko knows no structure elements for the widget of a further signature, which tagged files need.",
    ),
    Row(
        r"grade (form/undefined/form|unchanged/undefined/unchanged)",
        r"addition/hybrid/(field .*|VRI in place|nothing new)",
        "addition/hybrid/field filled",
        "The update of a hybrid file hides packed objects from old readers by free rows, which pyHanko takes for "
        "objects without a reason.",
    ),
    Row(
        r"grade form/form/annotation",
        additions("signature with a widget of its own"),
        "addition/table/signature with a widget of its own",
        "DSS calls the new widget a comment; it belongs to a signature field.",
    ),
    # ... stricter here.
    Row(
        r"grade form/form/unchanged",
        r"good/B-LTA .*|case/level/.*/b-lta|case/document/only-document-timestamp/.*|shape/05 .*",
        "good/B-LTA table",
        "The field of this document timestamp takes room on the page, which a later reader sees; DSS counts every "
        "document timestamp as an extension.",
    ),
    Row(
        r"grade form/unchanged/form",
        r"foreign/(rc4|aes.*)-twice",
        "foreign/rc4-twice",
        "pyHanko does not call a second signature in an encrypted file a change of the form; in others it does.",
    ),
    Row(
        r"grade form/unchanged/annotation",
        additions("empty signature field"),
        "addition/table/empty signature field",
        "A new field is a change of the form.",
    ),
    Row(
        r"grade undefined/unchanged/unchanged",
        r"hostile/rows_in_a_later_revision",
        "hostile/rows_in_a_later_revision",
        "Rows of a later revision lead to an object of another number, which the others never ask for.",
    ),
    Row(
        r"grade undefined/unchanged/unchanged",
        r"octets/.*-behind|case/octets/trailing-.*",
        "octets/one-octet-behind",
        "The others do not look at octets behind the last revision; who repairs the file may show them.",
    ),
    Row(
        r"grade undefined/form/(form|unchanged)",
        attacks("replace_by_.*", "field_hidden", "field_hidden_while_filled", "form_fonts_replaced"),
        "attack/table/replace_by_appearance",
        "The shadow attack: a field shows something else, hides or swaps fonts while its value stays or lies.",
    ),
    Row(
        r"grade undefined/unchanged/annotation",
        attacks("signature_runs_script"),
        "attack/table/signature_runs_script",
        "An action came with a signature field.",
    ),
    Row(
        r"grade undefined/unchanged/undefined",
        attacks("dangling_content"),
        "attack/table/dangling_content",
        "A reference of the signed revision waited for the object that came now; pyHanko does not look for those.",
    ),
    Row(
        r"grade undefined/(-|undefined)/annotation",
        r"attack/\w+/.*|hostile/.*",
        "attack/table/hide_by_removed_cover",
        "DSS calls whatever is done with annotations an annotation: covers taken away, stamps over a signature, scripts, "
        "objects that cannot be read, and fields that are new.",
    ),
    Row(
        r"grade undefined/(-|undefined)/form",
        r"attack/\w+/.*|hostile/.*",
        "attack/table/note_rewritten",
        "DSS calls a value that changes below an annotation or the form, or a new kind of catalog entry, filling in: "
        "notes rewritten, fields moved, scripts and attachments added.",
    ),
    Row(
        r"grade undefined/(-|undefined)/unchanged",
        r"attack/\w+/.*|hostile/.*",
        "attack/table/pages_swapped",
        "DSS does not see the order of pages and annotations, flags that hide, objects freed or replaced with their "
        "stream, structure and metadata that become something else.",
    ),
    # Random damage: each reader mends other parts.  Here nothing is intact that another calls broken, and nothing
    # unchanged or filled in that both others call undefined.
    Row(
        r"(file|signature|coverage) .*|integrity ((broken|open)/.*|intact/(refused|intact|-)/(intact|open|-))"
        r"|grade ((undefined|-)/.*|\w+/(?!undefined).*|\w+/undefined/(?!undefined).*)",
        r"mutated/\d+",
        "",
        "Random damage: each reader mends other parts of it.",
    ),
)

# Failed here though both others accept every signature and see no change; `said` has the verdict and what failed.
STRICTER = (
    Row(
        r"TOTAL-FAILED/NOT_YET_VALID .*",
        r"case/(state/not-yet-valid/.*|token/.*/before-certificate)",
        "case/state/not-yet-valid/bare",
        "Signed or stamped before the certificate began.",
    ),
    Row(
        r"TOTAL-FAILED/(REVOKED|EXPIRED) .*",
        r"case/token/content-after-(revocation|expiry)",
        "case/token/content-after-expiry",
        "Its own content timestamp proves that the signature was made too late.",
    ),
    Row(
        r"TOTAL-FAILED/FORMAT_FAILURE .*\bdocument_octets_after_end\b.*",
        r"octets/.*-behind|case/octets/trailing-.*",
        "octets/one-octet-behind",
        "Octets other than white space behind the last revision.",
    ),
    Row(
        r"TOTAL-FAILED/FORMAT_FAILURE .*\bbyte_range_gap\b.*",
        r"hostile/many_false_signatures",
        "hostile/many_false_signatures",
        "Signatures in no field that cover nothing and cannot be read stand beside the good one.",
    ),
    Row(
        r"TOTAL-FAILED/FORMAT_FAILURE .*\bobject_unreadable\b.*",
        r"hostile/rows_in_a_later_revision",
        "hostile/rows_in_a_later_revision",
        "Rows of a later revision lead to an object of another number.",
    ),
    Row(
        r"TOTAL-FAILED/FORMAT_FAILURE .*\b(document_octets_after_end|object_unlisted)\b.*",
        r"mutated/\d+",
        "",
        "Octets behind the last revision, or an object in a later one that its cross-references leave out.",
    ),
)

__all__ = ["ROWS", "STRICTER", "Row"]
