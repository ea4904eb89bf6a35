"""XAdES signatures (EN 319 132-1): reading, making and raising them.

`read` gives the view of an XML document, `views` those of the signatures of a parsed one.  `write` makes signatures in
two steps, `extend` raises them; both take bytes and give bytes.
"""

from signsvc.formats.xades.read import MEDIA_TYPE, read, views

__all__ = ["MEDIA_TYPE", "read", "views"]
