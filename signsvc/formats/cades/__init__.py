"""CMS files: CAdES baseline signatures (EN 319 122-1) and plain CMS, detached (`.p7s`) and with content (`.p7m`).

`read` gives the views of a file, `content` what is signed where it stands inside.  `write` makes signatures, beside and
over others too; `extend` raises them to B-T, B-LT and B-LTA and renews their archive timestamps.
"""

from signsvc.formats.cades.container import decode
from signsvc.formats.cades.read import MEDIA_TYPE, content, read, signature_id

__all__ = ["MEDIA_TYPE", "content", "decode", "read", "signature_id"]
